"""Which attempts are wanted: one filter for every list and every act, as a query and as a test of what is in hand."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from flowlord.cache.attempt import Attempt, State

_END = chr(0x10FFFF)  # sorts behind every text that begins alike
_NOT_COMPLETE = (
    "state <> 'complete'"  # said as the partial index says it, so that SQLite sees that it may be used
)


class Filter(msgspec.Struct, frozen=True):
    """Which attempts are wanted; what is empty does not matter.

    `states` may name WAITING and LATER, which depend on `now_us`; RUNNING selects nothing, since history does not know
    it. `since_us` and `until_us` (excluded) bound when something happened last; `id` is the beginning of a task's id.

    `info` is a pattern with `*`, `?` and `[...]` that the whole info fits. `moment_from` and `moment_to` (excluded)
    bound the data time, written like it: what has none is then not wanted. `error` is a part of the worker's message
    or of the reason, in any case. `ids`, when not None, are all the ids that are wanted. `late` wants those that were
    not done in their time, `lost` those with which a worker, or the bus that held them,
    vanished.
    """

    states: frozenset[State] = msgspec.field(default_factory=frozenset)
    topic: str = ""
    job: str = ""
    workflow: str = ""
    id: str = ""
    since_us: int = 0
    until_us: int = 0
    info: str = ""
    moment_from: str = ""
    moment_to: str = ""
    error: str = ""
    batch: str = ""
    ids: frozenset[str] | None = None
    late: bool = False
    lost: bool = False

    def accepts(self, attempt: Attempt, now_us: int) -> bool:
        """Return whether an attempt in hand is wanted; the same answer as the query gives."""
        return (
            (not self.states or attempt.state_at(now_us) in self.states)
            and self.topic in ("", attempt.topic)
            and self.job in ("", attempt.job)
            and self.workflow in ("", attempt.workflow)
            and self.batch in ("", attempt.batch)
            and attempt.id.startswith(self.id)
            and self.since_us <= attempt.happened_us
            and (not self.until_us or attempt.happened_us < self.until_us)
            and (not self.late or attempt.late_us > 0)
            and (not self.lost or attempt.lost > 0)
            and (self.ids is None or attempt.id in self.ids)
            and (not self.info or fnmatchcase(attempt.info, self.info.replace("[^", "[!")))
            and self._is_of_time(attempt.moment)
            and (not self.error or self._tells(attempt))
        )

    def _is_of_time(self, moment: str) -> bool:
        if not (self.moment_from or self.moment_to):
            return True
        return bool(moment) and self.moment_from <= moment and (not self.moment_to or moment < self.moment_to)

    def _tells(self, attempt: Attempt) -> bool:
        part = _lower(self.error)
        return part in _lower(attempt.msg) or part in _lower(attempt.reason)


def where(wanted: Filter, now_us: int) -> tuple[str, list[object]]:
    """Return the condition, in words of ours only, and the values that belong to it."""
    low, error = known_text(wanted.id), _lower(known_text(wanted.error))
    conditions: list[tuple[bool, str, list[object]]] = [
        (bool(wanted.states), *_state_condition(wanted.states, now_us)),
        (bool(wanted.topic), "topic = ?", [known_text(wanted.topic)]),
        (bool(wanted.job), "job = ?", [known_text(wanted.job)]),
        (bool(wanted.workflow), "workflow = ?", [known_text(wanted.workflow)]),
        # The second half says it as the partial index says it.
        (bool(wanted.batch), "batch = ? AND batch <> ''", [known_text(wanted.batch)]),
        (bool(wanted.id), "id >= ? AND id < ?", [low, low + _END]),
        (bool(wanted.since_us), "happened_us >= ?", [wanted.since_us]),
        (bool(wanted.until_us), "happened_us < ?", [wanted.until_us]),
        (wanted.late, "late_us > 0", []),
        (wanted.lost, "lost > 0", []),
        (wanted.ids is not None, "id IN (SELECT value FROM json_each(?))", [_as_json(wanted.ids or ())]),
        (bool(wanted.info), "info GLOB ?", [known_text(_for_sqlite(wanted.info))]),
        (bool(wanted.moment_from or wanted.moment_to), "moment <> ''", []),
        (bool(wanted.moment_from), "moment >= ?", [known_text(wanted.moment_from)]),
        (bool(wanted.moment_to), "moment < ?", [known_text(wanted.moment_to)]),
        (bool(error), "(instr(lower(msg), ?) OR instr(lower(reason), ?))", [error, error]),
    ]
    said = [condition for on, condition, _ in conditions if on]
    return " AND ".join(said) or "1", [value for on, _, values in conditions if on for value in values]


def marks(values: Iterable[object]) -> str:
    """Return as many question marks as there are values."""
    return ", ".join("?" for _ in values)


def known_text(text: str) -> str:
    """Return `text` as SQLite takes it; half a surrogate pair, from odd arguments, is no character of any text."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _state_condition(states: frozenset[State], now_us: int) -> tuple[str, list[object]]:
    """What is stored as `later` counts as waiting once its time has come."""
    stored = sorted({state.value for state in states} - {"running"})
    values: list[object] = []
    extra = ""
    if (State.WAITING in states) != (State.LATER in states):
        extra = f" AND (state <> 'later' OR due_us {'<=' if State.WAITING in states else '>'} ?)"
        stored = sorted({*stored, "later"})
        values = [now_us]
    condition = f"state IN ({marks(stored)})"
    if "complete" not in stored:
        condition = f"{_NOT_COMPLETE} AND {condition}"
    return condition + extra, [*stored, *values]


def _lower(text: str) -> str:
    """Return what SQLite's `lower` returns: it knows the letters of ASCII only."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def _for_sqlite(pattern: str) -> str:
    """Return a pattern as GLOB reads it, which says `[^` for `[!`."""
    return pattern.replace("[!", "[^")


def _as_json(texts: Iterable[str]) -> str:
    return msgspec.json.encode([known_text(text) for text in texts]).decode()
