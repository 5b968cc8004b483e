"""Looking again: an answer that is drawn anew on a terminal, until it is final or somebody leaves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Event

from flowlord.cli import printer
from flowlord.model.errors import FlowlordError

EVERY_S = 2.0
_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


def redraw(draw: Callable[[], int], *, is_final: Callable[[], bool] = lambda: False) -> int:
    """Draw again and again until `is_final` says yes or Ctrl-C ends it; returns what was returned last.

    Raises:
        FlowlordError: stdout is no terminal.
    """
    if not printer.on_terminal():
        raise FlowlordError(
            "-w draws on a terminal, and this is none", hint="tasks -f -o jsonl appends what comes"
        )
    pause = Event()
    while True:
        sys.stdout.write(_CLEAR)
        code = draw()
        sys.stdout.flush()
        if is_final():
            return code
        pause.wait(EVERY_S)
