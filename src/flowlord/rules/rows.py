"""The rows of meta-files, each with the place behind it, so that reading can go on there another day."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NoReturn

import msgspec

from flowlord.rules.errors import Unreadable, quote
from flowlord.rules.jsontext import json_text

Kind = Literal["jsonl", "csv"]
Lines = Callable[[int], Iterator[tuple[str, int]]]
"""Opens a text at an offset, and yields each line, with its end, and the offset behind it."""
Placed = tuple[dict[str, str], int, int]
"""A row, the offset behind it and the number of lines up to there."""

MOST_EMPTY: Final = 100_000
"""Empty lines that may follow each other."""
_SMALL: Final = 1 << 63
# Rows of texts, whole numbers and booleans are nearly all there are; what else there is, or wrong, goes the long way.
_decode_plain: Final[Callable[[str], dict[str, Any]]] = msgspec.json.Decoder(
    dict[str, str | int | bool | None]
).decode
_WORDS: Final[Mapping[object, str]] = {True: "true", False: "false", None: ""}


def kind_of(path: str) -> Kind:
    """Return how a meta-file is written, told by its name: CSV by `.csv` (`.csv.gz`), else an object per line."""
    return "csv" if path.removesuffix(".gz").endswith(".csv") else "jsonl"


def rows_from(lines: Lines, kind: Kind, offset: int = 0, line: int = 0) -> Iterator[Placed]:
    """Yield the rows behind a place, each with the place behind it.

    Args:
        offset, line: of a place that came with a row; 0 and 0 are the begin.
    Raises:
        Unreadable: while yielding; the message begins with the number of the line.
    """
    return _of_csv(lines, offset, line) if kind == "csv" else _of_json(lines(offset), line)


def rows_of_lines(lines: Iterable[str], *, kind: Kind) -> Iterator[dict[str, str]]:
    """Yield the row of each line of a meta-file, while it is being read.

    jsonl: an object per line; empty lines are skipped, `null` is a row without values. csv: names in the first line,
    a quoted value may go on in the next line when the lines keep their ends.

    Raises:
        Unreadable: while yielding; the message begins with the number of the line.
    Source:
        docs/reference.md, "Batches" and "Templates".
    """
    return (row for row, _, _ in rows_from(lambda _: ((line, 0) for line in lines), kind))


def _of_json(lines: Iterator[tuple[str, int]], number: int) -> Iterator[Placed]:
    empty = 0
    for line, end in lines:
        number += 1
        if number == 1:
            line = line.removeprefix("\ufeff")
        try:
            row = _decode_plain(line)
            for key, value in row.items():
                if type(value) is not str:
                    row[key] = _text(value)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            text = line.rstrip("\r\n")
            if not text:
                empty += 1
                _check_empty(empty, number)
                continue
            row = _read_json(text, number)
        empty = 0
        yield row, end, number


def _text(value: object) -> str:
    if type(value) is int and -_SMALL < value < _SMALL:
        return str(value)
    return json_text(value)


def _read_json(text: str, number: int) -> dict[str, str]:
    try:
        row = json.loads(text, parse_constant=_refuse)
        if row is None:
            row = {}
        if not isinstance(row, dict):
            raise Unreadable(f"{quote(text)} is no JSON object: write one object per line")
        values = {key: json_text(value) for key, value in row.items()}
        if "\\u" in text:  # only an escape can hide half a character
            "".join((*values, *values.values())).encode()
    except UnicodeEncodeError:
        raise Unreadable(f"line {number}: half of a surrogate pair is no character") from None
    except Unreadable as error:
        raise type(error)(f"line {number}: {error}") from None
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"line {number}: {quote(text)} is not JSON: {error.msg} at character {error.pos + 1}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"line {number}: {quote(text)} is more than we read as JSON: {error}") from None
    return values


class _Told:
    """Lines for a reader that asks for one at a time, and where the last one ended."""

    def __init__(self, lines: Iterator[tuple[str, int]], *, has_mark: bool) -> None:
        self._lines = lines
        self._has_mark = has_mark
        self.end = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, self.end = next(self._lines)
        if self._has_mark:
            self._has_mark = False
            line = line.removeprefix("\ufeff")
        return line


def _of_csv(lines: Lines, offset: int, before: int) -> Iterator[Placed]:
    names: list[str] = []
    if offset:  # the names stand at the begin, wherever reading goes on
        names = next(filter(None, csv.reader(_Told(lines(0), has_mark=True), strict=True)), [])
    told = _Told(lines(offset), has_mark=not offset)
    reader = csv.reader(told, strict=True)
    empty = 0
    try:
        for fields in reader:
            at = before + reader.line_num
            if not fields:
                empty += 1
                _check_empty(empty, at)
                continue
            empty = 0
            if not names:
                names = fields
                if "" in names or len(set(names)) != len(names):
                    raise Unreadable(f"line {at}: a column has no name or the name of another one")
                continue
            if len(fields) != len(names):
                raise Unreadable(f"line {at}: {len(fields)} values where {len(names)} columns are named")
            yield dict(zip(names, fields, strict=True)), told.end, at
    except csv.Error as error:
        raise Unreadable(f"line {before + reader.line_num}: not CSV: {error}") from None


def _check_empty(count: int, number: int) -> None:
    """Refuse a file that goes on without any row: a small packed one may hold billions of empty lines."""
    if count > MOST_EMPTY:
        raise Unreadable(f"line {number}: more than {MOST_EMPTY:,} empty lines follow each other")


def _refuse(constant: str) -> NoReturn:
    raise Unreadable(f"{constant} is no number in JSON")
