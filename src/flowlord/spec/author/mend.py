"""Fixes: a file's bytes with what can be mended mended, every other byte as it was."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flowlord.model.problem import Edit, Problem, Severity
from flowlord.spec.author.inspect import Inspected, inspect, verdict

MOST_ROUNDS: Final = 10  # a fix may bring to light what can be mended as well
_BOM: Final = b"\xef\xbb\xbf"
# A fix that brings one of these has put something beside what was there already.
_UNWANTED: Final = ("FL008", "FL014", "FL024", "FL062", "FL076")
_OF_COMMENTS: Final = "FL090"


@dataclass(frozen=True, slots=True)
class Mended:
    """The bytes of a file after its fixes, and the problems that they mended."""

    data: bytes
    fixed: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _State:
    data: bytes
    found: Inspected

    @property
    def errors(self) -> int:
        return sum(each.severity is Severity.ERROR for each in self.found.problems)

    @property
    def unwanted(self) -> int:
        return sum(each.code in _UNWANTED for each in self.found.problems)


def mend(
    data: bytes,
    name: str,
    path: str,
    now: datetime,
    *,
    told: Sequence[Problem],
    wanted: Callable[[Problem], bool],
) -> Mended:
    """Return the file with its fixes.

    A fix is taken back when the file could not be read afterwards, or said something twice.

    Args:
        name, path: as in `inspect`.
        told: the problems of this file, with what only the other files tell.
        wanted: whether a problem that has a fix is to be mended.
    """
    state = _State(data, inspect(data, name, path, now))
    fixed: list[Problem] = []
    hopeless: set[tuple[str, str]] = set()
    problems: Sequence[Problem] = told
    for _ in range(MOST_ROUNDS):
        chosen = _apart([p for p in problems if p.fix and wanted(p) and (p.code, p.text) not in hopeless])
        if not chosen:
            break
        done = _tried(state, chosen, name, path, now)
        if done is not None:
            state = done
            fixed += chosen
        else:  # one of them is bad: take them one by one, from the end, so that the others keep their places
            for each in reversed(chosen):
                done = _tried(state, [each], name, path, now)
                if done is None:
                    hopeless.add((each.code, each.text))
                else:
                    state = done
                    fixed.append(each)
        left = verdict([state.found], state.found.problems)
        problems = [each for each in left if each.code != _OF_COMMENTS]
    fixed.sort(key=lambda each: (each.line, each.column, each.code))
    return Mended(state.data, tuple(fixed))


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Return the bytes of a file with some edits, which do not overlap; its BOM and line ends stay."""
    head = _BOM if data.startswith(_BOM) else b""
    text = data[len(head) :].decode("utf-8")
    ends: list[int] = []  # of lines that end in two characters, counted as one each
    at = text.find("\r\n")
    while at >= 0:
        ends.append(at - len(ends))
        at = text.find("\r\n", at + 2)

    def place(offset: int) -> int:
        return offset + bisect_left(ends, offset)

    for edit in sorted(edits, reverse=True):
        text = text[: place(edit.start)] + edit.text + text[place(edit.end) :]
    return head + text.encode("utf-8")


def _apart(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems whose edits do not touch each other, the first ones first; an edit told twice is one."""
    chosen: list[Problem] = []
    end, inserts = 0, False
    for each in sorted(problems, key=lambda each: each.fix.edits if each.fix else ()):
        assert each.fix is not None
        first, last = each.fix.edits[0], each.fix.edits[-1]
        if first.start > end or (first.start == end and first.end > first.start and not inserts):
            chosen.append(each)
            end, inserts = last.end, last.end == last.start
    return chosen


def _tried(state: _State, chosen: Sequence[Problem], name: str, path: str, now: datetime) -> _State | None:
    """Return the file with these fixes; None when they do harm."""
    edits = [edit for each in chosen if each.fix for edit in each.fix.edits]
    data = edited(state.data, edits)
    if data == state.data:
        return None
    after = _State(data, inspect(data, name, path, now))
    readable = after.found.draft is not None or state.found.draft is None
    better = after.errors <= state.errors and after.unwanted <= state.unwanted
    return after if readable and better else None
