"""What a decision is given besides its event: everything that the core may not ask for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from flowlord.decide.recipe import File
from flowlord.model.paused import NOTHING, Paused

Rows = Sequence[Mapping[str, str]]


class Source(msgspec.Struct, frozen=True):
    """A meta-file as it was found: its files with their versions, and its rows, all of them with `is_whole`."""

    rows: Rows
    files: tuple[File, ...] = ()
    is_whole: bool = True


class Context(msgspec.Struct, frozen=True):
    """The moment and the surroundings of a decision.

    `now` is aware, UTC; `jitter` in [0, 1), drawn by the shell; `failed_topic` empty or `-` sends dead letters nowhere.
    `sources` holds what was read for each `meta-file` that the decision needs, or the reason why it was not.
    """

    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    jitter: float = 0.0
    host: str = ""
    failed_topic: str = "retry-failed"
    done_topic: str = "done"
    max_deliveries: int = 3
    sources: Mapping[str, Source | Rows | str] = msgspec.field(default_factory=dict)
    paused: Paused = NOTHING
