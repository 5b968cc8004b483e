"""The loop of a process that does nothing but write the history: copies, tells how it is, and ends when told to."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import StrEnum

import msgspec

from flowlord.cache.schema import CacheUnusable
from flowlord.model.errors import BusUnavailable
from flowlord.taskmaster.follower import Follower

log = logging.getLogger("flowlord.history")

WAIT_S = 0.25
"""How long a step waits for something to copy; so long it may take until the process notices that it is to end."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
FINISH = b"finish"
"""The word with which the daemon asks for the rest; a silent end of its words means that it is gone."""


class How(StrEnum):
    """How the copying goes."""

    WORKS = "works"
    AWAY = "away"  # the bus is out of reach
    FAILED = "failed"


class State(msgspec.Struct, frozen=True):
    """What the process tells, as one line of JSON whenever it changes; `text` says why `subject` does not work."""

    how: How
    text: str = ""
    subject: str = "history"


def copy(begin: Callable[[], Follower], tell: Callable[[State], None], ending: threading.Event) -> bool:
    """Copy until `ending` is set, then what is there still; returns whether the history has everything.

    `begin` makes the follower: called again until it does not raise. Whatever fails is told and tried again.
    """
    follower: Follower | None = None
    known: State | None = None
    pause_s = FIRST_PAUSE_S
    while not ending.is_set():
        try:
            if follower is None:
                follower = begin()
            follower.step(WAIT_S)
            state = State(How.WORKS)
        except BusUnavailable as error:
            state = State(How.AWAY, str(error))
        except CacheUnusable as error:  # a sentence for people: the lines of our code would only hide it
            state = State(How.FAILED, str(error))
            if state != known:
                log.error("%s; it is tried again", error, extra={"action": "history.failed"})
        except Exception as error:  # the loop never ends by itself: told, and tried again
            state = State(How.FAILED, f"{type(error).__name__}: {error}")
            if state != known:
                log.exception(
                    "the history cannot be written, it is tried again", extra={"action": "history.failed"}
                )
        if state != known:
            known = state
            tell(state)
        if state.how is How.WORKS:
            pause_s = FIRST_PAUSE_S
            if follower is not None and follower.rest_s:
                ending.wait(follower.rest_s)
        else:
            ending.wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
    try:
        (follower or begin()).finish()
    except Exception as error:  # noqa: BLE001 - the daemon tries it by itself, and tells what comes of that
        log.info("the rest could not be copied: %s", error, extra={"action": "history.rest"})
        return False
    return True
