"""What people have paused: phases, workflows and topics, from when to when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

if TYPE_CHECKING:
    from flowlord.model.workflow import Phase

MARK = "control:paused"
"""The mark on the bus that holds all pauses as JSON."""
WORKFLOWS = (".toml", ".yaml", ".yml")
TOPIC = "topic:"


class Pause(msgspec.Struct, frozen=True, omit_defaults=True):
    """One pause of one target.

    `target` is `topic:NAME`, the name of a workflow file, or a phase as `TOPIC:JOB` or `WORKFLOW:TOPIC:JOB`. It holds
    from `since` until `until` (aware, UTC; None: until somebody resumes). What a pause left out is started afterwards
    only with `catchup`.
    """

    target: str
    since: Annotated[datetime, msgspec.Meta(tz=True)]
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    catchup: bool = False
    by: str = ""
    reason: str = ""

    def is_on(self, now: datetime) -> bool:
        """Tell whether it holds at `now` (aware)."""
        return self.since <= now and (self.until is None or now < self.until)

    @property
    def words(self) -> str:
        """What a person is told of it."""
        who = f" by {self.by}" if self.by else ""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.target} was paused{who} at {self.since:%Y-%m-%dT%H:%M:%SZ}{why}"


class Paused(msgspec.Struct, frozen=True):
    """Every pause that holds, or did not long ago: what it left out may still have to be told."""

    pauses: tuple[Pause, ...] = ()

    def of_phase(self, phase: Phase) -> Iterator[Pause]:
        """Yield the pauses that are about a phase, by itself or with its workflow."""
        names = (
            phase.workflow,
            phase.identity,
            f"{phase.workflow}:{phase.base_name}",
            phase.name,
            phase.base_name,
        )
        for pause in self.pauses:
            if pause.target in names:
                yield pause

    def phase(self, phase: Phase, now: datetime) -> Pause | None:
        """Return the pause that keeps a phase from starting at `now`, None when it may start."""
        return (
            next((pause for pause in self.of_phase(phase) if pause.is_on(now)), None) if self.pauses else None
        )

    def topic(self, topic: str, now: datetime) -> Pause | None:
        """Return the pause for which the tasks of a topic wait at `now`, None when they are worked on."""
        return next((p for p in self.pauses if p.target == TOPIC + topic and p.is_on(now)), None)

    def on(self, now: datetime) -> tuple[Pause, ...]:
        """Return the pauses that hold at `now`."""
        return tuple(pause for pause in self.pauses if pause.is_on(now))


NOTHING = Paused()


def target_of(text: str) -> str:
    """Return a target as it is kept: a bare name is a topic, unless it is a workflow file or a phase."""
    text = text.strip()
    if ":" in text or text.endswith(WORKFLOWS):
        return text
    return TOPIC + text
