"""`flowlord cache query|export`: rows of the history, asked for in SQL or whole tables of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.cache import ask
from flowlord.cache.schema import CacheUnusable
from flowlord.cli import printer
from flowlord.cli.bounded import MOST_MEMORY, bounded
from flowlord.cli.cachewords import nanoseconds, no_history, unusable
from flowlord.cli.exits import DONE, TIMED_OUT, WRONG_USE
from flowlord.cli.printer import Column, Look, Sheet
from flowlord.cli.times import parse_time, to_us
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.config import Settings

PAGE = 500


def query(
    settings: Settings, sql: str, values: Iterable[str], *, timeout: str, look: Look, clock: Clock | None = None
) -> int:  # fmt: skip
    """Print the answer to a question in SQL; returns the exit code."""
    path = settings.cache.path
    if not Path(path).exists():
        return no_history(Path(path))
    named = _named(values)
    text = sys.stdin.read() if sql == "-" else sql
    limit_s = nanoseconds(timeout) / 1e9

    def late(told: str = "") -> int:
        words = told or ask.too_long(limit_s)
        printer.error(words, hint="--timeout gives it more; LIMIT makes it shorter")
        return TIMED_OUT

    def body() -> int:
        try:
            with bounded(limit_s, late):
                names, rows = ask.query(path, text, named, clock or SystemClock(), limit_s)
                _print_rows(names, rows, look)
        except ask.TooLong as error:
            return late(str(error))
        except MemoryError:
            printer.error(
                f"the question takes more than {MOST_MEMORY >> 20:,} MiB of memory",
                hint="fewer and shorter columns, or LIMIT; nothing is wrong with the history",
            )
            return WRONG_USE
        except ask.WrongQuestion as error:
            printer.error(str(error), hint="docs/history.md lists the tables")
            return WRONG_USE
        except CacheUnusable as error:
            return unusable(error)
        return DONE

    return printer.quietly(body)


def export(
    settings: Settings, table: str, *, since: str, until: str, look: Look, clock: Clock | None = None
) -> int:
    """Print a whole table; returns the exit code."""
    path = settings.cache.path
    if table not in ask.EXPORTED:
        raise FlowlordError(
            f"there is no table {printer.printable(table[:60])!r}",
            hint=f"write one of {', '.join(ask.EXPORTED)}",
        )
    if not Path(path).exists():
        return no_history(Path(path))
    now = (clock or SystemClock()).now()
    try:
        bounds = [
            max(0, to_us(parse_time(text, now, end=end))) if text else 0
            for text, end in ((since, False), (until, True))
        ]
    except ValueError as error:
        raise FlowlordError(str(error)) from None

    def body() -> int:
        try:
            _print_rows(ask.columns(path, table), ask.exported(path, table, *bounds), look)
        except CacheUnusable as error:
            return unusable(error)
        return DONE

    return printer.quietly(body)


def _named(values: Iterable[str]) -> dict[str, str]:
    """Return what `NAME=VALUE` say; raises FlowlordError."""
    found: dict[str, str] = {}
    for each in values:
        name, equals, value = each.partition("=")
        if not equals or not name.isidentifier():
            raise FlowlordError(
                f"-p {printer.printable(each[:60])!r} names no value", hint="write -p NAME=VALUE"
            )
        found[name] = value
    return found


def _print_rows(names: list[str], rows: Iterable[Mapping[str, object]], look: Look) -> None:
    found = iter(rows)
    sheet = Sheet(names, [Column(printer.printable(name), gives=True) for name in names], look=look)
    while some := list(islice(found, PAGE)):
        sheet.add(some)
    sheet.close()
