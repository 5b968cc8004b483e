"""Questions to the history, typed; the command line asks them today, the server will ask the same ones."""
# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import msgspec

from flowlord.cache.attempt import COLUMNS, FAILED, Attempt, State
from flowlord.cache.schema import open_reader

PAGE = 1_000
_KEYS = 500
_FIELDS = ", ".join(COLUMNS)
_END = chr(0x10FFFF)  # sorts behind every text that begins alike
_LAST_FIRST = "ORDER BY happened_us DESC, n DESC"
_NOT_COMPLETE = (
    "state <> 'complete'"  # said as the partial index says it, so that SQLite sees that it may be used
)


class Filter(msgspec.Struct, frozen=True):
    """Which attempts are wanted; what is empty does not matter.

    `states` may name WAITING and LATER, which depend on `now_us`; RUNNING selects nothing, since history does not know
    it. `since_us` and `until_us` (excluded) bound when something happened last; `id` is the beginning of a task's id.
    """

    states: frozenset[State] = msgspec.field(default_factory=frozenset)
    topic: str = ""
    job: str = ""
    workflow: str = ""
    id: str = ""
    since_us: int = 0
    until_us: int = 0

    def accepts(self, attempt: Attempt, now_us: int) -> bool:
        """Return whether an attempt in hand is wanted; the same answer as the query gives."""
        return (
            (not self.states or attempt.state_at(now_us) in self.states)
            and self.topic in ("", attempt.topic)
            and self.job in ("", attempt.job)
            and self.workflow in ("", attempt.workflow)
            and attempt.id.startswith(self.id)
            and self.since_us <= attempt.happened_us
            and (not self.until_us or attempt.happened_us < self.until_us)
        )


class Place(msgspec.Struct, frozen=True):
    """Where a page ended: give it back to get what follows, whatever has been added meanwhile."""

    happened_us: int
    n: int


class History:
    """A reader of the history; to be used by one thread.

    `newer` and `newer_files` hold what the journal tells beyond the file (see `fold.catch_up`): attempts, and rows
    of files in the order of `seen.FIELDS`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.newer: dict[str, Attempt] = {}
        self.newer_files: list[tuple[object, ...]] = []

    @classmethod
    def open(cls, path: str) -> History:
        """Open the file read-only; raises CacheUnusable."""
        return cls(open_reader(path))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def rows(self, sql: str, values: Sequence[object]) -> Iterator[tuple[object, ...]]:
        """Yield the rows of one question, for the modules of this room that ask about other tables."""
        yield from self._connection.execute(sql, values)

    def page(
        self, wanted: Filter, now_us: int, limit: int = PAGE, after: Place | None = None
    ) -> list[Attempt]:
        """Return up to `limit` attempts from the file, what happened last first."""
        where, values = _where(wanted, now_us)
        if after is not None:
            where += " AND (happened_us, n) < (?, ?)"
            values += [after.happened_us, after.n]
        # The inner question reads an index only, as far as it can; rows are fetched for what is shown.
        inner = f"SELECT n FROM tasks WHERE {where} {_LAST_FIRST} LIMIT ?"
        return self._attempts(f"WHERE n IN ({inner}) {_LAST_FIRST}", [*values, limit])

    def pages(self, wanted: Filter, now_us: int, size: int = PAGE) -> Iterator[list[Attempt]]:
        """Yield page after page of about `size`, what happened last first, to the end."""
        fresh = [attempt for attempt in reversed(self.newer.values()) if wanted.accepts(attempt, now_us)]
        if fresh:
            yield sorted(fresh, key=lambda attempt: attempt.happened_us, reverse=True)
        place: Place | None = None
        while page := self.page(wanted, now_us, size, place):
            place = Place(page[-1].happened_us, page[-1].n or 0)
            found = [attempt for attempt in page if attempt.key not in self.newer]
            if found:
                yield found
            if len(page) < size:
                return

    def count(self, wanted: Filter, now_us: int, most: int = 0) -> int:
        """Return how many attempts are wanted; counting stops soon after `most`, 0 counts all."""
        where, values = _where(wanted, now_us)
        inner = f"SELECT 1 FROM tasks WHERE {where}" + (" LIMIT ?" if most else "")
        if most:
            values.append(most)
        [found] = self._connection.execute(f"SELECT count(*) FROM ({inner})", values).fetchone()
        before = self.stored(self.newer) if self.newer else {}
        old = sum(wanted.accepts(attempt, now_us) for attempt in before.values())
        return int(found) - old + sum(wanted.accepts(attempt, now_us) for attempt in self.newer.values())

    def newest_states(self, topic: str, job: str, infos: Collection[str]) -> dict[str, State]:
        """Return the state of the newest attempt at each of these infos, as far as history knows one."""
        found: dict[str, State] = {}
        rows = self._connection.execute(
            "SELECT info, state FROM tasks WHERE topic = ? AND job = ? ORDER BY n", (topic, job)
        )
        found.update((info, State(state)) for info, state in rows if info in infos)
        newer = (each for each in self.newer.values() if (each.topic, each.job) == (topic, job))
        found.update((each.info, State(each.state)) for each in newer if each.info in infos)
        return found

    def states_of_batch(self, batch: str) -> dict[State, int]:
        """Return how many attempts of a batch are in which state."""
        rows = self._connection.execute(
            "SELECT state, count(*) FROM tasks WHERE batch = ? GROUP BY state", (batch,)
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
        found = self._with_newer(lambda _: True, "ORDER BY n DESC LIMIT 1", [])
        return max(found, key=lambda attempt: attempt.published_us, default=None)

    def ids_like(self, beginning: str, limit: int) -> list[str]:
        """Return the different task ids that begin so, in order; one that is equal stands for all."""
        low = _known_text(beginning)
        rows = self._connection.execute(
            "SELECT DISTINCT id FROM tasks WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (low, low + _END, limit),
        )
        found = {str(row[0]) for row in rows}
        found |= {attempt.id for attempt in self.newer.values() if attempt.id.startswith(low)}
        return [low] if low in found else sorted(found - {""})[:limit]

    def keys_like(self, beginning: str, limit: int) -> list[Attempt]:
        """Return the attempts whose dispatch key begins so, in order of the key; one that is equal stands alone."""
        low = _known_text(beginning)
        found = self._with_newer(
            lambda attempt: attempt.key.startswith(low),
            "WHERE key >= ? AND key < ? ORDER BY key LIMIT ?", [low, low + _END, limit],
        )  # fmt: skip
        found.sort(key=lambda attempt: attempt.key)
        return [attempt for attempt in found if attempt.key == low] or found[:limit]

    def run(self, id_: str, limit: int = PAGE) -> list[Attempt]:
        """Return the attempts of every task with this id, in the order in which they were published."""
        known = _known_text(id_)
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

    def children(self, of: Sequence[Attempt]) -> list[Attempt]:
        """Return what completing one of these attempts started, in the order in which it was published."""
        return self._caused_by(of, "done:")

    def decisions(self, keys: Sequence[str], limit: int = 100) -> list[tuple[int, str, str]]:
        """Return (microseconds, kind, reason) of what was decided about these dispatch keys without making a task."""
        some = [_known_text(key) for key in keys[:_KEYS]]
        rows = self._connection.execute(
            f"SELECT at_us, kind, text FROM decisions WHERE key <> '' AND key IN ({_marks(some)}) ORDER BY n LIMIT ?",
            (*some, limit),
        )
        return [(int(at), str(kind), str(text)) for at, kind, text in rows]

    def failures(self, since_us: int) -> dict[str, int]:
        """Return by topic how many attempts ended badly since then."""
        where, values = _where(Filter(states=FAILED, since_us=since_us), 0)
        rows = self._connection.execute(
            f"SELECT topic, count(*) FROM tasks WHERE {where} GROUP BY topic", values
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
        some = attempts[:_KEYS]
        if not some:
            return []
        causes = {source + attempt.key for attempt in some}
        return self._with_newer(
            lambda attempt: attempt.cause in causes,
            f"WHERE id = ? AND cause IN ({_marks(causes)}) ORDER BY n LIMIT ?", [some[0].id, *causes, PAGE],
        )  # fmt: skip

    def stored(self, keys: Iterable[str]) -> dict[str, Attempt]:
        """Return the attempts with these dispatch keys as the file has them, without what the journal tells beyond."""
        wanted = [_known_text(key) for key in keys]
        found: dict[str, Attempt] = {}
        for at in range(0, len(wanted), _KEYS):
            some = wanted[at : at + _KEYS]
            found |= {each.key: each for each in self._attempts(f"WHERE key IN ({_marks(some)})", some)}
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


def _where(wanted: Filter, now_us: int) -> tuple[str, list[object]]:
    """Return the condition, in words of ours only, and the values that belong to it."""
    low = _known_text(wanted.id)
    conditions: list[tuple[bool, str, list[object]]] = [
        (bool(wanted.states), *_state_condition(wanted.states, now_us)),
        (bool(wanted.topic), "topic = ?", [_known_text(wanted.topic)]),
        (bool(wanted.job), "job = ?", [_known_text(wanted.job)]),
        (bool(wanted.workflow), "workflow = ?", [_known_text(wanted.workflow)]),
        (bool(wanted.id), "id >= ? AND id < ?", [low, low + _END]),
        (bool(wanted.since_us), "happened_us >= ?", [wanted.since_us]),
        (bool(wanted.until_us), "happened_us < ?", [wanted.until_us]),
    ]
    said = [condition for on, condition, _ in conditions if on]
    return " AND ".join(said) or "1", [value for on, _, values in conditions if on for value in values]


def _state_condition(states: frozenset[State], now_us: int) -> tuple[str, list[object]]:
    """What is stored as `later` counts as waiting once its time has come."""
    stored = sorted({state.value for state in states} - {"running"})
    values: list[object] = []
    extra = ""
    if (State.WAITING in states) != (State.LATER in states):
        extra = f" AND (state <> 'later' OR due_us {'<=' if State.WAITING in states else '>'} ?)"
        stored = sorted({*stored, "later"})
        values = [now_us]
    condition = f"state IN ({_marks(stored)})"
    if "complete" not in stored:
        condition = f"{_NOT_COMPLETE} AND {condition}"
    return condition + extra, [*stored, *values]


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def _known_text(text: str) -> str:
    """Return `text` as SQLite takes it; half a surrogate pair, from odd arguments, is no character of any text."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
