"""What libyaml says of a text that is no YAML, told to the person who wrote it: where, and what to write."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from flowlord.model.problem import Problem
from flowlord.spec.document import named
from flowlord.spec.source import Source
from flowlord.spec.yaml_places import span_of

_KEY: Final = re.compile(r"[ ]*(?:- +)?[^\s:]+:\s")
_QUOTED: Final = re.compile(r"""(?<![^\s\[{,])(["'])""")
"""A quote where a value may begin: not the apostrophe of a word."""
_BLANKS: Final = "indent with blanks"
_INDENT: Final = "lines of one table begin below each other: look at the blanks in front"
_BLOCK: Final = re.compile(r"([ ]*)(?:- |-$|[^\s:#\[\]{},]+:(?:\s|$))")
_HINTS: Final = {
    "could not find expected ':'": "a line is KEY: VALUE, with a blank behind the colon",
    "did not find expected ',' or ']'": "its closing bracket is missing, or a comma",
    "did not find expected ',' or '}'": "its closing brace is missing, or a comma",
    "found unknown escape character": r"write \\ for a backslash, or use '…' in which it is ordinary text",
    "did not find expected '-' indicator": _INDENT,
    "mapping values are not allowed in this context": _INDENT,
}


def told(source: Source, error: Exception) -> Problem:
    """Return the problem that an error of libyaml tells."""
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    opened: Any = getattr(error, "context_mark", None)
    text = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    at = mark.index if mark else getattr(error, "position", 0)
    at = min(at if isinstance(at, int) else 0, len(source.text))
    here = source.text[at : at + 1]
    line = source.lines[source.place(at)[0] - 1]
    hint = _HINTS.get(text, "")
    context = str(getattr(error, "context", None) or "")
    if here == "\t" or "tab character" in text:
        at = source.text.find("\t", at) if here != "\t" and "\t" in source.text[at:] else at
        text, hint = "a tab stands where YAML takes blanks only", _BLANKS
    elif source.lines[0].lstrip().startswith("[["):
        hint = "this looks like TOML: give the file a name that ends in .toml"
    elif "block sequence entries are not allowed" in text:
        text = "a list begins below its key, not behind it"
        hint = "write '- ' on the next line; text that begins with '- ' stands in quotes"
    elif "unexpected end of stream" in text and opened:
        at, text, hint = opened.index, "the string is not closed", "its closing quote is missing"
    elif (began := _open_quote(source, at)) >= 0:
        at, text, hint = began, "the string is not closed on its line", "its closing quote is missing"
    elif "flow" in context and (bracket := _unclosed(source, at)) >= 0:
        is_list = source.text[bracket] == "["
        at, text = bracket, f"the {'list' if is_list else 'table in braces'} is not closed"
        hint = f"its closing {'bracket' if is_list else 'brace'} is missing"
    elif "cannot start any token" in text and here:
        text, hint = f"a value cannot begin with {named(here)}", "put it in quotes"
    elif "while scanning a" in context and ("alias" in context or "anchor" in context):
        at = max(at - 1, 0)
        mark_of = source.text[at : at + 1]
        text, hint = f"a value that begins with {named(mark_of)} is an alias or an anchor", "put it in quotes"
    elif "mapping values" in text and (key := _KEY.match(line)) and key.end() <= source.place(at)[1] - 1:
        text, hint = "a second ': ' in one line", "put the value in quotes"
    elif "did not find expected key" in text:
        before = line[: source.place(at)[1] - 1].rstrip()[-1:]
        closed = bool(before) and before in "}]\"'"
        hint = "text follows a closing brace or quote: put the whole value in quotes" if closed else _INDENT
    elif context:
        text = f"{text} ({context})"
    return source.problem("FL006", at, at + 1, text, hint)


def _unclosed(source: Source, at: int) -> int:
    """Return where the list or table in brackets opens that the text at `at` shows to be not closed; -1 when none.

    The end of the text shows it, and so does a line that begins an item or a key no further in than the line on which
    it opens.
    """
    opened: list[int] = []
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(source.text)
    try:
        while (event := loader.get_event()) is not None:
            if isinstance(event, yaml.CollectionStartEvent):
                opened.append(span_of(event)[0])
            elif isinstance(event, yaml.CollectionEndEvent):
                opened.pop()
    except (yaml.YAMLError, RecursionError):  # as before
        pass
    brackets = [each for each in opened if source.text[each : each + 1] in ("[", "{")]
    if not brackets:
        return -1
    if not source.text[at:].strip():
        return brackets[-1]
    first, last = (source.place(each)[0] for each in (brackets[-1], at))
    found = _BLOCK.match(source.lines[last - 1])
    opening = source.lines[first - 1]
    is_block = found is not None and last > first and len(found[1]) <= len(opening) - len(opening.lstrip(" "))
    return brackets[-1] if is_block else -1


def _open_quote(source: Source, at: int) -> int:
    """Return where a string begins that was meant to end on its line but ran on to a quote before `at`; -1 if none.

    A lone quote before `at` closes what was opened on a line above it. That one is taken for a slip when a key or an
    item begins right below, for few texts of several lines hold one.
    """
    number, column = source.place(at)
    for quote in "\"'":
        if not source.lines[number - 1][: column - 1].count(quote) % 2:
            continue
        for above in range(number - 2, -1, -1):
            line = source.lines[above]
            if line.count(quote) % 2:
                opened = [found.start() for found in _QUOTED.finditer(line) if found[1] == quote]
                if opened and _KEY.match(source.lines[above + 1].lstrip("{ ")):
                    return source.offset(above + 1, opened[-1] + 1)
                break
    return -1
