"""Commands of flowlord as forks of a process that has loaded it: processes like any other, without four tenths of a
second for the same imports again.

`FLOWLORD_TEST_FORKS=no` starts each as a user does.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

FORKS = "FLOWLORD_TEST_FORKS"
# What an interpreter, the C library or the loader reads when it starts. Nobody may ask a fork for another one.
AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC", "COVERAGE_")


class Fork:
    """One of them; what tests use of `subprocess.Popen`."""

    def __init__(self, told: int) -> None:
        self._told = told
        self._line = b""
        self.returncode: int | None = None
        self.pid = int(self._next(None) or 0)

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; None while it goes on."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code once it has ended.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        code = self._ended(None if timeout is None else int(timeout * 1000))
        if code is None:
            raise subprocess.TimeoutExpired("flowlord", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended, which it may do just now."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, limit_ms: int | None) -> int | None:
        if self.returncode is None and (said := self._next(limit_ms)) is not None:
            self.returncode = int(said)
            os.close(self._told)
        return self.returncode

    def _next(self, limit_ms: int | None) -> bytes | None:
        look = select.poll()
        look.register(self._told, select.POLLIN)
        if not look.poll(limit_ms):
            return None
        said = b""
        while not said.endswith(b"\n"):
            byte = os.read(self._told, 1)
            assert byte, "the process that forks is gone"
            said += byte
        return said


class _Server:
    """The process that forks."""

    def __init__(self) -> None:
        self.at_start = _at_start(os.environ)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            program = Path(__file__).with_name("fork_server.py")
            self._process = subprocess.Popen(
                [sys.executable, str(program), str(theirs.fileno())], pass_fds=[theirs.fileno()], cwd="/",
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        self._requests = ours

    def fork(self, words: Sequence[str], cwd: Path, env: Mapping[str, str], standard: Sequence[int]) -> Fork:
        asked = os.memfd_create("words")
        told, tell = os.pipe()
        try:
            text = json.dumps({"words": list(words), "cwd": str(cwd), "env": dict(env)})
            os.write(asked, text.encode("ascii"))
            os.lseek(asked, 0, os.SEEK_SET)
            fds = array("i", [asked, tell, *standard])
            self._requests.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        finally:
            os.close(asked)
            os.close(tell)
        return Fork(told)

    def close(self) -> None:
        self._requests.close()
        self._process.wait()


@cache
def _server() -> _Server:
    server = _Server()
    atexit.register(server.close)
    return server


def _at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(AT_START)}


def can_fork(command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether a fork is the same as this command in this environment."""
    return (
        list(command[:3]) == [sys.executable, "-m", "flowlord"]
        and os.environ.get(FORKS) != "no"
        and _at_start(env) == _server().at_start
    )


def fork(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], standard: Sequence[int]) -> Fork:
    """Start one; `standard` is stdin, stdout and stderr, `env` the whole environment."""
    return _server().fork(command[3:], cwd, env, standard)
