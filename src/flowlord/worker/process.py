"""One command in a process group of its own: fed, drained, and ended with everything it started when its time is over.

posix_spawn keeps the parent's share small; a pidfd and both outputs lie in one poll, so nothing here waits in vain: not
for a child that fills its pipe, nor for a grandchild that keeps it open. What runs here runs for each task, on caches
that the command has just emptied, so it is kept short.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from flowlord.model.clock import Clock
from flowlord.worker.handler import Stop, Why

READ_BYTES = 65536
KILL_GRACE_NS = 2_000_000_000
"""Between SIGTERM and SIGKILL."""
LINGER_NS = 500_000_000
"""How long output is still read after the command itself has ended."""
LOOK_MS = 1000
"""How often to look whether the run was told to end; the signal itself is sent at once."""
BLIND_MS = 50
"""How often to look for the end of the command where the system has no pidfd."""


class Sink(Protocol):
    """Takes what a stream gives."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended. `status` is its exit status, -N when signal N ended it, None when somebody else took it.

    `stopped` is why we ended it; `left_behind` that something it started still held its output.
    """

    status: int | None
    stopped: Why | None = None
    left_behind: bool = False


def inherited_descriptors() -> tuple[int, ...]:
    """Return the descriptors that this process got from its parent and that a command would get too.

    What Python opens itself is not handed on; what a shell or a supervisor left open is, and posix_spawn has no
    close_fds before Python 3.14.
    """
    found = []
    for name in os.listdir("/dev/fd"):
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:  # the one that listed the folder
            continue
    return tuple(found)


def run_process(
    argv: list[bytes],
    environment: Mapping[bytes, bytes],
    stdin: bytes,
    out: Sink,
    err: Sink,
    *,
    clock: Clock,
    stop: Stop,
    deadline_ns: int = 0,
    kill_grace_ns: int = KILL_GRACE_NS,
    shut: Sequence[int] = (),
) -> Exit:
    """Run a command to its end; raises OSError when it cannot be started. `shut` it does not inherit."""
    supervised = _Supervised(clock, stop, deadline_ns, kill_grace_ns)
    supervised.start(argv, environment, stdin, (out, err), shut)
    return supervised.wait()


class _Supervised:
    __slots__ = (
        "_alarm_ns", "_clock", "_exited", "_feed", "_kill_grace_ns", "_look_ms", "_open", "_pid", "_pidfd", "_sinks",
        "_stdin", "_stop", "_why",
    )  # fmt: skip

    def __init__(self, clock: Clock, stop: Stop, deadline_ns: int, kill_grace_ns: int) -> None:
        self._clock = clock
        self._stop = stop
        self._kill_grace_ns = kill_grace_ns
        self._alarm_ns = deadline_ns  # when to act next: 0 is never
        self._why: Why | None = None
        self._exited = False
        self._open: set[int] = set()

    def start(
        self,
        argv: list[bytes],
        environment: Mapping[bytes, bytes],
        stdin: bytes,
        sinks: tuple[Sink, Sink],
        shut: Sequence[int],
    ) -> None:
        """Start the command with three pipes; what it writes goes to `sinks`."""
        try:
            child_in, self._feed = self._pipe()
            out, child_out = self._pipe()
            err, child_err = self._pipe()
            self._sinks = {out: sinks[0], err: sinks[1]}
            self._stdin = memoryview(stdin)
            self._pid = os.posix_spawn(
                argv[0],
                argv,
                environment,
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, child_in, 0),
                    (os.POSIX_SPAWN_DUP2, child_out, 1),
                    (os.POSIX_SPAWN_DUP2, child_err, 2),
                    *((os.POSIX_SPAWN_CLOSE, fd) for fd in shut),
                ),
                setsid=True,  # its own group, out of reach of the terminal's Ctrl-C
                setsigmask=(),
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores them; commands expect them
            )
        except BaseException:
            self._close()
            raise
        for fd in (child_in, child_out, child_err):
            self._shut(fd)
        try:
            self._pidfd = os.pidfd_open(self._pid)
            self._open.add(self._pidfd)
            self._look_ms = LOOK_MS
        except (AttributeError, OSError):
            self._pidfd = -1
            self._look_ms = BLIND_MS

    def wait(self) -> Exit:
        """Feed and drain the command until it is over."""
        try:
            self._stop.watch(self._told)
            self._attend()
        except BaseException:
            self._signal(signal.SIGKILL)
            raise
        finally:
            self._stop.watch(None)  # from here on nobody signals a number that may be another process's
            status = self._reap()
            self._close()
        return Exit(status, self._why, left_behind=bool(self._sinks))

    def _attend(self) -> None:
        poll = select.poll()
        for fd in self._sinks:
            poll.register(fd, select.POLLIN)
        if self._pidfd >= 0:
            poll.register(self._pidfd, select.POLLIN)
        if len(self._stdin) > select.PIPE_BUF:  # a new pipe holds that much at least
            os.set_blocking(self._feed, False)
        if self._fed():
            self._shut(self._feed)
        else:
            poll.register(self._feed, select.POLLOUT)
        while self._sinks or not self._exited:
            for fd, _ in poll.poll(self._patience_ms()):
                if fd in self._sinks:
                    data = os.read(fd, READ_BYTES)
                    if data:
                        self._sinks[fd].feed(data)
                        continue
                    del self._sinks[fd]
                elif fd == self._pidfd:
                    self._ended()
                elif not self._fed():
                    continue
                poll.unregister(fd)
                self._shut(fd)
            if self._pidfd < 0 and not self._exited and self._has_exited():
                self._ended()
            if not self._exited and self._why is None and self._stop.why is not None:
                self._end(self._stop.why)
            if self._alarm_ns and self._clock.monotonic_ns() >= self._alarm_ns and self._alarmed():
                return

    def _patience_ms(self) -> int:
        if not self._alarm_ns:
            return self._look_ms
        left_ms = (self._alarm_ns - self._clock.monotonic_ns()) // 1_000_000 + 1
        return max(0, min(left_ms, self._look_ms))

    def _alarmed(self) -> bool:
        """Take the next step when time is over; True when there is nothing more to wait for."""
        if self._exited:
            return True  # what still holds the output was started by the command: it is left alone
        if self._why is None:
            self._signal(signal.SIGTERM)
            self._end(Why.TIMEOUT)
        else:
            self._signal(signal.SIGKILL)
            self._alarm_ns = 0
        return False

    def _told(self) -> None:
        """Tell the whole group at once, from whichever thread; `_attend` sees to it that it heeds it."""
        self._signal(signal.SIGKILL if self._stop.why is Why.FORCED else signal.SIGTERM)

    def _end(self, why: Why) -> None:
        self._why = why
        self._alarm_ns = self._clock.monotonic_ns() + self._kill_grace_ns

    def _ended(self) -> None:
        """The command itself is gone, but not yet reaped: its number still names its group."""
        self._exited = True
        self._why = self._why or self._stop.why
        if self._why is not None:
            self._signal(signal.SIGKILL)  # those of the group that did not heed SIGTERM
        self._alarm_ns = self._clock.monotonic_ns() + LINGER_NS

    def _fed(self) -> bool:
        """Write what the pipe takes; True when nothing is left to write, or nobody reads any more."""
        try:
            while self._stdin:
                self._stdin = self._stdin[os.write(self._feed, self._stdin) :]
        except BlockingIOError:
            return False
        except BrokenPipeError:
            self._stdin = self._stdin[:0]
        return True

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._pid, number)
        except (ProcessLookupError, PermissionError):  # gone, or become somebody else's by setuid
            pass

    def _has_exited(self) -> bool:
        try:
            return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _reap(self) -> int | None:
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        except ChildProcessError:  # SIGCHLD is ignored here, or somebody waits for all children
            return None

    def _pipe(self) -> tuple[int, int]:
        read, write = os.pipe()
        if read <= 2 or write <= 2:
            read, write = _beyond_standard(read), _beyond_standard(write)
        self._open.add(read)
        self._open.add(write)
        return read, write

    def _shut(self, fd: int) -> None:
        self._open.discard(fd)
        os.close(fd)

    def _close(self) -> None:
        for fd in self._open:
            os.close(fd)
        self._open.clear()


def _beyond_standard(fd: int) -> int:
    """A worker without stdin or stdout of its own gets their numbers from pipe(): move away, dup2 needs them."""
    if fd > 2:
        return fd
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return moved
