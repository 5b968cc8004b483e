"""A bus of each test's own on a shared Redis, and redis-cli beside it."""

from contextlib import closing

import pytest

from flowlord.bus.redis import RedisBus
from support.clock import VirtualClock
from support.redis_servers import drop_namespace, fresh_namespace, shared_server


@pytest.fixture
def server():
    return shared_server("redis")


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def namespace(server):
    name = fresh_namespace()
    yield name
    drop_namespace(name, [server])


@pytest.fixture
def bus(server, clock, namespace):
    with closing(RedisBus(server.url, by="tester", clock=clock, namespace=namespace)) as made:
        yield made


@pytest.fixture
def cli(server, namespace):
    """redis-cli, with {} in keys for the namespace."""

    def run(*words: str) -> str:
        return server.cli(*(word.replace("{}", f"{{{namespace}}}") for word in words))

    return run
