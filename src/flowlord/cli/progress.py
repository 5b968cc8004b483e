"""How far something is that a person waits for: a bar on a terminal, a line for each tenth in a pipe, on stderr."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from flowlord.cli import printer
from flowlord.model.clock import Clock

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

PATIENCE_NS = 500_000_000
"""What is over sooner shows nothing."""


class Progress:
    """Counts towards a total.

    Args:
        what: is counted, in the plural.
        total: 0 shows nothing.
        quiet: shows nothing.
    """

    def __init__(self, what: str, total: int, clock: Clock, *, quiet: bool = False) -> None:
        self._what, self._total, self._clock = what, total, clock
        self._shows = not quiet and total > 0
        self._is_terminal = sys.stderr.isatty()
        self._begin_ns = clock.monotonic_ns()
        self._told = 0
        self._bar: tuple[Bar, TaskID] | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar[0].stop()

    def at(self, done: int) -> None:
        """Show that so many are done."""
        if not self._shows or self._clock.monotonic_ns() - self._begin_ns < PATIENCE_NS:
            return
        if self._is_terminal:
            self._draw(done)
            return
        tenth = done * 10 // self._total
        if tenth > self._told:
            self._told = tenth
            printer.say(f"{tenth * 10} %: {done:,} of {self._total:,} {self._what}")

    def _draw(self, done: int) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            shown = (TextColumn(self._what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            bar = Bar(*shown, console=Console(stderr=True), transient=True)
            self._bar = bar, bar.add_task(self._what, total=self._total)
            bar.start()
        bar, task = self._bar
        bar.update(task, completed=done)
