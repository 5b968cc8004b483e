"""Log lines: one a record, whatever the texts in it hold."""

import json
import logging
import sys

import pytest

from flowlord.cli.logs import JsonFormatter, TextFormatter

FORGED = "x\n00:00:00Z done  paid\x1b[2J\u2028\u202e"


def record(words: str, **extra: object) -> logging.LogRecord:
    found = logging.makeLogRecord({"name": "flowlord.router", "levelno": logging.INFO, "levelname": "INFO"})
    found.msg, found.args = "%s", (words,)
    vars(found).update(extra)
    return found


def failed() -> logging.LogRecord:
    try:
        raise ValueError(FORGED)
    except ValueError:
        return record("it failed", exc_info=sys.exc_info())


@pytest.mark.parametrize(
    "extra", [{"task": "\n00:00"}, {"key": "\x1b[2J\r"}, {"action": FORGED}, {"task": FORGED}]
)
def test_no_extra_of_a_record_breaks_its_line_or_reaches_the_terminal(extra):
    [line] = TextFormatter().format(record(FORGED, **extra)).splitlines()
    assert line.isprintable()


def test_the_texts_of_an_exception_do_not_pass_for_lines_of_the_log():
    first, *others = TextFormatter().format(failed()).split("\n")
    assert first.endswith("it failed")
    assert len(others) > 2
    assert all(line.startswith("  ") and line.isprintable() for line in others)


def test_a_line_of_json_holds_everything_on_one_line():
    found = record(FORGED, task=FORGED, action=FORGED)
    [line] = JsonFormatter().format(found).splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert (json.loads(line)["task"], json.loads(line)["message"]) == (FORGED, FORGED)
    [line] = JsonFormatter().format(failed()).splitlines()
    assert FORGED in json.loads(line)["error"]
