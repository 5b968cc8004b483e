"""Batches: how many tasks one start makes, and whether they differ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from flowlord.model.workflow import Phase, Rule
from flowlord.rules.batch import STEPS
from flowlord.spec.author.advice import Advice

_META: Final = re.compile(r"\{meta:([0-9A-Za-z_]+)\}", re.ASCII)
_LIST: Final = re.compile(r"[;&]\s*\w+:", re.ASCII)
_MOST_ITEMS: Final = 100
_HOUR_NS: Final = 3_600_000_000_000
_STEP_HOURS: Final = {"hour": 1.0, "day": 24.0, "week": 168.0, "month": 730.5}


@dataclass(frozen=True, slots=True)
class RowSource:
    """A phase whose rows lie in a file: what it asks of them, for whoever may look at files."""

    number: int
    pattern: str
    names: tuple[str, ...]  # that its template reads and nothing else gives
    dates: int
    limit: int


def check(advice: Advice) -> list[RowSource]:
    """Tell what is odd about the batches of a file; return the sources of rows that lie elsewhere."""
    sources: list[RowSource] = []
    for number, phase, rule in advice.ruled:
        if not rule.is_batch:
            continue
        dates = dates_of(rule)
        if rule.for_ns and dates == 1:
            step = STEPS.get(rule.by.lower(), "day")
            text = f"'for' is shorter than one {step}: there is one task"
            advice.at_option("FL065", number, "for", text, "make it longer, or take a smaller step with by=")
        if rule.has_meta:
            _rows(advice, number, phase, dates)
        elif rule.for_ns and not rule.meta_file and dates > rule.batch_limit:
            _many(advice, number, rule, dates, "for")
        if rule.meta_file and not rule.has_meta and "{" not in rule.meta_file:
            sources.append(_source(advice, number, phase, dates))
    return sources


def dates_of(rule: Rule) -> int:
    """Return how many dates the range of a rule has, within one of the exact number for months."""
    if not rule.for_ns:
        return 1
    hours = _STEP_HOURS[STEPS.get(rule.by.lower(), "day")]
    return int(abs(rule.for_ns) / _HOUR_NS / hours) + 1


def _rows(advice: Advice, number: int, phase: Phase, dates: int) -> None:
    rule = phase.rule
    rows = len(next(iter(rule.meta.values()), ()))
    if any(len(items) != rows for items in rule.meta.values()):
        return  # told already
    if not rows:
        text = "the lists of 'meta' are empty: no start of this phase makes any task"
        advice.at_option("FL022", number, "meta", text, f"write meta={next(iter(rule.meta), 'name')}:a,b,c")
        return
    if rows * dates > rule.batch_limit:
        _many(advice, number, rule, rows * dates, "for" if rule.for_ns else "meta")
    read = set(_META.findall(phase.template))
    same = (
        not read & rule.meta.keys()
        or len(set(zip(*(rule.meta[n] for n in rule.meta if n in read), strict=True))) < rows
    )
    if rows > 1 and same:
        if read & rule.meta.keys():
            text, hint = (
                "two rows of 'meta' are alike where the template reads them",
                "their tasks do the same",
            )
        else:
            text = f"the {rows} rows of 'meta' make tasks that differ in nothing: the template reads no value"
            hint = f"write {{meta:{next(iter(rule.meta))}}} into the template"
        if any(_LIST.search(item) for items in rule.meta.values() for item in items[:_MOST_ITEMS]):
            hint = "lists are apart by |: meta=a:1,2|b:3,4"
        advice.at_option("FL069", number, "meta", text, hint)


def _many(advice: Advice, number: int, rule: Rule, tasks: int, option: str) -> None:
    about = "about " if STEPS.get(rule.by.lower(), "day") == "month" and rule.for_ns else ""
    text = f"one start makes {about}{tasks:,} tasks, more than batch_limit={rule.batch_limit}: it would be refused"
    advice.at_option("FL063", number, option, text, "shorten the range, or raise batch_limit= in the rule")


def _source(advice: Advice, number: int, phase: Phase, dates: int) -> RowSource:
    rule = phase.rule
    known = {"workflow", "cron", "job", *rule.require, *rule.pass_on}
    if rule.files:
        known |= {"file", "filename", "files", *(name for name, _ in rule.unknown)}
    names = dict.fromkeys(name for name in _META.findall(phase.template) if name not in known)
    return RowSource(number, rule.meta_file, () if phase.parent else tuple(names), dates, rule.batch_limit)
