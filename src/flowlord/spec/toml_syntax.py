"""What tomli says of a text that is no TOML, told to its author: where, and what to write."""

from __future__ import annotations

import re
from typing import Final

import tomli

from flowlord.model.problem import Problem
from flowlord.spec.document import named
from flowlord.spec.source import Source
from flowlord.spec.toml_limits import STRINGS

_KEY: Final = re.compile(r"[ \t]*([A-Za-z0-9_.-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*=")
_HEADER: Final = re.compile(r"[ \t]*\[")
_YAML: Final = re.compile(r"(?:- )?[ \t]*[A-Za-z_]+:(?:[ \t]|$)|---[ \t]*$")
_CURLY: Final = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\xab\xbb"  # quotes of printed text
_PLAIN: Final = "text stands in quotes: \"…\" or '…'"
_NOT_YAML: Final = "this looks like YAML: give the file a name that ends in .yaml, or write KEY = VALUE"
_HINTS: Final = {
    "Unescaped '\\' in a string": "write \\\\ for a backslash, or use '…' in which it is ordinary text",
    "Expected ']]' at the end of an array declaration": "write [[phase]]",
    "Expected ']' at the end of a table declaration": "write [TABLE], or [[phase]]",
    "Invalid initial character for a key part": "a key is a word, or text in quotes",
    "Unclosed inline table": "its closing brace is missing, or a comma",
    "Unclosed array": "its closing bracket is missing",
    "Invalid hex value": "\\x takes two hexadecimal digits, \\u four, \\U eight",
}


def told(source: Source, error: tomli.TOMLDecodeError) -> Problem:
    """Return the problem that an error of tomli tells."""
    text, at = error.msg, error.pos
    if text == "Cannot overwrite a value" and (again := _again(source, at)):
        return again
    if text.startswith(("Illegal character '\\n'", "Unterminated string", "Expected \"'")):
        opened = _unclosed(source.text, at)
        if opened >= 0:
            hint = "its closing quote is missing"
            return source.problem("FL005", opened, at, "the string is not closed", hint)
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


def _again(source: Source, at: int) -> Problem | None:
    """Return the problem of a key that its table has already; None when it does not show in the lines."""
    number = source.place(max(at - 1, 0))[0]
    found = _KEY.match(source.lines[number - 1])
    if found is None:
        return None
    hint = ""
    for above in range(number - 1, 0, -1):
        line = source.lines[above - 1]
        if _HEADER.match(line):
            break
        if (other := _KEY.match(line)) and other[1] == found[1]:
            hint = f"line {above} has it already"
            break
    begin = source.offset(number, found.start(1) + 1)
    text = f"the key {named(found[1])} is repeated"
    return source.problem("FL008", begin, begin + len(found[1]), text, hint)


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
