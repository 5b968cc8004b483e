"""What a day comes to: how many attempts ended how, and how long they waited and ran; kept while history is written.

A day is that of `happened_us`, in UTC, so that its numbers are those of `tasks --since DAY --until NEXT-DAY --count`.
Attempts that have not ended count in none. An attempt that goes from one state to another, or is heard of again on a
later day, is taken out of where it was; so numbers are right at any moment and however often a journal is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from flowlord.cache.attempt import Attempt
from flowlord.cache.many import Many, row

if TYPE_CHECKING:
    import sqlite3

    from flowlord.cache.queries import History

DAY_US = 86_400_000_000
KEPT_DAYS = 400
"""Days whose numbers are kept after their attempts have gone: one can be compared with the same one a year ago."""
_OPEN = frozenset({"waiting", "later", "running"})


class Slot(NamedTuple):
    """What is counted together; `day` is days since 1970."""

    day: int
    topic: str
    type: str
    job: str
    state: str


class Sums(NamedTuple):
    """Numbers of some attempts, in microseconds; `ran` and `waited` are how many of them have such a time.

    A longest time is that of every attempt that was ever counted here: it stays when that one is taken out. The longest
    over all states of a day is right, since an attempt that leaves one arrives in another.
    """

    attempts: int = 0
    ran: int = 0
    ran_us: int = 0
    ran_max_us: int = 0
    waited: int = 0
    waited_us: int = 0
    waited_max_us: int = 0

    def plus(self, other: Sums) -> Sums:
        """Return the numbers of both."""
        return Sums(
            self.attempts + other.attempts,
            self.ran + other.ran,
            self.ran_us + other.ran_us,
            max(self.ran_max_us, other.ran_max_us),
            self.waited + other.waited,
            self.waited_us + other.waited_us,
            max(self.waited_max_us, other.waited_max_us),
        )


_MOST: Final = (1 << 63) - 1
"""What a number of the table can be: a few times that no clock ever told, from 1970 to 9999, come to more together."""
Counted = tuple[tuple[int, str, str, str, str], int, int]
_COLUMNS = (*Slot._fields, *Sums._fields)
_UPSERT = Many(
    f"INSERT INTO days ({', '.join(_COLUMNS)}) VALUES",
    row(len(_COLUMNS)),
    "ON CONFLICT DO UPDATE SET "
    + ", ".join(
        f"{name} = max({name}, excluded.{name})"
        if name.endswith("max_us")
        else f"{name} = min({name} + excluded.{name}, {_MOST})"
        for name in Sums._fields
    ),
)
_EMPTY = "DELETE FROM days WHERE (day, topic, type, job, state) = (?, ?, ?, ?, ?) AND attempts <= 0"


def counted(attempt: Attempt) -> Counted | None:
    """Return where an attempt counts, how long it ran and how long it waited; None as long as it has not ended."""
    state = attempt.state
    if state in _OPEN:
        return None
    slot = (attempt.happened_us // DAY_US, attempt.topic, attempt.type, attempt.job, state)
    began = attempt.started_us
    if not began:
        return slot, 0, 0
    # As `Attempt.took_us` and `waited_us` tell it, for each attempt that ends.
    took, ready = attempt.ended_us - began, max(attempt.published_us, attempt.due_us)
    waited = began - ready if ready else 0
    return slot, took if took > 0 else 0, waited if waited > 0 else 0


def differences(changed: Mapping[str, Attempt], before: Mapping[str, Counted]) -> dict[Slot, Sums]:
    """Return what must be added to the numbers; `before` has what was counted of those that had ended by then."""
    found: dict[tuple[int, str, str, str, str], list[int]] = {}
    for key, attempt in changed.items():
        now = counted(attempt)
        was = before.get(key) if before else None
        if now == was:
            continue
        if now is not None:
            slot, took, waited = now
            sums = found.get(slot)
            if sums is None:
                sums = found[slot] = [0] * len(Sums._fields)
            sums[0] += 1
            if took:
                sums[1] += 1
                sums[2] += took
                if took > sums[3]:
                    sums[3] = took
            if waited:
                sums[4] += 1
                sums[5] += waited
                if waited > sums[6]:
                    sums[6] = waited
        if was is not None:
            slot, took, waited = was
            sums = found.setdefault(slot, [0] * len(Sums._fields))
            sums[0] -= 1
            sums[1] -= took > 0
            sums[2] -= took
            sums[4] -= waited > 0
            sums[5] -= waited
    return {Slot(*slot): Sums(*sums) for slot, sums in found.items()}


def write(db: sqlite3.Connection, days: Mapping[Slot, Sums]) -> None:
    """Add differences to the table; a slot that nothing is left in goes."""
    _UPSERT.run(db, [(*slot, *(max(-_MOST, min(n, _MOST)) for n in sums)) for slot, sums in days.items()])
    for slot in (slot for slot, sums in days.items() if sums.attempts < 0):
        db.execute(_EMPTY, slot)


def days(history: History, first: int, last: int) -> dict[Slot, Sums]:
    """Return the numbers of the days from `first` to `last`, both included, as days since 1970.

    What the journal tells beyond the file is in them.
    """
    sql = f"SELECT {', '.join(_COLUMNS)} FROM days WHERE day BETWEEN ? AND ?"  # noqa: S608 - names of ours
    found: dict[Slot, Sums] = {}
    wide = len(Slot._fields)
    for told in history.rows(sql, (first, last)):
        found[Slot(*told[:wide])] = Sums(*told[wide:])
    for slot, sums in _newer(history):
        if first <= slot.day <= last:
            found[slot] = found.get(slot, Sums()).plus(sums)
    return {slot: sums for slot, sums in found.items() if sums.attempts > 0}


def _newer(history: History) -> Iterable[tuple[Slot, Sums]]:
    before = {key: was for key, each in history.stored(history.newer).items() if (was := counted(each))}
    return differences(history.newer, before).items()
