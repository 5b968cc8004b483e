"""What is to be expected of a backload: how long it takes with the workers that are there, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowlord.cache.days import DAY_US, days
from flowlord.cli.texts import few, some
from flowlord.cli.times import took
from flowlord.decide.forecast import Forecast, forecast
from flowlord.model.errors import BusError

if TYPE_CHECKING:
    from flowlord.cache.queries import History
    from flowlord.cli.sources import Sources
    from flowlord.decide.recipe import Recipe
    from flowlord.model.workflow import Phase, Workflows

DAYS: Final = 30
"""So many days of the history tell how long a task takes."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """`each_us` is what a task took on average, 0 when nobody knows; `slots` are those of workers, busy or not."""

    topic: str
    children: tuple[str, ...] = ()
    each_us: int = 0
    slots: int = 0
    ahead: Forecast | None = None

    def lines(self) -> Iterator[str]:
        """Say it to people."""
        if self.each_us:
            told = f"takes    about {took(self.each_us)} each"
            if self.ahead is None:
                told += f"; no worker is there that takes {self.topic}"
            else:
                told += f", {took(self.ahead.takes_us)} in all with {some(self.slots, 'slot')} of workers"
                told += f"; at most {self.ahead.waiting:,} wait at a time" if self.ahead.waiting else ""
            yield told
        if self.children:
            yield f"follows  {few(self.children)}, when a task of it is complete"

    def record(self) -> dict[str, object]:
        """Return it for programs; times in seconds, null where nobody knows."""
        return {
            "children": list(self.children),
            "each_s": self.each_us / 1e6 if self.each_us else None,
            "slots": self.slots if self.each_us else None,
            "takes_s": self.ahead.takes_us / 1e6 if self.ahead else None,
            "most_waiting": self.ahead.waiting if self.ahead else None,
        }


def outlook(
    recipe: Recipe, count: int, flows: Workflows, history: History | None, sources: Sources, now_us: int
) -> Outlook:
    """Look at what is known of such tasks; the bus is asked for workers only where it is known how long they take."""
    children = tuple(dict.fromkeys(each.base_name for each in _below(recipe, flows)))
    each_us = _usual(history, recipe, now_us // DAY_US) if history is not None else 0
    if not each_us or not count:
        return Outlook(recipe.topic, children)
    slots = _slots(sources, recipe.topic)
    ahead = forecast(count, each_us, slots, recipe.pace) if slots else None
    return Outlook(recipe.topic, children, each_us, slots, ahead)


def _below(recipe: Recipe, flows: Workflows) -> Iterator[Phase]:
    """Yield the phases that follow, and what follows from these; cycles are no workflows, and were refused."""
    left = list(flows.children(recipe.workflow, recipe.topic, recipe.job))
    while left:
        phase = left.pop(0)
        yield phase
        left += flows.children(recipe.workflow, phase.topic, phase.job)


def _usual(history: History, recipe: Recipe, day: int) -> int:
    """Return how long tasks that were complete took on average, in microseconds; 0 when there were none."""
    found = [
        sums
        for slot, sums in days(history, day - DAYS, day).items()
        if (slot.topic, slot.job, slot.state) == (recipe.topic, recipe.job, "complete")
    ]
    ran = sum(sums.ran for sums in found)
    return max(sum(sums.ran_us for sums in found) // ran, 1) if ran else 0


def _slots(sources: Sources, topic: str) -> int:
    try:
        bus = sources.bus(tell=False)
        found = bus.presences() if bus is not None else []
    except BusError:
        return 0
    return sum(each.slots for each in found if each.alive and each.kind == "worker" and topic in each.topics)
