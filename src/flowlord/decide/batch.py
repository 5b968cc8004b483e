"""What becomes of an open batch: the next part of it, its end, and its stop when it cannot go on. No I/O in here."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import msgspec

from flowlord.decide.maker import Maker
from flowlord.decide.recipe import (
    Cell,
    Position,
    Recipe,
    behind,
    encode_position,
    encode_recipe,
)
from flowlord.model.plan import ANY, Commit, Fact, FactKind, Mark, Plan, Series

OPEN = "batch:"
"""Prefix of the mark that says how far a batch is, as long as it goes on; the bus sets it when the batch is opened."""
RECIPE = "recipe:"
HALTED = "halted:"
"""Prefix of the mark that holds a batch which does not go on until a person says so."""
HALTED_S = 30 * 24 * 3600
"""So long a batch that was stopped can go on, and a backload that ended is remembered."""
ENDED = "ended:"
"""Prefix of the mark that tells how a backload ended."""
CHUNK = 500
MOST_LEFT_OUT = 50_000
"""Cells that one part may pass over."""


class Halted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A batch that was stopped: where, why, and whether by a person."""

    at: Position
    why: str
    by: str = ""


class Ended(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a backload ended: after how many numbers and how many tasks, and who cancelled it, if so."""

    made: int
    sent: int
    by: str = ""


class Part(msgspec.Struct, frozen=True):
    """The next tasks of a batch, and the position behind them; `ends` with the last. `why` it cannot go on, if so."""

    series: Series
    at: Position
    ends: bool = False
    why: str = ""


def next_part(maker: Maker, recipe: Recipe, at: Position, coming: Iterable[Cell], most: int = CHUNK) -> Part:
    """Return the next part of a batch.

    Args:
        at: where the batch is.
        coming: an iterator over the cells behind it, of which as many are taken as the part has.
        most: tasks in a part; a batch ends with a part that has fewer.
    """
    some, ends = _taken(maker, at, coming, min(most, recipe.limit - at.made + 1))
    why = ""
    if at.made + len(some) > recipe.limit:
        some.pop()
        ends, why = False, f"it makes more than {recipe.limit:,} tasks; batch_limit= in the rule allows more"
    try:
        series = maker.series(at.made, some)
    except ValueError as error:  # one of them: up to it they are good
        some, ends, why = _good(maker, at, some), False, str(error)
        series = maker.series(at.made, some)
    return Part(series, behind(at, some, len(series.keys)), ends, why)


def _taken(maker: Maker, at: Position, coming: Iterable[Cell], most: int) -> tuple[list[Cell], bool]:
    """Take cells until `most` of them become tasks, or so many that it takes a while; and tell whether that is all."""
    if not maker.chooses:
        some = list(islice(coming, most))
        return some, len(some) < most
    some, tasks = [], 0
    for cell in coming:
        tasks += maker.is_chosen(at.made + len(some))
        some.append(cell)
        if tasks == most or len(some) == MOST_LEFT_OUT:
            return some, False
    return some, True


def _good(maker: Maker, at: Position, some: list[Cell]) -> list[Cell]:
    """Return the cells in front of the first that makes no task."""
    for n, cell in enumerate(some):
        try:
            maker.series(at.made + n, [cell])
        except ValueError:
            return some[:n]
    return some


def part_commit(key: str, recipe: Recipe, at: Position, part: Part) -> Commit:
    """Return the commit that publishes a part: it lands only where the batch still is at `at`."""
    seen = encode_position(at)
    if not part.ends:
        marks: tuple[Mark, ...] = (Mark(OPEN + key, seen, encode_position(part.at)),)
        return Commit(Plan(series=(part.series,)), marks=marks)
    marks = (
        Mark(OPEN + key, seen, None),
        Mark(RECIPE + key, ANY, None),
        *ended(key, recipe, Ended(part.at.made, part.at.sent)),
    )
    told = batch_fact(recipe, f"all {part.at.sent:,} tasks of the batch are published")
    # With its outcome it holds no group open any more, only its tasks do.
    outcomes = (f"{OPEN}{key}",) if recipe.holds_itself else ()
    return Commit(Plan(series=(part.series,), facts=(told,)), marks=marks, outcomes=outcomes)


def ended(key: str, recipe: Recipe, how: Ended) -> tuple[Mark, ...]:
    """Return the mark that remembers the end of a backload; none for other batches."""
    if not is_backload(recipe):
        return ()
    return (Mark(ENDED + key, ANY, msgspec.json.encode(how).decode(), ttl_s=HALTED_S),)


def resume_commit(key: str, recipe: Recipe, seen: str, at: Position, by: str) -> Commit:
    """Return the commit that lets a batch go on from `at`; `seen` is the mark of its halt."""
    marks = (
        Mark(HALTED + key, seen, None),
        Mark(OPEN + key, None, encode_position(at)),
        Mark(RECIPE + key, ANY, encode_recipe(recipe)),
    )
    return Commit(Plan(facts=(batch_fact(recipe, f"resumed by {by}; {progress(recipe, at)}"),)), marks=marks)


def cancel_commit(key: str, recipe: Recipe, seen: str, at: Position, by: str) -> Commit:
    """Return the commit that ends a batch which was halted before its end; `seen` is the mark of its halt."""
    marks = (
        Mark(HALTED + key, seen, None),
        Mark(RECIPE + key, ANY, None),
        *ended(key, recipe, Ended(at.made, at.sent, by)),
    )
    outcomes = (f"{OPEN}{key}",) if recipe.holds_itself else ()
    told = batch_fact(recipe, f"cancelled by {by}; {progress(recipe, at)}")
    return Commit(Plan(facts=(told,)), marks=marks, outcomes=outcomes)


def recall_commit(key: str, at: Position, by: str) -> Commit:
    """Return the commit that remembers of a backload which was all published that it was cancelled afterwards."""
    how = Ended(at.made, at.sent, by)
    told = Fact(
        FactKind.BATCH, batch=key, cause=f"backload:{key}", text=f"cancelled by {by} when all was published"
    )
    mark = Mark(ENDED + key, ANY, msgspec.json.encode(how).decode(), ttl_s=HALTED_S)
    return Commit(Plan(facts=(told,)), marks=(mark,))


def is_backload(recipe: Recipe) -> bool:
    """Tell whether a batch was asked for by a person."""
    return recipe.slot.startswith("backload:")


def halt_commit(key: str, recipe: Recipe, at: Position, why: str, *, by: str = "") -> Commit:
    """Return the commit that stops a batch where it is; an alert tells why, unless it was a person (`by`)."""
    halted = Halted(at, why, by)
    marks = (
        Mark(OPEN + key, encode_position(at), None),
        Mark(HALTED + key, ANY, msgspec.json.encode(halted).decode(), ttl_s=HALTED_S),
        Mark(RECIPE + key, ANY, encode_recipe(recipe), ttl_s=HALTED_S),
    )
    text = f"paused by {by}" if by else why
    facts = [batch_fact(recipe, f"{text}; {progress(recipe, at)}")]
    if not by:
        way = f"mend it, then `flowlord backload resume {name_of(key, recipe)}`, or `cancel` instead"
        told = f"the batch of {recipe.base_name} stopped: {why}; {progress(recipe, at)}. To go on: {way}"
        alert = msgspec.structs.replace(facts[0], kind=FactKind.ALERT, text=told)
        facts.append(msgspec.structs.replace(alert, mode=recipe.alert, to=recipe.alert_to))
    return Commit(Plan(facts=tuple(facts)), marks=marks)


def batch_fact(recipe: Recipe, text: str) -> Fact:
    """Return the record of something that happened to a batch."""
    return Fact(
        FactKind.BATCH,
        topic=recipe.topic,
        phase=recipe.phase,
        revision=recipe.revision,
        cause=recipe.cause or recipe.slot,
        batch=recipe.batch,
        text=text,
    )


def progress(recipe: Recipe, at: Position) -> str:
    """Return how far a batch is, in words."""
    words = f"{at.sent:,} of its tasks were published before"
    if at.file >= 0 and at.line:
        words += f", up to line {at.line:,} of {recipe.files[at.file].path}"
    return words


def name_of(key: str, recipe: Recipe) -> str:
    """Return the name by which a person calls a batch: a backload's own, else the begin of its key."""
    return recipe.batch if is_backload(recipe) else key[:12]
