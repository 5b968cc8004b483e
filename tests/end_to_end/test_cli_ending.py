"""How commands end that cannot write their answer, or that are interrupted before they have begun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import write

FLOW = {"workflows/a.toml": '[[phase]]\ntask = "ok"\nrule = "cron=@hourly"\n'}
# Presses Ctrl-C when a module is looked for, which no clock could hit.
PRESS = """
import os, signal, sys
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["PRESS_AT"]:
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Press())
"""


def end(home: Path, *words: str, stdout: int | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flowlord", *words]
    return subprocess.run(
        command,
        cwd=home,
        env=os.environ | env,
        stdout=stdout if stdout is not None else subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        ("config",),
        ("validate", "workflows", "-o", "json"),
        ("tasks", "-o", "json"),
        ("next", "--help"),
        ("version",),
    ],
    ids=" ".join,
)
def test_an_answer_that_nobody_can_keep_is_told_in_one_line_with_a_code_of_its_own(
    tmp_path, words, unbuffered
):
    with open("/dev/full", "wb") as full:
        ended = end(write(tmp_path, FLOW), *words, stdout=full.fileno(), PYTHONUNBUFFERED=unbuffered)
    assert ended.stderr.splitlines()[-1] == "error: cannot write the answer: No space left on device"
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 7


def test_a_closed_stdout_is_told_and_a_reader_that_went_away_is_not(tmp_path):
    home = write(tmp_path, FLOW)
    shell = ["sh", "-c", 'exec "$0" -m flowlord config >&-', sys.executable]
    closed = subprocess.run(shell, cwd=home, capture_output=True, text=True, timeout=60)
    assert (closed.returncode, closed.stderr) == (7, "error: cannot write the answer: Bad file descriptor\n")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        gone = end(home, "config", stdout=writing)
    finally:
        os.close(writing)
    assert (gone.returncode, gone.stderr) == (0, "")


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("flowlord.cli.entry", ("tasks",)),
        ("msgspec", ("tasks",)),
        ("flowlord.cli.worker", ("worker", "--types", "x", "--exec", "true")),
        ("flowlord.worker.runtime", ("worker", "--types", "x", "--exec", "true")),
        ("flowlord.cli.program", ("doctor", "--help")),
    ],
)
def test_ctrl_c_while_a_command_is_loading_ends_it_without_a_word(tmp_path, at, words):
    write(tmp_path, {**FLOW, "press/sitecustomize.py": PRESS})
    path = os.pathsep.join(filter(None, [str(tmp_path / "press"), os.environ.get("PYTHONPATH", "")]))
    ended = end(tmp_path, *words, PYTHONPATH=path, PRESS_AT=at)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_mended_text_that_nobody_can_keep_is_told_in_one_line(tmp_path, unbuffered):
    home = write(tmp_path, {"bad.toml": FLOW["workflows/a.toml"].replace("@hourly", "@hourly&ofset=1h")})
    shell = ["sh", "-c", 'exec "$0" -m flowlord validate - --fix < bad.toml > /dev/full', sys.executable]
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    ended = subprocess.run(shell, cwd=home, env=env, capture_output=True, text=True, timeout=60)
    assert ended.stderr.splitlines()[-1] == "error: cannot write the answer: No space left on device"
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 7


@pytest.mark.parametrize("command", ["validate", "convert"])
def test_a_closed_stdin_is_wrong_use(tmp_path, command):
    shell = ["sh", "-c", f'exec "$0" -m flowlord {command} - <&-', sys.executable]
    ended = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.stderr.splitlines()[0] == "error: stdin is closed"
    assert ended.returncode == 2
