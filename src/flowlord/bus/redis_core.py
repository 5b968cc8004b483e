"""What all verbs of the Redis bus stand on: scripts under the right keys, sent once; and what a reset of it means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from threading import Lock
from typing import NoReturn

from flowlord.bus.clock import SystemClock, micros, unguessable
from flowlord.bus.lifetimes import RESEND_S
from flowlord.bus.log import log_of
from flowlord.bus.redis_link import Link, OutcomeUnknown, Reply, Word
from flowlord.bus.redis_names import prefix_of
from flowlord.bus.redis_scripts import scripts
from flowlord.model.clock import Clock
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import BusMissing, BusUnavailable, BusUnusable

log = log_of("flowlord.bus")

FORMAT = 1
"""Of the keys; a bus of a later format is left alone."""
PAUSE_S = 0.05


class Reset(BusUnavailable):
    """The bus is not the one that was opened: its data was dropped or lost. The next call uses what is there now."""


class Core:
    """One namespace on one server, with a name for everything that this process sends."""

    def __init__(self, link: Link, clock: Clock, namespace: str, by: str, *, make: bool = True) -> None:
        self.link, self.clock, self.by = link, clock, by
        self.prefix = prefix_of(namespace)
        self._scripts = scripts()
        self.patience = SystemClock()
        # Names of commits and lease tokens: unlike those of every other process, and cheap.
        self._self = unguessable()
        self._numbers = count(1)
        self.on_reset: Callable[[str, str], None] = lambda before, text: None
        """What else to do when the bus was reset: takes the generation before, and what is to be told."""
        self._resetting = Lock()
        if not make and not link.call("EXISTS", self.key("state")):
            raise BusMissing(f"there is no bus in the namespace {namespace} of {link.shown} yet")
        self.generation = self._open(unguessable())

    def key(self, name: str) -> str:
        """Return a key of this namespace."""
        return self.prefix + name

    def name(self) -> str:
        """Return a name that nothing else has."""
        return f"{self._self}-{next(self._numbers):x}"

    def now_us(self) -> int:
        """The bus's own time: microseconds since 1970 UTC."""
        return micros(self.clock.now())

    def run(self, name: str, *args: Word, verb: str = "") -> Reply:
        """Run a script once.

        Raises:
            BusUnavailable: it did not run, or nobody knows (OutcomeUnknown).
            Reset: the bus was reset; it did not run.
        """
        return self._ran(
            verb,
            lambda known: self.link.script(
                self._scripts[name], (self.key("state"),), (self.prefix, known, *args)
            ),
        )

    def run_behind(
        self, streams: Sequence[Word], wait_s: float, name: str, *args: Word, verb: str = ""
    ) -> tuple[Reply, Reply]:
        """Run a script once, when one of `streams` (name, id, ...) has something newer, or the time is over.

        Returns what was heard, maybe an error (`Link.listen_then`), and the script's reply; raises as `run` does.
        """
        listening = ("XREAD", "COUNT", 1), ("STREAMS", *streams[::2], *streams[1::2])
        heard: list[Reply] = []

        def send(known: str) -> Reply:
            words = (self.prefix, known, *args)
            what, reply = self.link.listen_then(
                listening, wait_s, self._scripts[name], (self.key("state"),), words
            )
            heard.append(what)
            return reply

        reply = self._ran(verb, send)
        return heard[0], reply

    def _ran(self, verb: str, send: Callable[[str], Reply]) -> Reply:
        if verb:
            crashpoint(f"bus.{verb}.before")
        known = self.generation
        reply = send(known)
        if verb:
            crashpoint(f"bus.{verb}.after")
        if reply == b"RESET":
            self._was_reset(known)
        return reply

    def insist(self, name: str, *args: Word, verb: str = "") -> Reply:
        """Run a script that knows its own name until the outcome is known: the same bytes again change nothing."""
        until_ns = 0
        while True:
            try:
                return self.run(name, *args, verb=verb)
            except Reset:
                raise
            except BusUnavailable as error:
                now_ns = self.patience.monotonic_ns()
                if not until_ns and not isinstance(error, OutcomeUnknown):
                    raise  # it never ran
                until_ns = until_ns or now_ns + int(RESEND_S * 1e9)
                if now_ns >= until_ns or self.link.closed:
                    raise
            self.link.pause(PAUSE_S)

    def check(self, found: Reply) -> None:
        """Compare the generation that was read along with something; raises Reset when it is another one."""
        known = self.generation
        if not isinstance(found, bytes) or found.decode() != known:
            self._was_reset(known)

    def _was_reset(self, known: str) -> NoReturn:
        """Take up the bus as it is now, once for all threads; always raises Reset."""
        text = f"the bus at {self.link.shown} was reset: what waited there when it was {known} is gone"
        with self._resetting:
            is_news = self.generation == known
            if is_news:
                self.generation = self._open(unguessable())
        if is_news:
            log.error("%s", text, extra={"action": "bus.reset"})
            self.on_reset(known, text)
        raise Reset(text, hint="see why Redis lost its data: `flowlord doctor redis`")

    def _open(self, generation: str) -> str:
        reply = self.link.script(
            self._scripts["open"], (self.key("state"),), (self.prefix, generation, FORMAT)
        )
        found, written = reply
        if int(written) > FORMAT:
            raise BusUnusable(
                f"the bus at {self.link.shown} was written by a newer flowlord (format {int(written)}, "
                f"this one knows {FORMAT})",
                hint="use that version, or another --namespace",
            )
        return str(found, "utf-8")


def flat(*parts: Sequence[Word]) -> list[Word]:
    """Return the words of all parts."""
    return [word for part in parts for word in part]
