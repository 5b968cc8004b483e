"""The buses that must keep the contract. One more adapter is one more line in MAKERS."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from contract.given import LEASE_S
from flowlord.bus.memory import MemoryBus
from flowlord.bus.port import Bus
from flowlord.bus.sqlite import SqliteBus
from flowlord.model.message import Delivery
from support.clock import VirtualClock
from support.quick import quick_folder
from support.redis_servers import Server, drop_namespace, fresh_namespace, shared_cluster, shared_server


def memory(clock: VirtualClock) -> AbstractContextManager[Bus]:
    return closing(MemoryBus(clock, by="tester"))


@contextmanager
def on_file(clock: VirtualClock, journal_mode: str) -> Iterator[Bus]:
    """WAL also on an engine that has its bug: what is tested here is us."""
    with (
        quick_folder() as folder,
        closing(SqliteBus(folder / "bus.db", by="tester", clock=clock, journal_mode=journal_mode)) as made,
    ):
        yield made


@contextmanager
def on_server(clock: VirtualClock, url: str, servers: Sequence[Server]) -> Iterator[Bus]:
    """In a namespace of its own on servers that all tests of this process share."""
    from flowlord.bus.redis import RedisBus

    namespace = fresh_namespace()
    try:
        with closing(RedisBus(url, by="tester", clock=clock, namespace=namespace)) as made:
            yield made
    finally:
        drop_namespace(namespace, servers)


def redis(clock: VirtualClock) -> AbstractContextManager[Bus]:
    server = shared_server("redis")
    return on_server(clock, server.url, [server])


def valkey(clock: VirtualClock) -> AbstractContextManager[Bus]:
    server = shared_server("valkey")
    return on_server(clock, server.url, [server])


def redis_cluster(clock: VirtualClock) -> AbstractContextManager[Bus]:
    cluster = shared_cluster("redis")
    return on_server(clock, cluster.url, cluster.nodes)


MAKERS: dict[str, Callable[[VirtualClock], AbstractContextManager[Bus]]] = {
    "memory": memory,
    "sqlite-persist": lambda clock: on_file(clock, "persist"),
    "sqlite-wal": lambda clock: on_file(clock, "wal"),
    "redis": redis,
    "valkey": valkey,
    "redis-cluster": redis_cluster,
}
# Adapters that are the same program as another one, elsewhere: they run where the server may make a difference.
ONLY_IN = {"valkey": {"test_claim", "test_commit", "test_later", "test_lease"}}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for a bus on every bus that is meant to run its file."""
    if "bus" in metafunc.fixturenames:
        file = Path(metafunc.module.__file__).stem
        buses = [name for name in MAKERS if file in ONLY_IN.get(name, {file})]
        metafunc.parametrize("bus", buses, indirect=True)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def bus(request: pytest.FixtureRequest, clock: VirtualClock) -> Iterator[Bus]:
    with MAKERS[request.param](clock) as made:
        yield made


@pytest.fixture
def lapse(clock: VirtualClock) -> Callable[[Delivery], None]:
    """Let the time of a delivery's lease pass while its holder is silent."""

    def pass_by(delivery: Delivery) -> None:
        clock.advance(LEASE_S + 0.001)

    return pass_by
