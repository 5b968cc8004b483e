"""One file as its author wants to see it: the problems of loading, and everything else that is worth a word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final, TypeAlias

from flowlord.model.problem import Problem
from flowlord.spec.author import batches, ignores, secrets, times, tokens, topics, use, watch
from flowlord.spec.author.advice import Advice
from flowlord.spec.author.batches import RowSource
from flowlord.spec.author.ignores import NONE, Ignores
from flowlord.spec.author.watch import Watched
from flowlord.spec.check import Parsed, conclude, examine
from flowlord.spec.codes import problem
from flowlord.spec.document import Finding
from flowlord.spec.known import Known
from flowlord.spec.parse import is_yaml, read_document, revision_of
from flowlord.spec.source import Refused

_Places: TypeAlias = tuple[Problem, Problem]
MOST_PLACED: Final = 200  # patterns and meta-files of one file whose places are found before anybody asks


@dataclass(frozen=True)
class Rows:
    """A meta-file that a phase names, and where to tell what is wrong with it.

    Of many the places are found when somebody asks; until then they keep the whole file in memory.
    """

    source: RowSource
    path: str  # of the file that names it
    at: _Places | Callable[[RowSource], _Places] = field(compare=False, repr=False)

    @cached_property
    def places(self) -> _Places:
        """Problems without words, at the option and at the template."""
        return self.at if isinstance(self.at, tuple) else self.at(self.source)

    @property
    def at_option(self) -> Problem:
        """A problem without words at the option."""
        return self.places[0]

    @property
    def at_template(self) -> Problem:
        """A problem without words at the template."""
        return self.places[1]


@dataclass(frozen=True, slots=True)
class Inspected(Parsed):
    """What was made of a file for its author: what else must be looked at, and what is not to be told."""

    watched: tuple[Watched, ...] = ()
    rows: tuple[Rows, ...] = ()
    ignores: Ignores = NONE


def reader(now: datetime) -> Callable[[bytes, str, str], Inspected]:
    """Return what `load` may use to read each file; `now` is aware, UTC, for what is past and what comes next."""

    known = Known()

    def read(data: bytes, name: str, path: str) -> Inspected:
        return inspect(data, name, path, now, known)

    return read


def inspect(data: bytes, name: str, path: str, now: datetime, known: Known | None = None) -> Inspected:
    """Return everything about one file that shows without the others; never raises, whatever the bytes are."""
    known = known or Known()
    try:
        document = read_document(data, name, path)
        examined = examine(document, name, known)
        advice = Advice(examined, now, known)
        for check in (use.check, times.check, tokens.check, topics.check, secrets.check):
            check(advice)
        sources = batches.check(advice)
        patterns = watch.check(advice)
        ignored = ignores.read_ignores(document, yaml=is_yaml(name), is_known=examined.is_complete)
        parsed = conclude(examined, revision_of(data))
        return Inspected(
            parsed.workflow,
            parsed.problems,
            parsed.orphans,
            parsed.phases,
            parsed.draft,
            _watched(advice, patterns),
            _rows(advice, sources),
            ignored,
        )
    except Refused as error:
        return Inspected(None, (error.problem,))
    except RecursionError:
        return Inspected(None, (problem("FL004", path, text="the file is nested too deeply"),))


def verdict(
    parsed: Iterable[Parsed], problems: Iterable[Problem], *, looked_at_files: bool = True
) -> list[Problem]:
    """Return what to tell about all files together: what their patterns share, and nothing that is ignored.

    Args:
        parsed: what `inspect` made of each file.
        problems: what was found in and about all of them.
        looked_at_files: whether meta-files were looked at; else nobody can say that an ignore comment is idle.
    """
    inspected = [each for each in parsed if isinstance(each, Inspected)]
    found = [*problems, *watch.shared(pattern for each in inspected for pattern in each.watched)]
    by_path: dict[str, list[Problem]] = {}
    for each in found:
        by_path.setdefault(each.path, []).append(each)
    comments = {path: each.ignores for each in inspected if (path := each.ignores.path)}
    told: list[Problem] = []
    for path in sorted({*by_path, *comments}):
        # That there are more problems has no place, and is of interest behind those that are told.
        own = sorted(
            by_path.get(path, ()), key=lambda each: (each.code == "FL009", each.line, each.column, each.code)
        )
        told += ignores.settle(own, comments.get(path, NONE), looked_at_files=looked_at_files)
    return told


def _watched(advice: Advice, patterns: Sequence[tuple[str, int, int]]) -> tuple[Watched, ...]:
    def find(number: int, nth: int) -> Problem:
        return advice.option_problem("FL073", number, "files", nth=nth)

    phases, path = advice.phases, advice.document.source.path
    later = len(patterns) > MOST_PLACED
    return tuple(
        [
            Watched(pattern, phases[number].name, path, number, nth, find if later else find(number, nth))
            for pattern, number, nth in patterns
        ]
    )


def _rows(advice: Advice, sources: Sequence[RowSource]) -> tuple[Rows, ...]:
    def find(source: RowSource) -> _Places:
        template = advice.fields[source.number].where("template")
        at_template = advice.document.problem(Finding("FL068", template, ""))
        return advice.option_problem("FL066", source.number, "meta-file"), at_template

    path, later = advice.document.source.path, len(sources) > MOST_PLACED
    return tuple([Rows(each, path, find if later else find(each)) for each in sources])
