"""Tokens of templates: values that nobody gives, times that nobody knows, hours under the wrong name."""

from __future__ import annotations

import re
from collections.abc import Set
from functools import cached_property, lru_cache
from itertools import islice
from typing import Final

from flowlord.model.workflow import Phase
from flowlord.rules.moments import time_of_path
from flowlord.spec.author.advice import MOST_NAMES, Advice
from flowlord.spec.document import named
from flowlord.spec.elsewhere import OF_FILES, token_for
from flowlord.spec.near import Names, near_miss, nearest

_META: Final = re.compile(r"\{meta:([0-9A-Za-z_]+)\}", re.ASCII)
_TIME: Final = re.compile(r"(?i)\{(?:yyyy|yy|mm|dd|hh|min|ts|slug|hour_slug|day_slug|month_slug)\}", re.ASCII)
_MINUTES: Final = re.compile(r"(?i)\{(?:min|ts)\}", re.ASCII)
_HOUR_AS_DAY: Final = re.compile(r"(?i)(?:^|[?&])(date|day)=\{yyyy\}-\{mm\}-\{dd\}T\{hh\}(?![:{])", re.ASCII)
_MONTH: Final = re.compile(r"(?i)\{mm\}", re.ASCII)
_MONTH_AS_MINUTE: Final = re.compile(r"(?i)\{hh\}[:/_.-]?(\{mm\})", re.ASCII)
# How other systems write a time or a value: Airflow and Jinja, and strftime outside of a command that fills it in.
_FOREIGN: Final = re.compile(
    r"\{\{ *([A-Za-z_][\w.]*)[^{}]*\}\}|(?<!\+)%[Yy][-/_.]?%m(?:[-/_.]?%d)?", re.ASCII
)
_DATE: Final = re.compile(r"\b(?:date|strftime)\b[ (]")
# Tokens with a slip in their braces: blanks, doubled, behind a dollar, never closed.
_NAMES: Final = (
    r"(?:yyyy|yy|mm|dd|hh|min|ts|slug|hour_slug|day_slug|month_slug|host|pod|uuid|meta:[0-9A-Za-z_]+)"
)
_SLIP: Final = re.compile(
    rf"(?i)(?P<blanks>\{{[ ]*+(?:{_NAMES}[ ]++|(?<=[ ]){_NAMES})\}})"
    rf"|(?P<doubled>\{{\{{{_NAMES}\}}\}})(?!\}})|(?P<dollar>(?<![0-9A-Za-z_])\$\{{{_NAMES}\}})"
    rf"|(?P<open>\{{{_NAMES}(?=[-/_{{]|$)(?![0-9A-Za-z_:.-]*+\}}))"
    r"|(?P<meta>\{meta:(?![0-9A-Za-z_:.-]*+\})[^{}\"]*+\})",
    re.ASCII,
)
# Words in single braces, all of them closed, and no % or $: in such a text there is no slip.
_ORDINARY: Final = re.compile(r"[^{}%$]*+(?:\{[0-9A-Za-z_:]++\}[^{}%$]*+)*+", re.ASCII)
_ODD_META: Final = re.compile(r"\{meta:[0-9A-Za-z_.:-]*+[^0-9A-Za-z_.:{}-]")
_SLIPS: Final = {
    "blanks": "has blanks in its braces and stays as it is",
    "doubled": "has its braces twice: one pair of them stays",
    "dollar": "stands behind a $, which stays",
    "open": "is never closed and stays as it is",
}
_META_WORD: Final = re.compile(r"(?i)^meta:", re.ASCII)  # in small letters alone
_META_HINT: Final = "it is {meta:name}, with letters, digits and _"
_WILD: Final = re.compile(r"[*?\[\\]")
_OWN_NAMES: Final = ("cron", "job", "workflow")
_OWN: Final = frozenset(_OWN_NAMES)
_HOUR_NS: Final = 3_600_000_000_000
_MOST_COMPARED: Final = 10_000  # names, in all questions about one file
_MOST_BROUGHT: Final = 20  # names that a misspelt one is compared with
_MOST_FOREIGN: Final = 20  # of one template
_DEEPEST: Final = 50  # parents of parents that are looked at


def check(advice: Advice) -> None:
    """Tell what is odd about the tokens of the templates in a file."""
    roots, givers, likeness = _Roots(advice), _Givers(advice), _Likeness()
    for number, phase in enumerate(advice.phases):
        template, rule = phase.template, phase.rule
        given: Set[str] | None = None
        if rule.require and phase.parent:
            given = givers.to(phase)
            _required(advice, number, phase, given, likeness)
        if "{" not in template and "%m" not in template:
            continue
        if advice.misread and advice.fields[number].path in advice.misread:
            continue
        if not _ORDINARY.fullmatch(template) and _may_slip(template):
            _slips(advice, number, template)
        if "{meta:" in template and (phase.parent or rule.files):
            _values(advice, number, phase, given or givers.to(phase), likeness)
        if not rule.cron and (found := _TIME.search(template)):
            if roots.may_lack_time:
                _time(advice, number, phase, roots.of(phase), found)
        elif rule.is_batch and not rule.files:
            _cut(advice, number, phase)
        low = template.lower()  # tokens are read in any case
        if "{hh}" in low and "{mm}" in low[low.index("{hh}") :]:
            _month(advice, number, template)
        if "t{hh}" in low:
            for found in _HOUR_AS_DAY.finditer(template):
                if not advice.wants("FL048"):
                    continue
                text = f"{found[1]}= names a day and is given an hour"
                hint = "write hour=; workers of other systems read no hour here"
                start, end = found.span(1)
                advice.at_field("FL048", number, "template", text, hint, start=start, end=end, better="hour")
        protected = template.find("#")
        if protected > 0 and (late := _TIME.search(template, protected)):
            text = f"{named(late[0])} stands behind a # and stays as it is"
            start, end = late.span()
            advice.at_field(
                "FL049", number, "template", text, "put it in front of the #", start=start, end=end
            )


def _month(advice: Advice, number: int, template: str) -> None:
    """Tell a {mm} behind the hour, where a month stands already."""
    month = _MONTH.search(template)
    if month and (found := _MONTH_AS_MINUTE.search(template, month.end())):
        start, end = found.span(1)
        text = f"{named(found[1])} behind the hour is the month again; the minute is '{{min}}'"
        advice.at_field(
            "FL082", number, "template", text, "did you mean '{min}'?", start=start, end=end, better="{min}"
        )


def _cut(advice: Advice, number: int, phase: Phase) -> None:
    """Tell a minute in the tasks of a batch, all of which count from the full hour."""
    found = _MINUTES.search(phase.template)
    if found is None or 0 < phase.template.find("#") < found.start() or _full_hours(phase):
        return
    text = f"{named(found[0])} shows minute 00: the tasks of a batch count from the full hour of its start"
    start, end = found.span()
    hint = "only the task of a phase without for and meta has the minute of its start"
    advice.at_field("FL053", number, "template", text, hint, start=start, end=end)


def _may_slip(template: str) -> bool:
    """Tell whether it is worth while to look for slips, in a tenth of the time that looking takes."""
    return (
        template.count("{") != template.count("}")
        or "{{" in template
        or "${" in template
        or "{ " in template
        or " }" in template
        or "%m" in template
        or ("{meta:" in template and _ODD_META.search(template) is not None)
    )


def _slips(advice: Advice, number: int, template: str) -> None:
    for found in _SLIP.finditer(template):
        kind = found.lastgroup or ""
        start, end = found.span()
        if kind == "meta":
            text, hint, better = f"unknown token {named(found[0])}", _META_HINT, None
        else:
            better = f"{{{_META_WORD.sub('meta:', found[0].strip('{}$ '))}}}"
            text, hint = f"{named(found[0])} {_SLIPS[kind]}", f"did you mean {better!r}?"
        advice.at_field("FL040", number, "template", text, hint, start=start, end=end, better=better)
    for found in islice(_FOREIGN.finditer(template), _MOST_FOREIGN):
        start, end = found.span()
        if found[1] is not None and _SLIP.match(template, start):
            continue  # told already
        if found[1] is None and _DATE.search(template):
            continue  # a command that fills it in
        better = token_for(found[1]) if found[1] else _strftime(found[0])
        text = f"{named(found[0])} is how other systems write it, and stays as it is"
        hint = f"did you mean {better!r}?" if better else "tokens are {yyyy} and the like, and {meta:name}"
        advice.at_field("FL040", number, "template", text, hint, start=start, end=end, better=better or None)


def _strftime(text: str) -> str:
    """Return the tokens for a date as strftime writes it."""
    for theirs, ours in (("%Y", "{yyyy}"), ("%y", "{yy}"), ("%m", "{mm}"), ("%d", "{dd}")):
        text = text.replace(theirs, ours)
    return text


def _values(advice: Advice, number: int, phase: Phase, given: Set[str] | None, likeness: _Likeness) -> None:
    rule = phase.rule
    if rule.meta_file:
        return  # its rows are looked at where files are
    if given is None:
        return
    wanted = [found for found in _META.finditer(phase.template) if found[1] not in given]
    for found in wanted:
        name, (start, end) = found[1], found.span()
        if not phase.parent:
            if not advice.wants("FL042"):
                continue
            text = f"{named(found[0])} is always empty: a file that arrives brings no such value"
            like = nearest(name, tuple(sorted(given - _OWN))) if len(given) <= _MOST_BROUGHT else ""
            brings = f"it brings {', '.join(sorted(given - _OWN))}"
            hint = f"did you mean '{{meta:{like}}}'? {brings}" if like else brings
            advice.at_field("FL042", number, "template", text, hint, start=start, end=end)
        elif name in rule.require:
            continue  # the author knows
        elif like := likeness.near(name, given):
            text = f"{named(found[0])} is nearly {like!r}, which the parent gives"
            advice.at_field(
                "FL045", number, "template", text, f"did you mean '{{meta:{like}}}'?",
                start=start, end=end, better=f"{{meta:{like}}}",
            )  # fmt: skip
        elif advice.wants("FL044"):
            text = f"{named(found[0])} is empty unless the worker of {phase.depends_on!r} returns it"
            hint = f"require={{meta:{name}}} in the rule waits for it"
            advice.at_field("FL044", number, "template", text, hint, start=start, end=end)


def _required(advice: Advice, number: int, phase: Phase, given: Set[str] | None, likeness: _Likeness) -> None:
    if given is None:
        return
    for name in phase.rule.require:
        if name not in given and (like := likeness.near(name, given)):
            text = f"require waits for {name!r}, nearly {like!r}, which the parent gives"
            advice.at_option("FL045", number, "require", text, f"did you mean '{{meta:{like}}}'?")


class _Givers:
    """What tasks surely have to read; the same for all children of one parent that give themselves nothing."""

    def __init__(self, advice: Advice) -> None:
        self.advice = advice
        self.known: dict[tuple[str, str], Set[str] | None] = {}  # by parent and its job

    def to(self, phase: Phase) -> Set[str] | None:
        """Return the meta names that a task of this phase surely has to read; None when the files do not tell."""
        above: Set[str] | None = _OWN
        if phase.parent:
            key = phase.parent, phase.parent_job
            if key not in self.known:
                self.known[key] = self._of_parents(phase)
            above = self.known[key]
        rule = phase.rule
        if above is None or not (rule.meta or rule.files):
            return above
        given = above
        if rule.meta:
            given = given | rule.meta.keys()
        if rule.files:
            given = given | OF_FILES
        if rule.files and rule.unknown:
            given = given | {name for name, _ in rule.unknown}
        return given

    def _of_parents(self, phase: Phase) -> Set[str] | None:
        parents = self.advice.parents(phase)
        if not parents or len(parents) > _DEEPEST:
            return None
        given = set(_OWN)
        for number in parents:
            parent = self.advice.phases[number]
            rule = parent.rule
            if rule.files:
                given |= OF_FILES
                given.update(name for name, _ in rule.unknown)
            if rule.meta or rule.meta_file:
                given.update(
                    name for name in _META.findall(parent.template) if rule.meta_file or name in rule.meta
                )
            given.update(rule.pass_on)
        return given if len(given) <= MOST_NAMES else None


class _Likeness:
    """Looks for names that are nearly alike, as long as that is no great work for a file."""

    def __init__(self) -> None:
        self.left = _MOST_COMPARED
        self.given: Set[str] = frozenset()
        self.names = Names(())

    def near(self, name: str, given: Set[str]) -> str:
        """Return the given name that this one must have been meant for; nothing when none is like it."""
        if given == _OWN:  # as for most children
            return _near_own(name)
        if self.left <= 0:
            return ""
        self.left -= len(given)
        if given != self.given:
            self.given, self.names = given, Names(sorted(given))
        return self.names.near_miss(name)


@lru_cache(maxsize=1024)
def _near_own(name: str) -> str:
    return near_miss(name, _OWN_NAMES)


def _time(
    advice: Advice, number: int, phase: Phase, roots: tuple[Phase, ...] | None, found: re.Match[str]
) -> None:
    """Look at the first token of a template that needs a time."""
    if roots is None or 0 < phase.template.find("#") < found.start():
        return
    if not any(map(_may_tell, roots)) and advice.wants("FL046"):
        where = "the path of its file" if not phase.parent else "what starts its chain"
        text = f"{named(found[0])} gets no time: {where} tells none"
        start, end = found.span()
        hint = "a path tells it as 2026/08/01/05 or 20260801T050000; without, the token stays as it is"
        advice.at_field("FL046", number, "template", text, hint, start=start, end=end)
    minutes = _MINUTES.search(phase.template) if phase.parent else None
    if minutes and all(root.rule.cron and not _full_hours(root) for root in roots):
        text = f"{named(minutes[0])} shows minute 00: a child is told only the hour of its parent's start"
        start, end = minutes.span()
        hint = "let the parent's worker return the minute as meta, and read it by {meta:…}"
        advice.at_field("FL047", number, "template", text, hint, start=start, end=end)


class _Roots:
    """The phases at the head of all chains that lead to a phase; what was found out is kept for those below."""

    def __init__(self, advice: Advice) -> None:
        self.advice = advice
        self.known: dict[tuple[str, str], tuple[Phase, ...] | None] = {}  # by parent and its job

    @cached_property
    def may_lack_time(self) -> bool:
        """Whether a template of the file may ask for a time that it does not get: in most files none does.

        Files may tell none by their paths, and a child is not told the minute.
        """
        phases = self.advice.phases
        children = "\n".join([phase.template for phase in phases if phase.parent])
        return _MINUTES.search(children) is not None or any(phase.rule.files for phase in phases)

    def of(self, phase: Phase, deep: int = 0) -> tuple[Phase, ...] | None:
        """Return them; None when one is unknown, started by people, or too far away."""
        if not phase.parent:
            return (phase,) if phase.rule.cron or phase.rule.files else None
        above = phase.parent, phase.parent_job
        if above not in self.known:
            self.known[above] = None  # so that a circle comes to an end
            parents = self.advice.parents(phase)
            if len(parents) <= _DEEPEST and deep < _DEEPEST:
                self.known[above] = self._of_all(parents, deep)
        return self.known[above]

    def _of_all(self, parents: list[int], deep: int) -> tuple[Phase, ...] | None:
        roots: tuple[Phase, ...] = ()
        for number in parents:
            found = self.of(self.advice.phases[number], deep + 1)
            if found is None or len(roots) > _DEEPEST:
                return None
            roots += found
        return roots or None


def _may_tell(root: Phase) -> bool:
    """Tell whether what starts a phase may have a time: a schedule has one, of files their paths may tell it."""
    rule = root.rule
    if rule.cron or not rule.files:
        return True
    return any(_WILD.search(each) or time_of_path(each) is not None for each in rule.files)


def _full_hours(phase: Phase) -> bool:
    """Tell whether all starts of a schedule are about a full hour."""
    text = phase.rule.cron
    if phase.rule.offset_ns % _HOUR_NS:
        return False
    if text.startswith("@"):
        return not text.startswith("@every")
    parts = text.split()
    return len(parts) >= 5 and parts[-5] in ("0", "00")
