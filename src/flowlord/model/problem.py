"""One thing wrong in a file, told so that its author can mend it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec


class Severity(StrEnum):
    """Errors keep a file from being used; warnings do not; notes never count, not even with --strict."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Edit(NamedTuple):
    """One change: the characters from `start` to `end` become `text`.

    Offsets count characters of the file's text without a BOM, each line end as one.
    """

    start: int
    end: int
    text: str


class Fix(msgspec.Struct, frozen=True):
    """What mends a problem. `safe` ones change nothing that a file meant so far: it was refused, or means the same."""

    edits: tuple[Edit, ...]
    safe: bool


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong in a file.

    `line` counts from 1, 0 when the whole file is meant; `column` and `end` count from 1 in characters,
    `end` is one past the last character meant, 0 when unknown.
    """

    path: str
    line: int
    column: int
    text: str
    hint: str = ""
    code: str = "FL000"
    severity: Severity = Severity.ERROR
    end: int = 0
    fix: Fix | None = None

    @property
    def place(self) -> str:
        """Where, in the form that editors and terminals understand."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path

    def __str__(self) -> str:
        return f"{self.place}: {self.code} {self.severity}: {self.text}"
