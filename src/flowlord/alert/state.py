"""What is known of alerts: incidents, mutes, the pace of each channel, and the notices that are on their way."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from flowlord.alert.port import Notice


class EventKind(StrEnum):
    """What happened, as far as it makes a difference to those who are told."""

    TASK = "task"  # it failed for good, or killed its workers
    RESULT = "result"  # it ended in `alert`: told at once, always
    LATE = "late"
    MISSED = "missed"  # starts that were left out
    ABSENT = "absent"  # a file that did not come in time
    PHASE = "phase"  # it could not do what its event asked for
    WORKFLOW = "workflow"  # a file of workflows is broken
    MESSAGE = "message"  # bytes that cannot be understood
    BATCH = "batch"  # it stopped
    PROCESS = "process"  # a worker or taskmaster vanished
    BACKUP = "backup"
    BUS = "bus"
    OTHER = "other"


ENDS: frozenset[EventKind] = frozenset(
    {
        EventKind.TASK,
        EventKind.LATE,
        EventKind.MISSED,
        EventKind.ABSENT,
        EventKind.PHASE,
        EventKind.WORKFLOW,
        EventKind.BACKUP,
    }
)
"""What can be over by something that went well; the rest is over when it has not come again for a while."""


class Mode(StrEnum):
    """How a phase wants to be told of (`alert=`)."""

    EVERY = "every"
    EDGE = "edge"
    DIGEST = "digest"
    NONE = "none"


class Event(msgspec.Struct, frozen=True):
    """One thing that people may have to know.

    `subject` is what must go well again for it to be over: a phase, a task's name, or `file:` and a workflow. `hour` is
    the data time in hours since 1970 UTC, None when unknown. `batch` is the start that a task which failed belongs to.
    `count` is how many things happened at once, such as starts that were missed.
    """

    kind: EventKind
    at_us: int
    text: str
    subject: str = ""
    name: str = ""
    workflow: str = ""
    phase: str = ""
    hour: int | None = None
    mode: Mode = Mode.EDGE
    to: str = ""
    batch: str = ""
    count: int = 1


class Ending(msgspec.Struct, frozen=True):
    """A subject went well at `at_us`, in the start `batch`; empty: in one of its own, or at a further try."""

    subject: str
    at_us: int
    batch: str = ""


class Trying(msgspec.Struct, frozen=True):
    """A task of a subject failed and is tried once more, under the dispatch key `key`."""

    subject: str
    at_us: int
    key: str


class Tried(msgspec.Struct, frozen=True):
    """That try came to its end, whichever."""

    subject: str
    at_us: int
    key: str


class ActKind(StrEnum):
    """What a person may do about an alert."""

    ACK = "ack"
    MUTE = "mute"
    UNMUTE = "unmute"


class Act(msgspec.Struct, frozen=True):
    """What a person did; `target` is an incident or, of a mute, also a workflow, a phase or a topic."""

    kind: ActKind
    at_us: int
    target: str
    by: str = ""
    reason: str = ""
    until_us: int = 0


Happening = Event | Ending | Trying | Tried | Act


class Stage(StrEnum):
    """Where an incident is; OVER is one that did not come again, without anything that went well."""

    OPEN = "open"
    RECOVERED = "recovered"
    OVER = "over"


class Incident(msgspec.Struct, frozen=True, omit_defaults=True):
    """Events that are one thing to a person: of one kind and subject, with one reason when numbers are left aside.

    `total` counts events, `fresh` and `hours` (data times) those that were not told yet, `before` the others. `good_us`
    is when the subject went well since the last event, `window_us` how long it must be quiet from then on until that
    counts; what goes well in `batch`, the start of the last event, is no end of it. `told` counts notices, `thread` is
    what the channel `thread_of` returned for the last one. Times are microseconds UTC, 0 for never.
    """

    id: str
    group: str
    kind: EventKind
    subject: str
    name: str
    error: str
    mode: Mode = Mode.EDGE
    to: str = ""
    workflow: str = ""
    phase: str = ""
    stage: Stage = Stage.OPEN
    first_us: int = 0
    last_us: int = 0
    total: int = 0
    fresh: int = 0
    hours: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    good_us: int = 0
    window_us: int = 0
    batch: str = ""
    ended_us: int = 0
    told: int = 0
    told_us: int = 0
    acked_us: int = 0
    acked_by: str = ""
    reason: str = ""
    thread: str = ""
    thread_of: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.stage is Stage.OPEN

    @property
    def is_immediate(self) -> bool:
        """Whether each event of it is told at once."""
        return self.kind is EventKind.RESULT or self.mode is Mode.EVERY


def fits(pattern: str, names: Iterable[str]) -> bool:
    """Whether the pattern is one of these names, or one fits it (`*` stands for anything); empty names never do."""
    return any(each and (each == pattern or fnmatch.fnmatchcase(each, pattern)) for each in names)


def names_of(incident: Incident) -> tuple[str, ...]:
    """Return all by which people may call an incident; some may be empty."""
    topic = incident.name.partition(":")[0]
    return (incident.id, incident.workflow, incident.phase, incident.name, topic)


class Mute(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nothing of `target` is told until `until_us`."""

    target: str
    until_us: int
    since_us: int = 0
    by: str = ""
    reason: str = ""

    def covers(self, incident: Incident) -> bool:
        """Whether it is about this incident: by its id, workflow, phase, task or topic; `*` stands for anything."""
        return fits(self.target, names_of(incident))


class Pace(msgspec.Struct, frozen=True, omit_defaults=True):
    """How often one channel is written to.

    `wait_us` lies between two digests, the next one is due at `due_us` (0: none is). `stirred` tells that something
    happened since the last one. `news_us` and `results_us` are when what was told at once will be used up (see `_may`
    in `tell`), `rest_us` until when the channel wants to be left alone.
    """

    wait_us: int
    due_us: int = 0
    stirred: bool = False
    news_us: int = 0
    results_us: int = 0
    rest_us: int = 0
    failures: int = 0


class Pending(msgspec.Struct, frozen=True, omit_defaults=True):
    """A notice that is decided and not delivered yet.

    `due_us` is when it is tried next, `sending_us` since when it is being sent: whoever finds that set and does not
    send it himself cannot know whether it arrived. `lasting` tells that the channel refuses it for good.
    """

    notice: Notice
    incidents: tuple[str, ...] = ()
    tries: int = 0
    due_us: int = 0
    sending_us: int = 0
    error: str = ""
    lasting: bool = False
    doubtful: bool = False


class State(msgspec.Struct, frozen=True):
    """All of it. `cursor` is the last entry of the journal that is in it, `begun_us` before when nothing is news.

    `number` and `noticed` are how many incidents and notices there ever were; `wake_us` is when time alone brings
    something about (0: never). `tries` are further tries that did not end yet: by subject, their dispatch
    keys and when they began (microseconds).
    """

    cursor: int = 0
    generation: str = ""
    begun_us: int = 0
    number: int = 0
    noticed: int = 0
    wake_us: int = 0
    incidents: dict[str, Incident] = {}
    groups: dict[str, str] = {}
    mutes: dict[str, Mute] = {}
    paces: dict[str, Pace] = {}
    pending: dict[str, Pending] = {}
    tries: dict[str, dict[str, int]] = {}

    @property
    def subjects(self) -> frozenset[str]:
        """Whose success makes a difference."""
        return frozenset(
            each.subject for each in self.incidents.values() if each.is_open and not each.good_us
        )

    @property
    def tried(self) -> frozenset[str]:
        """The dispatch keys of further tries whose end makes a difference."""
        return frozenset(key for keys in self.tries.values() for key in keys)

    def incident_of(self, group: str) -> Incident | None:
        """Return the last incident of a group."""
        found = self.groups.get(group)
        return self.incidents.get(found) if found else None
