"""Rules: strings and tables of options become a Rule, with the place of whatever is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from flowlord.model.workflow import Rule
from flowlord.rules.metastring import format_meta, unescape
from flowlord.spec.document import MOST_FINDINGS, Finding, Table, kind_of, named
from flowlord.spec.elsewhere import schedule_in_words
from flowlord.spec.options import Options
from flowlord.spec.remark import Pair

_BITS: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+|\+")
EMPTY: Final = Rule()
MOST_OPTIONS: Final = 500
_ROWS: Final = "many values for many tasks are rows: meta= or meta-file="


def parse_rule(text: str, options: Options | None = None) -> tuple[Rule, tuple[Finding, ...]]:
    """Return the rule that `text` tells and what is wrong with it; the rule is as good as can be.

    Findings count characters of `text`.

    Source:
        docs/reference.md, "Rule strings".
    """
    if not text:
        return EMPTY, ()
    options = options or Options()
    pairs: list[Pair] = []
    body = text.removeprefix("?")
    plain = "%" not in body and "+" not in body
    pieces = body.split("&")
    if len(pieces) > MOST_OPTIONS:
        return EMPTY, (Finding("FL003", (), f"a rule with more than {MOST_OPTIONS} options", _ROWS),)
    for number, piece in enumerate(pieces):
        if not piece:
            continue
        key, _, value = piece.partition("=")
        if not plain:
            key, value = unescape(key), unescape(value)
        pairs.append((number, key.strip(), value))
    rule = options.read(pairs)
    if plain and not options.remarks:
        return rule, ()
    return rule, tuple(_placed(text, pairs, options, plain))


def parse_table(table: Table, options: Options | None = None) -> tuple[Rule, tuple[Finding, ...]]:
    """Return the rule that a table of options tells, its texts taken literally; a list is a repeated option.

    Findings have paths within the table.
    """
    pairs: list[Pair] = []
    paths: list[tuple[str | int, ...]] = []
    findings: list[Finding] = []
    for key, value in table.items():
        name, is_list = key.strip(), isinstance(value, list)
        for number, each in enumerate(value if isinstance(value, list) else (value,)):
            path: tuple[str | int, ...] = (key, number) if is_list else (key,)
            text = each if type(each) is str else _word(each)
            if text is None:
                wanted = "an option is text, a number, true or false, or a list of them"
                if not isinstance(each, dict | list):
                    wanted = "put it in quotes"
                elif is_list:
                    wanted = "a list holds texts"
                words = f"the rule option {named(key)} is {kind_of(each)}, which cannot be read"
                findings.append(Finding("FL010", path, words, wanted))
                continue
            pairs.append((len(paths), name, text))
            paths.append(path)
    if len(pairs) > MOST_OPTIONS:
        return EMPTY, (Finding("FL003", (), f"a rule with more than {MOST_OPTIONS} options", _ROWS),)
    options = options or Options()
    rule = options.read(pairs)
    for code, number, text, hint, on_key, start, end, better in options.remarks:
        path = paths[number]
        better = None if code == "FL027" and on_key else better  # two keys of a table cannot be one
        findings.append(Finding(code, path[:1] if on_key else path, text, hint, on_key, start, end, better))
    return rule, tuple(findings)


def rule_text(rule: Rule) -> str:
    """Return a rule string that means what a table of options said."""
    return format_meta(rule.pairs)


def _word(value: object) -> str | None:
    """The text of an option in a table; None for what cannot be one."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case _:
            return None


@lru_cache(maxsize=4)  # a long value with much to tell is asked about again and again
def decoded(raw: str) -> tuple[str, Sequence[int]]:
    """Return what `unescape` makes of `raw`, and for each of its characters and its end the offset in `raw`."""
    if "%" not in raw:
        return raw.replace("+", " "), range(len(raw) + 1)
    text: list[str] = []
    places: list[int] = []
    at = 0
    for found in _BITS.finditer(raw):
        text.append(raw[at : found.start()])
        places.extend(range(at, found.start()))
        at = found.start()
        if found[0] == "+":
            text.append(" ")
            places.append(at)
            at += 1
            continue
        for character in unescape(found[0]):
            text.append(character)
            places.append(at)
            # Escapes of one character go together; what is no UTF-8 stays as it is, letter by letter.
            if raw[at] != "%" or (character == "%" and raw[at + 1 : at + 3] != "25"):
                at += 1
            else:
                at += 3 if character < "\x80" else 3 * len(character.encode())
        at = found.end()
    text.append(raw[at:])
    places.extend(range(at, len(raw) + 1))
    return "".join(text), places


def _placed(text: str, pairs: list[Pair], options: Options, plain: bool) -> list[Finding]:
    """Give each remark its place in the rule string, and add what only the writing of it shows."""
    full = options.before.is_full
    if plain and all(full(remark.code) for remark in options.remarks):  # they are only counted
        return [Finding(remark.code, (), "") for remark in options.remarks]
    findings: list[Finding] = []
    start = 1 if text.startswith("?") else 0
    pieces: list[tuple[int, str]] = []
    for piece in text[start:].split("&"):
        pieces.append((start, piece))
        start += len(piece) + 1
    for code, number, words, hint, on_key, first, last, better in options.remarks:
        if not words or full(code):  # it is only counted
            findings.append(Finding(code, (), ""))
            continue
        at, piece = pieces[number]
        key, equals, value = piece.partition("=")
        if on_key or not equals:
            word = key.strip() or key
            begin = at + key.index(word)
            if code == "FL026":
                better = f"cron={schedule_in_words(word) or word}"
            findings.append(Finding(code, (), words, hint, False, begin, begin + len(word), better))
            continue
        at += len(key) + 1
        _, places = decoded(value)
        ends = len(places) - 1
        begin = at + (places[min(first, ends)] if first >= 0 else 0)
        end = at + (places[min(last, ends)] if last >= 0 else len(value))
        findings.append(Finding(code, (), words, hint, False, begin, max(end, begin), better))
    if not plain:
        for number, key, _ in pairs:
            findings += _escapes(*pieces[number], key)
    return findings


def _escapes(at: int, piece: str, key: str) -> list[Finding]:
    findings: list[Finding] = []
    text, places = decoded(piece)
    number = -1
    while (number := text.find("%", number + 1)) >= 0 and len(findings) <= MOST_FINDINGS:
        place = places[number]
        if piece[place : place + 3] != "%25":
            words = "a % that escapes nothing stays as it is"
            hint = "write %25 for a percent sign"
            findings.append(Finding("FL025", (), words, hint, False, at + place, at + place + 1, "%25"))
    plus = piece.find("+", piece.find("=") + 1)
    if key.lower() == "files" and plus >= 0:
        words = "a + in a rule string is a space"
        hint = "write %2B for a plus, %20 for a space"
        findings.append(Finding("FL071", (), words, hint, False, at + plus, at + plus + 1, "%2B"))
    return findings
