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

from flowlord.model.crashpoint import arm

PR_SET_PDEATHSIG = 1
SPOILT = 70  # our own exit code: the command let an exception through


@dataclass(slots=True)
class Victim:
    """One process; `place` is the seat that its successor takes, `trap` the named place at which it kills or stops
    itself.

    `resume_at` is when one that stands still is continued (monotonic seconds; 0: it does not), `spared_until` how long
    it is left alone.
    """

    serial: int
    kind: str
    place: int
    pid: int
    cold: bool
    since: float
    trap: str = ""
    killed: bool = False
    resume_at: float = 0.0
    spared_until: float = 0.0


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
    def has_left(self) -> bool:
        """Whether it ended in order."""
        return self.status == 0

    @property
    def words(self) -> str:
        """The end, for people."""
        return str(os.waitstatus_to_exitcode(self.status))


def warm_up(*, without: str) -> None:
    """Import everything that a victim needs; must come after a bug is planted.

    Modules whose names begin with `without` belong to the other bus.
    """
    import flowlord

    for found in pkgutil.walk_packages(flowlord.__path__, "flowlord."):
        if not found.name.endswith("__main__") and not found.name.startswith(without):
            importlib.import_module(found.name)
    importlib.import_module("fault.kill_tasks")
    Libc.prctl = ctypes.CDLL(None).prctl
    gc.collect()
    gc.freeze()  # children share these pages as long as nobody writes to them


class Libc:
    """What Python does not offer, looked up before the fork."""

    prctl: object = None


class Stop:
    """Lets this process stand still when it passes a named place the nth time; the driver continues it later."""

    def __init__(self, told: str) -> None:
        self.name, _, passages = told.partition(":")
        self.left = int(passages)

    def __call__(self, name: str) -> None:
        if name == self.name:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGSTOP)


def start(
    argv: Sequence[str],
    *,
    cold: bool,
    where: Path,
    output: Path,
    environment: Mapping[str, str],
    words: Path | None = None,
) -> int:
    """Start `flowlord ARGV` in the folder `where`; returns its process id. stderr goes to `words`, if given."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = SPOILT
    try:
        _prepare(parent, where, (output, words or output), environment)
        if cold:
            os.execv(sys.executable, [sys.executable, "-m", "flowlord", *argv])
        code = _run(argv)
    except BaseException:  # nothing of the parent's may run in here
        traceback.print_exc()
    finally:
        _leave(code)


def _prepare(parent: int, where: Path, outputs: tuple[Path, Path], environment: Mapping[str, str]) -> None:
    Libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # type: ignore[operator]
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for handle, output in enumerate(outputs, 1):
        os.dup2(os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), handle)
    os.chdir(where)
    os.environ.update(environment)
    if stop := environment.get("KILL_STOP"):
        arm(Stop(stop))


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
