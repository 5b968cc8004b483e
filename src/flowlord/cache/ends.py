"""What became of starts: of a task by the last of its attempts, of a batch by the worst of its tasks."""
# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from flowlord.cache.attempt import FAILED, OPEN, State
from flowlord.cache.filter import known_text, marks
from flowlord.cache.queries import History

DONE = "done"
FAILED_AT_LAST = "error"
LATE = "late"  # open for longer than it may be
STILL_OPEN = "open"  # waits, or is with a worker
CANCELLED = "cancelled"
_WORST = (FAILED_AT_LAST, LATE, STILL_OPEN, CANCELLED, DONE)
_SOME = 500
_OPEN = frozenset(state.value for state in OPEN)
_FAILED = frozenset(state.value for state in FAILED)
_AGAIN = "retry:"
_Told = tuple[str, int, str]
"""The state of an attempt, when it was told to be late, and the id of its run."""


def ends_of(history: History, keys: Iterable[str]) -> dict[str, str]:
    """Return what became of the tasks whose first attempts have these dispatch keys, as far as history knows them."""
    found: dict[str, _Told] = {}
    for some in _chunks(sorted(map(known_text, keys))):
        sql = f"SELECT key, state, late_us, id FROM tasks WHERE key IN ({marks(some)})"
        found.update(
            (str(key), (str(state), int(late), str(id_))) for key, state, late, id_ in history.rows(sql, some)
        )
        found.update((key, _of_newer(history, key)) for key in some if key in history.newer)
    repeated = {key: told for key, told in found.items() if told[0] == State.RETRIED}
    again = _again(history, {id_ for _, _, id_ in repeated.values()})
    for key in repeated:
        last, seen = key, {key}
        while (later := again.get(last)) and later[0] not in seen:
            last, found[key] = later
            seen.add(last)
    return {key: kind_of(state, late) for key, (state, late, _) in found.items()}


def ends_of_batches(history: History, batches: Iterable[str]) -> dict[str, str]:
    """Return what became of these batches: the worst that became of one of their tasks."""
    wanted = set(map(known_text, batches))
    moving = {each.batch for each in history.newer.values()} & wanted
    kinds: dict[str, set[str]] = {}
    for some in _chunks(sorted(wanted - moving)):
        sql = (
            f"SELECT batch, state, max(late_us) FROM tasks WHERE batch <> '' AND batch IN ({marks(some)}) "
            "AND state <> 'retried' GROUP BY batch, state"
        )
        for batch, state, late in history.rows(sql, some):
            kinds.setdefault(str(batch), set()).add(kind_of(str(state), int(late)))
    for batch in moving:
        kinds[batch] = _of_moving(history, batch)
    return {
        batch: next((kind for kind in _WORST if kind in some), STILL_OPEN) for batch, some in kinds.items()
    }


def _of_moving(history: History, batch: str) -> set[str]:
    """Return what became of the tasks of a batch of which the journal tells more than the file."""
    rows = history.rows("SELECT key, state, late_us FROM tasks WHERE batch <> '' AND batch = ?", (batch,))
    found = {str(key): (str(state), int(late)) for key, state, late in rows}
    found |= {key: (each.state, each.late_us) for key, each in history.newer.items() if each.batch == batch}
    return {kind_of(state, late) for state, late in found.values() if state != State.RETRIED}


def kind_of(state: str, late_us: int) -> str:
    """Return what a state comes to."""
    if state in _OPEN:
        return LATE if late_us else STILL_OPEN
    if state in _FAILED or state == State.RETRIED:
        return FAILED_AT_LAST
    return CANCELLED if state == State.CANCELLED else DONE


def _again(history: History, ids: Iterable[str]) -> dict[str, tuple[str, _Told]]:
    """Return the attempts that repeat others, by the key of the one that they repeat."""
    found: dict[str, tuple[str, _Told]] = {}
    for some in _chunks(sorted(ids)):
        sql = (
            f"SELECT cause, key, state, late_us, id FROM tasks WHERE id IN ({marks(some)}) "
            "AND cause >= 'retry:' AND cause < 'retry;' ORDER BY n"
        )
        for cause, key, state, late, id_ in history.rows(sql, some):
            found[str(cause).removeprefix(_AGAIN)] = (str(key), (str(state), int(late), str(id_)))
    for key, each in history.newer.items():
        if each.retry_of:
            found[each.retry_of] = (key, _of_newer(history, key))
    return found


def _of_newer(history: History, key: str) -> _Told:
    each = history.newer[key]
    return (each.state, each.late_us, each.id)


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(values), _SOME):
        yield values[at : at + _SOME]
