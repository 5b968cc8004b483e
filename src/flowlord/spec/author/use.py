"""Options that do nothing where they stand: about files without files, about a schedule without one, about waits."""

from __future__ import annotations

import re
from typing import Final

from flowlord.model.workflow import Phase, Rule
from flowlord.rules.cron import LOCAL
from flowlord.rules.durations import short_duration
from flowlord.spec.author.advice import Advice, option_name
from flowlord.spec.document import Fields, named
from flowlord.spec.options import ALIASES

_OF_FILES: Final = ("count", "group", "marker", "ignore", "min_size", "settle", "on_rewrite", "late")
_OF_CRON: Final = ("overlap", "jitter", "from", "until", "catchup", "catchup_window")
_OF_PARENTS: Final = ("require", "pass")
_OF_RETRIES: Final = ("retry_delay", "backoff", "max_delay")
_NEEDS: Final = {
    **dict.fromkeys(_OF_FILES, ("files", "it is about the files that start a phase: give the rule files=")),
    **dict.fromkeys(_OF_CRON, ("cron", "it is about starts by a schedule: give the rule cron=")),
    **dict.fromkeys(_OF_PARENTS, ("dependsOn", "it is about what the parent returned: give the phase dependsOn")),
    "by": ("for", "it is the step of a range: give the rule for="),
    "batch_limit": ("for, meta or meta-file", "one start makes one task here"),
}  # fmt: skip
_NEEDING: Final = frozenset(_NEEDS)
_QUICK: Final = frozenset((*_NEEDS, *_OF_RETRIES, "job", "max_delay", "for", "meta"))
_ZONED: Final = ("TZ=", "CRON_TZ=")
_LOCALS: Final = f"TZ={LOCAL} ", f"CRON_TZ={LOCAL} "
_NAME: Final = re.compile(r"[0-9A-Za-z_]+", re.ASCII)
_WRAPPED: Final = re.compile(r"\{(?:meta:)?([0-9A-Za-z_]+)\}|meta:([0-9A-Za-z_]+)", re.ASCII)


def check(advice: Advice) -> None:
    """Tell every option that changes nothing."""
    names = advice.known.options
    for number, phase, rule in advice.ruled:
        options: set[str] = set()
        for key, _ in rule.pairs:
            name = names.get(key)
            if name is None:
                name = names[key] = key if key in ALIASES.values() else option_name(key)
            if name in _QUICK:
                options.add(name)
        if options:
            _check(advice, number, phase, rule, options)
        if rule.offset_ns and rule.files and not phase.depends_on:
            text = "'offset' does nothing: the time of what a file starts is the one in its path"
            advice.at_option("FL028", number, "offset", text, "take it out", on_key=True)
        if "TZ=" in rule.cron:
            _zones(advice, number, rule)


def _zones(advice: Advice, number: int, rule: Rule) -> None:
    """Tell what does nothing about the zone of a schedule that names one."""
    if rule.tz and rule.cron.startswith(_LOCALS):
        text = f"'Local' does nothing: the zone of this schedule is that of tz, {named(rule.tz)}"
        advice.at_option("FL028", number, "cron", text, "take it out of the schedule")
    elif rule.cron.startswith(_LOCALS):
        text = (
            "'Local' does nothing: this is the zone of every schedule that names none, UTC unless configured"
        )
        advice.at_option("FL028", number, "cron", text, "name the zone that is meant: tz=Europe/Berlin")
    elif rule.tz and rule.cron.startswith(_ZONED):
        text = "'tz' does nothing: the schedule names its zone itself"
        advice.at_option("FL028", number, "tz", text, "take one of them out", on_key=True)


def _check(advice: Advice, number: int, phase: Phase, rule: Rule, options: set[str]) -> None:
    needing = options & _NEEDING
    for option in sorted(needing) if needing else ():
        needed, hint = _NEEDS[option]
        if not _has(needed, advice.fields[number], phase):
            text = f"'{option}' does nothing without {needed}"
            advice.at_option("FL028", number, option, text, hint, on_key=True)
    if "catchup_window" in options and rule.catchup == "none" and rule.cron:
        text = "'catchup_window' does nothing with catchup=none"
        advice.at_option("FL028", number, "catchup_window", text, "take one of them out", on_key=True)
    if "job" in options and phase.task.partition(":")[2]:
        text = f"'job' does nothing: the task names its job, {phase.job!r}"
        advice.at_option("FL028", number, "job", text, "name the job once", on_key=True)
    if "for" in options and not rule.for_ns:
        advice.at_option(
            "FL028", number, "for", "'for' of no length is no range: there is one task", "take it out"
        )
    if rule.meta or rule.pass_on:
        _names(advice, number, rule)
    _waits(advice, number, phase, rule, options)


def _names(advice: Advice, number: int, rule: Rule) -> None:
    """Tell the names of values that nobody can read: those of lists, and those that are passed on."""
    for name in rule.meta:
        if not _NAME.fullmatch(name):
            text = f"'meta' gives {named(name)}, which no token can name"
            advice.at_option("FL028", number, "meta", text, "name a list by letters, digits and _")
            break
    for name in rule.pass_on:
        if found := _WRAPPED.fullmatch(name):
            text = f"'pass' names {named(name)}, which no task returns"
            advice.at_option(
                "FL028", number, "pass", text, f"names stand there as they are: pass={found[1] or found[2]}"
            )
            break


def _has(needed: str, fields: Fields, phase: Phase) -> bool:
    rule = phase.rule
    match needed:
        case "files":
            return bool(rule.files)
        case "cron":  # the options of files say what arrives; a schedule then only looks for it
            return bool(rule.cron or rule.files)
        case "dependsOn":
            return bool(phase.depends_on) or "dependsOn" in fields.values
        case "for":
            return bool(rule.for_ns)
        case _:
            return rule.is_batch


def _waits(advice: Advice, number: int, phase: Phase, rule: Rule, options: set[str]) -> None:
    waits = [option for option in _OF_RETRIES if option in options]
    if waits and advice.fields[number].values.get("retry", 0) == 0:
        text = f"'{waits[0]}' does nothing: the phase has no retry"
        advice.at_option("FL029", number, waits[0], text, "write retry = 3 beside the rule", on_key=True)
    elif rule.max_delay_ns is not None and (rule.retry_delay_ns or 0) > rule.max_delay_ns:
        longest = short_duration(rule.max_delay_ns)
        text = f"retry_delay is never waited for: max_delay ends every wait after {longest}"
        advice.at_option("FL028", number, "retry_delay", text, "make max_delay the longer one")
