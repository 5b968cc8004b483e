"""Functions that do not return when their time is over: the task is ended, its thread is left behind."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from flowlord.worker.crew import Crew
from flowlord.worker.desk import Desk
from flowlord.worker.handler import HANG_GRACE_NS, Run, Why, overran
from flowlord.worker.slot import Slot
from flowlord.worker.text import ending

log = logging.getLogger("flowlord.worker")


class Hanging:
    """Gives up runs that hang, each with a fresh slot and a fresh thread in its place.

    A thread cannot be ended from outside, and what it holds is held until the process ends. So `is_stuck` is said for
    good when as many hang as there are slots: then the worker should leave and be started again.
    """

    def __init__(self, desk: Desk, slots: list[Slot], crew: Crew, fresh: Callable[[], Slot]) -> None:
        self.count = 0
        self.is_stuck = False
        self._desk, self._slots, self._crew, self._fresh = desk, slots, crew, fresh
        self._limit = len(slots)

    def look(self, slot: Slot, run: Run, now_ns: int) -> None:
        """Give a run up when its time, and that to return, is over; also one whose task another worker has by now."""
        why = run.stop.why
        if not run.given_up_ns or now_ns < run.given_up_ns or why not in (Why.TIMEOUT, Why.LOST):
            return
        ran = overran(run.timeout_ns, _where(slot.thread))
        with self._desk.changed:
            behind = slot.give_up(run, ran)
            if behind is None:
                return
            self.count += 1
            slot.came_back = self._came_back
            self._slots[self._slots.index(slot)] = self._fresh()
            self.is_stuck = self.is_stuck or self.count >= self._limit
            self._desk.changed.notify_all()
        self._crew.add()
        self._desk.pass_on(behind)
        log.error(
            "%s %s and has not returned %d s later: %s, its thread is left behind (%d of %d)",
            run.task.name, ran.msg, HANG_GRACE_NS // 1_000_000_000,
            "its task is ended" if why is Why.TIMEOUT else "another worker has its task", self.count, self._limit,
            extra={"action": "hangs", "task": run.task.id},
        )  # fmt: skip
        if self.is_stuck:
            log.error(
                "as many functions hang as there are slots: this worker claims no more and leaves, start it again",
                extra={"action": "stuck"},
            )

    def _came_back(self) -> None:
        with self._desk.changed:
            self.count -= 1
        self._crew.drop()


def _where(thread: int) -> str:
    """Return where a thread is, as a traceback."""
    import traceback

    frame = sys._current_frames().get(thread)
    return ending("still running:\n" + "".join(traceback.format_stack(frame))) if frame else ""
