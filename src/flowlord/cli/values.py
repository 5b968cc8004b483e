"""The values of a phase that are in force, and where each comes from: its file, the configuration, or nobody. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from flowlord.decide.schedule import policy
from flowlord.model.workflow import Phase, Rule
from flowlord.rules.durations import short_duration
from flowlord.rules.settle import SETTLE_NS
from flowlord.rules.timetable import Timetable

_NAMES = {"first": "from", "meta_file": "meta-file", "pass_on": "pass"}
_LEFT_OUT = frozenset(("pairs", "unknown", "has_meta", "job"))
_ALWAYS = frozenset(("priority", "timeout"))
_OF_CRON = frozenset(("catchup", "catchup_window", "overlap", "tz"))
_OF_FILES = frozenset(("settle", "on_rewrite", "min_size"))


class Value(NamedTuple):
    """An option as it counts; `origin` is file, configuration or default."""

    name: str
    value: str
    origin: str


def values_of(phase: Phase, zone: str) -> list[Value]:
    """Return the options of a phase that are written, and the defaults that matter for what starts it."""
    rule = phase.rule
    written = {key.lower().replace("-", "_") for key, _ in rule.pairs}
    usual = _ALWAYS | (_OF_FILES if rule.files else _OF_CRON if rule.cron else frozenset())
    found = [Value("retry", str(phase.retry), "file" if phase.retry else "default")]
    for field in msgspec.structs.fields(Rule):
        if field.name in _LEFT_OUT:
            continue
        value = getattr(rule, field.name)
        plain = field.name.removesuffix("_ns")
        name = _NAMES.get(plain, plain)
        is_written = name.replace("-", "_") in written or (value != field.default and bool(value))
        if not is_written and plain not in usual:
            continue
        text, origin = _text(field.name, value), "file" if is_written else "default"
        if plain == "tz" and not value:
            text, origin = (zone, "configuration") if zone else ("UTC", "default")
        elif plain == "catchup" and not value:
            text = _policy(phase, zone)
        elif plain == "settle" and value is None:
            text = short_duration(SETTLE_NS)
        found.append(Value(name, text or "none", origin))
    found += [Value(key, value, "file, handed on") for key, value in rule.unknown]
    return found


def _policy(phase: Phase, zone: str) -> str:
    try:
        return policy(phase, Timetable.of(phase.rule, phase.identity, zone).cron)
    except ValueError:
        return "all"


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if name.endswith("_ns") and isinstance(value, int):
        return short_duration(value) if value else "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return "|".join(f"{key}:{','.join(items)}" for key, items in value.items())
    return str(value)
