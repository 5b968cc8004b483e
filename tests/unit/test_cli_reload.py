"""What `flowlord reload` can know of the process of a taskmaster that does not answer."""

from __future__ import annotations

import os
import subprocess
import sys
from socket import gethostname
from typing import Any

import pytest

from flowlord.bus.port import Presence
from flowlord.cli import reload


def at(pid: int, host: str = "") -> Presence:
    return Presence("d1", "taskmaster", host or gethostname(), pid)


def ended() -> int:
    """Return the number of a process that was there."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_process_is_gone_when_it_was_here_and_is_there_no_more() -> None:
    pid = ended()
    assert reload._is_gone(at(pid))
    assert not reload._is_gone(at(pid, "elsewhere"))
    assert not reload._is_gone(at(os.getpid()))
    assert reload._is_gone(at(1 << 80))  # there is no such number


def test_a_process_that_is_not_shown_to_us_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(path: str, *_: Any) -> Any:
        raise FileNotFoundError(path)

    monkeypatch.setattr(reload, "open", hidden, raising=False)
    assert not reload._is_gone(at(os.getpid()))
    assert not reload._is_gone(at(1))  # of another user, as a rule
    assert reload._is_gone(at(ended()))
