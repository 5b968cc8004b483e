"""A draft as TOML or YAML text; what is written is read back with the same meaning."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from typing import Final

from flowlord.spec.draft import Draft, DraftPhase, Entry

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
# YAML reads these as text, wherever they stand: a word that is neither number, switch nor nothing, without marks.
_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./:-]*[A-Za-z0-9_/-]|[A-Za-z_]", re.ASCII)
_WORDS: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"))
# What a string of either format may not hold as itself: controls, and characters that YAML takes for line ends.
_ODD: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_UNPRINTED: Final = re.compile(
    "[^\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_COLUMN: Final = "  "


def as_toml(draft: Draft) -> str:
    """Return the draft as TOML: `[[phase]]` for each, a rule that is a table under `[phase.rule]`."""
    return _text(_toml(draft))


def as_yaml(draft: Draft) -> str:
    """Return the draft as YAML: a list under `phases:`."""
    return _text(_yaml(draft))


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _toml(draft: Draft) -> Iterator[str]:
    yield from _comments(draft.head)
    if draft.head:
        yield ""
    for entry in draft.others:
        yield from _comments(entry.above)
        yield f"{_toml_key(entry.key)} = {_toml_value(entry.plain())}{_beside(entry)}"
    for number, phase in enumerate(draft.phases):
        if number or draft.others:
            yield ""
        yield from _comments(phase.above)
        yield "[[phase]]"
        yield from _toml_phase(phase)
    if draft.tail:
        yield ""
    yield from _comments(draft.tail)


def _toml_phase(phase: DraftPhase) -> Iterator[str]:
    wide = max((len(_toml_key(entry.key)) for entry in phase.entries if not entry.inside), default=0)
    for entry in phase.entries:
        if entry.inside:
            continue  # a table takes every key that comes after its header
        yield from _comments(entry.above)
        yield f"{_toml_key(entry.key):<{wide}} = {_toml_value(entry.plain())}{_beside(entry)}"
    for entry in phase.entries:
        if not entry.inside:
            continue
        yield from _comments(entry.above)
        yield f"[phase.{_toml_key(entry.key)}]{_beside(entry)}"
        for option in entry.inside:
            yield from _comments(option.above)
            yield f"{_toml_key(option.key)} = {_toml_value(option.plain())}{_beside(option)}"


def _yaml(draft: Draft) -> Iterator[str]:
    yield from _comments(draft.head)
    if draft.head:
        yield ""
    for entry in draft.others:
        yield from _comments(entry.above)
        yield f"{_yaml_text(entry.key)}: {_yaml_value(entry.plain())}{_beside(entry)}"
    yield "phases:" if draft.phases else "phases: []"
    for number, phase in enumerate(draft.phases):
        if number:
            yield ""
        yield from _yaml_phase(phase)
    if draft.tail:
        yield ""
    yield from _comments(draft.tail)


def _yaml_phase(phase: DraftPhase) -> Iterator[str]:
    yield from _comments(phase.above, _COLUMN)
    if not phase.entries:
        yield f"{_COLUMN}- {{}}"
        return
    yield from _comments(phase.entries[0].above, _COLUMN)  # over the dash, under which its phase begins
    for number, entry in enumerate(phase.entries):
        start = f"{_COLUMN}- " if number == 0 else _COLUMN * 2
        if number:
            yield from _comments(entry.above, _COLUMN * 2)
        if not entry.inside:
            yield f"{start}{_yaml_text(entry.key)}: {_yaml_value(entry.plain())}{_beside(entry)}"
            continue
        yield f"{start}{_yaml_text(entry.key)}:{_beside(entry)}"
        for option in entry.inside:
            yield from _comments(option.above, _COLUMN * 3)
            yield f"{_COLUMN * 3}{_yaml_text(option.key)}: {_yaml_value(option.plain())}{_beside(option)}"


def _comments(comments: Iterable[str], before: str = "") -> Iterator[str]:
    for comment in comments:
        yield f"{before}#{_said(comment)}"


def _beside(entry: Entry) -> str:
    return f"  #{_said(entry.beside)}" if entry.beside else ""


def _said(comment: str) -> str:
    """Return a comment without what would end it, or what a format refuses to have in a file."""
    return _UNPRINTED.sub(" ", comment)


# --- values -----------------------------------------------------------------------------------------------------------


def _toml_key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def _toml_value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value)
        case int():
            return str(value)
        case float():
            return repr(value)
        case datetime() | date() | time():
            return value.isoformat()
        case list():
            return f"[{', '.join(map(_toml_value, value))}]"
        case dict():
            inside = (f"{_toml_key(str(key))} = {_toml_value(each)}" for key, each in value.items())
            return f"{{ {', '.join(inside)} }}" if value else "{}"
        case _:
            return '""'  # TOML has no nothing; what matters of it was taken out before


def _yaml_value(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _yaml_text(value)
        case int():
            return str(value)
        case float():
            return _yaml_text(str(value))
        case datetime() | date() | time():
            return _quoted(value.isoformat())
        case list():
            return f"[{', '.join(map(_yaml_value, value))}]"
        case dict():
            inside = (f"{_yaml_text(str(key))}: {_yaml_value(each)}" for key, each in value.items())
            return f"{{{', '.join(inside)}}}"
        case _:
            return _quoted(str(value))


def _yaml_text(text: str) -> str:
    """Return a text as YAML reads it back as text; with quotes unless nobody could take it for something else."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and "://" not in text and not text.endswith(":"):
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    """Return a text in double quotes, in the escapes that both formats know."""
    return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
