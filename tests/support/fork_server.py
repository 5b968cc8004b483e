"""A process that has loaded flowlord and forks for each command of a test: a program of its own, see support/forks.py.

Each request is one byte with five descriptors: the words as JSON, where to tell how it goes, stdin, stdout and stderr.
What is told is two lines: the process id, and, once it has ended, its exit code, negative for a signal.

A fork differs from `python -m flowlord` in what it has loaded, and in nothing that is known here.
"""

import atexit
import gc
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import threading
import time
from array import array
from importlib import import_module
from typing import NoReturn

DESCRIPTORS = 5


def load() -> None:
    """Import all of flowlord, first what wants to be first."""
    import_module("flowlord.cli.lean")
    import flowlord

    for found in pkgutil.walk_packages(flowlord.__path__, "flowlord."):
        if not found.name.endswith("__main__"):
            import_module(found.name)
    assert len(os.listdir("/proc/self/task")) == 1, "a thread does not live on in a fork"
    gc.collect()
    gc.freeze()  # the pages stay shared as long as nobody writes to them


class Forks:
    """The loop; it is left in each child, with what that is to run."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._told: dict[int, int] = {}  # by process id: where to tell its end
        self._bell, self._ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for who runs the tests
        signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)

    def serve(self) -> list[str]:
        """Fork for each request; returns in a child, with the words of its command."""
        look = select.poll()
        look.register(self._requests, select.POLLIN)
        look.register(self._bell, select.POLLIN)
        while True:
            for fd, _ in look.poll():
                if fd == self._bell:
                    os.read(self._bell, 4096)
                    self._bury()
                elif (words := self._take()) is not None:
                    return words

    def _take(self) -> list[str] | None:
        fds = array("i")
        said, extra, *_ = self._requests.recvmsg(1, socket.CMSG_SPACE(DESCRIPTORS * fds.itemsize))
        if not said:
            self._leave()
        for _, _, data in extra:
            fds.frombytes(data)
        words, told, *standard = fds
        if pid := os.fork():
            self._told[pid] = told
            os.write(told, b"%d\n" % pid)
            for fd in (words, *standard):
                os.close(fd)
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, self._interrupt)
        self._requests.detach()
        return become(words, standard)

    def _bury(self) -> None:
        while self._told:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            told = self._told.pop(pid)
            try:
                os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
            except BrokenPipeError:  # nobody wants to know
                pass
            os.close(told)

    def _leave(self) -> NoReturn:
        for pid in self._told:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def become(words: int, standard: list[int]) -> list[str]:
    """Make of this fork what was asked for; returns the words of its command."""
    with open(words, "rb") as file:
        asked = json.load(file)
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    sys.path.insert(0, os.getcwd())
    words_: list[str] = asked["words"]
    return words_


def end_at_once(code: object) -> None:
    """End a fork without threads in the way of the interpreter, except for taking apart what all forks share."""
    if threading.active_count() > 1 or not isinstance(code, int | None):
        return
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return
    os._exit(code or 0)


if __name__ == "__main__":
    del sys.path[0]  # this folder, in which modules are named as others are
    load()
    command = Forks(socket.socket(fileno=int(sys.argv[1]))).serve()
    sys.argv[1:] = command
    try:
        runpy.run_module("flowlord", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        end_at_once(end.code)
        raise
    end_at_once(None)
