"""Where reading commands get their answers: the history, the bus, and which of them a question needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from flowlord.cache.queries import History
from flowlord.cache.schema import CacheUnusable, as_of, in_memory
from flowlord.cli import printer
from flowlord.model.clock import Clock
from flowlord.model.errors import BusError, BusMissing, BusUnavailable

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.config import BusSettings

FRESH_S = 3.0
"""A daemon that follows the bus says at least so often that it has everything."""
COARSE_NS = 20_000_000
"""By how much the time of a file may lag behind the clock: file systems go by its last tick."""
NAME = 2_000
"""Characters of the name of a bus that are compared."""
T = TypeVar("T")
_SQLITE = "sqlite:///"


class Sources:
    """What one command reads; opened when it is first needed, closed together.

    Args:
        where: the bus, as it is configured.
        cache_path: of the history; None when none is kept.
    """

    def __init__(self, where: BusSettings, cache_path: str | None, clock: Clock) -> None:
        self._where = where
        self._address = where.address
        self._cache_path = cache_path
        self._clock = clock
        self._bus: Bus | None = None
        self._history: History | None = None
        self._is_away = False
        self.missing = ""
        """What is to be said of a bus that was never made."""

    def bus(self, *, tell: bool = True) -> Bus | None:
        """Return the bus; None when it was never made, which is said: reading does not make one.

        Raises:
            BusError: it is there and cannot be used.
        """
        if self._bus is None:
            from flowlord.bus.open import is_redis, open_bus

            try:
                # Looking at a server that may lose tasks makes nothing worse, so it is never refused.
                self._bus = open_bus(
                    self._address,
                    by="look",
                    clock=None if is_redis(self._address) else self._clock,  # a server has its own
                    namespace=self._where.namespace,
                    accept_loss=True,
                    make=False,
                )
            except BusMissing as error:  # an empty answer from the wrong place looks like a quiet night
                self.missing = str(error)
                if tell:
                    printer.say(f"note: {error}", once=True)
        return self._bus

    def ask(self, question: Callable[[Bus], T], otherwise: T) -> T:
        """Return the bus's answer; `otherwise` when there is none, which is said unless the bus was never made."""
        if self._is_away:
            return otherwise
        try:
            bus = self.bus()
            return otherwise if bus is None else question(bus)
        except BusError as error:
            self._missed(error)
            return otherwise

    def history(self, *, fresh: bool) -> History:
        """Return the history; `fresh` when what was published a moment ago matters.

        Without a history file the journal is folded in memory, and that is said. A bus out of reach is said as well,
        as long as there is a file to answer from.
        """
        if self._history is None:
            self._history = self._opened(fresh=fresh)
        return self._history

    def close(self) -> None:
        """Let go of everything."""
        if self._history is not None:
            self._history.close()
        if self._bus is not None:
            self._bus.close()

    def _opened(self, *, fresh: bool) -> History:
        try:
            if self._cache_path is None:
                raise CacheUnusable("no history is kept")
            history = History.open(self._cache_path)
        except CacheUnusable as error:
            return self._folded(str(error))
        told = self._told_of_another(self._cache_path)
        if told or ((fresh or self._is_followed_by_nobody()) and self._may_be_behind()):
            seq, kept = history.cursor()
            if kept and self._end() == (kept, seq):
                return history
            from flowlord.cache.fold import catch_up

            now = self.ask(lambda bus: bus.generation(), "")
            if kept and now and kept != now:
                history.close()
                return self._folded(
                    f"the history {self._cache_path} is of another bus, or of this one before it was reset"
                )
            if not now:  # there is nothing to compare with or to catch up with
                if told:
                    words = f"was kept for {printer.printable(told)}, which may be another bus"
                    printer.say(f"note: the history {self._cache_path} {words}")
                return history
            if behind := self.ask(lambda bus: catch_up(history, bus), 0):
                printer.say(f"note: the history is {behind} entries behind the bus; is flowlord run alive?")
        return history

    def _folded(self, reason: str) -> History:
        bus = self.bus()
        if bus is None:
            if self._cache_path is not None and os.path.exists(self._cache_path):
                # An empty answer out of a broken file looks like a quiet night.
                printer.say(f"note: {reason}")
            return History(in_memory())
        printer.say(f"note: {reason}; this is what the journal of the bus still tells")
        from flowlord.cache.fold import fold

        return fold(bus, self._clock)

    def _told_of_another(self, cache_path: str) -> str:
        """Return the name of the bus that a history is of, when it is not the name of ours: it may be the same."""
        from flowlord.cli.buses import name_of

        try:
            with open(as_of(cache_path), encoding="utf-8", errors="replace") as word:
                told = word.read(NAME)
        except OSError:
            return ""
        return told if told and told != name_of(self._where)[:NAME] else ""

    def _end(self) -> tuple[str, int] | None:
        """Return the generation of the bus and its newest entry; None when it must be opened to know."""
        from flowlord.bus.ends import journal_end

        if self._bus is not None or self._is_away:
            return None
        try:
            return journal_end(self._address, self._where.namespace)
        except BusError as error:
            self._missed(error)
            return None

    def _missed(self, error: BusError) -> None:
        """Say that there is no answer, and ask no more: each question might take as long as the first."""
        self._is_away = True
        printer.say(f"note: the bus cannot be asked ({error}); this is what the history knows", once=True)

    def _file(self) -> str:
        return self._address.removeprefix(_SQLITE)

    def _is_followed_by_nobody(self) -> bool:
        return self._cache_path is None or self._clock.now().timestamp() - _told(self._cache_path) > FRESH_S

    def _may_be_behind(self) -> bool:
        """Looking at the times of files spares opening the bus; a server has none, and is asked."""
        if self._cache_path is None or not self._address.startswith(_SQLITE):
            return True
        # Written last does not mean that it has everything: what was told while it wrote comes with its next step.
        told_ns = int(_told(self._cache_path) * 1e9) - COARSE_NS
        written = _written(self._file())
        return written > 0 and written >= min(_written(self._cache_path), told_ns)


@contextmanager
def opened(where: BusSettings, cache_path: str | None, clock: Clock) -> Iterator[Sources]:
    """Give the sources and close them; a history that breaks while it is read is told as such."""
    import sqlite3

    sources = Sources(where, cache_path, clock)
    try:
        yield sources
    except sqlite3.DatabaseError as error:
        raise BusUnavailable(
            f"the history {cache_path} cannot be read: {error}",
            hint="flowlord run begins a new one by itself",
        ) from error
    finally:
        sources.close()


def _told(cache_path: str) -> float:
    """Return until when (seconds since 1970) a daemon said that the history has everything; 0 when nobody did."""
    try:
        return os.stat(as_of(cache_path)).st_mtime
    except OSError:
        return 0.0


def _written(path: str) -> int:
    """Return when a database was written last, in nanoseconds; 0 when it is not there.

    The log beside it counts when there is something in it: a mere reader leaves an empty one.
    """
    found = 0
    for end in ("", "-wal"):
        try:
            told = os.stat(path + end)
        except OSError:
            continue
        if told.st_size:
            found = max(found, told.st_mtime_ns)
    return found
