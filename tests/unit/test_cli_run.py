"""A daemon that is told to stop, before and after it has something to finish."""

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from flowlord.cli.exits import ANSWER_IS_BAD, DONE
from flowlord.cli.run import Work

LIMIT_S = 40.0


@dataclass
class Master:
    """What `Work` sees of a taskmaster: a run that goes on until it is told to stop."""

    running: threading.Event = field(default_factory=threading.Event)

    def run(self, stop: threading.Event, *, once: bool) -> None:
        self.running.set()
        assert stop.wait(LIMIT_S)


def work_of(begin) -> tuple[Work, Any]:
    master: Any = Master()
    return Work(master, begin, once=False), master


def test_what_still_loads_has_nothing_to_finish_and_never_runs():
    loading, loaded, ended = threading.Event(), threading.Event(), threading.Event()

    def begin(_: threading.Event) -> int:
        loading.set()
        assert loaded.wait(LIMIT_S)
        return DONE

    work, master = work_of(begin)
    thread = work.start(ended.set)
    assert loading.wait(LIMIT_S)
    assert not work.ask_to_stop()
    loaded.set()
    thread.join(LIMIT_S)
    assert ended.is_set()
    assert not master.running.is_set()


def test_what_runs_is_asked_to_finish():
    ended = threading.Event()
    work, master = work_of(lambda _: DONE)
    thread = work.start(ended.set)
    assert master.running.wait(LIMIT_S)
    assert work.ask_to_stop()
    thread.join(LIMIT_S)
    assert (ended.is_set(), work.code, work.failed) == (True, DONE, None)


def test_what_cannot_begin_does_not_run_and_tells_why():
    work, master = work_of(lambda _: ANSWER_IS_BAD)
    work.start(lambda: None).join(LIMIT_S)
    assert (work.code, master.running.is_set()) == (ANSWER_IS_BAD, False)
    broken, _ = work_of(lambda _: 1 // 0)
    broken.start(lambda: None).join(LIMIT_S)
    with pytest.raises(ZeroDivisionError):
        raise broken.failed or AssertionError
