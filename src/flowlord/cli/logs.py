"""Log lines for people and for programs, on stderr; each carries an action, and the task's id where there is one."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from flowlord.cli.printer import printable

LogFormat = Literal["text", "json"]
_PLAIN = frozenset(vars(logging.makeLogRecord({})))


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN and key != "action"}


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class TextFormatter(logging.Formatter):
    """One line a record: time, level where it is not plain information, action, task, words."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; control characters of foreign texts are made visible."""
        extras = _extras(record)
        task = printable(str(extras.get("task", extras.get("key", "")))[:8])
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()} "
        action = printable(str(getattr(record, "action", record.name.removeprefix("flowlord."))))
        line = (
            f"{_at(record)[11:19]}Z {level}{action:<14} {task:<8} {printable(record.getMessage())}".rstrip()
        )
        if record.exc_info:
            # Indented, so that no text in it passes for a line of the log.
            told = self.formatException(record.exc_info).split("\n")
            line += "".join(f"\n  {printable(each)}" for each in told)
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, action, message, and what the record carries besides."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object; keys are stable."""
        found = {
            "at": _at(record),
            "level": record.levelname.lower(),
            "action": str(getattr(record, "action", record.name.removeprefix("flowlord."))),
            "message": record.getMessage(),
            **{key: str(value) for key, value in _extras(record).items()},
        }
        if record.exc_info:
            found["error"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=True)


def set_up(format_: str, level: str) -> None:
    """Send the log to stderr in the given format; a level is a name such as `info`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format_ == "json" else TextFormatter())
    root = logging.getLogger("flowlord")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(level.upper())
