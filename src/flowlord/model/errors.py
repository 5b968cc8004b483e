"""Every error that flowlord raises on purpose; any room may import this module.

FlowlordError
├── InvalidTask          a message that is no task; keeps the offending bytes
├── InvalidWorkflow      carries every Problem found in the files
├── InvalidConfig        carries every Problem found in the settings
├── Stuck                this process cannot go on, and another one can
└── BusError
    ├── BusUnavailable   the bus cannot be reached now; trying again may help
    ├── BusUnusable      the bus can be reached and must not be used (damaged, too new, network disk)
    ├── BusMissing       nobody has made the bus yet, and who asks only looks
    ├── LeaseLost        an acknowledged delivery belongs to somebody else by now
    └── Refused          a mark does not have the value that the decision saw
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowlord.model.problem import Problem


class FlowlordError(Exception):
    """Base of all; `hint` tells what to do next and may be empty."""

    def __init__(self, text: str, *, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class InvalidTask(FlowlordError):
    """A message that cannot be read as a task; `payload` holds its bytes as received."""

    def __init__(self, text: str, payload: bytes) -> None:
        super().__init__(text)
        self.payload = payload


class _Found(FlowlordError):
    """Base of the errors that carry problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class InvalidWorkflow(_Found):
    """One or more workflow files cannot be used."""


class InvalidConfig(_Found):
    """A setting cannot be used."""


class Stuck(FlowlordError):
    """This process cannot go on, and another one can: a supervisor should start it again."""


class BusError(FlowlordError):
    """Something about the bus."""


class BusUnavailable(BusError):
    """The bus did not answer; what was asked may or may not have happened."""


class BusUnusable(BusError):
    """The bus answers, but using it would break a promise."""


class BusMissing(BusError):
    """There is no such bus yet; looking does not make one."""


class LeaseLost(BusError):
    """An acknowledged delivery is no longer leased under its token; nothing of the plan landed."""

    def __init__(self, entry: str) -> None:
        super().__init__(f"the lease of entry {entry} has passed on")
        self.entry = entry


class Refused(BusError):
    """A mark was changed by somebody else since the decision; nothing of the plan landed.

    `found` is the value that the mark has now; None when it is absent.
    """

    def __init__(self, mark: str, found: str | None) -> None:
        super().__init__(f"mark {mark} holds {found!r}")
        self.mark = mark
        self.found = found
