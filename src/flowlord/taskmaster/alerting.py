"""The loop that tells alerts, in the process that writes the history or in a thread of the daemon."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from flowlord.model.errors import BusUnavailable
from flowlord.taskmaster.alerter import Alerter
from flowlord.taskmaster.copying import WAIT_S, How, State

log = logging.getLogger("flowlord.alerts")

SUBJECT: Final = "alerts"
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0


def follow(begin: Callable[[], Alerter], tell: Callable[[State], None], ending: threading.Event) -> None:
    """Tell alerts until `ending` is set, then what is there still. Whatever fails is told and tried again.

    `begin` makes the alerter: called again until it does not raise.
    """
    alerter: Alerter | None = None
    pause_s = FIRST_PAUSE_S
    failed = ""

    def hasten() -> None:
        ending.wait()
        if alerter is not None:
            alerter.hurry()

    threading.Thread(target=hasten, name="flowlord-alerts-hurry", daemon=True).start()
    while not ending.is_set():
        try:
            if alerter is None:
                alerter = begin()
                if ending.is_set():  # while it was made: who waits for the end may have found nobody to tell
                    alerter.hurry()
                    break
            alerter.step(WAIT_S)
        except BusUnavailable:
            pass  # whoever writes the history says it
        except Exception as error:  # the loop never ends by itself
            text = f"{type(error).__name__}: {error}"
            if text != failed:
                failed = text
                log.exception("alerts cannot be told, it is tried again", extra={"action": "alerts.failed"})
                tell(State(How.FAILED, text, SUBJECT))
        else:
            pause_s = FIRST_PAUSE_S
            if failed:
                failed = ""
                tell(State(How.WORKS, subject=SUBJECT))
            continue
        ending.wait(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
    try:
        if alerter is not None:
            alerter.finish()
    except Exception as error:  # noqa: BLE001 - what is not told waits on the bus for the next one
        log.info("alerts wait for the next daemon: %s", error, extra={"action": "alerts.rest"})


def health_teller(tell: Callable[[State], None]) -> Callable[[str], None]:
    """Return what tells, as a State, what cannot be delivered."""

    def told(text: str) -> None:
        tell(State(How.FAILED, text, SUBJECT) if text else State(How.WORKS, subject=SUBJECT))

    return told


class Followed(Protocol):
    """What follows the journal in small steps."""

    def step(self) -> object:
        """Do a little."""
        ...

    def finish(self) -> None:
        """Do the rest."""
        ...


class Together:
    """The history and the alerts one after the other, where both are a thread of the daemon."""

    name = "history"

    def __init__(self, history: Followed, alerter: Alerter) -> None:
        self._history, self._alerter = history, alerter

    def step(self) -> None:
        """Do a little of both."""
        self._history.step()
        self._alerter.step(0.0)

    def finish(self) -> None:
        """Do the rest of both."""
        try:
            self._history.finish()
        finally:
            self._alerter.finish()
