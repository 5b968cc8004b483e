"""How victims are started: the shipped commands, forked from a process that has everything imported, or quite cold.

A start by fork costs milliseconds where a cold one costs half a second, so that a thousand kills fit into a minute.
The process that forks has opened no bus and runs no thread. A victim dies with it, whatever happens.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import pkgutil
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

PR_SET_PDEATHSIG = 1
SPOILT = 70  # our own exit code: the command let an exception through


@dataclass(slots=True)
class Victim:
    """One process; `place` is the seat that its successor takes, `trap` the named place at which it kills itself."""

    serial: int
    kind: str
    place: int
    pid: int
    cold: bool
    since: float
    trap: str = ""
    killed: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, by its wait status."""

    victim: Victim
    status: int

    @property
    def by_kill(self) -> bool:
        """Whether signal 9 ended it."""
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL

    @property
    def words(self) -> str:
        """The end, for people."""
        return str(os.waitstatus_to_exitcode(self.status))


def warm_up() -> None:
    """Import everything that a victim needs; must come after a bug is planted."""
    import flowlord

    for found in pkgutil.walk_packages(flowlord.__path__, "flowlord."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    importlib.import_module("fault.kill_tasks")
    Libc.prctl = ctypes.CDLL(None).prctl
    gc.collect()
    gc.freeze()  # children share these pages as long as nobody writes to them


class Libc:
    """What Python does not offer, looked up before the fork."""

    prctl: object = None


def start(
    argv: Sequence[str], *, cold: bool, where: Path, output: Path, environment: Mapping[str, str]
) -> int:
    """Start `flowlord ARGV` in the folder `where`; returns its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = SPOILT
    try:
        _prepare(parent, where, output, environment)
        if cold:
            os.execv(sys.executable, [sys.executable, "-m", "flowlord", *argv])
        code = _run(argv)
    except BaseException:  # nothing of the parent's may run in here
        traceback.print_exc()
    finally:
        _leave(code)


def _prepare(parent: int, where: Path, output: Path, environment: Mapping[str, str]) -> None:
    Libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # type: ignore[operator]
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    file = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(where)
    os.environ.update(environment)


def _run(argv: Sequence[str]) -> int:
    from flowlord.cli.main import main

    sys.argv = ["flowlord", *argv]
    try:
        main()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


def _leave(code: int) -> NoReturn:
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # as at the end of an interpreter: others may still work
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
