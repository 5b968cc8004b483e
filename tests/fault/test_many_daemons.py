"""Two and five daemons on one schedule (T-11): no tick twice, none missing, and they did get in each other's way."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.model.plan import FactKind
from support.processes import until
from support.quick import quick_folder
from support.racers import racers
from support.redis_servers import drop_namespace, fresh_namespace, shared_server
from support.tick_race import PHASES

CONTESTED = 0.3
"""The share of ticks that more than one daemon must have tried, or the run shows nothing."""
RACE_TIMES = (20_000, pytest.param(100_000, marks=pytest.mark.full))


@contextmanager
def place(kind: str) -> Iterator[tuple[str, str]]:
    """The address and the namespace of an empty bus."""
    if kind == "sqlite":
        with quick_folder() as folder:
            yield f"sqlite:///{folder / 'bus.db'}", "flowlord"
        return
    server, namespace = shared_server("redis"), fresh_namespace()
    try:
        yield server.url, namespace
    finally:
        drop_namespace(namespace, [server])


def daemons(
    game: str, where: tuple[str, str], sizes: list[str]
) -> AbstractContextManager[list[subprocess.Popen[str]]]:
    """So many processes that have started at the same moment."""
    return racers("tick_race.py", [[game, *where, str(number), size] for number, size in enumerate(sizes, 1)])


def told(process: subprocess.Popen[str]) -> tuple[int, int]:
    """What a daemon tells at its end: what it won, and what another one had."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    won, taken = process.stdout.read().split()
    return int(won), int(taken)


def causes(bus: Bus) -> Counter[str]:
    """How often each slot was published, as the journal tells."""
    found: Counter[str] = Counter()
    seq = 0
    while entries := bus.journal(seq, 1_000):
        seq = entries[-1].seq
        found.update(f.cause for entry in entries for f in entry.facts if f.kind is FactKind.PUBLISHED)
    return found


@pytest.mark.fault
@pytest.mark.parametrize("ticks", RACE_TIMES)
@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_race_for_ticks_dispatches_each_of_them_once(kind: str, count: int, ticks: int) -> None:
    ticks = ticks // count
    with place(kind) as where, closing(open_bus(where[0], by="judge", namespace=where[1])) as bus:
        with daemons("bus", where, [str(ticks)] * count) as all_:
            ends = [told(each) for each in all_]
        found = causes(bus)
    assert set(found) == {str(tick) for tick in range(ticks)}, "none is missing"
    assert max(found.values()) == 1, "none came twice"
    assert sum(won for won, _ in ends) == ticks
    # Who comes late to a tick was refused by its mark, or it would have been published twice.
    assert sum(taken for _, taken in ends) == ticks * (count - 1)
    assert min(won for won, _ in ends) < ticks * 0.9, "one alone decided nearly all: nobody got in its way"


def split(cause: str) -> tuple[str, datetime]:
    phase, _, instant = cause.partition("all.toml:")[2].partition(":2026")
    return phase, datetime.fromisoformat(f"2026{instant}")


@pytest.mark.fault
@pytest.mark.parametrize(
    ("kind", "count", "ticks"),
    [
        ("sqlite", 2, 1_000),
        ("redis", 5, 2_000),
        pytest.param("sqlite", 5, 20_000, marks=pytest.mark.full),
        # At 400 planned ticks a second this takes two minutes at least.
        pytest.param("redis", 2, 50_000, marks=[pytest.mark.full, pytest.mark.timeout(600)]),
    ],
)
def test_daemons_side_by_side_miss_nothing_and_double_nothing_though_one_is_killed(
    kind: str, count: int, ticks: int, tmp_path: Path
) -> None:
    # The clock of the last one is a planned second wrong.
    ahead = ["0"] * (count - 1) + ["0.7"]
    with place(kind) as where, closing(open_bus(where[0], by="judge", namespace=where[1])) as bus:
        with daemons("daemon", where, ahead) as all_:
            until(lambda: _published(bus) > ticks // 2, "half of the ticks", limit_s=300.0, every_s=0.1)
            victim = all_[0] if count > 2 else None
            if victim is not None:
                victim.kill()
            until(lambda: _published(bus) > ticks, "the ticks", limit_s=300.0, every_s=0.1)
            ends = [told(each) for each in all_ if each is not victim]
        found = causes(bus)
    assert max(found.values()) == 1, "none came twice"
    by_phase: dict[str, list[datetime]] = {}
    for cause in found:
        phase, instant = split(cause)
        by_phase.setdefault(phase, []).append(instant)
    assert len(by_phase) == PHASES
    for phase, instants in by_phase.items():
        instants.sort()
        holes = (instants[-1] - instants[0]) / timedelta(seconds=1) + 1 - len(instants)
        assert holes == 0, f"{holes} ticks of {phase} are missing"
    contested = sum(taken for _, taken in ends)
    assert contested >= CONTESTED * len(found), f"only {contested} of {len(found)} were contested"


def _published(bus: Bus) -> int:
    return next((state.waiting for state in bus.topics() if state.topic == "tick"), 0)
