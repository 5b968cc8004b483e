"""The link to a Redis: commands and scripts, by any number of threads, and what is known when one fails.

Nothing that may have been executed is ever sent a second time here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Event, Lock
from typing import Final

from flowlord.bus.clock import SystemClock
from flowlord.bus.digests import sha1
from flowlord.bus.redis_address import Address, Place
from flowlord.bus.redis_dial import Dialer, redirect
from flowlord.bus.redis_errors import NotSent, OutcomeUnknown, ServerError, Wrong, error_of
from flowlord.bus.redis_steady import Steadiness
from flowlord.bus.redis_wire import Broken, Reply, Wire, Word
from flowlord.model.errors import BusUnusable

__all__ = ["Link", "NotSent", "OutcomeUnknown", "Reply", "Script", "ServerError", "Word"]

SLICE_S: Final = 2.0
"""How long one blocking command waits at most: short against every time-out between us and the server."""
HOPS: Final = 5
"""How often one call follows where a cluster sends it."""
_NEVER: Final = -1
"""The turn of a connection that is used once."""


class Script:
    """A Lua script; `sha` is the name under which a server keeps it."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.source = source
        self.sha = sha1(source.encode(), usedforsecurity=False).hexdigest()


class Link:
    """Connections to one bus, as many as threads use it at once. Does not connect before the first call.

    Every method that sends something raises:
        NotSent: it did not happen.
        OutcomeUnknown: it may have happened.
        ServerError: the server's own words.
        BusUnusable: this link was closed, or carried over a fork.
    """

    def __init__(self, address: Address, *, client_name: str = "flowlord") -> None:
        self.shown = address.shown
        self.turn = 0
        """Grows whenever all connections were given up: whoever answers next may be another server."""
        self._timeout_s = address.timeout_s
        self._dialer = Dialer(address, client_name)
        self._clock = SystemClock()
        self._steady = Steadiness()
        self._at: Place | None = None
        self._idle: list[Wire] = []
        self._busy: set[Wire] = set()
        self._lock = Lock()
        self._closed = Event()
        self._pid = os.getpid()

    # --- sending

    def call(self, *words: Word, patience_s: float | None = None) -> Reply:
        """Send one command and return its reply; `patience_s` replaces the time-out of the address."""
        [reply] = self._exchange((words,), patience_s)
        return self.checked(reply)

    def calls(self, commands: Sequence[Sequence[Word]]) -> list[Reply]:
        """Send commands in one piece and return their replies.

        One after the other, not atomic: raises the first error, and those around it may well have happened.
        """
        return [self.checked(reply) for reply in self._exchange(commands)] if commands else []

    def script(self, script: Script, keys: Sequence[Word], args: Sequence[Word]) -> Reply:
        """Run a script, which the server gets to keep when it does not have it yet."""
        rest = (len(keys), *keys, *args)
        [reply] = self._exchange((("EVALSHA", script.sha, *rest),))
        if isinstance(reply, Wrong) and reply.code == "NOSCRIPT":  # said before anything ran
            [reply] = self._exchange((("EVAL", script.source, *rest),))
        return self.checked(reply)

    def listen(self, before: Sequence[Word], after: Sequence[Word], wait_s: float) -> Reply:
        """Send a command that waits, such as XREAD, until it has something to say.

        `BLOCK` and its time come between `before` and `after`. Asked again every SLICE_S with the same words, so an id
        must not be `$`. Returns None when the time is over, and when the link was closed meanwhile.
        """
        self._check()
        until_ns = self._clock.monotonic_ns() + int(wait_s * 1e9)
        while (left_ns := until_ns - self._clock.monotonic_ns()) > 0:
            slice_s = min(left_ns / 1e9, SLICE_S)
            words = (*before, "BLOCK", max(1, round(slice_s * 1e3)), *after)
            try:
                [reply] = self._exchange((words,), slice_s + self._timeout_s)
            except (NotSent, OutcomeUnknown, BusUnusable):
                if self.closed:
                    return None
                raise
            if self.checked(reply) is not None:
                return reply
        return None

    def listen_then(
        self,
        listening: tuple[Sequence[Word], Sequence[Word]],
        wait_s: float,
        script: Script,
        keys: Sequence[Word],
        args: Sequence[Word],
    ) -> tuple[Reply | Wrong, Reply]:
        """Send a command that waits, and a script behind it, in one piece; return what was heard, and the reply.

        The server runs the script as soon as there is something to hear, or when the time is over (SLICE_S at most),
        and one answer brings both: the round trip between hearing and asking is saved, and a wakeup on either side.
        An error of the command that waits is returned, since the script has run all the same.
        """
        before, after = listening
        slice_s = min(wait_s, SLICE_S)
        heard = (*before, "BLOCK", max(1, round(slice_s * 1e3)), *after)
        rest = (len(keys), *keys, *args)
        what, reply = self._exchange((heard, ("EVALSHA", script.sha, *rest)), slice_s + self._timeout_s)
        if isinstance(reply, Wrong) and reply.code == "NOSCRIPT":
            [reply] = self._exchange((("EVAL", script.source, *rest),))
        return what, self.checked(reply)

    def pause(self, seconds: float) -> None:
        """Wait, or until the link is closed."""
        self._closed.wait(seconds)

    # --- its state

    @property
    def steady_since_ns(self) -> int:
        """Since when (monotonic) every call was answered, with gaps of at most 10 s; now when that is not so."""
        return self._steady.since_ns(self._clock.monotonic_ns())

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def close(self) -> None:
        """Give up all connections, also from under threads that wait for an answer. Closing again is harmless."""
        self._closed.set()
        if os.getpid() != self._pid:  # they are the parent's
            return
        with self._lock:
            idle, self._idle = self._idle, []
            for wire in self._busy:
                wire.hang_up()
        self._dialer.close()
        for wire in idle:
            wire.drop()

    # --- below all

    def _check(self) -> None:
        if self._closed.is_set():
            raise BusUnusable("this bus was closed")
        if os.getpid() != self._pid:
            raise BusUnusable(
                f"this bus was opened in process {self._pid}, before the fork",
                hint="open one in each process",
            )

    def checked(self, reply: Reply | Wrong) -> Reply:
        """Return a reply; raises what an error among them means."""
        if isinstance(reply, Wrong):
            raise error_of(reply, self.shown)
        return reply

    def _exchange(
        self, commands: Sequence[Sequence[Word]], patience_s: float | None = None
    ) -> list[Reply | Wrong]:
        """Send commands and return one reply for each, errors among them, after following a cluster's directions."""
        wire = self._take()
        replies = self._once(wire, commands, patience_s)
        for (
            reply
        ) in replies:  # a generator would take as long as the rest: after a wait, all is far from the core
            if isinstance(reply, Wrong):
                break
        else:
            self._steady.answered(self._clock.monotonic_ns())
            return replies
        for _ in range(HOPS):
            if not self._follow(wire, commands, replies, patience_s):
                break
        self._heed(wire, replies)
        return replies

    def _once(
        self, wire: Wire, commands: Sequence[Sequence[Word]], patience_s: float | None
    ) -> list[Reply | Wrong]:
        """Send commands over one connection and read all replies. Whatever happens, the connection is handed back."""
        try:
            wire.send(commands)
            replies = [wire.read(patience_s) for _ in commands]
        except Broken as error:
            self._give_up(wire)
            if self.closed:
                raise OutcomeUnknown(f"the bus at {self.shown} was closed before an answer came") from error
            what = (
                f"did not answer within {patience_s or self._timeout_s:g} s"
                if error.is_silence
                else (f"broke off before it answered ({error})")
            )
            raise OutcomeUnknown(
                f"the bus at {self.shown} {what}: what was asked may have happened or not",
                hint="is the server running, and has it enough time? `redis-cli PING`, `redis-cli SLOWLOG GET`",
            ) from error
        except BaseException:  # an interrupt: replies are still on their way
            self._give_up(wire, is_failure=False)
            raise
        self._give_back(wire)
        return replies

    def _take(self) -> Wire:
        """Return a connection for this thread alone, made anew when none is left that lives."""
        self._check()
        while (wire := self._pop()) is not None:
            if wire.is_fresh():
                return wire
            self._give_up(wire, is_failure=False)
            self._check()
        turn = self.turn
        try:
            wire = self._dialer.dial()
        except NotSent:
            self._turn(turn)
            self._check()
            raise
        if self._at not in (None, wire.place):  # led elsewhere than the last time
            self._turn(turn)
        self._at = wire.place
        wire.turn = self.turn
        self._register(wire)
        return wire

    def _pop(self) -> Wire | None:
        with self._lock:
            if not self._idle:
                return None
            wire = self._idle.pop()
            self._busy.add(wire)
            return wire

    def _register(self, wire: Wire) -> None:
        """Note that a new connection is in use, unless the link was closed meanwhile."""
        with self._lock:
            if not self.closed:
                self._busy.add(wire)
                return
        wire.drop()
        self._check()

    def _give_back(self, wire: Wire) -> None:
        with self._lock:
            self._busy.discard(wire)
            if wire.turn == self.turn and not self.closed:
                self._idle.append(wire)
                return
        wire.drop()

    def _give_up(self, wire: Wire, *, is_failure: bool = True) -> None:
        with self._lock:
            self._busy.discard(wire)
        wire.drop()
        if is_failure:
            self._steady.failed()
            self._dialer.route.leave(wire.place)
            self._turn(wire.turn)

    def _turn(self, turn: int) -> None:
        """Give up all connections made in this turn, so that the server is looked for again."""
        with self._lock:
            if turn != self.turn:
                return
            self.turn += 1
            idle, self._idle = self._idle, []
        self._steady.failed()
        for wire in idle:
            wire.drop()

    def _heed(self, wire: Wire, replies: list[Reply | Wrong]) -> None:
        """Draw conclusions from errors among the replies."""
        meanings = [reply.meaning for reply in replies if isinstance(reply, Wrong)]
        if any(meaning and meaning.for_all for meaning in meanings):
            self._steady.failed()
        else:
            self._steady.answered(self._clock.monotonic_ns())
        if any(meaning and meaning.moves for meaning in meanings):
            self._dialer.route.leave(self._dialer.route.home)
            self._turn(wire.turn)

    def _follow(
        self,
        wire: Wire,
        commands: Sequence[Sequence[Word]],
        replies: list[Reply | Wrong],
        patience_s: float | None,
    ) -> bool:
        """Send what a node of a cluster did not execute to the node that it names; returns whether there was any."""
        via = self._dialer.route.home or wire.place or ("", 0)
        moved = [
            (index, reply.code, place)
            for index, reply in enumerate(replies)
            if isinstance(reply, Wrong) and (place := redirect(reply, via))
        ]
        if not moved:
            return False
        _, code, place = moved[0]
        chosen = [index for index, *where in moved if where == [code, place]]
        again: list[Sequence[Word]] = [commands[index] for index in chosen]
        try:
            found = (
                self._move(place, again, patience_s)
                if code == "MOVED"
                else self._ask(place, again, patience_s)
            )
        except NotSent as error:
            self._steady.failed()
            if all(isinstance(reply, Wrong) for reply in replies):
                raise
            raise OutcomeUnknown(f"a part of it happened, and then: {error}", hint=error.hint) from error
        for index, reply in zip(chosen, found, strict=True):
            replies[index] = reply
        return True

    def _move(
        self, place: Place, commands: Sequence[Sequence[Word]], patience_s: float | None
    ) -> list[Reply | Wrong]:
        """Send commands to a node that has our keys now, and stay there."""
        if not self._dialer.route.settle(place):
            return self._once(self._take(), commands, patience_s)  # another thread was here first
        self._turn(self.turn)
        try:
            wire = self._dialer.to(place)
        except NotSent:
            self._dialer.route.leave(place)
            raise
        self._at = place
        wire.turn = self.turn
        self._register(wire)
        return self._once(wire, commands, patience_s)

    def _ask(
        self, place: Place, commands: Sequence[Sequence[Word]], patience_s: float | None
    ) -> list[Reply | Wrong]:
        """Send commands, this once, to a node to which our keys are on their way."""
        wire = self._dialer.to(place)
        wire.turn = _NEVER
        self._register(wire)
        doubled = [words for command in commands for words in (("ASKING",), command)]
        return self._once(wire, doubled, patience_s)[1::2]
