"""The verbs that are `commit_many` in small, the same for every adapter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.message import Delivery, Message
from flowlord.model.plan import Commit, Committed, Mark, Plan


class Single(ABC):
    """Publishes and commits one plan by way of `commit_many`."""

    @abstractmethod
    def commit_many(self, commits: Sequence[Commit]) -> list[Committed | Refused | LeaseLost]:
        """See `Bus.commit_many`."""

    def publish(self, messages: Sequence[Message]) -> None:
        """See `Bus.publish`."""
        self.commit(Plan(publish=tuple(messages)))

    def commit(
        self,
        plan: Plan,
        *,
        acknowledge: Sequence[Delivery] = (),
        marks: Sequence[Mark] = (),
        outcomes: Sequence[str] = (),
    ) -> Committed:
        """See `Bus.commit`."""
        [answer] = self.commit_many([Commit(plan, tuple(acknowledge), tuple(marks), tuple(outcomes))])
        if isinstance(answer, Committed):
            return answer
        raise answer
