"""A phase file in the other format, with the same meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from msgspec.structs import replace

from flowlord.model.problem import Problem, Severity
from flowlord.model.workflow import Workflow
from flowlord.spec.comments import draft_of
from flowlord.spec.draft import Draft, Entry
from flowlord.spec.parse import parse
from flowlord.spec.source import Refused, Source
from flowlord.spec.writing import as_toml, as_yaml

Format = Literal["toml", "yaml"]
SUFFIX: Final[dict[Format, str]] = {"toml": ".toml", "yaml": ".yaml"}


@dataclass(frozen=True, slots=True)
class Note:
    """What the author should know; `lost` when the new text lacks something. `line` counts from 1, 0 is the file."""

    line: int
    text: str
    lost: bool = True


@dataclass(frozen=True, slots=True)
class Converted:
    """The new text, None when there is none, and why; `notes` tell what could not be carried over."""

    text: str | None
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()


def convert(data: bytes, *, path: str, source: Format, to: Format) -> Converted:
    """Return a phase file in the format `to`; its workflow is equal but for lines and columns.

    A file with errors is not converted: what it means is not known. Comments are kept with the key over or beside
    which they stand.
    """
    flow, problems = parse(data, f"x{SUFFIX[source]}", path)
    errors = tuple(each for each in problems if each.severity is Severity.ERROR)
    if flow is None or errors:
        return Converted(None, errors or problems)
    try:
        text = Source.decode(path, data)
        if source == "yaml":
            from flowlord.spec.yaml import read
        else:
            from flowlord.spec.toml import read
        draft = draft_of(read(text), yaml=source == "yaml")
    except Refused as error:
        return Converted(None, (error.problem,))
    notes = _emptied(draft) if to == "toml" else []
    made = write(draft, to)
    again, wrong = parse(made.encode(), f"x{SUFFIX[to]}", path)
    if again is None or not same(flow, again):
        told = next((each.text for each in wrong), "it would mean something else")
        return Converted(None, (Problem(path, 0, 0, f"cannot be written as {to.upper()}: {told}"),))
    return Converted(made, (), tuple(notes))


def write(draft: Draft, to: Format) -> str:
    """Return the text of a draft."""
    return as_toml(draft) if to == "toml" else as_yaml(draft)


def same(one: Workflow, other: Workflow) -> bool:
    """Tell whether two workflows mean the same, wherever their phases stand."""
    return _placeless(one) == _placeless(other)


def _placeless(flow: Workflow) -> list[object]:
    return [replace(phase, workflow="", line=0, column=0) for phase in flow.phases]


def _emptied(draft: Draft) -> list[Note]:
    """Take out keys without a value, which TOML cannot write; those of phases mean nothing anyway."""
    notes: list[Note] = []

    def kept(entries: list[Entry]) -> list[Entry]:
        found = []
        for entry in entries:
            if entry.inside is not None:  # an option without a value is there all the same
                for option in entry.inside:
                    option.value = "" if option.value is None else option.value
            if entry.value is None and entry.inside is None:
                notes.append(Note(0, f"{entry.key!r} has no value, which TOML cannot write"))
            else:
                found.append(entry)
        return found

    draft.others = kept(draft.others)
    for phase in draft.phases:
        phase.entries = kept(phase.entries)
    return notes
