"""When the history is backed up and put back, and what is told of it; never on the path of a task."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from flowlord.cache.alone import alone
from flowlord.cache.backup import Place
from flowlord.cache.manifest import Damaged, Manifest
from flowlord.cache.note import Note, note_of, write_note
from flowlord.cache.restore import restore_newest
from flowlord.cache.schema import CacheUnusable, open_reader
from flowlord.cache.snapshot import copied
from flowlord.model.clock import Clock
from flowlord.model.errors import BusError, FlowlordError
from flowlord.model.plan import Fact, FactKind
from flowlord.taskmaster.copying import How, State

log = logging.getLogger("flowlord.backup")

SUBJECT: Final = "backup"
LOOK_S: Final = 60.0
"""How often it is asked whether a backup is due, at most."""
FIRST_PAUSE_S: Final = 60.0
LONGEST_PAUSE_S: Final = 3_600.0
TOLD_AGAIN_S: Final = 86_400.0
PATIENCE_S: Final = 120.0
"""How long a missing history waits for a place of backups that is out of reach, before one is begun anew."""
REST_S: Final = 5.0
"""How long a place that was out of reach is not asked again: one that hangs takes half a minute to say nothing."""


class Backups:
    """Makes a backup when one is due: none of the last `every_s` seconds has been made, by whomever.

    To be used by one thread. `tell` hears when backups begin to fail and when they work again, `fact` puts the same
    into the journal, `token` draws the end of a name.
    """

    def __init__(
        self, path: Path, place: Place, clock: Clock, *, every_s: float, keep: int, by: str, version: str,
        token: Callable[[], str], tell: Callable[[State], None], fact: Callable[[Fact], object],
    ) -> None:  # fmt: skip
        self._path, self._place, self._clock = path, place, clock
        self._every_s, self._keep, self._by, self._version = every_s, keep, by, version
        self._token, self._tell, self._fact = token, tell, fact
        self._next_ns = clock.monotonic_ns()
        self._pause_s = FIRST_PAUSE_S
        self._told_ns: int | None = None

    def run(self, ending: threading.Event) -> None:
        """Look again and again until `ending` is set."""
        while not ending.wait(self.left_s()):
            self.step()

    def left_s(self) -> float:
        """Return for how long there is nothing to do."""
        return min(max(0.0, (self._next_ns - self._clock.monotonic_ns()) / 1e9), LOOK_S)

    def step(self) -> str:
        """Make a backup when one is due; returns its name."""
        if self._clock.monotonic_ns() < self._next_ns:
            return ""
        if not self._path.exists():
            self._rest(LOOK_S)
            return ""
        return self._try(at_end=False)

    def finish(self) -> str:
        """Make the last backup, unless the newest one has everything; returns its name."""
        return self._try(at_end=True) if self._path.exists() else ""

    def _try(self, *, at_end: bool) -> str:
        try:
            with alone(self._path, wait=False) as mine:
                name = self._made(at_end=at_end) if mine else ""
                if not mine:
                    self._rest(LOOK_S)
                    return ""
        except Exception as error:  # noqa: BLE001 - a damaged page, a strange name: the thread must never end by itself
            self._failed(str(error) if isinstance(error, FlowlordError | OSError) else repr(error))
            return ""
        if self._told_ns is not None:
            self._mended()
        return name

    def _made(self, *, at_end: bool) -> str:
        begin_ns = self._clock.monotonic_ns()
        wait_s = self._left_of(self._newest(), at_end=at_end)
        if wait_s > 0:
            self._rest(wait_s)
            return ""
        made = self._clock.now()
        with copied(self._path) as (copy, check):
            name, manifest = self._place.write(copy, check, made, self._token(), self._by, self._version)
        took_us = (self._clock.monotonic_ns() - begin_ns) // 1_000
        write_note(
            self._path,
            Note(self._place.path, name, manifest.made_us, manifest.size, manifest.packed, took_us),
        )
        log.info(
            "the history is backed up to %s/%s: %s, %s packed, in %.1f s",
            self._place.path, name, _size(manifest.size), _size(manifest.packed), took_us / 1e6,
            extra={"action": "backup.made"},
        )  # fmt: skip
        self._rest(self._every_s)
        self._place.keep(self._keep, made)
        return name

    def _newest(self) -> Manifest | None:
        for generation in self._place.generations():
            with suppress(Damaged):
                return self._place.manifest(generation.name)
        return None

    def _left_of(self, newest: Manifest | None, *, at_end: bool) -> float:
        """Return how long the newest backup is enough: it has everything, or is young and there is time."""
        reader = open_reader(self._path)
        try:
            seq, generation = reader.execute("SELECT seq, generation FROM cursor").fetchone()
        finally:
            reader.close()
        if not seq:
            return LOOK_S  # nothing is in it yet
        if newest is None:
            return 0.0
        if newest.generation == generation and newest.seq >= seq:
            return self._every_s
        age_s = self._clock.now().timestamp() - newest.made_us / 1e6
        # One out of the future was made by a clock that goes wrong, and may be any age.
        return self._every_s - age_s if age_s >= 0 and not at_end else 0.0

    def _rest(self, seconds: float) -> None:
        self._next_ns = self._clock.monotonic_ns() + int(seconds * 1e9)
        self._pause_s = FIRST_PAUSE_S

    def _failed(self, text: str) -> None:
        now_ns = self._clock.monotonic_ns()
        self._next_ns = now_ns + int(self._pause_s * 1e9)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        told = f"the history is not backed up: {text}"
        failed = replace(note_of(self._path), failed=text, failed_us=int(self._clock.now().timestamp() * 1e6))
        write_note(self._path, failed)
        if self._told_ns is None or now_ns - self._told_ns > TOLD_AGAIN_S * 1e9:
            log.error("%s", told, extra={"action": "backup.failed"})
            self._told_ns = now_ns
            self._tell(State(How.FAILED, told, SUBJECT))
            self._put(Fact(FactKind.ALERT, cause=self._cause, text=told))

    def _mended(self) -> None:
        self._told_ns = None
        log.info("the history is backed up again", extra={"action": "backup.mended"})
        self._tell(State(How.WORKS, subject=SUBJECT))
        self._put(Fact(FactKind.BACKUP, cause=self._cause, text="the history is backed up again"))

    def _put(self, fact: Fact) -> None:
        try:
            self._fact(fact)
        except BusError as error:
            log.warning("the journal could not be told of it: %s", error, extra={"action": "backup.untold"})

    @property
    def _cause(self) -> str:
        return f"backup:{self._place.path}"


class Restorer:
    """Puts the newest backup where a history is missing; call it while `alone`.

    As long as the place is out of reach it raises, for PATIENCE_S at most: the journal holds what happens meanwhile,
    and a history that was begun anew lacks what lies before the journal.
    """

    def __init__(self, place: Place, clock: Clock) -> None:
        self._place, self._clock = place, clock
        self._since_ns: int | None = None
        self._rest_until_ns = 0
        self._failed = ""

    def __call__(self, path: Path) -> None:
        """Restore; raises CacheUnusable for as long as it pays to wait."""
        now_ns = self._clock.monotonic_ns()
        if self._failed and now_ns < self._rest_until_ns:
            raise CacheUnusable(self._failed)
        # What was tried long ago was about another loss: meanwhile somebody else put the file there.
        if self._since_ns is None or now_ns - self._rest_until_ns > PATIENCE_S * 1e9:
            self._since_ns = now_ns
        try:
            if restore_newest(self._place, path) is None:
                log.info("there is no backup in %s", self._place.path, extra={"action": "backup.none"})
        except CacheUnusable as error:
            if now_ns - self._since_ns < PATIENCE_S * 1e9:
                self._failed = f"the history is missing, and {error}"
                self._rest_until_ns = self._clock.monotonic_ns() + int(REST_S * 1e9)
                raise CacheUnusable(self._failed) from error
            log.error(
                "the history is begun anew, since its backups are out of reach: %s; "
                "flowlord cache restore --force brings them back later",
                error, extra={"action": "backup.given-up"},
            )  # fmt: skip
        self._since_ns, self._failed = None, ""


def left_to_the_next_start(path: Path) -> None:
    """Raise CacheUnusable: at the end of a daemon there is no time for a missing history, and the journal keeps it."""
    raise CacheUnusable(f"the history {path} is missing; the next start restores its backup")


def _size(count: int) -> str:
    """Return bytes as people say them: never `0 MB` of a small history."""
    return f"{count / 1e6:,.1f} MB" if count >= 10**6 else f"{count / 1e3:,.1f} kB"
