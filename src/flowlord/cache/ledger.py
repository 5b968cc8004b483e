"""What the facts of the journal mean for history. Pure: rows in, rows out; the only place that knows it.

Applying facts one by one or all at once gives the same rows, and the order of the facts of one commit does not matter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Final, Protocol

from msgspec.structs import astuple

from flowlord.cache.attempt import OPEN, Attempt, State, told_by
from flowlord.cache.days import Counted, Slot, Sums, counted, differences
from flowlord.cache.writing import OWN_TOPICS, Fresh, ends, first_of, identify, is_usual, opens
from flowlord.model.plan import Fact, FactKind, Seen

_OPEN = {state.value for state in OPEN}
_LOST = State.LOST.value
# Looked up once: in Python 3.11 it takes longer to find a member in its class than to take in half a fact.
_PUBLISHED, _DONE = FactKind.PUBLISHED, FactKind.DONE
MANY: Final = 64
"""Of a commit of so many facts the results are taken in first, and its rows are written by themselves.

Rows are written by kind, and it costs a third less when those of a kind have numbers that follow each other.
"""


class Entry(Protocol):
    """What a follower needs of a journal entry (`flowlord.bus.port.JournalEntry`)."""

    @property
    def seq(self) -> int:
        """Grows by one per entry."""
        ...

    @property
    def at_us(self) -> int:
        """Microseconds since 1970 UTC, by the clock of the bus."""
        ...

    @property
    def by(self) -> str:
        """Who committed."""
        ...

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What the commit told."""
        ...


def keys_of(entries: Iterable[Entry], *, first_heard: bool) -> set[str]:
    """Return the dispatch keys whose rows the ledger must know before it applies these entries.

    With `first_heard`, without those that are published in them: a key is published once, so there is no row yet.
    """
    keys: set[str] = set()
    new: set[str] = set()
    for entry in entries:
        for fact in entry.facts:
            if first_heard and fact.kind is _PUBLISHED:
                new.add(fact.key)
            else:
                keys.add(fact.key)
    keys -= new
    keys.discard("")
    return keys


class Ledger:
    """Rows that are known, and what a batch of entries made of them.

    `alerts`, `decisions`, `files`, `incidents` and `revisions` are rows in the order of their columns without the
    number, `workflows` the last of each. `before` is where those that were given count as ended, by key.
    """

    def __init__(self, known: Iterable[Attempt] = ()) -> None:
        self._known = {attempt.key: attempt for attempt in known}
        self._touched: dict[str, Attempt] = {}  # those of them that a fact has touched
        # What is heard of for the first time, in that order: of most there is one fact, and no attempt is made of it.
        self._new: dict[str, Fresh | Attempt] = {}
        self._begun: dict[str, Attempt] = {}  # those of them of which attempts were made
        self._cuts: list[int] = []  # how many those were where a large commit began or ended
        self.before: dict[str, Counted] = {
            key: found for key, attempt in self._known.items() if (found := counted(attempt))
        }
        self.alerts: list[tuple[object, ...]] = []
        self.decisions: list[tuple[object, ...]] = []
        self.files: list[tuple[object, ...]] = []
        self.workflows: dict[str, tuple[object, ...]] = {}
        self.revisions: list[tuple[object, ...]] = []
        self.phases: dict[tuple[str, str, str], tuple[object, ...]] = {}
        self.incidents: list[tuple[object, ...]] = []

    @property
    def changed(self) -> dict[str, Attempt]:
        """Every attempt that a fact has touched, by key."""
        return self._touched | {key: self._settled(key, each) for key, each in self._new.items()}

    @property
    def attempts(self) -> dict[str, Attempt]:
        """What was given and what was added, by key."""
        return self._known | self.changed

    @property
    def touched(self) -> dict[str, Attempt]:
        """Those that were given and that a fact has touched, by key."""
        return self._touched

    def numbered(self, last: int) -> tuple[list[Attempt], list[tuple[Sequence[int], list[Fresh]]]]:
        """Give what is new the numbers behind `last`.

        Returns attempts with theirs, and beside them those of which one fact tells and nothing else, in portions with
        their numbers: a row is made of each without an attempt.
        """
        new = list(self._new.values())
        portions: list[tuple[Sequence[int], list[Fresh]]] = []
        for first, end in pairwise((0, *self._cuts, len(new))):
            some = [each for each in new[first:end] if isinstance(each, tuple)]
            numbers: Sequence[int] = range(last + 1 + first, last + 1 + end)
            if len(some) < end - first:
                numbers = [
                    n for n, each in zip(numbers, new[first:end], strict=True) if isinstance(each, tuple)
                ]
            portions.append((numbers, some))
        attempts: list[Attempt] = []
        if self._begun:
            for n, each in enumerate(new, last + 1):
                if not isinstance(each, tuple):
                    each.n = n
                    attempts.append(each)
        return attempts, portions

    def days(self) -> dict[Slot, Sums]:
        """Return what the numbers of days change by, without those of which one fact tells and nothing else."""
        return differences(self._touched | self._begun, self.before)

    def hold(self, attempt: Attempt) -> None:
        """Take an attempt as it is for one that was touched."""
        self._touched[attempt.key] = attempt

    def apply(self, entries: Iterable[Entry], passed: Collection[str] = ()) -> None:
        """Take in what these entries tell, except of the keys in `passed`: facts of theirs are taken in elsewhere."""
        known, new = self._known, self._new
        for entry in entries:
            at = entry.at_us
            facts: Sequence[Fact] = entry.facts
            is_large = len(facts) >= MANY
            if is_large:
                self._cuts.append(len(new))
                facts = [each for each in facts if each.kind is _DONE] + [
                    each for each in facts if each.kind is not _DONE
                ]
            for fact in facts:
                key = fact.key
                if key in passed:
                    continue
                if key not in new and key not in known and is_usual(fact):
                    new[key] = (fact, at)
                else:
                    self._take(fact, at, entry.by)
            if is_large:
                self._cuts.append(len(new))

    def _take(self, fact: Fact, at: int, by: str) -> None:
        match fact.kind:
            case FactKind.PUBLISHED:
                self._published(fact, at)
            case FactKind.DONE:
                self._done(fact, at)
            case FactKind.RETRY:
                self._decided(fact, at, State.RETRIED)
            case FactKind.DEAD:
                self._decided(fact, at, State.DEAD)
            case FactKind.CANCELLED:
                # Clearing away dead letters and quarantined bytes does not change what became of their attempts.
                if not fact.cause.startswith("dead:") and fact.topic != "quarantine":
                    self._decided(fact, at, State.CANCELLED)
            case FactKind.QUARANTINED:
                self._decided(fact, at, State.QUARANTINED)
                self._decide(fact, at)
            case (
                FactKind.SKIPPED
                | FactKind.MISSED
                | FactKind.BATCH
                | FactKind.PAUSED
                | FactKind.RESUMED
                | FactKind.BACKUP
            ):
                self._decide(fact, at)
            case FactKind.VANISHED | FactKind.ABSENT:
                self._decide(fact, at)
            case FactKind.AGAIN:
                self._again(fact, at)
                self._decide(fact, at)
            case FactKind.LATE:  # the alert beside it tells why; thousands may be late at once
                self._noticed(fact, at)
            case FactKind.LOST:
                self._noticed(fact, at)
                self._decide(fact, at)
            case FactKind.ACKED | FactKind.MUTED | FactKind.UNMUTED:
                self._decide(fact, at)
            case FactKind.FILE:
                self._file(fact, at)
            case FactKind.ALERT:
                self._alert(fact, at)
            case FactKind.INCIDENT:
                if fact.incident is not None:
                    about = (fact.key, fact.phase.partition(":")[0], fact.phase, fact.text)
                    self.incidents.append((at, *about, *astuple(fact.incident)))
            case FactKind.MOVED:
                self._moved(fact)
                self._decide(fact, at)
            case FactKind.RELOAD:
                self._loaded(fact, at, by)

    def _published(self, fact: Fact, at: int) -> None:
        task = fact.task
        # A result on its way to us and the copy of a dead task lie on topics too, and are no attempts.
        if not fact.key or fact.topic in OWN_TOPICS or fact.cause.startswith("dead:"):
            return
        if task is not None and task.result:
            return
        attempt = self._find(fact.key)
        if attempt is None:
            attempt = self._begin(fact, at)
        elif attempt.state == _LOST:  # with an earlier bus; its cause came again on this one
            attempt.reason, attempt.ended_us = "", 0
        elif attempt.state not in _OPEN:
            return
        opens(attempt, fact, at)
        self._touch(fact.key, attempt)

    def _done(self, fact: Fact, at: int) -> None:
        if not fact.key:
            return
        attempt = self._find(fact.key)
        if attempt is None:
            attempt = self._begin(fact, at)
        elif not attempt.published_us:  # first heard of by its end, or by another fact of the same commit
            identify(attempt, fact)
        ends(attempt, fact, at)
        self._touch(fact.key, attempt)

    def _decided(self, fact: Fact, at: int, state: State) -> None:
        """The taskmaster, or a person, decided what becomes of an attempt."""
        if not fact.key:
            return
        attempt = self._find(fact.key)
        if attempt is None:
            if fact.kind is FactKind.QUARANTINED and fact.task is None:
                return  # not understood at all: the decision tells it
            attempt = self._begin(fact, at)
        attempt.state = state.value
        attempt.reason = fact.text or attempt.reason
        attempt.ended_us = attempt.ended_us or at
        attempt.happened_us = at
        self._touch(fact.key, attempt)

    def _noticed(self, fact: Fact, at: int) -> None:
        """Something is wrong with an attempt; where it stands is told by other facts."""
        if not fact.key:
            return
        attempt = self._find(fact.key)
        if attempt is None:
            attempt = self._begin(fact, at)
        if fact.kind is FactKind.LATE:
            attempt.late_us = attempt.late_us or at
        else:
            attempt.lost += 1
            if attempt.state in _OPEN:
                attempt.due_us = at  # it is ready anew from now on, whenever its first worker took it
        self._touch(fact.key, attempt)

    def _again(self, fact: Fact, at: int) -> None:
        """A worker put it back: that it waits is told beside it."""
        attempt = self._find(fact.key)
        if attempt is None and fact.key:
            attempt = self._begin(fact, at)
        if attempt is not None and attempt.state in _OPEN:
            attempt.reason = fact.text
            self._touch(fact.key, attempt)

    def _moved(self, fact: Fact) -> None:
        attempt = self._find(fact.key)
        if attempt is not None and fact.topic not in OWN_TOPICS:
            attempt.topic = fact.topic
            self._touch(fact.key, attempt)

    def _find(self, key: str) -> Attempt | None:
        attempt = self._known.get(key)
        if attempt is None and (each := self._new.get(key)) is not None:
            attempt = self._settled(key, each)
        return attempt

    def _begin(self, fact: Fact, at: int) -> Attempt:
        attempt = self._new[fact.key] = self._begun[fact.key] = first_of(fact, at)
        return attempt

    def _touch(self, key: str, attempt: Attempt) -> None:
        if key in self._known:
            self._touched[key] = attempt

    def _settled(self, key: str, each: Fresh | Attempt) -> Attempt:
        """Return the attempt that a fact told of alone; from now on there is one."""
        if not isinstance(each, tuple):
            return each
        fact, at = each
        attempt = self._begin(fact, at)
        if fact.kind is _DONE:
            ends(attempt, fact, at)
        else:
            opens(attempt, fact, at)
        return attempt

    def _alert(self, fact: Fact, at: int) -> None:
        task = fact.task
        self.alerts.append(
            (
                at,
                fact.key,
                fact.topic,
                task.type if task else "",
                task.job if task else "",
                task.id if task else "",
                told_by(task)[1] if task else "",
                fact.phase,
                fact.cause,
                fact.text,
            )
        )

    def _loaded(self, fact: Fact, at: int, by: str) -> None:
        name, digest = fact.phase, fact.revision.partition("@")[0]
        self.workflows[name] = (name, fact.revision, at, fact.text)
        self.revisions.append((at, name, fact.revision, len(fact.phases), by, fact.text))
        for each in fact.phases:
            text = (each.task, each.depends_on, each.rule, each.retry, each.template)
            self.phases[name, digest, each.name] = (name, digest, each.name, each.line, *text, at)

    def _file(self, fact: Fact, at: int) -> None:
        seen = fact.file or Seen(fact.cause.removeprefix("file:").rpartition(":")[0])
        told = (seen.path, seen.state, seen.size, seen.version, seen.moment, seen.source, seen.tasks)
        lists = (",".join(seen.names), ",".join(seen.keys))
        self.files.append((at, *told, *lists, fact.cause, fact.text, ",".join(seen.groups)))

    def _decide(self, fact: Fact, at: int) -> None:
        told = (fact.kind.value, fact.key, fact.topic, fact.phase, fact.cause, fact.text, fact.due)
        self.decisions.append((at, *told))


def holes(entries: Sequence[Entry], cursor: int) -> list[tuple[int, int]]:
    """Return the (first, last) numbers that are missing between `cursor` and the end of these entries."""
    missing = []
    for entry in entries:
        if entry.seq > cursor + 1:
            missing.append((cursor + 1, entry.seq - 1))
        cursor = entry.seq
    return missing
