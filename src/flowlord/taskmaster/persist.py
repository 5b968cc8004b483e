"""Beginning on a bus that was there a moment ago: from its opening on, a daemon waits for it as long as it takes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from flowlord.model.errors import BusUnavailable
from flowlord.taskmaster.supervisor import FIRST_PAUSE_S, LONGEST_PAUSE_S

log = logging.getLogger("flowlord.taskmaster")

T = TypeVar("T")


def persist(step: Callable[[], T], stop: threading.Event) -> T | None:
    """Take a step that can be taken again, until the bus answers; None when `stop` is set before that."""
    pause_s = FIRST_PAUSE_S
    is_out = False
    while True:
        try:
            found = step()
        except BusUnavailable as error:
            if not is_out:
                log.error("%s", error, extra={"action": "bus.lost", "loop": "start"})
            is_out = True
            if stop.wait(pause_s):
                return None
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        else:
            if is_out:
                log.warning("the bus answers again", extra={"action": "bus.back"})
            return found
