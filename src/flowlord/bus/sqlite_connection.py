"""One SQLite connection for all threads of a process, and the only place that begins and ends transactions.

One connection behind one lock, rather than one for each thread: as long as the engine needs a rollback journal, two
connections can only wait for each other by sleeping, while threads that wait for a lock wake at once; and every read
of a bus is short.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

from flowlord.bus.clock import SystemClock, jitter
from flowlord.bus.sqlite_place import Place, uri
from flowlord.bus.sqlite_turn import Turn
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import BusError, BusUnavailable, BusUnusable, FlowlordError

BUSY_TIMEOUT_S = 10.0
"""How long the engine itself waits for another process's lock, in growing naps."""
PATIENCE_S = 30.0
"""How long we go on asking above that before we say that the bus is not available."""
_FIRST_NAP_S, _LONGEST_NAP_S = 0.000_4, 0.01
_STATEMENTS = 256


class OutcomeUnknown(BusUnavailable):
    """The engine failed while it committed: whether the transaction landed shows when the file is read again."""


def fixed_engine(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Tell whether this engine is free of the WAL-reset bug (SQ-1), from which taking turns keeps the others."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


class Connection:
    """A connection to the file at `place`, opened at once.

    Args:
        place: where the file lies.
        journal_mode: `wal`, `persist` or `truncate`.
        patience_s: how long to wait for other processes in all.
    """

    def __init__(self, place: Place, journal_mode: str, *, patience_s: float = PATIENCE_S) -> None:
        self.place = place
        self.journal_mode = journal_mode
        self._patience_s = patience_s
        self._clock = SystemClock()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._pid = os.getpid()
        self._broken: BusUnusable | None = None
        self._db: sqlite3.Connection | None = None
        self._switched = False
        # A rollback journal has no log to start anew, so the engine's own lock is enough for it.
        self._turn = Turn(place.path) if journal_mode == "wal" else None
        self._synced: bool | None = None  # None: not known
        _Forks.watch(self)
        with self._lock, self._told():
            self._connect()

    def switch_journal(self) -> None:
        """Bring the file to our journal mode: a change of the file, so only once it is known to be ours."""
        with self._lock, self._told():
            self._switch(self._usable())
            self._switched = True

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for reads: each statement sees one state of the file."""
        self._check_process()
        with self._lock, self._told():
            yield self._usable()

    @contextmanager
    def writing(self, verb: str, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """Give the connection inside a transaction that lands when the block ends and is undone when it fails.

        Args:
            verb: what it is for, as told in names of crash points.
            synced: whether it has to be on the disk when the block has ended; otherwise it outlives every process,
                and reaches the disk together with the next one that has to.
        """
        crashpoint(f"bus.{verb}.before")
        self._check_process()
        with self._lock, self._told(), self._in_turn():
            db = self._usable()
            self._begin(db, synced)
            try:
                yield db
                crashpoint(f"bus.{verb}.written")
            except BaseException:
                self._undo(db)
                raise
            self._land(db)
        crashpoint(f"bus.{verb}.after")

    def check(self) -> None:
        """Raise BusUnusable, now and for ever, when the file is no longer the one that was opened, or was switched."""
        self._check_process()
        with self._lock, self._told():
            db = self._usable()
            try:
                self.place.check()
                db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # learn of a switch by looking
                [mode] = db.execute("PRAGMA journal_mode").fetchone()
                if mode != self.journal_mode:
                    raise BusUnusable(
                        f"{self.place.path} was switched to journal mode {mode} by another SQLite engine",
                        hint="use one Python for all flowlord processes of this bus",
                    )
            except BusUnusable as error:
                raise self.refuse(error) from None

    def pause(self, seconds: float) -> None:
        """Rest, up to half longer by chance; ends early when the connection is closed."""
        self._closed.wait(seconds * (1 + jitter() / 2))

    def refuse(self, error: BusUnusable) -> BusUnusable:
        """Answer everything with this error from now on; return it to be raised."""
        self._broken = error
        return error

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed.is_set()

    def close(self) -> None:
        """Close; in a forked child nothing is touched, because the parent still uses it (SQ-6)."""
        self._closed.set()
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._disconnect()
            if self._turn is not None:
                self._turn.close()

    # --- below

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{uri(self.place.path)}?mode=rw",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,  # Python would begin transactions on its own (SQ-4)
            check_same_thread=False,  # our lock lets in one thread at a time
            cached_statements=_STATEMENTS,
        )
        try:
            for pragma in (
                "synchronous = FULL",  # what was answered survives a power cut (SQ-2)
                "secure_delete = OFF",  # on by default in Debian's engine: it would rewrite what is dropped
                "temp_store = MEMORY",
                "cache_size = -16000",
                "journal_size_limit = 67108864",  # what a WAL may keep of a large commit
                "cell_size_check = ON",
                "trusted_schema = OFF",
            ):
                db.execute(f"PRAGMA {pragma}")
            if self._switched:  # not the first time: the path may lead elsewhere by now
                self.place.check()
                self._switch(db)
        except BaseException:
            db.close()
            raise
        self._db = db
        self._synced = True
        return db

    def _switch(self, db: sqlite3.Connection) -> None:
        self._patiently(db, f"PRAGMA journal_mode = {self.journal_mode}")
        [mode] = db.execute("PRAGMA journal_mode").fetchone()
        if mode != self.journal_mode:
            raise BusUnavailable(
                f"{self.place.path} is in use in journal mode {mode}, by another SQLite engine",
                hint="use one Python for all flowlord processes of this bus, or stop the others first",
            )

    def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _check_process(self) -> None:
        # Before the lock: a child inherits it locked when another thread of the parent held it.
        if os.getpid() != self._pid:
            raise BusUnusable(
                f"this bus was opened in process {self._pid}, before the fork",
                hint="open one in each process",
            )

    def _usable(self) -> sqlite3.Connection:
        if self._broken is not None:
            raise type(self._broken)(str(self._broken), hint=self._broken.hint)
        if self.closed:
            raise BusUnusable("this bus was closed")
        db = self._db or self._connect()
        if db.in_transaction:  # a signal's exception came between two of our steps
            self._undo(db)
        return self._db or self._connect()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if self._turn is None or self.closed:
            yield
            return
        try:
            try:
                soon = self._is_soon(self._turn.take)
            except OSError as error:
                try:
                    self.place.check()
                except BusUnusable as gone:
                    raise self.refuse(gone) from error
                raise BusUnavailable(
                    f"{self._turn.path} cannot be locked: {error.strerror}",
                    hint=f"check the disk and the rights: ls -l {self._turn.path}",
                ) from error
            if not soon:
                raise self._locked_out()
            yield
        finally:
            self._turn.give()

    def _begin(self, db: sqlite3.Connection, synced: bool) -> None:
        if synced != self._synced and self.journal_mode == "wal":
            # Without a sync a rollback journal could not mend the file after a power cut; a log only ends earlier.
            self._synced = None  # until it is done: a signal's exception may come between
            db.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
            self._synced = synced
        # The engine's naps grow to 100 ms, while who has just committed begins again at once: one busy process would
        # starve all others for seconds. Short naps of our own give everybody a turn.
        db.execute("PRAGMA busy_timeout = 0")
        try:
            self._patiently(db, "BEGIN IMMEDIATE")
        finally:
            db.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")

    def _patiently(self, db: sqlite3.Connection, statement: str) -> None:
        """Run a statement that needs a lock of the file until it is free or patience ends."""
        busy: sqlite3.OperationalError | None = None

        def ran() -> bool:
            nonlocal busy
            try:
                db.execute(statement)
            except sqlite3.OperationalError as error:
                if _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or self.closed:
                    raise
                busy = error
                return False
            return True

        if not self._is_soon(ran):
            raise self._locked_out() from busy

    def _is_soon(self, done: Callable[[], bool]) -> bool:
        """Ask until it is done; False when patience ends or the connection is closed first."""
        until_ns = 0
        nap_s = _FIRST_NAP_S
        while not done():
            now_ns = self._clock.monotonic_ns()
            until_ns = until_ns or now_ns + int(self._patience_s * 1e9)
            if now_ns >= until_ns or self.closed:
                return False
            self.pause(nap_s)
            nap_s = min(nap_s * 1.02, _LONGEST_NAP_S)
        return True

    def _locked_out(self) -> BusError:
        if self.closed:  # while we waited
            return BusUnusable("this bus was closed")
        return BusUnavailable(
            f"{self.place.path} has been locked by another process for {self._patience_s:g} s",
            hint=f"see who holds it: fuser -v {self.place.path}",
        )

    def _land(self, db: sqlite3.Connection) -> None:
        try:
            self._patiently(db, "COMMIT")
        except BusUnavailable:  # still locked out: nothing was written
            self._undo(db)
            raise
        except sqlite3.Error as error:
            full = _code(error) == sqlite3.SQLITE_FULL
            self._undo(db)
            # Whether the journal was cut off before or after the failure is for the file to say, read anew.
            self._disconnect()
            if full:
                raise
            raise OutcomeUnknown(f"{self.place.path}: {error} while committing") from error

    def _undo(self, db: sqlite3.Connection) -> None:
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except sqlite3.Error:  # the next use reads the file anew, with its journal
            self._disconnect()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say errors of the engine in our words."""
        try:
            yield
        except sqlite3.Error as error:
            told = self._in_our_words(error)
            if told is None:
                raise
            raise told from error

    def _in_our_words(self, error: sqlite3.Error) -> FlowlordError | None:
        path = self.place.path
        match _code(error):
            case sqlite3.SQLITE_FULL:
                return BusUnavailable(
                    f"the disk of {path} is full: nothing was changed",
                    hint=f"free some space on it: df -h {path}",
                )
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return self.refuse(damaged(path, str(error)))
            case sqlite3.SQLITE_READONLY if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_READONLY:
                return self.refuse(BusUnusable(f"{path} was moved or replaced while it was in use: {error}"))
            case (
                sqlite3.SQLITE_BUSY
                | sqlite3.SQLITE_LOCKED
                | sqlite3.SQLITE_IOERR
                | sqlite3.SQLITE_CANTOPEN
                | sqlite3.SQLITE_NOMEM
                | sqlite3.SQLITE_READONLY
                | sqlite3.SQLITE_PERM
                | sqlite3.SQLITE_PROTOCOL
                | sqlite3.SQLITE_INTERRUPT
            ):
                return BusUnavailable(f"{path}: {error}", hint=f"check the disk and the rights: ls -l {path}")
            case sqlite3.SQLITE_TOOBIG:
                return BusError(f"{path}: {error}")
            case _:  # a fault of ours: shown as it is
                return None


def damaged(path: str, what: str) -> BusUnusable:
    """Say that a bus file is damaged. It is never replaced silently: what it holds is work that was promised."""
    return BusUnusable(
        f"{path} is damaged: {what}",
        hint=f"stop every flowlord process, keep a copy of {path}*, then: "
        f"sqlite3 {path} .recover | sqlite3 {path}.recovered, and put that file in the place of {path} and {path}-*",
    )


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code of the engine, 0 when the error is Python's."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


class _Forks:
    """What a forked child must not touch. Module state, because fork hooks cannot be taken back."""

    living: ClassVar[weakref.WeakSet[Connection]] = weakref.WeakSet()
    hooked = False

    @classmethod
    def watch(cls, connection: Connection) -> None:
        if not cls.hooked:
            cls.hooked = True
            os.register_at_fork(after_in_child=cls.abandon)
        cls.living.add(connection)

    @classmethod
    def abandon(cls) -> None:
        """Keep every inherited connection from ever being closed here.

        A close would roll back the parent's open transaction into the file. Python closes what it frees, even when
        the interpreter ends, so one reference too many is counted: the memory ends with the process.
        """
        for connection in cls.living:
            if connection._turn is not None:
                connection._turn.close()  # a copy that is kept would keep the turn when the parent is gone
        try:
            from ctypes import py_object, pythonapi
        except ImportError:
            return
        for connection in cls.living:
            if connection._db is not None:
                pythonapi.Py_IncRef(py_object(connection._db))
