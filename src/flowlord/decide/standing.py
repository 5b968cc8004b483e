"""How batches stand: what the marks on the bus say of those that were asked for, go on, or wait for a person."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from flowlord.decide.batch import ENDED, HALTED, OPEN, Ended, Halted, is_backload, name_of
from flowlord.decide.recipe import Position, Recipe, decode_position

ASKED = "backload:"
"""Prefix of the mark that says that a backload was asked for: the same one is not asked for twice."""
ASKED_S = 30 * 24 * 3600
"""So long the same request sends nothing."""

T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of a request: what for, how many tasks, by whom (`user@host`), when (microseconds UTC)."""

    task: str
    total: int
    by: str
    at_us: int
    words: str = ""  # the range and the pace, for people


class Standing(msgspec.Struct, frozen=True):
    """A batch as it stands.

    `state` is running; paused (by a person), stopped (by itself, `why`); published, cancelled. `key` is that of its
    marks, `seen` the mark that says so, `at` how far it is. `total` is -1 when nobody counted.
    """

    id: str
    key: str
    task: str
    state: str
    at: Position
    total: int = -1
    by: str = ""
    at_us: int = 0
    words: str = ""
    why: str = ""
    seen: str = ""
    holds: str = ""


def standing_of(key: str, marks: dict[str, str], recipe: Recipe | None) -> Standing | None:
    """Return how a batch stands; None when there is none.

    Args:
        marks: its marks of all prefixes, as far as they exist.
        recipe: of the mark `recipe:`, None when that is gone.
    """
    asked = _read(marks.get(ASKED + key), Asked)
    ended = _read(marks.get(ENDED + key), Ended)
    halted = _read(marks.get(HALTED + key), Halted)
    at = decode_position(marks.get(OPEN + key, ""))
    state, where, why, seen = "published", Position(sent=max(asked.total, 0) if asked else 0), "", ""
    if at is not None:
        state, where, seen = "running", at, marks[OPEN + key]
    elif halted is not None:
        state, where, seen = "paused" if halted.by else "stopped", halted.at, marks[HALTED + key]
        why = f"paused by {halted.by}" if halted.by else halted.why
    elif ended is not None:
        state, where = "cancelled" if ended.by else "published", Position(made=ended.made, sent=ended.sent)
        why = f"cancelled by {ended.by}" if ended.by else ""
    elif asked is None:
        return None
    backload = recipe is None or is_backload(recipe)
    return Standing(
        id=key if recipe is None else name_of(key, recipe),
        key=key,
        task=asked.task if asked else recipe.base_name if recipe else "",
        state=state,
        at=where,
        total=asked.total if asked else -1,
        by=asked.by if asked else "" if recipe is None else recipe.cause or recipe.slot,
        at_us=asked.at_us if asked else 0,
        words=asked.words if asked else "",
        why=why,
        seen=seen,
        holds=f"{ASKED}{key}" if backload else "",
    )


def _read(text: str | None, kind: type[T]) -> T | None:
    return None if text is None else msgspec.json.decode(text, type=kind)
