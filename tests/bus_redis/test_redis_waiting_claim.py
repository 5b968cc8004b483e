"""A claim that waits: it is asked together with the wait, so that one answer brings what came."""

import threading
from contextlib import closing

import pytest

from contract.given import message
from flowlord.bus.redis import RedisBus
from flowlord.bus.redis_link import Link
from support.processes import until
from support.redis_links import LIMIT_S, info
from support.redis_servers import Server


@pytest.fixture
def alone():
    """A server on which nobody else waits."""
    with Server() as server:
        yield server


@pytest.fixture
def asked(monkeypatch):
    """How many exchanges there were, by thread."""
    count = {}
    exchange = Link._exchange

    def counted(self, *args, **more):
        count[threading.current_thread().name] = count.get(threading.current_thread().name, 0) + 1
        return exchange(self, *args, **more)

    monkeypatch.setattr(Link, "_exchange", counted)
    return count


def opened(server, by="tester"):
    return closing(RedisBus(server.url, by=by, accept_loss=True))


def waiting(bus, name, found):
    thread = threading.Thread(
        target=lambda: found.extend(bus.claim(["extract"], "a", 4, wait_s=LIMIT_S)), name=name
    )
    thread.start()
    return thread


def listens(server):
    until(lambda: info(server, "clients", "blocked_clients"), "the waiting claim", LIMIT_S)


def test_what_comes_while_a_claim_waits_is_brought_by_the_answer_it_waits_for(alone, asked):
    with opened(alone) as bus, opened(alone) as other:
        bus.claim(["extract"], "a", 4, wait_s=0.001)
        for n in (1, 2):
            found = []
            thread = waiting(bus, f"claim {n}", found)
            listens(alone)
            other.publish([message("extract", key=f"{n}")])
            thread.join(LIMIT_S)
            assert [each.key for each in found] == [f"{n}"]
        assert asked["claim 1"] == 1, "an empty claim told where to listen"
        assert asked["claim 2"] == 2, "first it asks for what came since the last one"


def test_what_comes_after_a_waiting_worker_is_gone_is_leased_to_nobody(alone):
    with opened(alone) as other:
        with opened(alone) as bus:
            bus.claim(["extract"], "a", 4, wait_s=0.001)
            found = []
            thread = waiting(bus, "claim", found)
            listens(alone)
        thread.join(LIMIT_S)
        until(lambda: not info(alone, "clients", "blocked_clients"), "the server to see it gone", LIMIT_S)
        other.publish([message("extract")])
        [state] = [each for each in other.topics() if each.topic == "extract"]
        assert (found, state.waiting, state.running) == ([], 1, 0)


def test_a_topic_that_is_no_stream_any_more_is_no_reason_to_miss_another(alone):
    with opened(alone) as bus, opened(alone) as other:
        bus.claim(["extract", "load"], "a", 1, wait_s=0.001)
        alone.ask("DEL", "{flowlord}:topic:load")
        alone.ask("SET", "{flowlord}:topic:load", "somebody's")
        other.publish([message("extract")])
        assert [each.topic for each in bus.claim(["extract", "load"], "a", 1, wait_s=LIMIT_S)] == ["extract"]
