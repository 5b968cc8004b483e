"""A bell between processes of one machine: who waits hears within a millisecond that there is something to look at.

Each waiter binds a unix datagram socket in a folder beside the bus; who has published sends the topics to all of
them. A bell promises nothing: waiters look again every 250 ms whatever they hear, so a lost ring costs that much.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import count

from flowlord.bus.clock import SystemClock

POLL_S = 0.25
"""How long a waiter trusts the bell alone."""
JOURNAL = "\x01journal"
"""The name that rings when the journal grew; no topic is called so."""
_MOST_BYTES = 8_192
_EVERYTHING = b""
_SEPARATOR = "\x00"
_FULL = 5  # a socket queues as few as 10 messages; of one that may have been full, nobody knows what was lost
_SHORT = 100  # a socket's path holds 108 bytes


class Ear:
    """One waiter's socket; it keeps what it heard until asked."""

    def __init__(self, heard: socket.socket | None, path: str) -> None:
        self.heard = heard
        self.path = path
        self._clock = SystemClock()

    def listen(self, names: Collection[str], timeout_s: float) -> bool:
        """Wait until one of `names` rings; False after `timeout_s` or POLL_S, whichever is less."""
        left_s = min(timeout_s, POLL_S)
        until_ns = self._clock.monotonic_ns() + int(left_s * 1e9)
        poller = select.poll()  # unlike select(), takes file numbers above 1023
        if self.heard is not None:
            poller.register(self.heard, select.POLLIN)
        while left_s > 0:
            if poller.poll(left_s * 1000) and self.drain(names):
                return True
            left_s = (until_ns - self._clock.monotonic_ns()) / 1e9
        return False

    def drain(self, names: Collection[str]) -> bool:
        """Forget what rang so far; tell whether one of `names` may have been in it."""
        found, heard = False, 0
        while self.heard is not None:
            try:
                data = self.heard.recv(_MOST_BYTES)
            except BlockingIOError:
                break
            heard += 1
            found = found or data == _EVERYTHING or not set(data.decode().split(_SEPARATOR)).isdisjoint(names)
        return found or heard >= _FULL


class Bell:
    """The bell of the bus at `path`; one per bus object, for all threads.

    Args:
        path: of the bus; the sockets lie in `path` + `.bells`.
        name: what this process's sockets begin with, unlike all others'.
    """

    def __init__(self, path: str, name: str) -> None:
        self.folder = f"{path}.bells"
        self._name = name
        self._pid = os.getpid()
        self._numbers = count(1)
        self._idle: list[Ear] = []  # append and pop are atomic: no lock
        self._closed = False
        self._ringer: socket.socket | None = None
        self._reach = ""  # how the folder is written in a socket's path; empty: there is no bell
        self._folder_fd = -1
        self._open()

    def _open(self) -> None:
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            if len(os.fsencode(self.folder)) + len(self._name) + 12 <= _SHORT:
                self._reach = self.folder
            elif os.path.isdir("/proc/self/fd"):
                self._folder_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                self._reach = f"/proc/self/fd/{self._folder_fd}"
            else:
                return
            self._ringer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._ringer.setblocking(False)
        except OSError:  # no room, no rights, no sockets: everybody polls
            self._reach = ""

    def ring(self, names: Collection[str]) -> None:
        """Tell all waiters; never waits and never fails."""
        data = _SEPARATOR.join(names).encode("utf-8", "replace")
        self._send(data if len(data) <= _MOST_BYTES else _EVERYTHING)

    def _send(self, data: bytes) -> None:
        ringer = self._ringer
        if ringer is None:
            return
        try:
            sockets = os.listdir(self.folder)
        except OSError:
            return
        for name in sockets:
            try:
                ringer.sendto(data, f"{self._reach}/{name}")
            except ConnectionRefusedError:  # its process died without a word
                _remove(f"{self.folder}/{name}")
            except OSError:  # full: it has enough to hear already; gone: it needs no more
                pass

    @contextmanager
    def ear(self) -> Iterator[Ear]:
        """Give a waiter its socket. Look at the bus after this: what comes later is heard."""
        try:
            ear = self._idle.pop()
        except IndexError:
            ear = self._new_ear()
        ear.drain(())
        try:
            yield ear
        finally:
            if self._closed:
                _end(ear)
            else:
                self._idle.append(ear)

    def _new_ear(self) -> Ear:
        name = f"{self._name}-{next(self._numbers)}"
        heard = None
        if self._reach:
            try:
                heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                heard.setblocking(False)
                heard.bind(f"{self._reach}/{name}")
            except OSError:
                if heard is not None:
                    heard.close()
                heard = None
        return Ear(heard, f"{self.folder}/{name}")

    def close(self) -> None:
        """Wake who waits here, and take the sockets away."""
        self._closed = True
        if os.getpid() != self._pid:  # a forked child has copies; the sockets stay the parent's
            return
        self._send(_EVERYTHING)
        while self._idle:
            _end(self._idle.pop())
        if self._ringer is not None:
            self._ringer.close()
            self._ringer = None
        self._reach = ""  # its number will be another folder's
        if self._folder_fd >= 0:
            os.close(self._folder_fd)
            self._folder_fd = -1


def _end(ear: Ear) -> None:
    if ear.heard is not None:
        ear.heard.close()
        _remove(ear.path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
