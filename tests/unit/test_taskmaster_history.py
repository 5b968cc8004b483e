"""The loop of the process that writes history, and what the daemon makes of what it says."""

import sys
import threading

from flowlord.bus.clock import SystemClock
from flowlord.cache.schema import CacheUnusable
from flowlord.model.errors import BusUnavailable
from flowlord.taskmaster.chronicle import Chronicle
from flowlord.taskmaster.copying import How, State, copy
from flowlord.taskmaster.health import Health


class Script:
    """A follower whose steps do what is written down, and which ends the loop behind the last one."""

    def __init__(self, *steps):
        self.rest_s = 0.0
        self.steps, self.ending, self.is_finished = list(steps), threading.Event(), False

    def step(self, wait_s=0.0):
        now = self.steps.pop(0)
        if not self.steps:
            self.ending.set()
        if isinstance(now, Exception):
            raise now
        self.rest_s = now / 1_000
        return now

    def finish(self):
        self.is_finished = True


def test_a_state_is_told_when_it_changes_and_the_rest_is_copied_at_the_end(monkeypatch):
    monkeypatch.setattr("flowlord.taskmaster.copying.FIRST_PAUSE_S", 0.001)
    gone, broken = BusUnavailable("the bus is gone"), ValueError("no")
    script = Script(1, 0, gone, gone, 1, broken, broken, 0)
    told: list[State] = []
    assert copy(lambda: script, told.append, script.ending)
    assert told == [
        State(How.WORKS),
        State(How.AWAY, "the bus is gone"),
        State(How.WORKS),
        State(How.FAILED, "ValueError: no"),
        State(How.WORKS),
    ]
    assert script.is_finished


def test_a_history_that_cannot_be_used_is_told_in_a_sentence_and_a_fault_of_ours_with_its_lines(
    caplog, monkeypatch
):
    monkeypatch.setattr("flowlord.taskmaster.copying.FIRST_PAUSE_S", 0.001)
    script = Script(CacheUnusable("its backups cannot be listed"), ValueError("no"), 0)
    assert copy(lambda: script, lambda state: None, script.ending)
    sentence, fault = [each for each in caplog.records if each.action == "history.failed"]
    assert sentence.getMessage() == "its backups cannot be listed; it is tried again"
    assert not sentence.exc_info
    assert fault.exc_info


class Watched(threading.Event):
    """An end that is never waited for, and what was asked of it."""

    def __init__(self):
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return self.is_set()


def test_after_each_step_it_rests_for_as_long_as_its_follower_says():
    script = Script(50, 0, 250, 0)
    script.ending = Watched()
    assert copy(lambda: script, lambda _: None, script.ending)
    assert script.ending.waits == [0.05, 0.25]


def test_a_bus_that_cannot_be_opened_is_tried_again(monkeypatch):
    monkeypatch.setattr("flowlord.taskmaster.copying.FIRST_PAUSE_S", 0.001)
    script = Script(0)
    outcomes = [BusUnavailable("not yet"), script]

    def begin():
        found = outcomes.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    told: list[State] = []
    assert copy(begin, told.append, script.ending)
    assert [state.how for state in told] == [How.AWAY, How.WORKS]


def test_what_cannot_be_finished_is_left_to_the_daemon():
    script = Script(0)
    script.finish = lambda: (_ for _ in ()).throw(BusUnavailable("gone"))
    assert not copy(lambda: script, lambda _: None, script.ending)


def chronicle(text: str, instead: Script, health: Health) -> Chronicle:
    command = (sys.executable, "-I", "-S", "-c", text)
    return Chronicle(command, b"{}", instead, health, SystemClock(), first_pause_s=0.01)


def test_a_process_that_ends_is_told_and_what_it_left_is_copied_by_the_daemon():
    instead, health = Script(), Health()
    one = chronicle("import sys; sys.stdin.readline(); sys.exit(3)", instead, health)
    while not health.faults():
        one.step()
    assert health.faults() == {"history": "the process that writes history ended with code 3"}
    assert one.pid == 0
    one.finish()
    assert instead.is_finished


TELLS = """
import sys
sys.stdin.readline()
for state in ('{"how":"failed","text":"disk full"}', '{"how":"works","text":""}'):
    print(state, flush=True)
sys.exit(0 if sys.stdin.readline() == "finish\\n" else 1)
"""


def test_what_the_process_says_becomes_the_health_of_the_daemon_and_it_ends_when_asked(caplog):
    instead, health = Script(), Health()
    one = chronicle(TELLS, instead, health)
    with caplog.at_level("INFO", logger="flowlord"):
        while "history.mended" not in [getattr(record, "action", "") for record in caplog.records]:
            one.step()
    assert health.faults() == {}
    one.finish()
    assert not instead.is_finished, "the process did it"
