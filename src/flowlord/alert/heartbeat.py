"""The dead man's switch: an address that is called as long as all is well, so that somebody else notices silence."""

from __future__ import annotations

from typing import Final

from flowlord.alert.answers import failure
from flowlord.alert.http import Request, ask, host_of
from flowlord.alert.port import Undelivered
from flowlord.alert.secrets import Vault
from flowlord.model.channel import SecretRef
from flowlord.model.clock import Clock

LIMIT_S: Final = 4.0
AGAIN_NS: Final = 10_000_000_000
"""After a call that failed the next one comes this soon, so that one lost packet wakes nobody."""


class Heartbeat:
    """Calls the address each `every_ns`; several daemons may call the same one, any that is well is enough."""

    def __init__(self, url: SecretRef, every_ns: int, clock: Clock) -> None:
        self._url, self._every_ns, self._clock = url, every_ns, clock
        self._vault = Vault(url)
        self._due_ns = 0

    def step(self, *, is_well: bool) -> str | None:
        """Call if it is time to and all is well.

        Returns:
            Why nobody heard it; empty when somebody did, None when nothing was called.
        """
        now_ns = self._clock.monotonic_ns()
        if not is_well or now_ns < self._due_ns:
            return None
        try:
            self.call()
        except Undelivered as error:
            self._due_ns = now_ns + min(AGAIN_NS, self._every_ns)
            return str(error)
        self._due_ns = now_ns + self._every_ns
        return ""

    def call(self) -> None:
        """Call the address now; raises Undelivered."""
        url = self._vault.reveal(self._url)
        reply = ask(Request(url, method="GET", limit_s=LIMIT_S))
        error = failure(host_of(url), reply, self._clock.now())
        if error is not None:
            if error.lasting:
                self._vault.forget()
            error.args = (self._vault.hide(str(error)),)
            raise error
