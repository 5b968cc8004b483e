"""A TCP proxy that loses what it carries: requests, answers, halves of answers, whole connections, or just time.

It knows no protocol. Bytes from the client after an answer begin a new exchange; whether that one is spoilt is drawn
when it begins, from a seed, apart for each connection.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Mapping
from enum import StrEnum
from typing import Self

HOST = "127.0.0.1"
RESETS = struct.pack("ii", 1, 0)  # SO_LINGER: closing throws away what was not sent and says so
PIECE = 1 << 16


class Fault(StrEnum):
    """What happens to one exchange."""

    NO_REQUEST = "no request"  # it never reaches the server; the connection ends
    NO_REPLY = "no reply"  # the server has answered; the connection ends before the answer
    HALF_REPLY = "half a reply"  # ... in the middle of it
    RESET = "reset"  # as NO_REPLY, and the client is told so by a reset
    SILENT = "silent"  # as NO_REPLY, and the connection stays open: the client has to lose patience
    LATE = "late"  # the answer comes after a while


LOST = frozenset((Fault.NO_REPLY, Fault.HALF_REPLY, Fault.RESET, Fault.SILENT))
"""Faults after which the server has done what the client knows nothing of."""
USUAL = {Fault.NO_REQUEST: 2, Fault.NO_REPLY: 4, Fault.HALF_REPLY: 2, Fault.RESET: 2, Fault.LATE: 1}


class LossyProxy:
    """Stands between a client and the server at `port`; a context manager that carries as long as it lasts.

    Args:
        seed: of all chance; connections are numbered from 1 as they come.
        share: of exchanges that are spoilt, in [0, 1]; may be changed at any time.
        faults: kinds with their weights.
        late_s: how long LATE keeps an answer back.

    `label` is what happens now, as the test calls it; `done` counts faults by label and kind.
    """

    def __init__(
        self,
        port: int,
        *,
        seed: int = 0,
        share: float = 0.0,
        faults: Mapping[Fault, int] | None = None,
        late_s: float = 0.01,
    ) -> None:
        self.share, self.label = share, ""
        self.done: Counter[tuple[str, Fault]] = Counter()
        self.exchanges = 0
        self._target, self._seed, self._late_s = (HOST, port), seed, late_s
        self._faults = dict(USUAL if faults is None else faults)
        self._doomed: deque[Fault] = deque()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._wake, self._woken = socket.socketpair()
        self._door = socket.create_server((HOST, 0))
        self.port: int = self._door.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name="proxy-door")]

    @property
    def url(self) -> str:
        """The address for a client."""
        return f"redis://{HOST}:{self.port}"

    def doom(self, *faults: Fault) -> None:
        """Spoil the next exchanges in this way, whatever chance says."""
        self._doomed.extend(faults)

    def lost(self, label: str) -> int:
        """Return how many exchanges of that label the server did whose answer was lost."""
        return sum(count for (name, fault), count in self.done.items() if name == label and fault in LOST)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._wake.close()  # readable for everybody who waits
        for thread in self._threads:  # the door is the first; once it has ended there are no new ones
            thread.join()
        self._woken.close()
        self._door.close()

    def _accept(self) -> None:
        number = 0
        while not self._ended.is_set():
            ready, _, _ = select.select([self._door, self._woken], [], [])
            if self._door not in ready or self._ended.is_set():
                continue
            client, _ = self._door.accept()
            number += 1
            thread = threading.Thread(target=self._carry, args=(client, number), name=f"proxy-{number}")
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}")
        with client:
            try:
                with socket.create_connection(self._target) as server:
                    for each in (client, server):
                        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._exchange(client, server, chance)
            except OSError:  # one of them has gone: so does the other
                pass

    def _exchange(self, client: socket.socket, server: socket.socket, chance: random.Random) -> None:
        fault: Fault | None = None
        awaited = False
        while not self._ended.is_set():
            ready, _, _ = select.select([client, server, self._woken], [], [])
            if client in ready:
                if not (data := client.recv(PIECE)):
                    return
                if not awaited:
                    awaited, fault = True, self._draw(chance)
                if fault is Fault.NO_REQUEST:
                    self._note(fault)
                    return
                server.sendall(data)
            if server in ready:
                if not (data := server.recv(PIECE)):
                    return
                awaited, spoilt = False, fault
                if spoilt:
                    self._note(spoilt)
                match spoilt:
                    case Fault.NO_REPLY:
                        return
                    case Fault.HALF_REPLY:
                        client.sendall(data[: len(data) // 2])
                        return
                    case Fault.RESET:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)
                        return
                    case Fault.SILENT:
                        continue  # also what comes of it later
                    case Fault.LATE:
                        self._ended.wait(self._late_s)
                        fault = None
                client.sendall(data)

    def _draw(self, chance: random.Random) -> Fault | None:
        with self._lock:
            self.exchanges += 1
        if self._doomed:
            return self._doomed.popleft()
        if chance.random() >= self.share:
            return None
        [found] = chance.choices(list(self._faults), list(self._faults.values()))
        return found

    def _note(self, fault: Fault) -> None:
        with self._lock:
            self.done[self.label, fault] += 1
