"""What a decision is: a value that the bus can land in one step."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from flowlord.model.message import DEFAULT_PRIORITY, Delivery, Message, Report
from flowlord.model.task import Task, decode

PUT_BACK = "put back"
"""What the text of an AGAIN fact begins with."""


BROKEN = "workflow:"
"""What the key of an alert begins with that tells of a broken file; then comes the name of the workflow.

The alert's `phase` is the path of the file, which tells people where. The key is empty for a place that is no file.
"""


class FactKind(StrEnum):
    """What the journal may tell."""

    PUBLISHED = "published"  # written by the bus itself for every message that a commit lands
    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"
    SKIPPED = "skipped"
    MISSED = "missed"
    FILE = "file"
    QUARANTINED = "quarantined"
    ALERT = "alert"
    RELOAD = "reload"
    CANCELLED = "cancelled"
    BATCH = "batch"  # an open batch began, stopped, goes on, or came to its end
    PAUSED = "paused"
    RESUMED = "resumed"
    MOVED = (
        "moved"  # a message lies on another topic than before: `topic` is the new one, `cause` `moved:OLD`
    )
    AGAIN = "again"  # a worker put a task back, which waits for another try that does not count
    LATE = "late"  # a task that has not come to its end within its time to live
    LOST = "lost"  # a worker vanished with a task in its hands, and it is offered again
    VANISHED = "vanished"  # a process is not heard of any more that did not say goodbye
    ABSENT = "absent"  # no file came in the time in which one was expected
    BACKUP = "backup"  # backups of the history work again
    ACKED = "acked"  # a person knows of an incident (`key`)
    MUTED = "muted"  # a person wants to hear nothing of `key` until `due`
    UNMUTED = "unmuted"
    INCIDENT = "incident"  # what failed alike is over: `incident` is what it came to


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that was seen, and what came of it.

    `moment` is the data time in its path (RFC 3339, UTC; empty when there is none), `source` where it was heard of:
    folder, bucket, topic or hand. `names` and `keys` are of the first tasks that it started, `tasks` how many it
    started in all. `state` is started, counted (in a group), waits, skipped, known, vanished, deleted or unmatched.
    `groups` are those that it started, or in which it counts.
    """

    path: str
    size: int = 0
    version: str = ""
    moment: str = ""
    source: str = ""
    state: str = "unmatched"
    names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    tasks: int = 0
    groups: tuple[str, ...] = ()


class Past(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an incident came to that is over; its id is the key of the fact, its error the text.

    `stage` is recovered (its subject went well) or over (it did not come again). `total` counts what happened,
    `messages` what people were told, `dates` are the data times as ranges. Times are microseconds since 1970 UTC, 0
    for never.
    """

    kind: str
    name: str
    stage: str
    first_us: int
    last_us: int
    ended_us: int
    total: int
    messages: int = 0
    told_us: int = 0
    channel: str = ""
    dates: str = ""
    acked_by: str = ""
    acked_us: int = 0
    reason: str = ""


class PhaseText(msgspec.Struct, frozen=True, omit_defaults=True):
    """A phase as it was written in the file that was loaded; `name` is unique in its file, `line` counts from 1."""

    name: str
    line: int = 0
    task: str = ""
    depends_on: str = ""
    rule: str = ""
    retry: int = 0
    template: str = ""


class Fact(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One thing that happened, for those who follow the journal.

    `key` is the dispatch key that it is about, `text` the reason in words for people; `task` is the task as it was at
    that moment. `due` is microseconds since 1970 UTC, 0 when not delayed; of starts that were left out (SKIPPED,
    MISSED) it is the last planned instant, while `cause` is the slot of the first. `file` is what a FILE fact is
    about, `phases` are those of the workflow that a RELOAD fact names, `incident` is what an INCIDENT fact is about.
    `mode` and `to` of an ALERT say how (`alert=`) and where (`alert_to=`) its phase wants it told.
    """

    kind: FactKind
    key: str = ""
    topic: str = ""
    phase: str = ""
    revision: str = ""
    cause: str = ""
    batch: str = ""
    priority: int = 5
    due: int = 0
    text: str = ""
    task: Task | None = None
    report: Report | None = None
    file: Seen | None = None
    phases: tuple[PhaseText, ...] = ()
    incident: Past | None = None
    mode: str = ""
    to: str = ""


class Quarantined(msgspec.Struct, frozen=True):
    """A message that cannot be understood, kept byte for byte with the reason."""

    topic: str
    payload: bytes
    reason: str


class Series(msgspec.Struct, frozen=True, gc=False):
    """Messages of one start for one topic, in the form in which they travel: they differ in task and key alone.

    `payloads` are their tasks as `model.task.encode` writes them, and the fields between are those of `Message`.
    `identities` are what the tasks hold the group `holds` under, one for each; none when that is empty.
    """

    topic: str
    keys: tuple[str, ...]
    payloads: tuple[bytes, ...]
    priority: int = DEFAULT_PRIORITY
    timeout_ns: int = 0
    phase: str = ""
    revision: str = ""
    cause: str = ""
    batch: str = ""
    holds: str = ""
    identities: tuple[str, ...] = ()

    def messages(self) -> list[Message]:
        """Return the messages."""
        return [
            Message(
                self.topic,
                decode(payload),
                key,
                self.priority,
                None,
                self.timeout_ns,
                self.phase,
                self.revision,
                self.cause,
                self.batch,
                None,
                self.holds,
            )
            for key, payload in zip(self.keys, self.payloads, strict=True)
        ]


class Mould(NamedTuple):
    """What the messages of one phase have in common, whatever starts them; the fields are those of `Message`."""

    topic: str
    priority: int
    timeout_ns: int
    phase: str
    revision: str


class Child(msgspec.Struct, frozen=True, gc=False):
    """A message in the form in which it travels, for a plan that tells of it.

    `payload` is its task as `model.task.encode` writes it, `common` what it has in common with the fact that tells of
    it, as `Rendered` has it.
    """

    mould: Mould
    key: str
    payload: bytes
    cause: str
    common: bytes

    @property
    def message(self) -> Message:
        """The message."""
        topic, priority, timeout_ns, phase, revision = self.mould
        task = decode(self.payload)
        return Message(topic, task, self.key, priority, None, timeout_ns, phase, revision, self.cause)


class FrozenBatch(msgspec.Struct, frozen=True):
    """A large batch, expanded once and then published chunk by chunk by the bus (`Bus.advance`)."""

    key: str
    messages: tuple[Message, ...]


class OpenBatch(msgspec.Struct, frozen=True):
    """A batch that is too large to be made at once: its tasks are made and published bit by bit, by any daemon.

    `recipe` tells what to make and `at` how far that has come, as `decide.recipe` writes them; `most` is how many
    tasks it makes at most. The bus holds them as the marks `recipe:<key>` and `batch:<key>`.

    `holds` is a group that the batch itself holds open, beside its tasks, until the outcome `batch:<key>` is recorded.
    """

    key: str
    recipe: str
    at: str
    most: int
    holds: str = ""


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What must land together with the acknowledgement of what caused it.

    `publish` goes to topics now, `later` waits for its `due`, `dead` goes to the topic that its messages name and
    is told as dead in the journal, `frozen` is published in chunks, `opened` is made while it is published. `series`
    go to their topics now, as `publish` does: the tasks of a part of a batch. `children` do, too, ahead of all others,
    and `told` are facts ahead of all others, as JSON without brackets: that the children are published is among them.
    """

    publish: tuple[Message, ...] = ()
    later: tuple[Message, ...] = ()
    dead: tuple[Message, ...] = ()
    frozen: tuple[FrozenBatch, ...] = ()
    opened: tuple[OpenBatch, ...] = ()
    quarantine: tuple[Quarantined, ...] = ()
    facts: tuple[Fact, ...] = ()
    series: tuple[Series, ...] = ()
    children: tuple[Child, ...] = ()
    told: bytes = b""

    @property
    def messages(self) -> tuple[Message, ...]:
        """Every message of this plan that is made already."""
        found = tuple(child.message for child in self.children)
        found += self.publish + self.later + self.dead + tuple(m for b in self.frozen for m in b.messages)
        return found + tuple(message for series in self.series for message in series.messages())

    @property
    def all_facts(self) -> tuple[Fact, ...]:
        """Every fact of this plan but those that tell of its messages."""
        told = (fact for fact in facts_in(self.told) if fact.kind is not FactKind.PUBLISHED)
        return (*told, *self.facts)

    @property
    def size(self) -> int:
        """How many messages that are."""
        found = len(self.children) + len(self.publish) + len(self.later) + len(self.dead)
        if self.series:
            found += sum(len(series.keys) for series in self.series)
        return found + sum(len(batch.messages) for batch in self.frozen) if self.frozen else found

    @property
    def stamps(self) -> int:
        """How many tasks may get a stamp of this plan, those of open batches included."""
        return self.size + sum(batch.most for batch in self.opened) if self.opened else self.size


def facts_in(told: bytes) -> list[Fact]:
    """Read facts, JSON without brackets."""
    return _decode_facts(b"[%b]" % told) if told else []


_decode_facts = msgspec.json.Decoder(list[Fact]).decode


class _Anything:
    """The type of ANY."""

    def __repr__(self) -> str:
        return "ANY"


ANY = _Anything()
"""As `Mark.seen`: whatever the mark holds, set it."""


class Mark(msgspec.Struct, frozen=True):
    """A compare-and-set cell on the bus.

    `seen` is the value that the decision saw, None when absent; `new` the value to set, None to remove it.
    `ttl_s` lets the bus sweep it that many seconds after it was last set; 0 keeps it for ever.
    """

    key: str
    seen: str | _Anything | None
    new: str | None
    ttl_s: int = 0


class Rendered(NamedTuple):
    """The bytes of a commit's only message: its payload, and what it has in common with the fact that tells of it."""

    payload: bytes
    common: bytes


class Commit(msgspec.Struct, frozen=True, gc=False):
    """A plan with everything that must hold for it to land, and what ends with it.

    `outcomes` are identities of the dispatch whose result this is: when one of them is recorded already, the
    result came twice, so the plan is dropped and only the acknowledgement lands.
    `rendered` spares the bus to encode the message: for a plan of one message and nothing else.
    """

    plan: Plan = Plan()
    acknowledge: tuple[Delivery, ...] = ()
    marks: tuple[Mark, ...] = ()
    outcomes: tuple[str, ...] = ()
    rendered: Rendered | None = None


class Committed(msgspec.Struct, frozen=True):
    """The commit landed; `duplicate` when its outcome had been recorded before and only the acknowledgement landed."""

    duplicate: bool = False
