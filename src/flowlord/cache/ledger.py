"""What the facts of the journal mean for history. Pure: rows in, rows out; the only place that knows it.

Applying facts one by one or all at once gives the same rows, and the order of the facts of one commit does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec.structs import astuple

from flowlord.cache.attempt import OPEN, Attempt, State, microseconds, told_by
from flowlord.cache.days import Counted, Slot, Sums, counted, differences
from flowlord.model.plan import PUT_BACK, Fact, FactKind, Seen

_RESULTS = {state.value: state.value for state in (State.COMPLETE, State.WARN, State.ALERT)}
_DECIDED = {State.RETRIED.value, State.DEAD.value}
_OPEN = {state.value for state in OPEN}
_LOST = State.LOST.value
# Looked up once: in Python 3.11 it takes longer to find a member in its class than to take in half a fact.
_PUBLISHED, _DONE = FactKind.PUBLISHED, FactKind.DONE
# Topics of flowlord itself: what is published there is no attempt of a task.
_OWN_TOPICS = {"done", "quarantine"}


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

    `attempts` holds what was given and what was added; `changed` those of them that a fact has touched. `alerts`,
    `decisions`, `files`, `incidents` and `revisions` are rows in the order of their columns without the number,
    `workflows` the last of each. `before` is where those that were given count as ended, by key.
    """

    def __init__(self, known: Iterable[Attempt] = ()) -> None:
        self.attempts = {attempt.key: attempt for attempt in known}
        self.before: dict[str, Counted] = {
            key: found for key, attempt in self.attempts.items() if (found := counted(attempt))
        }
        self.changed: dict[str, Attempt] = {}
        self.alerts: list[tuple[object, ...]] = []
        self.decisions: list[tuple[object, ...]] = []
        self.files: list[tuple[object, ...]] = []
        self.workflows: dict[str, tuple[object, ...]] = {}
        self.revisions: list[tuple[object, ...]] = []
        self.phases: dict[tuple[str, str, str], tuple[object, ...]] = {}
        self.incidents: list[tuple[object, ...]] = []

    def days(self) -> dict[Slot, Sums]:
        """Return what the numbers of days change by."""
        return differences(self.changed, self.before)

    def apply(self, entries: Iterable[Entry]) -> None:
        """Take in what these entries tell."""
        for entry in entries:
            at = entry.at_us
            for fact in entry.facts:
                kind = fact.kind
                if kind is _PUBLISHED:
                    self._published(fact, at)
                elif kind is _DONE:
                    self._done(fact, at)
                else:
                    self._take(fact, at, entry.by)

    def _take(self, fact: Fact, at: int, by: str) -> None:
        match fact.kind:
            case FactKind.PUBLISHED | FactKind.DONE:
                pass  # what nearly all facts are: `apply` takes them in
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
        if not fact.key or fact.topic in _OWN_TOPICS or fact.cause.startswith("dead:"):
            return
        if task is not None and task.result:
            return
        attempt = self.attempts.get(fact.key)
        if attempt is None:
            attempt = self._new(fact, at)
        elif attempt.state == _LOST:  # with an earlier bus; its cause came again on this one
            attempt.reason, attempt.ended_us = "", 0
        elif attempt.state not in _OPEN:
            return
        attempt.state = "later" if fact.due > at else "waiting"
        attempt.published_us = attempt.published_us or at
        attempt.due_us = fact.due
        attempt.happened_us = at
        self.changed[fact.key] = attempt

    def _done(self, fact: Fact, at: int) -> None:
        if not fact.key:
            return
        attempt = self.attempts.get(fact.key)
        if attempt is None:
            attempt = self._new(fact, at)
        elif not attempt.published_us:  # first heard of by its end, or by another fact of the same commit
            _identify(attempt, fact)
        self._tell(attempt, fact, at)
        if attempt.reason.startswith(PUT_BACK):
            attempt.reason = ""
        if attempt.state not in _DECIDED or attempt.result != "error":
            attempt.state = _RESULTS.get(attempt.result, "error")
        self.changed[fact.key] = attempt

    def _tell(self, attempt: Attempt, fact: Fact, at: int) -> None:
        """Write down what the worker handed back."""
        task, report = fact.task, fact.report
        if task is not None:
            attempt.meta = task.meta
            attempt.result = task.result
            attempt.msg = task.msg
            attempt.started_us = microseconds(task.started)
            attempt.ended_us = microseconds(task.ended) or at
        if report is not None:
            attempt.worker = report.worker
            attempt.deliveries = report.deliveries
            attempt.output = report.output
        attempt.happened_us = at

    def _decided(self, fact: Fact, at: int, state: State) -> None:
        """The taskmaster, or a person, decided what becomes of an attempt."""
        key = fact.key.removesuffix(":dead") if fact.kind is FactKind.DEAD else fact.key
        if not key:
            return
        attempt = self.attempts.get(key)
        if attempt is None:
            if fact.kind is FactKind.QUARANTINED and fact.task is None:
                return  # not understood at all: the decision tells it
            attempt = self._new(fact, at, key)
        attempt.state = state.value
        attempt.reason = fact.text or attempt.reason
        attempt.ended_us = attempt.ended_us or at
        attempt.happened_us = at
        self.changed[key] = attempt

    def _noticed(self, fact: Fact, at: int) -> None:
        """Something is wrong with an attempt; where it stands is told by other facts."""
        if not fact.key:
            return
        attempt = self.attempts.get(fact.key)
        if attempt is None:
            attempt = self._new(fact, at)
        if fact.kind is FactKind.LATE:
            attempt.late_us = attempt.late_us or at
        else:
            attempt.lost += 1
            if attempt.state in _OPEN:
                attempt.due_us = at  # it is ready anew from now on, whenever its first worker took it
        self.changed[fact.key] = attempt

    def _again(self, fact: Fact, at: int) -> None:
        """A worker put it back: that it waits is told beside it."""
        attempt = self.attempts.get(fact.key)
        if attempt is None and fact.key:
            attempt = self._new(fact, at)
        if attempt is not None and attempt.state in _OPEN:
            attempt.reason = fact.text
            self.changed[fact.key] = attempt

    def _moved(self, fact: Fact) -> None:
        attempt = self.attempts.get(fact.key)
        if attempt is not None and fact.topic not in _OWN_TOPICS:
            attempt.topic = fact.topic
            self.changed[fact.key] = attempt

    def _new(self, fact: Fact, at: int, key: str = "") -> Attempt:
        attempt = self.attempts[key or fact.key] = _first_of(fact, at, key or fact.key)
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


def _first_of(fact: Fact, at: int, key: str) -> Attempt:
    """Return an attempt of which nothing was known; in one step, since there is one for each task."""
    task, phase = fact.task, fact.phase
    if task is None:
        attempt = Attempt(None, key, happened_us=at)
        _identify(attempt, fact)
        return attempt
    number, moment = told_by(task)
    return Attempt(
        None, key, task.id, task.info, task.meta, task.created, fact.cause, 0, 0, 0, 0, at,
        fact.topic, task.type, task.job, phase, phase.partition(":")[0], fact.revision, fact.batch, fact.priority,
        number, moment,
    )  # fmt: skip


def _identify(attempt: Attempt, fact: Fact) -> None:
    """Write down which task this is and where it comes from."""
    task = fact.task
    attempt.topic = attempt.type = fact.topic
    if task is not None:
        attempt.type = task.type
        attempt.job = task.job
        attempt.id = task.id
        attempt.info = task.info
        attempt.meta = task.meta
        attempt.created = task.created
        attempt.number, attempt.moment = told_by(task)
    attempt.phase = fact.phase
    attempt.workflow = fact.phase.partition(":")[0]
    attempt.revision = fact.revision
    attempt.cause = fact.cause
    attempt.batch = fact.batch
    attempt.priority = fact.priority


def holes(entries: Sequence[Entry], cursor: int) -> list[tuple[int, int]]:
    """Return the (first, last) numbers that are missing between `cursor` and the end of these entries."""
    missing = []
    for entry in entries:
        if entry.seq > cursor + 1:
            missing.append((cursor + 1, entry.seq - 1))
        cursor = entry.seq
    return missing
