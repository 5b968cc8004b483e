"""How far something is: a bar where a person looks, lines in a pipe, nothing for what is over at once."""

from __future__ import annotations

import io
import sys

import pytest

from flowlord.cli.progress import Progress
from support.clock import VirtualClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    clock = VirtualClock()
    with Progress("tasks", 2_000, clock) as progress:
        progress.at(900)  # within half a second: not worth a word
        clock.advance(1)
        for done in (1_000, 1_010, 1_199, 1_200, 2_000):
            progress.at(done)
    assert capsys.readouterr().err.splitlines() == [
        "50 %: 1,000 of 2,000 tasks",
        "60 %: 1,200 of 2,000 tasks",
        "100 %: 2,000 of 2,000 tasks",
    ]


def test_quiet_and_nothing_to_do_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = VirtualClock()
    for progress in (Progress("tasks", 10, clock, quiet=True), Progress("tasks", 0, clock)):
        clock.advance(5)
        with progress:
            progress.at(5)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    clock = VirtualClock()
    with Progress("tasks", 2_000, clock) as progress:
        progress.at(10)
        assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
        clock.advance(1)
        progress.at(1_000)
    assert "1000/2000" in sys.stderr.getvalue()  # type: ignore[attr-defined]
