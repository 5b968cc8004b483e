"""The clock of a real server: close to ours here, measured anew when another one may answer, and never in the way."""

from contextlib import closing
from datetime import UTC, timedelta

import pytest

from flowlord.bus.clock import SystemClock, micros
from flowlord.bus.redis_address import parse
from flowlord.bus.redis_clock import AGAIN_NS, EVERY_NS, ServerClock
from flowlord.bus.redis_link import Link, NotSent
from support.redis_servers import HOST, Server, free_port, shared_server


class Machine:
    """The clocks of this machine, its wall clock wrong by `wrong_s` and its time since boot ahead by `ahead_ns`."""

    def __init__(self):
        self.real = SystemClock()
        self.wrong_s = 0.0
        self.ahead_ns = 0

    def now(self):
        return self.real.now() + timedelta(seconds=self.wrong_s)

    def monotonic_ns(self):
        return self.real.monotonic_ns()

    def boottime_ns(self):
        return self.real.boottime_ns() + self.ahead_ns


def asked(server):
    """How often a server was asked for its time."""
    with server.client() as client:
        return client.info("commandstats").get("cmdstat_time", {"calls": 0})["calls"]


def test_it_tells_the_servers_time_whatever_this_machine_believes():
    machine = Machine()
    with closing(Link(parse(shared_server().url))) as link:
        clock = ServerClock(link, machine)
        for wrong_s in (0.0, 3600.0, -3600.0):
            machine.wrong_s = wrong_s
            before = machine.real.now()
            now = clock.now()
            after = machine.real.now()
            assert before - timedelta(seconds=1) < now < after + timedelta(seconds=1)
            assert abs(clock.skew_us() / 1e6 + wrong_s) < 1
        assert now.tzinfo is UTC
        assert abs(clock.boottime_ns() - micros(machine.real.now()) * 1_000) < 1_000_000_000
        assert clock.monotonic_ns() <= machine.real.monotonic_ns()


def test_it_is_measured_now_and_then_and_when_another_server_may_answer():
    machine = Machine()
    with Server() as server, closing(Link(parse(server.url))) as link:
        clock = ServerClock(link, machine)
        assert asked(server) == 0
        for _ in range(5):
            clock.now()
        assert asked(server) == 3
        machine.ahead_ns = EVERY_NS
        for _ in range(5):
            clock.now()
        assert asked(server) == 6
        server.kill()
        with pytest.raises(NotSent):
            link.call("PING")
        server.start()
        for _ in range(5):
            clock.now()
        assert asked(server) == 3  # the new server's own count


def test_it_goes_on_without_the_server_and_does_not_ask_all_the_time():
    machine = Machine()
    with Server() as server, closing(Link(parse(server.url))) as link:
        clock = ServerClock(link, machine)
        first = clock.now()
        server.kill()
        machine.ahead_ns = EVERY_NS
        begun = link.turn
        for _ in range(5):
            assert clock.now() > first
        assert link.turn == begun + 1, "one attempt for all"
        server.start()
        clock.now()
        assert asked(server) == 0
        machine.ahead_ns += AGAIN_NS
        clock.now()
        assert asked(server) == 3


def test_a_server_that_was_never_reached_has_no_time():
    with closing(Link(parse(f"redis://{HOST}:{free_port()}"))) as link, pytest.raises(NotSent):
        ServerClock(link).now()
