"""Where the checks for authors put what they find: at a field of a phase, or at an option inside its rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final

from flowlord.model.problem import Problem, Severity
from flowlord.model.workflow import Phase, Rule
from flowlord.rules.metastring import unescape
from flowlord.spec.check import Examined
from flowlord.spec.codes import CODES
from flowlord.spec.document import Document, Fields, Finding, Path
from flowlord.spec.known import Known
from flowlord.spec.options import ALIASES
from flowlord.spec.rule import decoded

MOST_NAMES: Final = 1_000  # meta names of all parents of one phase


@dataclass
class Advice:
    """One examined file on its way through the checks; they add to its findings. `now` is aware, UTC."""

    examined: Examined
    now: datetime
    known: Known
    phases: list[Phase] = field(init=False)
    fields: list[Fields] = field(init=False)
    misread: set[Path] = field(init=False)  # phases whose rule was surely meant otherwise than it reads

    def __post_init__(self) -> None:
        self.phases = self.examined.phases
        self.fields = self.examined.fields
        self.misread = {
            found.path[:2]
            for found in self.examined.findings.kept
            if len(found.path) > 2
            and str(found.path[2]).lower() == "rule"
            and (found.code == "FL026" or CODES[found.code].severity is Severity.ERROR)
        }

    @property
    def document(self) -> Document:
        """The file itself."""
        return self.examined.document

    @cached_property
    def ruled(self) -> list[tuple[int, Phase, Rule]]:
        """Number, phase and rule of every phase whose rule says what it was meant to."""
        return [
            (number, phase, phase.rule)
            for number, phase in enumerate(self.phases)
            if phase.rule_text and (not self.misread or self.fields[number].path not in self.misread)
        ]

    def wants(self, code: str) -> bool:
        """Tell whether a finding of that kind is to be put into words; one that is not is counted."""
        return self.examined.findings.wants(code)

    def at_field(
        self,
        code: str,
        number: int,
        name: str,
        text: str,
        hint: str = "",
        *,
        start: int = -1,
        end: int = -1,
        better: str | None = None,
    ) -> None:
        """Tell something about a field of the phase of that number, or about some characters of it."""
        if self.examined.findings.wants(code):
            where = self.fields[number].where(name)
            self.examined.findings.add(Finding(code, where, text, hint, False, start, end, better))

    def at_option(
        self,
        code: str,
        number: int,
        option: str,
        text: str,
        hint: str = "",
        *,
        nth: int = 0,
        on_key: bool = False,
        start: int = -1,
        end: int = -1,
        better: str | None = None,
    ) -> None:
        """Tell something about the nth use of an option in the rule of that phase, or about a part of its value."""
        if self.examined.findings.wants(code):
            found = self._at_option(code, number, option, text, hint, nth, on_key, start, end, better)
            self.examined.findings.add(found)

    def option_problem(self, code: str, number: int, option: str, *, nth: int = 0) -> Problem:
        """Return a problem with its place and without words, to be told later."""
        found = self._at_option(code, number, option, "", "", nth, False, -1, -1, None)
        return self.document.problem(found)

    def _at_option(
        self,
        code: str,
        number: int,
        option: str,
        text: str,
        hint: str,
        nth: int,
        on_key: bool,
        start: int,
        end: int,
        better: str | None,
    ) -> Finding:
        fields = self.fields[number]
        path, found_key, first, last = _place(
            fields.values.get("rule"), option, nth, on_key=on_key, start=start, end=end
        )
        return Finding(code, (*fields.where("rule"), *path), text, hint, found_key, first, last, better)

    @cached_property
    def by_name(self) -> dict[tuple[str, str], list[int]]:
        """The phases of each topic, and of each topic with its job."""
        found: dict[tuple[str, str], list[int]] = {}
        for number, phase in enumerate(self.phases):
            found.setdefault((phase.topic, ""), []).append(number)
            if phase.job:
                found.setdefault((phase.topic, phase.job), []).append(number)
        return found

    def parents(self, phase: Phase) -> list[int]:
        """Return the phases whose completion starts this one; none when they are not in the file."""
        return self.by_name.get((phase.parent, phase.parent_job), [])


def option_name(key: str) -> str:
    """Return the name of an option as the documentation has it."""
    low = key.lower()
    if low.startswith("require:"):
        return "require"
    return ALIASES.get(low, low)


def _place(
    value: object, option: str, nth: int, *, on_key: bool, start: int, end: int
) -> tuple[Path, bool, int, int]:
    """Return path within the rule, whether the key is meant, and the characters of the text there."""
    if isinstance(value, str):
        return (), False, *_in_string(value, option, nth, on_key=on_key, start=start, end=end)
    if isinstance(value, dict):
        for key, each in value.items():
            if option_name(key.strip()) != option:
                continue
            values = each if isinstance(each, list) else [each]
            if nth < len(values):
                path: Path = (key, nth) if isinstance(each, list) and not on_key else (key,)
                return path, on_key, start, end
            nth -= len(values)
    return (), False, -1, -1


def _in_string(text: str, option: str, nth: int, *, on_key: bool, start: int, end: int) -> tuple[int, int]:
    at = 1 if text.startswith("?") else 0
    for piece in text[at:].split("&"):
        key, equals, value = piece.partition("=")
        if piece and option_name(unescape(key).strip()) == option:
            if nth == 0:
                if on_key or not equals or (start < 0 and not value):
                    word = key.strip() or key
                    begin = at + key.index(word)
                    return begin, begin + len(word)
                begin = at + len(key) + 1
                if start < 0:
                    return begin, begin + len(value)
                places = decoded(value)[1]
                last = len(places) - 1
                return begin + places[min(start, last)], begin + places[min(end, last)]
            nth -= 1
        at += len(piece) + 1
    return -1, -1
