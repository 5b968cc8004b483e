"""What tomli says of a text that is no TOML, told to its author: where, and what to write."""

from __future__ import annotations

import re
from typing import Final

import tomli

from flowlord.model.problem import Problem
from flowlord.spec.document import named
from flowlord.spec.source import Source
from flowlord.spec.toml_again import hidden, opened, told_again
from flowlord.spec.toml_limits import STRINGS

_KEY: Final = re.compile(r"[ \t]*(?:[A-Za-z0-9_.-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*=")
_HEADER: Final = re.compile(r"\[(?:\[[^\[\]\n]+\]\]|[^\[\]\n]+\])[ \t]*(?:#|\n|\Z)")
_TIME: Final = re.compile(r"(?:[0-9]{4}-[0-9]{1,2}-[0-9]|[0-9]{1,2}:[0-9])[0-9TtZz:.+-]*")
_HEX: Final = re.compile(r"\\[xuU][0-9A-Fa-f]{0,8}")
_LONGEST_TIME: Final = 40
_AGAIN: Final = ("Cannot ", "Duplicate inline table key ")
_LIST: Final = "its closing bracket is missing"
_BRACES: Final = "its closing brace is missing, or a comma"
_SURROGATE: Final = "Escaped character is not a Unicode scalar value"
_BACKSLASH: Final = "Unescaped '\\' in a string"
_ESCAPES: Final = (_BACKSLASH, "Invalid hex value", _SURROGATE)
_IN_BRACKETS: Final = frozenset((
    "Unclosed array",
    "Unclosed inline table",
    "Invalid value",
    "Invalid initial character for a key part",
    "Expected '=' after a key in a key/value pair",
))  # fmt: skip
_YAML: Final = re.compile(r"(?:- )?[ \t]*[A-Za-z_]+:(?:[ \t]|$)|---[ \t]*$")
_CURLY: Final = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\xab\xbb"  # quotes of printed text
_PLAIN: Final = "text stands in quotes: \"…\" or '…'"
_NOT_YAML: Final = "this looks like YAML: give the file a name that ends in .yaml, or write KEY = VALUE"
_HINTS: Final = {
    _BACKSLASH: "write \\\\ for a backslash, or use '…' in which it is ordinary text",
    "Expected ']]' at the end of an array declaration": "write [[phase]]",
    "Expected ']' at the end of a table declaration": "write [TABLE], or [[phase]]",
    "Invalid initial character for a key part": "a key is a word, or text in quotes",
    "Unclosed inline table": _BRACES,
    "Unclosed array": f"{_LIST}, or a comma",
    "Invalid hex value": "\\x takes two hexadecimal digits, \\u four, \\U eight; \\\\ is a backslash",
    _SURROGATE: "write the character itself",
}


def told(source: Source, error: tomli.TOMLDecodeError) -> Problem:
    """Return the problem that an error of tomli tells."""
    text, at = error.msg, error.pos
    if text.startswith(_AGAIN) and (again := told_again(source, at)):
        return again
    if text in _ESCAPES and (begin := source.text.rfind("\\", 0, at)) >= 0:
        return _escape(source, text, begin, at)
    if text.startswith(("Illegal character '\\n'", "Unterminated string", "Expected \"'")):
        opened = _unclosed(source.text, at)
        if opened >= 0:
            hint = "its closing quote is missing"
            return source.problem("FL005", opened, at, "the string is not closed", hint)
    if text in _IN_BRACKETS and (bracket := _unclosed_bracket(source, at)) >= 0:
        is_list = source.text[bracket] == "["
        what, hint = ("list", _LIST) if is_list else ("table in braces", _BRACES)
        return source.problem("FL005", bracket, bracket + 1, f"the {what} is not closed", hint)
    begin = _word(source.text, at)
    word = _TIME.match(source.text, begin)
    if word and word.end() > at and (begin < at or text == "Invalid date or datetime"):
        hint = "a date is YYYY-MM-DD, a time HH:MM:SS; text stands in quotes"
        return source.problem("FL005", *word.span(), f"{named(word[0])} is no date or time", hint)
    hint = _HINTS.get(text, "") or _of_place(source, text, at)
    return source.problem("FL005", at, at + 1, text[:1].lower() + text[1:], hint)


def _of_place(source: Source, text: str, at: int) -> str:
    """Return what to write instead, by what stands where tomli gave up."""
    here = source.text[at : at + 1]
    line = source.lines[source.place(at)[0] - 1]
    if here == "\r" or "\r" in line:
        return "a line ends with a carriage return alone: save the file with line ends of Unix or Windows"
    if here and here in _CURLY:
        return "these quotes are of a text for readers: write plain ones"
    if here and not here.isprintable() and here not in "\t\n":
        return f"{named(here)} is a character that does not show: take it out, or write a plain blank"
    match text:
        case "Invalid value":
            if here in ("", "\n", "#"):
                return "the value is missing"
            word = source.text[at : at + 8].lower()
            if word.startswith(("true", "false")):
                return "write true or false, in small letters"
            return _PLAIN
        case "Expected '=' after a key in a key/value pair":
            if _YAML.match(line):
                return _NOT_YAML
            return "a line is KEY = VALUE or [[phase]]; text stands in quotes"
        case "Expected newline or end of document after a statement":
            if here == ",":
                return "take the comma out: each KEY = VALUE has a line of its own"
            if here.isdecimal() and source.text[at - 1 : at] == "0":
                return "a number does not begin with 0"
            if here.isalnum() and source.text[at - 1 : at].isalnum():
                return _PLAIN
            return "each KEY = VALUE has a line of its own"
        case "Invalid statement":
            if line.lstrip().startswith("//"):
                return "a comment begins with #"
            if _YAML.match(line):
                return _NOT_YAML
            if here == "{":
                return "this looks like JSON, which is YAML: give the file a name that ends in .yaml"
            return "a line is KEY = VALUE or [[phase]]"
        case _:
            return ""


def _escape(source: Source, text: str, begin: int, at: int) -> Problem:
    """Return the problem of the escape that begins with the backslash at `begin`."""
    found = _HEX.match(source.text, begin) if text != _BACKSLASH else None
    written = found[0] if found else source.text[begin : begin + 2].rstrip()
    if text == _SURROGATE:
        written = source.text[begin:at]
        return source.problem("FL005", begin, at, f"{written} is no character of Unicode", _HINTS[text])
    said = text[:1].lower() + text[1:]
    return source.problem("FL005", begin, begin + len(written), said, _HINTS[text])


def _word(text: str, at: int) -> int:
    """Return where the number or word begins that holds the character at `at` or ends in front of it."""
    begin = at
    while begin > max(at - _LONGEST_TIME, 0) and (text[begin - 1].isalnum() or text[begin - 1] in "-:.+"):
        begin -= 1
    return begin


def _unclosed_bracket(source: Source, at: int) -> int:
    """Return where the list or table in braces opens that the text at `at` shows to be not closed; -1 when none.

    The end of the text shows it, and so does a line that begins as only one outside of brackets can.
    """
    text = source.text
    if not text[at:].strip():
        stack = opened(hidden(text[:at]))
        return stack[-1] if stack else -1
    line = text.rfind("\n", 0, at) + 1
    is_header = _HEADER.match(text, line) is not None
    if not is_header and not _KEY.match(text, line):
        return -1
    stack = opened(hidden(text[:line]))
    if not stack:
        return -1
    # A table in braces may have a key at the begin of a line, as few have.
    inside = (
        not is_header
        and text[stack[-1]] == "{"
        and (text[line].isspace() or "\n" in text[stack[-1] : line - 1])
    )
    return -1 if inside else stack[-1]


def _unclosed(text: str, at: int) -> int:
    """Return where the string opens that is still open at `at`; -1 when none is."""
    for found in STRINGS.finditer(text):
        if found.start() >= at:
            break
        if found[0].startswith("#"):
            continue
        if found.end() >= at or (found[0][0] == "'" and not found[0].endswith("'")):
            return found.start()
    return -1
