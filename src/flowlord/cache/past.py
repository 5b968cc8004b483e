"""Incidents that are over, as the history keeps them."""

# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

import msgspec

from flowlord.cache.queries import History
from flowlord.model.plan import Past

_COLUMNS = (
    "id, workflow, phase, error, kind, name, stage, first_us, last_us, ended_us, total, messages, told_us, channel, "
    "dates, acked_by, acked_us, reason"
)


class Kept(msgspec.Struct, frozen=True):
    """One of them. `id` comes again when the bus lost its data, or when the incident came again within a day."""

    id: str
    workflow: str
    phase: str
    error: str
    past: Past


def ended_since(history: History, since_us: int) -> list[Kept]:
    """Return the incidents that ended since then (microseconds since 1970 UTC), the oldest first."""
    rows = history.rows(f"SELECT {_COLUMNS} FROM incidents WHERE at_us >= ? ORDER BY n", (since_us,))
    newer = [row[1:] for row in history.newer_incidents if int(str(row[0])) >= since_us]
    return [_kept(row) for row in (*rows, *newer)]


def last_of(history: History, id_: str) -> Kept | None:
    """Return what the incident of that id came to when it was over last; None when the history has none."""
    rows = history.rows(f"SELECT {_COLUMNS} FROM incidents WHERE id = ? ORDER BY n DESC LIMIT 1", (id_,))
    found = [row[1:] for row in history.newer_incidents if row[1] == id_] or list(rows)
    return _kept(found[-1]) if found else None


def _kept(row: tuple[object, ...]) -> Kept:
    id_, workflow, phase, error, *about = row
    return Kept(str(id_), str(workflow), str(phase), str(error), Past(*about))  # type: ignore[arg-type]
