"""Hears notices about files on their topic, and lands what follows from each together with its acknowledgement."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from flowlord.decide.file import FileEvent, marks_of, merged, on_deleted
from flowlord.decide.files import FilePhase, Match
from flowlord.decide.keys import dispatch_key
from flowlord.decide.tick import failed
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import InvalidTask, Refused
from flowlord.model.message import Delivery
from flowlord.model.plan import Commit, Committed, Fact, FactKind, Plan, Seen
from flowlord.model.task import Result, Task
from flowlord.rules.places import folder_of
from flowlord.storage.port import Listed, Unavailable
from flowlord.taskmaster.filedesk import TRIES, FileDesk, Ready, combined
from flowlord.taskmaster.landing import land, quarantine
from flowlord.taskmaster.parked import Parked
from flowlord.taskmaster.surroundings import Surroundings
from flowlord.watch.notices import NoNotice, Notice, read_notices

log = logging.getLogger("flowlord.files")

BATCH = 200
WAIT_S = 0.5
LONGEST_VERSION = 200
LONGEST_WORDS = 500
ADOPT_NS = 60_000_000_000
"""How often the groups that wait on the bus are looked for: those of a daemon that is no more."""


class NoticeLoop:
    """One step claims the notices that are there, decides each, and lands them."""

    def __init__(self, around: Surroundings, topic: str, *, once: bool = False, lists: bool = False) -> None:
        """`lists`: buckets are listed besides, so each file must be known by what a listing tells of it, too."""
        self._around = around
        self._lists = lists
        self._topic = topic
        self._desk = FileDesk(around, "topic", at_once=once)
        self._parked = Parked(around, "notices", log)
        self._adopt_ns = 0

    def step(self, wait_s: float = WAIT_S) -> int:
        """Handle what is there, waiting up to `wait_s` for the first notice; returns how many there were."""
        around = self._around
        now_ns = around.clock.monotonic_ns()
        if self._desk.refresh() or now_ns >= self._adopt_ns:
            self._desk.groups.adopt()
            self._adopt_ns = now_ns + ADOPT_NS
        parked = self._parked
        found = parked.claim(self._topic, BATCH, wait_s)
        crashpoint("notices.claimed")
        left: list[Delivery] = []
        refused: list[Delivery] = []
        read: dict[str, list[Ready | Plan] | str] = {}
        sources: dict[str, object] = {}
        for delivery, rows in found:
            told = self._read(delivery)
            missing = self._desk.patterns(_matches(told)) - rows.keys()
            rows = {**rows, **parked.at_once(missing)}
            if missing := missing - rows.keys():
                if not parked.hold(delivery, missing, rows):
                    refused.append(delivery)
                continue
            left.append(delivery)
            read[delivery.token + delivery.entry] = told
            sources |= rows
        parked.refuse(refused)
        for _ in range(TRIES):
            if not left:
                break
            left = self._land(left, read, sources)
        if left:
            around.bus.release(left, delay_ns=1_000_000_000)
        self._desk.groups.start_quiet()
        return len(found)

    def close(self) -> None:
        """Give back what still waits for its rows; whoever hears notices next goes on with it."""
        self._parked.close()

    def _read(self, delivery: Delivery) -> list[Ready | Plan] | str:
        """Return what a message tells, as files or finished records; or why it tells nothing."""
        try:
            notices = read_notices(_payload(delivery))
        except NoNotice as error:
            return str(error)
        found: list[Ready | Plan] = []
        for notice in notices:
            if not notice.is_folder or self._desk.phases.matching(notice.path):
                found += self._of_notice(notice, delivery)
        return found

    def _of_notice(self, notice: Notice, delivery: Delivery) -> list[Ready | Plan]:
        # Without a version each message is an event of its own, and its acknowledgement lets it count once.
        version = _short(notice.version) or f"notice-{delivery.key or delivery.entry}"
        event = FileEvent(notice.path, version, notice.size, "topic", self._listed(notice))
        if notice.deleted or notice.other:
            return [on_deleted(event, notice.other)]
        phases = self._desk.phases
        matches = phases.matching(notice.path)
        plain = [match for match in matches if not match.rules.phase.rule.marker]
        found: list[Ready | Plan] = [Ready(event, plain)] if plain else []
        found += self._marked(event)
        for match in matches:
            if match not in plain:
                found += self._behind_marker(event, match)
        if not found and not phases.is_ignored(notice.path):
            found = [Ready(event, ())]
        return found

    def _marked(self, event: FileEvent) -> list[Ready | Plan]:
        """Return the files whose marker this one is.

        With `marker=.done` that of `x.csv.done` is `x.csv`, and of a marker by name all that lie in its folder.
        """
        found: list[Ready | Plan] = []
        for rules in self._desk.phases.phases:
            if not rules.phase.rule.marker or not rules.is_marker(event.path):
                continue
            if rules.phase.rule.marker.startswith("."):
                path = event.path.removesuffix(rules.phase.rule.marker)
                matches = self._by(rules, path)
                there = self._stat(path) if matches else None
                version, size = (there.version, there.size) if there else (event.version, 0)
                found += [Ready(FileEvent(path, version, size, "topic"), matches)] if matches else []
            elif any(glob.leads_into(f"{folder_of(event.path)}/") for glob in rules.globs):
                found += self._beside(event, rules)
        return found

    def _beside(self, event: FileEvent, rules: FilePhase) -> list[Ready | Plan]:
        """Return the files of a phase that lie in the folder of its marker."""
        folder = folder_of(event.path)
        found: list[Ready | Plan] = []
        try:
            for each in self._around.storage.list(f"{folder.rstrip('/')}/"):
                matches = self._by(rules, each.path) if folder_of(each.path) == folder else []
                if matches:
                    found.append(Ready(FileEvent(each.path, each.version, each.size, "topic"), matches))
        except Unavailable as error:
            text = f"{event.path} has come, but what it marks cannot be listed: {error}"
            fault = failed(rules.phase, f"file:{event.path}:{event.version}", text, rules.revision)
            return [Plan(facts=(fault,))]
        return found

    def _behind_marker(self, event: FileEvent, match: Match) -> list[Ready | Plan]:
        """Return a file that waits for its marker; at once where the marker is there already."""
        if self._stat(match.rules.marker_of(event.path)) is None:
            return [_waits(event, match)]
        there = self._stat(
            event.path
        )  # by its version in a listing, so that its marker's notice is none of another
        if there is not None:
            event = FileEvent(event.path, there.version, there.size, "topic")
        return [Ready(event, [match])]

    def _by(self, rules: FilePhase, path: str) -> list[Match]:
        return [each for each in self._desk.phases.matching(path) if each.rules is rules]

    def _stat(self, path: str) -> Listed | None:
        """Return how a file is listed; None when it is not there, or its storage cannot be asked from here."""
        try:
            return self._around.storage.stat(path)
        except Unavailable:
            return None

    def _listed(self, notice: Notice) -> str:
        """Return the version by which a listing tells the same file, where files are listed besides."""
        if notice.listed or not self._lists or notice.deleted or not notice.path.startswith("gs://"):
            return notice.listed
        there = self._stat(notice.path) if self._desk.phases.matching(notice.path) else None
        return there.version if there and there.version != notice.version else ""

    def _land(
        self,
        deliveries: Sequence[Delivery],
        read: dict[str, list[Ready | Plan] | str],
        sources: Mapping[str, object],
    ) -> list[Delivery]:
        """Land what follows from these messages; returns those that must be decided again."""
        told = [read[delivery.token + delivery.entry] for delivery in deliveries]
        files = [
            each for some in told if not isinstance(some, str) for each in some if isinstance(each, Ready)
        ]
        keys = dict.fromkeys(key for each in files for key in marks_of(each.event, each.matches))
        marks = self._desk.known(keys)
        commits = []
        for delivery, some in zip(deliveries, told, strict=True):
            if isinstance(some, str):
                commits.append(Commit(quarantine(delivery, some), acknowledge=(delivery,)))
                continue
            parts = [each for each in some if isinstance(each, Plan)]
            decided: list[Commit] = []
            for each in some:
                if isinstance(each, Ready):
                    commit = self._desk.decide(each, marks, sources)
                    if commit is None:
                        parts.append(_known(each.event))
                    else:
                        decided.append(commit)
            plan = merged([*parts, *(commit.plan for commit in decided)])
            plan, guards = combined(decided, plan)
            if ended := _ended(delivery, plan):
                plan = msgspec.structs.replace(plan, facts=(*plan.facts, *ended))
            commits.append(Commit(plan, acknowledge=(delivery,), marks=guards))
        again = []
        crashpoint("notices.decided")
        for (commit, answer), delivery in zip(land(self._around.bus, commits), deliveries, strict=True):
            if isinstance(answer, Committed):
                self._desk.tell(commit)
            elif isinstance(answer, Refused):
                again.append(delivery)
            else:  # somebody else took the notice over; what they landed is what counts
                log.info("%s", answer, extra={"action": "notice.lost"})
        return again


def _matches(told: list[Ready | Plan] | str) -> Iterator[Match]:
    """Yield the phases that the files of a message start."""
    for each in told if not isinstance(told, str) else ():
        if isinstance(each, Ready):
            yield from each.matches


def _short(version: str) -> str:
    """Return a version as a mark can hold it, among others with commas between; anything may be told as one."""
    return (
        version
        if len(version) <= LONGEST_VERSION and not {",", "~"} & set(version)
        else dispatch_key(version)
    )


def _payload(delivery: Delivery) -> bytes:
    """Return the notice: the message itself, or what a task that was sent with `flowlord send` has as its info."""
    sent = _sent(delivery)
    return sent.info.encode() if sent else delivery.payload


def _sent(delivery: Delivery) -> Task | None:
    """Return the task that `flowlord send` made of a notice; None for a bare one."""
    try:
        task = delivery.task()
    except InvalidTask:
        return None
    return task if task.type and task.info.lstrip().startswith("{") else None


def _ended(delivery: Delivery, plan: Plan) -> tuple[Fact, ...]:
    """Return that a notice which was sent as a task has come to its end: the history and `send --wait` follow it."""
    sent = _sent(delivery) if delivery.key else None
    if sent is None:
        return ()
    words = "; ".join(fact.text for fact in plan.facts if fact.kind is FactKind.FILE)[:LONGEST_WORDS]
    task = msgspec.structs.replace(sent, result=Result.COMPLETE.value, msg=words)
    return (Fact(FactKind.DONE, key=delivery.key, topic=delivery.topic, cause=delivery.cause, task=task),)


def _waits(event: FileEvent, match: Match) -> Plan:
    marker = match.rules.phase.rule.marker
    text = f"{event.path} waits for its marker {marker}"
    told = Seen(event.path, event.size, event.version, source="topic", state="waits")
    return Plan(
        facts=(Fact(FactKind.FILE, cause=f"file:{event.path}:{event.version}", text=text, file=told),)
    )


def _known(event: FileEvent) -> Plan:
    text = f"{event.path} is known: this version started what it starts before"
    told = Seen(event.path, event.size, event.version, source="topic", state="known")
    return Plan(
        facts=(Fact(FactKind.FILE, cause=f"file:{event.path}:{event.version}", text=text, file=told),)
    )
