"""The configuration file: its values with their places, from TOML or YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import tomli

from flowlord.model.problem import Problem

MAX_BYTES: Final = 64 * 1024
DEEPER: Final = "alerts.channels"
"""The one section whose tables have tables of their own."""
_HEADER: Final = re.compile(r"""\s*\[\s*["']?([^"'\]]+?)["']?\s*\]""")


class Value(NamedTuple):
    """One value; `key` is `name` or `section.name`, or `alerts.channels.NAME.name`; other tables are values."""

    key: str
    value: object
    line: int
    column: int


class Read(NamedTuple):
    """What a file says, or why nothing."""

    values: tuple[Value, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_file(path: str) -> Read:
    """Return the values of a configuration file, in its order."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            return _wrong(path, f"has more than {MAX_BYTES:,} bytes")
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        return Read(tuple(_yaml(text) if path.endswith((".yaml", ".yml")) else _toml(text)))
    except OSError as error:
        return _wrong(path, f"cannot be read: {error.strerror or error}")
    except UnicodeDecodeError as error:
        return _wrong(path, f"is not UTF-8: byte {error.start}")
    except _NoYaml as error:
        return Read(problems=(Problem(path, error.line, error.column, str(error), "", "FL200"),))
    except tomli.TOMLDecodeError as error:
        text = f"no valid TOML: {error.msg}"
        return Read(problems=(Problem(path, error.lineno, error.colno, text, "", "FL200"),))
    except (RecursionError, ValueError) as error:
        return _wrong(path, f"cannot be read: {error}")


def _wrong(path: str, text: str) -> Read:
    return Read(problems=(Problem(path, 0, 0, text, "", "FL200"),))


def _toml(text: str) -> Iterator[Value]:
    lines = text.split("\n")
    for key, value in tomli.loads(text).items():
        if not isinstance(value, dict):
            yield Value(key, value, *_find(lines, "", key))
            continue
        for name, each in value.items():
            if isinstance(each, dict) and f"{key}.{name}" == DEEPER:
                yield from _deeper(lines, each)
                continue
            line, column = _find(lines, key, name)
            if not line:  # an inline table or dotted keys
                line, column = _find(lines, "", key)
            yield Value(f"{key}.{name}", each, line, column)


def _deeper(lines: list[str], tables: dict[str, object]) -> Iterator[Value]:
    """Yield the keys of tables within a table, which are the channels of alerts."""
    for name, table in tables.items():
        section = f"{DEEPER}.{name}"
        if not isinstance(table, dict) or not table:
            yield Value(section, table, *_find(lines, section, "kind"))
            continue
        for key, each in table.items():
            line, column = _find(lines, section, key)
            if not line:  # an inline table
                line, column = _find(lines, DEEPER, name)
            yield Value(f"{section}.{key}", each, line, column)


def _find(lines: list[str], section: str, key: str) -> tuple[int, int]:
    """Return line and column of a key; of the section's header when the key is written in a rarer way."""
    pattern = re.compile(rf"""\s*(?:{re.escape(section)}\s*\.\s*)?["']?{re.escape(key)}["']?\s*[=.]\s*""")
    inside = ""
    header = 0, 0
    for number, line in enumerate(lines, 1):
        if found := _HEADER.match(line):
            inside = found[1]
            if inside in (section, key, f"{section}.{key}"):
                header = (number, len(line) - len(line.lstrip()) + 1)
        elif (
            inside in ("", section)
            and (found := pattern.match(line))
            and (inside == section or "." in found[0])
        ):
            return number, found.end() + 1
    return header


class _NoYaml(ValueError):
    """A text that is no YAML, or more of it than a configuration needs."""

    def __init__(self, text: str, mark: Any) -> None:
        super().__init__(text)
        self.line: int = mark.line + 1 if mark else 0
        self.column: int = mark.column + 1 if mark else 0


def _yaml(text: str) -> Iterator[Value]:
    """Read two levels of tables, and two more of DEEPER; all values are texts, or lists that nobody reads."""
    import yaml

    try:
        events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        yield from _table(yaml, iter(events), "")
    except yaml.YAMLError as error:
        words = getattr(error, "problem", None) or str(error)
        raise _NoYaml(f"no valid YAML: {words}", getattr(error, "problem_mark", None)) from error


def _table(yaml: Any, events: Iterator[Any], section: str) -> Iterator[Value]:
    """Read the pairs of a table up to its end; at the top, find the table first."""
    if not section:
        for event in events:
            if isinstance(event, yaml.StreamEndEvent):
                return
            if isinstance(event, yaml.MappingStartEvent):
                break
            if isinstance(event, yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.AliasEvent):
                raise _NoYaml("the file is no table: write KEY: VALUE", event.start_mark)
    seen: set[str] = set()
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            return
        if not isinstance(event, yaml.ScalarEvent):
            raise _NoYaml("a key is a word", event.start_mark)
        key = f"{section}.{event.value}" if section else event.value
        if key in seen:
            raise _NoYaml(f"the key {key!r} is repeated", event.start_mark)
        seen.add(key)
        value = next(events)
        place = value.start_mark.line + 1, value.start_mark.column + 1
        if isinstance(value, yaml.ScalarEvent):
            yield Value(key, value.value, *place)
        elif isinstance(value, yaml.MappingStartEvent) and (
            not section or key == DEEPER or section == DEEPER
        ):
            yield from _table(yaml, events, key)
        elif isinstance(value, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            depth = 1
            while depth:
                event = next(events)
                depth += isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent)
                depth -= isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent)
            yield Value(key, [], *place)
        else:
            raise _NoYaml("aliases are not taken here", value.start_mark)
