"""The attempts that a filter selects: what history tells, corrected by what the bus knows better."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowlord.cache.attempt import OPEN, Attempt, State
from flowlord.cache.queries import ORDERS, PAGE, Filter, History
from flowlord.cli.attempts import of_peeked, running, set_by_bus, told_by_bus
from flowlord.cli.sources import Sources
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.bus.port import Peeked

TOLD = 1_000
"""Open attempts of which the bus is asked at a time."""


def history_for(sources: Sources, wanted: Filter) -> History:
    """Return the history, as fresh as the states that are asked for need it."""
    return sources.history(fresh=not wanted.states or bool(wanted.states & OPEN))


def selected(sources: Sources, wanted: Filter, now_us: int, size: int = PAGE) -> Iterator[Attempt]:
    """Yield what is wanted: first what runs, when that is asked for, then what happened last first."""
    states = wanted.states
    history = history_for(sources, wanted)
    given: set[str] = set()
    if State.RUNNING in states:
        for attempt in held(sources, history, wanted, now_us):
            given.add(attempt.key)
            yield attempt
        if states == {State.RUNNING}:
            return
    for page in history.pages(wanted, now_us, size):
        _ask(sources, page)
        for attempt in page:
            if attempt.key not in given and wanted.accepts(attempt, now_us):
                yield attempt


def in_order(sources: Sources, wanted: Filter, now_us: int, sort: str, limit: int) -> list[Attempt]:
    """Return what is wanted in the order of `sort`, one of ORDERS, with `-` before it the largest first.

    Raises:
        FlowlordError: nothing can be sorted by that.
    """
    descending, by = sort.startswith("-"), sort.removeprefix("-")
    if by not in ORDERS:
        raise FlowlordError(
            f"--sort {by[:40]!r} is nothing to sort by",
            hint=f"write one of {', '.join(ORDERS)}; - before it begins with the largest",
        )
    runs = (
        held(sources, history_for(sources, wanted), wanted, now_us) if State.RUNNING in wanted.states else []
    )
    found: list[Attempt] = []
    if wanted.states != {State.RUNNING}:
        found = history_for(sources, wanted).ordered(wanted, now_us, by, limit, descending=descending)
        for at in range(0, len(found), TOLD):
            _ask(sources, found[at : at + TOLD])
    keys = {attempt.key for attempt in runs}
    whole = [*runs, *(each for each in found if each.key not in keys and wanted.accepts(each, now_us))]
    return sorted(whole, key=ORDERS[by], reverse=descending)[: limit or None]


def held(sources: Sources, history: History, wanted: Filter, now_us: int) -> list[Attempt]:
    """Return what workers hold now and is wanted."""
    nothing: list[Peeked] = []
    found = sources.ask(running, nothing)
    known = history.by_keys(each.key for each in found if each.key)
    attempts = []
    for each in found:
        attempt = known.get(each.key)
        if attempt is None:
            attempt = of_peeked(each)
        else:
            set_by_bus(attempt, each)
        if wanted.accepts(attempt, now_us):
            attempts.append(attempt)
    return attempts


def _ask(sources: Sources, attempts: list[Attempt]) -> None:
    if any(attempt.state in OPEN for attempt in attempts):
        sources.ask(lambda bus: told_by_bus(attempts, bus), None)
