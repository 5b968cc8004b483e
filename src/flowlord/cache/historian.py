"""The one writer of the history: follows the journal, each entry exactly once."""

# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from msgspec.json import Decoder
from msgspec.structs import astuple

from flowlord.cache import days, ended, fresh, lost, rows
from flowlord.cache.attempt import COLUMNS, Attempt
from flowlord.cache.checkpoint import Checkpoints
from flowlord.cache.ledger import Entry, Ledger, holes
from flowlord.cache.many import Many, row, select_in
from flowlord.cache.prune import Pruner
from flowlord.cache.retold import news
from flowlord.cache.rows import CHANGING, empty
from flowlord.cache.schema import Restore, as_of, in_memory, is_damage, open_writer, set_aside, transaction
from flowlord.cache.writing import is_usual
from flowlord.model.clock import Clock

log = logging.getLogger("flowlord.history")

DECISIONS = 500_000

# What says who a task is stays as it is in a row that was written at its publication, and is long: it is not read.
_LEARNT = {"n", "key", "type", "job", *CHANGING}


class _Row(Attempt, array_like=True):
    """An attempt as it is read: made of the answer at once, without a step of Python for each value."""


_rows = Decoder(list[_Row]).decode


def _select(names: Collection[str]) -> str:
    """Return the question for rows by their keys, in one answer: Python would ask for each row of several anew."""
    values = ", ".join(name if name in names else empty(name) for name in COLUMNS)
    return f"SELECT json_group_array(json_array({values})) FROM tasks WHERE key IN "


_SELECT = _select(COLUMNS)
_SELECT_CHANGING = _select(_LEARNT)


_ALERT = Many("INSERT OR FAIL INTO alerts VALUES", row(10, "NULL, "))
_DECISION = Many("INSERT OR FAIL INTO decisions VALUES", row(8, "NULL, "))
_FILE = Many("INSERT OR FAIL INTO files VALUES", row(13, "NULL, "))
_WORKFLOW = Many("INSERT OR REPLACE INTO workflows VALUES", row(4))
_INCIDENT = Many("INSERT OR FAIL INTO incidents VALUES", row(19, "NULL, "))
_REVISION = Many("INSERT OR FAIL INTO revisions VALUES", row(6, "NULL, "))
_PHASE = Many("INSERT OR REPLACE INTO phases VALUES", row(10))
_HUGE = 1 << 63


class Historian:
    """Writes what the journal tells. Several may share a file: each entry lands once, whoever brings it.

    To be used by one thread at a time. Ask `cursor()` before each `follow`: it may have gone back to 0, after the bus
    was reset or a damaged file was replaced. `openings` counts the files: one that was not `attach`ed does not know
    which data of the bus it follows.
    """

    def __init__(
        self,
        path: Path | str | None,
        clock: Clock,
        *,
        decisions: int = DECISIONS,
        restore: Restore | None = None,
        of: str = "",
    ) -> None:
        """Open the file at `path`, restore or make it; None keeps the history in memory. May raise CacheUnusable.

        `of` names the bus that is followed, without secrets, for readers that are asked about another one.
        """
        self.path = None if path is None else Path(path)
        self._restore = restore
        self.openings = 0
        self._reached = (0, "")  # how far the data of the bus was followed, in whatever file
        self._of = of
        self._is_named = not of
        self.connection = self._open()
        self._clock = clock
        self._checkpoints = Checkpoints(self.path, clock)
        self._pruner = Pruner(clock, self._checkpoints)
        self._decisions = decisions

    def cursor(self) -> int:
        """Return the number of the last entry that was taken in; 0 at the beginning."""
        if self._inode() != self._opened:  # somebody removed the file under us: history begins anew
            self.close()
            self.connection = self._open()
        try:
            return self._cursor()[0]
        except sqlite3.DatabaseError as error:
            self._replace_when_damaged(error)
            return 0

    def following(self) -> str:
        """Return which data of the bus the file follows; nothing when that is another bus, or not known."""
        return "" if lost.is_of_another(self.path, self._of) else self._cursor()[1]

    def attach(self, generation: str, gone: Sequence[str] = ()) -> bool:
        """Say which data of the bus is followed; returns False when it was other data before.

        Then the numbers begin again, so the cursor restarts at 0, as it does when the file does not say what it
        followed. Rows that were written stay: they tell what happened. What a file had that is gone, and the bus no
        longer has, is recorded as a gap; open attempts with the keys in `gone` are recorded as lost with it.
        """
        with transaction(self.connection):
            seq, before = self._cursor()
            missed = self._missed(seq, before, generation)
            if before != generation:
                self.connection.execute("UPDATE cursor SET seq = 0, generation = ?", (generation,))
                lost.lose(self.connection, gone, self._now_us())
            if missed:
                self.connection.execute(
                    "INSERT INTO gaps VALUES (NULL, ?, ?, ?, ?)", (self._now_us(), *missed)
                )
        self._is_new = False
        if before == generation:
            self._reach(seq, generation)
            return True
        self._reached = (0, generation) if self._reached[1] != generation else self._reached
        if before:
            log.warning(
                "the bus was reset (%s before, %s now): its journal is followed from the beginning",
                before, generation, extra={"action": "history.reset"},
            )  # fmt: skip
        if missed:
            log.warning(
                "the bus was reset (%s before, %s now), and entries %d to %d are not in this file: history has a gap",
                missed[0], generation, *missed[1:], extra={"action": "history.gap"},
            )  # fmt: skip
        return not before

    def follow(self, entries: Sequence[Entry]) -> int:
        """Take in these entries together with the cursor; returns how many were new.

        Entries that were taken in before are passed over. Numbers that are missing are recorded as a gap: the journal
        was trimmed before we read it.
        """
        try:
            self._checkpoints.spare(self.connection)
            try:
                try:
                    # Not looking for rows that can hardly be there saves a quarter of the time.
                    return self._follow(entries, first_heard=True)
                except sqlite3.IntegrityError:
                    return self._follow(entries, first_heard=False)
            except (UnicodeEncodeError, OverflowError):
                # Half a surrogate pair or a number beyond 64 bits: no reason to stand still for ever.
                return self._follow(entries, first_heard=False, mended=True)
        except sqlite3.DatabaseError as error:
            self._replace_when_damaged(error)
            return 0

    def condemn(self, inode: int, text: str) -> None:
        """Set aside the file of that inode, which somebody found damaged, unless another one is open here by now."""
        if self.path is not None and inode == self._opened == self._inode():
            self._replace(self.path, text)

    def rewind(self, gone: Sequence[str] = (), *, first: int = 1) -> None:
        """Take in the journal again from `first` on, where it begins: the bus lost what it told last, and counts on.

        What is known already is passed over. Rows of what was lost stay: they tell what happened. Open attempts with
        the keys in `gone` are recorded as lost.
        """
        with transaction(self.connection):
            self.connection.execute("UPDATE cursor SET seq = ?", (max(first, 1) - 1,))
            lost.lose(self.connection, gone, self._now_us())
        self._reached = (0, "")
        log.error(
            "the bus lost its newest data: its journal is followed from the beginning again",
            extra={"action": "history.rewound"},
        )

    def caught_up(self, at: datetime) -> None:
        """Leave word that history has all that was told by then, so that readers need not ask the bus.

        The word is the time of a file beside it, which names the bus: those of the history itself change with every
        write.
        """
        if self.path is None:
            return
        told_ns = int(at.timestamp() * 1e9)
        word = Path(as_of(self.path))
        try:
            if self._is_named:
                word.touch()
            else:
                word.write_text(self._of, encoding="utf-8", errors="replace")
                self._is_named = True
            os.utime(word, ns=(told_ns, told_ns))
        except OSError:
            return  # then they ask

    def prune(self, keep: timedelta, max_bytes: int = 0) -> bool:
        """Remove some of what is older than `keep`, and of the oldest of a file larger than `max_bytes`.

        Returns whether there is more to do. One call takes some milliseconds, however much there is.
        """
        return self._pruner.step(self.connection, self._clock.now() - keep, max_bytes)

    @property
    def removed(self) -> int:
        """How many rows were removed so far."""
        return self._pruner.removed

    def close(self) -> None:
        """Let go of the file."""
        self._checkpoints.end()  # who lets go last removes the log, by its name
        self.connection.close()

    def _open(self) -> sqlite3.Connection:
        if self.path is None:
            connection = in_memory()
        else:
            # Readers who fold the journal in memory are to be quick, and never need it.
            from flowlord.cache.snapshot import keep_older

            keep_older(self.path)
            connection = open_writer(self.path, self._restore)
        self._opened = self._inode()
        self.openings += 1
        self._is_new = True
        return connection

    def _reach(self, seq: int, generation: str) -> None:
        told, of = self._reached
        self._reached = (max(seq, told) if of == generation else seq, generation)

    def _missed(self, seq: int, before: str, generation: str) -> tuple[str, int, int] | None:
        """Return what we followed, is not in the file we have now, and the bus cannot tell again: data, first, last."""
        told, of = self._reached
        begin = seq if before == of else 0
        # A file that others took to other data is whole; one that took the place of ours lacks what it does not say.
        if of in ("", generation) or told <= begin or not (before == of or self._is_new):
            return None
        return of, begin + 1, told

    def _now_us(self) -> int:
        return int(self._clock.now().timestamp() * 1e6)

    def _inode(self) -> int:
        try:
            return 0 if self.path is None else os.stat(self.path).st_ino
        except FileNotFoundError:
            return 0

    def _replace_when_damaged(self, error: sqlite3.DatabaseError) -> None:
        if not is_damage(error) or self.path is None:
            raise error
        self._replace(self.path, str(error))

    def _replace(self, path: Path, text: str) -> None:
        self.close()
        set_aside(path, f"it is damaged ({text})")
        self.connection = self._open()

    def _cursor(self) -> tuple[int, str]:
        seq, generation = self.connection.execute("SELECT seq, generation FROM cursor").fetchone()
        return int(seq), str(generation)

    def _follow(self, entries: Sequence[Entry], *, first_heard: bool, mended: bool = False) -> int:
        with transaction(self.connection):
            seq, generation = self._cursor()
            new = [entry for entry in entries if entry.seq > seq]
            if not new:
                return 0
            ledger = self._ledger(new, first_heard=first_heard, at_once=not mended)
            if mended:
                ledger = _harmless(ledger)
                rows.write_harmless(self.connection, ledger.changed.values())
            else:
                self._write_attempts(ledger)
            self._write(ledger)
            missing = holes(new, seq)
            for first, last in missing:
                self.connection.execute(
                    "INSERT INTO gaps VALUES (NULL, ?, ?, ?, ?)", (new[0].at_us, generation, first, last)
                )
            self.connection.execute("UPDATE cursor SET seq = ?", (new[-1].seq,))
        self._reach(new[-1].seq, generation)
        for first, last in missing:
            log.warning(
                "the journal no longer has entries %d to %d: history has a gap",
                first, last, extra={"action": "history.gap"},
            )  # fmt: skip
        return len(new)

    def _ledger(self, entries: Sequence[Entry], *, first_heard: bool, at_once: bool) -> Ledger:
        """Take in these entries; with `at_once`, rows that wait are changed already by what ends them."""
        once, keys = ended.heard(entries, first_heard=first_heard)
        if not at_once:
            keys.update(once)
            once.clear()
        waiting: list[ended.Known] = []
        for each in ended.known(self.connection, list(filter(_can_be_kept, once))):
            if each.only_waits and is_usual(once[each.key][0]):
                waiting.append(each)
            else:
                keys.add(each.key)
        if waiting:
            days.write(self.connection, ended.write(self.connection, waiting, once))
        ledger = Ledger(self._known(list(filter(_can_be_kept, keys))))
        ledger.apply(entries, passed={each.key for each in waiting})
        return ledger

    def _known(self, keys: Sequence[str]) -> list[Attempt]:
        found = self._selected(_SELECT_CHANGING, keys)
        # Those that were first heard of by their end: who they are may be told bit by bit.
        if whole := [attempt.key for attempt in found if not attempt.published_us]:
            found = [attempt for attempt in found if attempt.published_us]
            found += self._selected(_SELECT, whole)
        return found

    def _selected(self, sql: str, keys: Sequence[str]) -> list[Attempt]:
        return [each for told in select_in(self.connection, sql, keys) for each in _rows(told)]

    def _write_attempts(self, ledger: Ledger) -> None:
        db = self.connection
        rows.write(db, ledger.touched.values())
        attempts, heard_once = ledger.numbered(rows.last_number(db))
        rows.write_numbered(db, attempts)
        days.write(db, fresh.write(db, heard_once))

    def _write(self, ledger: Ledger) -> None:
        db = self.connection
        _ALERT.run(db, news(db, "alerts", ledger.alerts))
        _FILE.run(db, news(db, "files", ledger.files))
        _INCIDENT.run(db, news(db, "incidents", ledger.incidents))
        days.write(db, ledger.days())
        if ledger.workflows:
            _WORKFLOW.run(db, list(ledger.workflows.values()))
            _REVISION.run(db, news(db, "revisions", ledger.revisions))
            _PHASE.run(db, list(ledger.phases.values()))
        if ledger.decisions:
            _DECISION.run(db, news(db, "decisions", ledger.decisions))
            db.execute(
                "DELETE FROM decisions WHERE n <= (SELECT max(n) FROM decisions) - ?", (self._decisions,)
            )


def _can_be_kept(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _harmless(ledger: Ledger) -> Ledger:
    """Return the same with `?` for what is no text and with numbers that fit."""

    def mend(value: object) -> object:
        if isinstance(value, str):
            return value.encode("utf-8", "replace").decode()
        if isinstance(value, int):
            return max(-_HUGE, min(value, _HUGE - 1))
        return value

    mended = Ledger()
    mended.before = dict(ledger.before)
    for attempt in ledger.changed.values():
        kept = Attempt(*map(mend, astuple(attempt)))  # type: ignore[arg-type]
        mended.hold(kept)
        # Such a key is not found again when it is told again, so nothing is counted under it.
        if not _can_be_kept(attempt.key) and (found := days.counted(kept)):
            mended.before[kept.key] = found
    mended.alerts = [tuple(map(mend, row)) for row in ledger.alerts]
    mended.decisions = [tuple(map(mend, row)) for row in ledger.decisions]
    mended.files = [tuple(map(mend, row)) for row in ledger.files]
    mended.workflows = {name: tuple(map(mend, row)) for name, row in ledger.workflows.items()}
    mended.incidents = [tuple(map(mend, row)) for row in ledger.incidents]
    mended.revisions = [tuple(map(mend, row)) for row in ledger.revisions]
    mended.phases = {key: tuple(map(mend, row)) for key, row in ledger.phases.items()}
    return mended
