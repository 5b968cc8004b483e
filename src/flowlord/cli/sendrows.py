"""The rows of `flowlord send --from-file`: each is read, and refused with its place, before anything is sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Final, NoReturn

from flowlord.cli.flag_values import WrongUse, priority_of
from flowlord.decide.ask import Ask, on_ask
from flowlord.decide.context import Context
from flowlord.model.message import BANDS
from flowlord.model.task import MAX_TASK_BYTES, encode
from flowlord.model.workflow import Workflows

_OWN_BYTES: Final = 4_096
"""What a task may hold beside its row: times, ids, the name of its workflow."""


def rows_asked(path: str, common: Ask) -> Iterator[Ask]:
    """Yield what each row of a file asks for, `-` is stdin; what a row does not say is as in `common`.

    Raises:
        WrongUse: the file cannot be read, or a row means nothing; with `path:line`.
    """
    for place, row in _rows(path):
        yield _row_ask(place, row, common)


def _rows(path: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield each row with its place, `path:line`."""
    try:
        with nullcontext(sys.stdin) if path == "-" else Path(path).open(encoding="utf-8") as lines:
            for n, line in enumerate(lines, 1):
                if line.strip():
                    yield f"{path}:{n}", _row(line, f"{path}:{n}")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WrongUse(f"{path} cannot be read: {reason}") from error


def _row(line: str, place: str) -> dict[str, object]:
    """Read one line: a JSON object, or the info itself."""
    if not line.lstrip().startswith("{"):
        return {"info": line.rstrip("\r\n")}
    try:
        return dict(json.loads(line))
    except RecursionError as error:
        raise WrongUse(f"{place}: nested too deeply") from error
    except ValueError as error:
        raise WrongUse(f"{place}: not JSON: {error}") from error


def _row_ask(place: str, row: Mapping[str, object], common: Ask) -> Ask:
    """Return what a row asks for; what it does not say is as for all of them."""
    own = row.get("meta", {})
    if not isinstance(own, dict):
        _wrong_row(place, "meta", own, "an object of texts, numbers, true and false")
    priority = row.get("priority", "")
    if isinstance(priority, bool) or not isinstance(priority, str | int):
        _wrong_row(place, "priority", priority, f"0 to 10, or {', '.join(BANDS)}")
    try:
        rank = priority_of(str(priority)) if "priority" in row else common.priority
    except WrongUse:
        _wrong_row(place, "priority", priority, f"0 to 10, or {', '.join(BANDS)}")
    asked = replace(
        common,
        info=_row_text(place, "info", row.get("info", common.info)),
        job=_row_text(place, "job", row.get("job", common.job)),
        meta=(*common.meta, *(_row_pair(place, key, value) for key, value in own.items())),
        priority=rank,
    )
    _fits(place, asked)
    return asked


def _fits(place: str, asked: Ask) -> None:
    """Refuse what no bus takes: found in the middle, it would leave the rows before it sent."""
    size = len(asked.info) + len(asked.job) + sum(len(key) + len(value) for key, value in asked.meta)
    if size > MAX_TASK_BYTES // 8:  # written as JSON a character may take six bytes
        [message] = on_ask([asked], Workflows(), Context()).messages
        if (size := len(encode(message.task)) + _OWN_BYTES) > MAX_TASK_BYTES:
            raise WrongUse(f"{place}: the task would have {size:,} bytes, more than {MAX_TASK_BYTES:,}")


def _row_text(place: str, field: str, value: object) -> str:
    if not isinstance(value, str):
        _wrong_row(place, field, value, "a text, in quotes")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # half a surrogate pair
            _wrong_row(place, field, value, "Unicode text")
    return value


def _row_pair(place: str, key: str, value: object) -> tuple[str, str]:
    if not _row_text(place, "meta", key):
        _wrong_row(place, "meta", key, "an object whose keys are not empty")
    if isinstance(value, str):
        return key, _row_text(place, f"meta.{key}", value)
    if not isinstance(value, bool | int | float) or not isfinite(value):
        _wrong_row(place, f"meta.{key}", value, "a text, a number, true or false")
    return key, json.dumps(value)


def _wrong_row(place: str, field: str, value: object, allowed: str) -> NoReturn:
    shown = json.dumps(value)
    shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
    raise WrongUse(f"{place}: {field} is {shown}; it must be {allowed}")
