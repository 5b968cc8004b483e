"""A loop that hangs ends the process; one that stood still with all of it does not."""

from __future__ import annotations

import logging
import threading

import pytest

from flowlord.taskmaster.health import Health
from flowlord.taskmaster.supervisor import Supervisor
from flowlord.taskmaster.watchdog import EXIT, HUNG_NS, Watchdog, leave_for_good
from support.clock import VirtualClock
from support.workers import await_that

SECOND_NS = 1_000_000_000


def test_a_loop_without_a_completed_step_for_five_minutes_hangs(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    dog = Watchdog(clock)
    steps = {"router": clock.monotonic_ns(), "beat": clock.monotonic_ns()}
    for _ in range(300):
        clock.advance(1)
        steps["beat"] = clock.monotonic_ns()
        assert dog.hung(steps) == []
    clock.advance(1)
    with caplog.at_level(logging.CRITICAL):
        assert dog.hung(steps) == ["router"]
    assert "the router loop has not completed a step for 301 s" in caplog.text


def test_a_loop_that_lists_a_large_bucket_gets_longer() -> None:
    clock = VirtualClock()
    dog = Watchdog(clock)
    steps = {"files": clock.monotonic_ns()}
    for _ in range(3_600):
        clock.advance(1)
        assert dog.hung(steps) == []
    clock.advance(1)
    assert dog.hung(steps) == ["files"]


def test_a_process_that_was_stopped_as_a_whole_gets_its_time_again() -> None:
    clock = VirtualClock()
    dog = Watchdog(clock)
    steps = {"router": clock.monotonic_ns()}
    clock.advance(3_600)  # SIGSTOP: nobody looked meanwhile
    assert dog.hung(steps) == []
    for _ in range(HUNG_NS // SECOND_NS):
        clock.advance(1)
        assert dog.hung(steps) == []
    clock.advance(1)
    assert dog.hung(steps) == ["router"]


def test_the_supervisor_notes_each_completed_step_also_of_a_loop_that_fails() -> None:
    clock = VirtualClock()
    supervisor = Supervisor(Health(), clock, first_pause_s=0.001)
    release, hung = threading.Semaphore(0), threading.Event()

    def fail() -> None:
        release.acquire()
        raise ValueError("no")

    supervisor.start("fails", fail)
    supervisor.start("router", lambda: hung.wait() and None)
    before = dict(supervisor.steps)
    clock.advance(400)
    release.release()
    await_that(lambda: supervisor.steps["fails"] > before["fails"])
    dog = Watchdog(clock)
    assert dog.hung(supervisor.steps) == [], "the dog has just come"
    for _ in range(301):
        clock.advance(1)
        supervisor.steps["fails"] = clock.monotonic_ns()
        found = dog.hung(supervisor.steps)
    assert found == ["router"]
    hung.set()
    supervisor.stop.set()
    release.release()
    assert supervisor.join(40) == []


def test_what_cannot_leave_in_good_order_is_ended_all_the_same() -> None:
    codes: list[int] = []
    leave_for_good(0.001, codes.append).join(40)
    assert codes == [EXIT]
