"""The buses that must keep the contract. One more adapter is one more line in MAKERS."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.given import LEASE_S
from flowlord.bus.memory import MemoryBus
from flowlord.bus.port import Bus
from flowlord.bus.sqlite import SqliteBus
from flowlord.model.message import Delivery
from support.clock import VirtualClock
from support.quick import quick_folder


def memory(folder: Path, clock: VirtualClock) -> Bus:
    return MemoryBus(clock, by="tester")


def sqlite_truncate(folder: Path, clock: VirtualClock) -> Bus:
    return SqliteBus(folder / "bus.db", by="tester", clock=clock, journal_mode="truncate")


def sqlite_wal(folder: Path, clock: VirtualClock) -> Bus:
    """WAL also on an engine that has its bug: what is tested here is us."""
    return SqliteBus(folder / "bus.db", by="tester", clock=clock, journal_mode="wal")


MAKERS: dict[str, Callable[[Path, VirtualClock], Bus]] = {
    "memory": memory,
    "sqlite-truncate": sqlite_truncate,
    "sqlite-wal": sqlite_wal,
}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(params=MAKERS)
def bus(request: pytest.FixtureRequest, clock: VirtualClock) -> Iterator[Bus]:
    with quick_folder() as folder:
        made = MAKERS[request.param](folder, clock)
        yield made
        made.close()


@pytest.fixture
def lapse(clock: VirtualClock) -> Callable[[Delivery], None]:
    """Let the time of a delivery's lease pass while its holder is silent."""

    def pass_by(delivery: Delivery) -> None:
        clock.advance(LEASE_S + 0.001)

    return pass_by
