"""Everything that commands print: data on stdout, words on stderr.

On a terminal lists are aligned tables, in a pipe lines of tabs with full values; `-o` asks for one form by name. No
text of a task reaches a terminal unescaped, whatever it holds (docs/reference.md, "Output").
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, TextIO

import msgspec

from flowlord.cli.ending import Answer
from flowlord.cli.exits import DONE, INTERRUPTED
from flowlord.cli.table import Column, Layout
from flowlord.cli.texts import csv_line, json_text, printable, tsv_cell, tsv_line
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.model.problem import Problem

__all__ = ["FORMS", "Column", "Look", "Sheet", "error", "printable", "problem", "quietly", "rows", "say"]

FORMS = ("table", "json", "jsonl", "csv", "tsv", "name")
Record = Mapping[str, object]
_AT_ONCE = 200


class Look(msgspec.Struct, frozen=True):
    """How a list is to look; `form` empty is a table on a terminal and lines of tabs in a pipe.

    `wide` cuts nothing; `color` is auto, always or never.
    """

    form: str = ""
    no_headers: bool = False
    ascii: bool = False
    color: str = "auto"
    wide: bool = False

    def __post_init__(self) -> None:
        if self.form not in ("", *FORMS):
            raise FlowlordError(
                f"-o {printable(self.form)!r} is no form of output", hint=_near(self.form, FORMS)
            )
        if self.color not in ("auto", "always", "never"):
            raise FlowlordError(
                f"--color {printable(self.color)!r} is unknown", hint="write auto, always or never"
            )

    def resolved(self) -> str:
        """Return the form to print in now."""
        return self.form or ("table" if on_terminal() else "tsv")

    def colored(self) -> bool:
        """Return whether tables may use colour: by the flag, else by the environment and by what stdout is."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR"):
            return False
        if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
            return True
        return on_terminal() and os.environ.get("TERM") != "dumb"

    def plain(self) -> bool:
        """Return whether symbols must be ASCII."""
        return self.ascii or "utf" not in (sys.stdout.encoding or "").lower()


def on_terminal() -> bool:
    """Return whether a person looks at stdout."""
    return sys.stdout.isatty()


Line = Callable[[Record], str]
Header = Callable[[Iterable[object]], str]


class Sheet:
    """A list on its way to stdout; rows may come in any number of portions.

    Args:
        fields: the keys of the records that machines get, in order; their names are stable.
        columns: what people see.
        name: the field that `-o name` prints.
    """

    def __init__(
        self,
        fields: Sequence[str],
        columns: Sequence[Column] = (),
        *,
        name: str = "",
        look: Look | None = None,
    ) -> None:
        self._look = look or Look()
        self._form = self._look.resolved()
        self._fields = fields
        self._all_of: Callable[[Record], tuple[object, ...]] = itemgetter(*fields, fields[0])
        self._name = name or fields[0]
        self._layout = Layout(columns or [Column(field) for field in fields])
        self.count = 0

    def expect(self, records: Sequence[Record]) -> None:
        """Leave room in a table for rows like these, which take long to come; the header is as wide, too."""
        self._layout.expect(records, plain=self._look.plain())

    def add(self, records: Iterable[Record]) -> None:
        """Print some rows more, at once."""
        match self._form:
            case "table":
                self._add_table(list(records))
            case "json":
                for record in records:
                    _out(("[" if not self.count else ",\n ") + json_text(self._picked(record)))
                    self.count += 1
            case "jsonl":
                self._lines(records, lambda record: json_text(self._picked(record)))
            case "csv":
                self._lines(records, lambda record: csv_line(map(record.get, self._fields)), csv_line)
            case "tsv":
                self._lines(records, lambda record: tsv_line(self._values(record)), tsv_line)
            case _:
                self._lines(records, lambda record: tsv_cell(record.get(self._name)))
        sys.stdout.flush()

    def add_lines(self, lines: Iterable[str]) -> None:
        """Print rows that are lines of tabs already, each as `tsv_line` writes it: many of them, and alike."""
        coming = iter(lines)
        while some := list(islice(coming, _AT_ONCE)):
            self._print(some, tsv_line)
        sys.stdout.flush()

    def close(self) -> None:
        """Finish the document; a list without rows is an empty document."""
        if self._form == "json":
            _out("]\n" if self.count else "[]\n")
            sys.stdout.flush()

    def _picked(self, record: Record) -> Record:
        return {field: record.get(field) for field in self._fields}

    def _values(self, record: Record) -> Iterable[object]:
        try:
            return self._all_of(record)[:-1]
        except KeyError:
            return map(record.get, self._fields)

    def _lines(self, records: Iterable[Record], line: Line, header: Header | None = None) -> None:
        coming = iter(records)
        while some := [line(record) for record in islice(coming, _AT_ONCE)]:
            self._print(some, header)

    def _print(self, some: list[str], header: Header | None) -> None:
        if not self.count and header and not self._look.no_headers:
            some.insert(0, header(self._fields))
            self.count -= 1
        self.count += len(some)
        some.append("")
        _out("\n".join(some))  # where nothing is buffered, each is a call of the system

    def _add_table(self, records: Sequence[Record]) -> None:
        if not records:
            return
        look = self._look
        width = terminal_width() if on_terminal() and not look.wide else 0
        lines = self._layout.lines(
            records,
            width=width,
            color=look.colored(),
            plain=look.plain(),
            header=not (self.count or look.no_headers),
        )
        self.count += len(records)
        _out("".join(f"{line}\n" for line in lines))


def rows(
    records: Iterable[Record],
    fields: Sequence[str],
    output: str = "",
    *,
    name: str = "",
    columns: Sequence[Column] = (),
    look: Look | None = None,
) -> int:
    """Print one whole list; returns how many rows it had."""
    sheet = Sheet(fields, columns, name=name, look=look or Look(output))
    sheet.add(records)
    sheet.close()
    return sheet.count


def document(value: object) -> None:
    """Print one JSON document."""
    _out(json_text(value) + "\n")


def act(found: Record, *, name: str, look: Look) -> None:
    """Print what one act did or would do: one document, one row, or, when no form is asked for, the field `name`."""
    if look.form == "json":
        document(found)
    elif look.form:
        rows([found], [*found], name=name, look=look)
    else:
        lines([printable(str(found[name]))])


def lines(texts: Iterable[str]) -> None:
    """Print lines of data that were escaped already."""
    _out("".join(f"{text}\n" for text in texts))


def as_they_are(data: bytes) -> None:
    """Print the bytes of a file, whatever they are."""
    if isinstance(sys.stdout, Answer):
        sys.stdout.write_bytes(data)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)


def say(text: str, *, once: bool = False) -> None:
    """Tell people something, on stderr; `once` says the same words only one time."""
    if once:
        _say_once(text)
    else:
        _err("".join(f"{printable(line)}\n" for line in text.split("\n")))


def error(text: str, *, hint: str = "") -> None:
    """Tell what failed and how to go on, on stderr."""
    say(f"error: {text}" + (f"\n  hint: {hint}" if hint else ""))


def problem(found: Problem) -> None:
    """Tell one thing that is wrong in a file, on stderr."""
    say(str(found) + (f"\n  hint: {found.hint}" if found.hint else ""))


def quietly(body: Callable[[], int]) -> int:
    """Run the body of a command; a reader that went away is no error, Ctrl-C ends with its own code."""
    try:
        code = body()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        return DONE  # what is still in the buffer is taken care of at the end
    except KeyboardInterrupt:
        return INTERRUPTED


def terminal_width() -> int:
    """Return the width of the terminal in cells: COLUMNS, else what the terminal says, else 100."""
    told = os.environ.get("COLUMNS", "")
    if re.fullmatch(r"[1-9][0-9]{0,4}", told):
        return int(told)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 100
    except (OSError, ValueError):
        return 100


@lru_cache(maxsize=256)
def _say_once(text: str) -> None:
    say(text)


def _near(word: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1)
    return f"did you mean {close[0]}?" if close else f"write one of {', '.join(known)}"


def _out(text: str) -> None:
    _write(sys.stdout, text)


def _err(text: str) -> None:
    try:
        _write(sys.stderr, text)
        sys.stderr.flush()
    except OSError:  # nobody can be told that nobody can be told; the answer may still get through
        pass


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:  # a terminal without Unicode
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
