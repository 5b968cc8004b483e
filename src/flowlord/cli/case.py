"""What a question of `flowlord why` is answered from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flowlord.cli.terms import Loaded
from flowlord.cli.times import to_us

if TYPE_CHECKING:
    from flowlord.cache.attempt import Attempt
    from flowlord.cache.queries import History
    from flowlord.cli.reasons import Answer
    from flowlord.cli.sources import Sources
    from flowlord.config import Settings
    from flowlord.model.workflow import Phase


@dataclass(frozen=True, slots=True)
class Case:
    """What is known, and when it is asked."""

    sources: Sources
    history: History
    settings: Settings
    loaded: Loaded
    now: datetime
    exact: bool = False
    """Whether minutes were asked for: then a start within the hour is another one."""

    @classmethod
    def of(cls, sources: Sources, settings: Settings, now: datetime) -> Case:
        """Return the case of a question that is asked at `now` (aware)."""
        history = sources.history(fresh=True)
        return cls(sources, history, settings, Loaded(history, settings), now)

    def phases(self, name: str) -> list[Phase]:
        """Return the phases that a name means: `topic:job`, a topic, or with the workflow in front."""
        return self.loaded.phases(name)

    def task(self, attempt: Attempt) -> Answer:
        """Return the answer about a task that is there."""
        from flowlord.cli.whytask import of_attempt

        return of_attempt(self.sources, self.history, attempt, self.now, to_us(self.now))
