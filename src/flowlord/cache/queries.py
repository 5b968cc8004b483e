"""Questions to the history, typed; the command line asks them today, the server will ask the same ones."""
# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from flowlord.cache.attempt import COLUMNS, FAILED, Attempt, State
from flowlord.cache.filter import Filter, known_text, marks, where
from flowlord.cache.schema import open_reader

__all__ = ["ORDERS", "PAGE", "SORTS", "Filter", "History", "Place"]

PAGE = 1_000
SqlRow: TypeAlias = tuple[Any, ...]
"""A row of some table, with its columns as they were asked for."""
_KEYS = 500
_FIELDS = ", ".join(COLUMNS)
_END = chr(0x10FFFF)  # sorts behind every text that begins alike
_LAST_FIRST = "ORDER BY happened_us DESC, n DESC"


SORTS = {
    "happened": "happened_us",
    "published": "published_us",
    "started": "started_us",
    "ended": "ended_us",
    "took": "CASE WHEN started_us AND ended_us THEN ended_us - started_us ELSE 0 END",
    "waited": "CASE WHEN started_us AND published_us THEN started_us - max(published_us, due_us) ELSE 0 END",
    "moment": "moment",
    "topic": "topic",
    "task": "type || ':' || job",
    "try": "number",
    "priority": "priority",
}
"""What a list may be sorted by: its name, and the same in SQL."""
ORDERS: dict[str, Callable[[Attempt], Any]] = {
    "happened": lambda each: each.happened_us,
    "published": lambda each: each.published_us,
    "started": lambda each: each.started_us,
    "ended": lambda each: each.ended_us,
    "took": lambda each: each.took_us,
    "waited": lambda each: each.waited_us,
    "moment": lambda each: each.moment,
    "topic": lambda each: each.topic,
    "task": lambda each: f"{each.type}:{each.job}",
    "try": lambda each: each.number,
    "priority": lambda each: each.priority,
}
_happened = ORDERS["happened"]


class Place(msgspec.Struct, frozen=True):
    """Where a page ended: give it back to get what follows, whatever has been added meanwhile."""

    happened_us: int
    n: int


class History:
    """A reader of the history; to be used by one thread.

    `newer` and the other `newer_` hold what the journal tells beyond the file (see `fold.catch_up`): attempts, rows of
    files in the order of `seen.FIELDS`, and rows of other tables in the order of their columns, without the number.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.newer: dict[str, Attempt] = {}
        self.newer_files: list[SqlRow] = []
        self.newer_decisions: list[SqlRow] = []
        self.newer_alerts: list[SqlRow] = []
        self.newer_incidents: list[SqlRow] = []
        self.newer_revisions: list[SqlRow] = []
        self.newer_phases: dict[tuple[str, str, str], SqlRow] = {}

    @classmethod
    def open(cls, path: str) -> History:
        """Open the file read-only; raises CacheUnusable."""
        return cls(open_reader(path))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def rows(self, sql: str, values: Sequence[object]) -> Iterator[SqlRow]:
        """Yield the rows of one question, for the modules of this room that ask about other tables."""
        yield from self._connection.execute(sql, values)

    def page(
        self, wanted: Filter, now_us: int, limit: int = PAGE, after: Place | None = None
    ) -> list[Attempt]:
        """Return up to `limit` attempts from the file, what happened last first."""
        condition, values = where(wanted, now_us)
        if after is not None:
            condition += " AND (happened_us, n) < (?, ?)"
            values += [after.happened_us, after.n]
        # The inner question reads an index only, as far as it can; rows are fetched for what is shown.
        inner = f"SELECT n FROM tasks WHERE {condition} {_LAST_FIRST} LIMIT ?"
        return self._attempts(f"WHERE n IN ({inner}) {_LAST_FIRST}", [*values, limit])

    def pages(self, wanted: Filter, now_us: int, size: int = PAGE) -> Iterator[list[Attempt]]:
        """Yield page after page of about `size`, what happened last first, to the end."""
        fresh = [attempt for attempt in reversed(self.newer.values()) if wanted.accepts(attempt, now_us)]
        fresh.sort(key=_happened, reverse=True)
        place: Place | None = None
        while page := self.page(wanted, now_us, size, place):
            last = page[-1]
            place = Place(last.happened_us, last.n or 0)
            # What the journal tells of may have happened before: a move or a warning leaves the time as it is.
            until = next((n for n, each in enumerate(fresh) if _happened(each) < _happened(last)), len(fresh))
            old = [attempt for attempt in page if attempt.key not in self.newer]
            if found := sorted((*fresh[:until], *old), key=_happened, reverse=True):
                yield found
            del fresh[:until]
            if len(page) < size:
                break
        if fresh:
            yield fresh

    def count(self, wanted: Filter, now_us: int, most: int = 0) -> int:
        """Return how many attempts are wanted; counting stops soon after `most`, 0 counts all."""
        condition, values = where(wanted, now_us)
        inner = f"SELECT 1 FROM tasks WHERE {condition}" + (" LIMIT ?" if most else "")
        if most:
            values.append(most)
        [found] = self._connection.execute(f"SELECT count(*) FROM ({inner})", values).fetchone()
        before = self.stored(self.newer) if self.newer else {}
        old = sum(wanted.accepts(attempt, now_us) for attempt in before.values())
        return int(found) - old + sum(wanted.accepts(attempt, now_us) for attempt in self.newer.values())

    def ordered(self, wanted: Filter, now_us: int, by: str, limit: int, *, descending: bool) -> list[Attempt]:
        """Return the first `limit` attempts, 0 for all, in the order of one of SORTS."""
        condition, values = where(wanted, now_us)
        way = "DESC" if descending else "ASC"
        bound = limit + len(self.newer) if limit else -1  # those may be in the file, with another value
        tail = f"WHERE {condition} ORDER BY {SORTS[by]} {way}, happened_us DESC, n DESC LIMIT ?"
        old = [each for each in self._attempts(tail, [*values, bound]) if each.key not in self.newer]
        found = [*(each for each in self.newer.values() if wanted.accepts(each, now_us)), *old]
        found.sort(key=ORDERS[by], reverse=descending)
        return found[: limit or None]

    def ids_of_file(self, path: str) -> frozenset[str]:
        """Return the ids of what a file started, which are those of all that followed, too."""
        known = known_text(path)
        keys = {
            key
            for (text,) in self._connection.execute("SELECT keys FROM files WHERE path = ?", (known,))
            for key in str(text).split(",")
        }
        keys |= {key for row in self.newer_files if row[1] == path for key in str(row[9]).split(",")}
        found = {each.id for each in self.by_keys(keys - {""}).values()}
        part = f":{known}:"
        rows = self._connection.execute(
            "SELECT id FROM tasks WHERE cause >= 'file' AND cause < 'filet' AND instr(cause, ?)", (part,)
        )
        found.update(str(id_) for (id_,) in rows)
        found.update(
            each.id for each in self.newer.values() if each.cause.startswith("file") and part in each.cause
        )
        return frozenset(found - {""})

    def newest_states(self, topic: str, job: str, infos: Collection[str]) -> dict[str, State]:
        """Return the state of the newest attempt at each of these infos, as far as history knows one."""
        found: dict[str, State] = {}
        rows = self._connection.execute(
            "SELECT info, state FROM tasks WHERE n IN (SELECT n FROM tasks WHERE topic = ? AND job = ?) ORDER BY n",
            (topic, job),
        )
        found.update((info, State(state)) for info, state in rows if info in infos)
        newer = (each for each in self.newer.values() if (each.topic, each.job) == (topic, job))
        found.update((each.info, State(each.state)) for each in newer if each.info in infos)
        return found

    def states_of_batch(self, batch: str) -> dict[State, int]:
        """Return how many attempts of a batch are in which state."""
        rows = self._connection.execute(
            "SELECT state, count(*) FROM tasks WHERE batch = ? AND batch <> '' GROUP BY state", (batch,)
        )
        return {State(state): count for state, count in rows}

    def by_keys(self, keys: Iterable[str]) -> dict[str, Attempt]:
        """Return the attempts with these dispatch keys, as far as history knows them."""
        wanted = list(keys)
        fresh = {key: self.newer[key] for key in wanted if key in self.newer}
        return fresh | self.stored(key for key in wanted if key not in fresh)

    def newest(self, *, failed: bool = False) -> Attempt | None:
        """Return the attempt that was published last, or the one that failed last."""
        if failed:
            return next((page[0] for page in self.pages(Filter(states=FAILED), 0, size=1)), None)
        # Rows that only the journal knows came behind all of the file, in its order; those of a batch share their time.
        unwritten = [attempt for attempt in self.newer.values() if attempt.n is None]
        last = unwritten or self._with_newer(lambda _: False, "ORDER BY n DESC LIMIT 1", [])
        return last[-1] if last else None

    def ids_like(self, beginning: str, limit: int) -> list[str]:
        """Return the different task ids that begin so, in order; one that is equal stands for all."""
        low = known_text(beginning)
        rows = self._connection.execute(
            "SELECT DISTINCT id FROM tasks WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (low, low + _END, limit),
        )
        found = {str(row[0]) for row in rows}
        found |= {attempt.id for attempt in self.newer.values() if attempt.id.startswith(low)}
        return [low] if low in found else sorted(found - {""})[:limit]

    def keys_like(self, beginning: str, limit: int) -> list[Attempt]:
        """Return the attempts whose dispatch key begins so, in order of the key; one that is equal stands alone."""
        low = known_text(beginning)
        found = self._with_newer(
            lambda attempt: attempt.key.startswith(low),
            "WHERE key >= ? AND key < ? ORDER BY key LIMIT ?", [low, low + _END, limit],
        )  # fmt: skip
        found.sort(key=lambda attempt: attempt.key)
        return [attempt for attempt in found if attempt.key == low] or found[:limit]

    def run(self, id_: str, limit: int = PAGE) -> list[Attempt]:
        """Return the attempts of every task with this id, in the order in which they were published."""
        known = known_text(id_)
        return self._with_newer(
            lambda attempt: attempt.id == known, "WHERE id = ? ORDER BY n LIMIT ?", [known, limit]
        )

    def attempts(self, of: Attempt) -> list[Attempt]:
        """Return every attempt of the task that `of` is one of, the first one first."""
        first, seen = of, {of.key}
        while first.retry_of and first.retry_of not in seen:
            before = self.by_keys([first.retry_of]).get(first.retry_of)
            if before is None:
                break
            first = before
            seen.add(first.key)
        found = [first]
        known = {first.key}
        while later := [each for each in self._caused_by(found[-1:], "retry:") if each.key not in known]:
            found += later
            known.update(each.key for each in later)
        return found

    def tries(self, of: Sequence[Attempt]) -> list[Attempt]:
        """Return these attempts, of any tasks, and every one that was tried again after one of them."""
        found = {attempt.key: attempt for attempt in of}
        last = list(found.values())
        while last := [each for each in self._caused_by(last, "retry:") if each.key not in found]:
            found |= {each.key: each for each in last}
        return list(found.values())

    def children(self, of: Sequence[Attempt]) -> list[Attempt]:
        """Return what completing one of these attempts started, in the order in which it was published."""
        return self._caused_by(of, "done:")

    def decisions(self, keys: Sequence[str], limit: int = 100) -> list[tuple[int, str, str]]:
        """Return (microseconds, kind, reason) of what was decided about these dispatch keys without making a task."""
        some = [known_text(key) for key in keys[:_KEYS]]
        rows = self._connection.execute(
            f"SELECT at_us, kind, text FROM decisions WHERE key <> '' AND key IN ({marks(some)}) ORDER BY n LIMIT ?",
            (*some, limit),
        )
        return [(int(at), str(kind), str(text)) for at, kind, text in rows]

    def failures(self, since_us: int) -> dict[str, int]:
        """Return by topic how many attempts ended badly since then."""
        condition, values = where(Filter(states=FAILED, since_us=since_us), 0)
        rows = self._connection.execute(
            f"SELECT topic, count(*) FROM tasks WHERE {condition} GROUP BY topic", values
        )
        return {str(topic): int(count) for topic, count in rows}

    def ended(self, since_us: int) -> dict[str, int]:
        """Return by topic how many attempts came to an end since then."""
        rows = self._connection.execute(
            "SELECT topic, count(*) FROM tasks"
            " WHERE happened_us >= ? AND state NOT IN ('waiting', 'later') GROUP BY topic",
            (since_us,),
        )
        return {str(topic): int(count) for topic, count in rows}

    def gaps(self) -> list[tuple[int, int, int]]:
        """Return (microseconds, first, last) of every stretch of the journal that history never saw."""
        rows = self._connection.execute("SELECT at_us, first_seq, last_seq FROM gaps ORDER BY n")
        return [(int(at), int(first), int(last)) for at, first, last in rows]

    def cursor(self) -> tuple[int, str]:
        """Return how far the file reaches: the number of the journal's entry, and the generation of the bus."""
        seq, generation = self._connection.execute("SELECT seq, generation FROM cursor").fetchone()
        return int(seq), str(generation)

    def _caused_by(self, attempts: Sequence[Attempt], source: str) -> list[Attempt]:
        """Children and retries keep the id of their run, which is what the index knows."""
        found: list[Attempt] = []
        for at in range(0, len(attempts), _KEYS):
            found += self._caused_by_some(attempts[at : at + _KEYS], source)
        return found

    def _caused_by_some(self, attempts: Sequence[Attempt], source: str) -> list[Attempt]:
        causes = {source + attempt.key for attempt in attempts}
        ids = {attempt.id for attempt in attempts}
        return self._with_newer(
            lambda attempt: attempt.cause in causes,
            f"WHERE id IN ({marks(ids)}) AND cause IN ({marks(causes)}) ORDER BY n LIMIT ?",
            [*ids, *causes, PAGE],
        )

    def stored(self, keys: Iterable[str]) -> dict[str, Attempt]:
        """Return what the file holds of these dispatch keys, whatever the journal tells beyond it."""
        wanted = [known_text(key) for key in keys]
        found: dict[str, Attempt] = {}
        for at in range(0, len(wanted), _KEYS):
            some = wanted[at : at + _KEYS]
            found |= {each.key: each for each in self._attempts(f"WHERE key IN ({marks(some)})", some)}
        return found

    def _with_newer(
        self, wanted: Callable[[Attempt], bool], tail: str, values: Sequence[object]
    ) -> list[Attempt]:
        """Return rows of the file, each as the journal tells it by now, and what only the journal knows behind them."""
        rows = [self.newer.get(row.key, row) for row in self._attempts(tail, values)]
        known = {row.key for row in rows}
        return rows + [each for each in self.newer.values() if each.key not in known and wanted(each)]

    def _attempts(self, tail: str, values: Sequence[object]) -> list[Attempt]:
        rows = self._connection.execute(f"SELECT {_FIELDS} FROM tasks {tail}", values)
        return [Attempt(*row) for row in rows]
