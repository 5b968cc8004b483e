"""What was found out about texts that stand in many files: rules, schedules, durations."""

from __future__ import annotations

from typing import Final

from flowlord.model.workflow import Rule
from flowlord.rules.errors import Unreadable

MOST_TEXTS: Final = 20_000  # of each kind; then everything is forgotten, and found out again


class Known:
    """A memory for files that are read one after another: in a folder of many the same texts come over and over.

    It changes no answer. What is said about a file depends on what it said before, so only rules about which there
    is nothing to say are kept.
    """

    def __init__(self) -> None:
        self.durations: dict[str, int | Unreadable] = {}
        self.schedules: dict[tuple[str, str], Unreadable | None] = {}
        self.required: dict[str, tuple[str, ...]] = {}
        self.rules: dict[str, Rule] = {}
        self.options: dict[str, str] = {}  # as written in any rule, and as the documentation has them

    def tidy(self) -> None:
        """Forget what has become too much; asked between two files."""
        for each in (self.durations, self.schedules, self.required, self.rules, self.options):
            if len(each) > MOST_TEXTS:
                each.clear()
