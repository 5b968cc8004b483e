"""The history in a process of its own: started by the daemon, kept alive, asked for the rest at the end.

Writing history costs as much as deciding, and in one process one of the two waits for the other.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError
from flowlord.model.problem import Severity
from flowlord.taskmaster.copying import FINISH, How, State
from flowlord.taskmaster.follower import FINISH_NS
from flowlord.taskmaster.health import Health

log = logging.getLogger("flowlord.history")

SUBJECT: Final = "history"
WAIT_S: Final = 1.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
END_S: Final = FINISH_NS / 1e9 + 5.0
_END_US = {signal.SIGINT, signal.SIGTERM}
_decode = msgspec.json.Decoder(State).decode


class Finishes(Protocol):
    """What does the rest of the work of the process."""

    def finish(self) -> object:
        """Do it, for some seconds at most."""
        ...


class Chronicle:
    """One process at a time that follows the journal. To be used by one thread at a time.

    It lives as long as its standard input is open, so that it ends with us however we end; it leaves what it does to
    the history file between two transactions. Signals that end us are not for it: they may reach it as well, when they
    are sent to a group of processes.
    """

    name = "history process"

    def __init__(
        self,
        command: Sequence[str],
        charge: bytes,
        instead: Finishes,
        health: Health,
        clock: Clock,
        *,
        environment: Mapping[str, str] | None = None,
        first_pause_s: float = FIRST_PAUSE_S,
        end_s: float = END_S,
    ) -> None:
        """`charge` is the first line that the process reads; `instead` copies the rest when the process cannot.

        `end_s` is how long it may take to end when it is asked to.
        """
        self._end_s = end_s
        self._command, self._charge, self._instead = command, charge, instead
        self._health, self._clock = health, clock
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._said = b""
        self._pause_s = self._first_pause_s = first_pause_s
        self._rest_until_ns = 0
        self._resting = threading.Event()

    @property
    def pid(self) -> int:
        """The process that writes now; 0 when there is none."""
        return self._process.pid if self._process else 0

    def step(self) -> None:
        """Start the process when there is none, and hear what it says, waiting up to WAIT_S.

        Raises:
            OSError: it cannot be started.
        """
        if self._process is None:
            left_s = (self._rest_until_ns - self._clock.monotonic_ns()) / 1e9
            if left_s > 0:
                self._resting.wait(min(left_s, WAIT_S))
                return
            self._process = self._start()
        said = self._hear(self._process)
        if said is None:
            return
        if not said:
            self._died(self._process)
            return
        *lines, self._said = (self._said + said).split(b"\n")
        for line in lines:
            self._heed(_decode(line))

    def finish(self) -> None:
        """Let the process copy what is there and end; do it here when it does not.

        Raises:
            FlowlordError: it did not end in time, and was killed.
            BusError, CacheError: the rest could not be copied here.
        """
        process, self._process = self._process, None
        if process is not None and self._asked_to_end(process):
            return
        self._instead.finish()

    def _asked_to_end(self, process: subprocess.Popen[bytes]) -> bool:
        with process:
            assert process.stdin is not None
            try:
                process.stdin.write(FINISH + b"\n")
                process.stdin.close()
            except BrokenPipeError:
                return False
            try:
                return process.wait(self._end_s) == 0
            except subprocess.TimeoutExpired:
                process.kill()
                raise FlowlordError(
                    f"the process that writes history did not end within {self._end_s:.0f} s and was killed"
                ) from None

    def _start(self) -> subprocess.Popen[bytes]:
        # A blocked signal stays blocked in what we start: from its first moment on, and without its help.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _END_US)
        try:
            process = subprocess.Popen(
                self._command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._said = b""
        assert process.stdin is not None
        try:
            process.stdin.write(self._charge + b"\n")
        except BrokenPipeError:
            pass  # it is gone already, which the next look shows
        return process

    def _hear(self, process: subprocess.Popen[bytes]) -> bytes | None:
        """Return what it says; None when it is silent, nothing when it is gone."""
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], WAIT_S)
        return os.read(process.stdout.fileno(), 65_536) if readable else None

    def _heed(self, state: State) -> None:
        if state.how is How.WORKS:
            self._pause_s = self._first_pause_s
            if self._health.mended(state.subject) and state.subject == SUBJECT:
                log.info("the history is written again", extra={"action": "history.mended"})
        else:
            severity = Severity.ERROR if state.subject == SUBJECT else Severity.WARNING
            self._health.fault(state.subject, state.text, severity)

    def _died(self, process: subprocess.Popen[bytes]) -> None:
        with process:  # closes what we hold of it, and waits
            assert process.stdin is not None
            process.stdin.close()
        self._process = None
        code = process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        text = f"the process that writes history {how}"
        self._health.fault(SUBJECT, text)
        log.error("%s; another one is started in %g s", text, self._pause_s, extra={"action": "history.died"})
        self._rest_until_ns = self._clock.monotonic_ns() + int(self._pause_s * 1e9)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
