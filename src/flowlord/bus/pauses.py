"""The pauses on the bus: one mark that everybody looks at and few change."""

from __future__ import annotations

import msgspec

from flowlord.bus.log import log_of
from flowlord.bus.port import Bus
from flowlord.model.errors import Refused
from flowlord.model.paused import MARK, NOTHING, Paused
from flowlord.model.plan import Fact, Mark, Plan

log = log_of("flowlord.bus")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Paused).decode


def read_pauses(text: str | None) -> Paused:
    """Return the pauses that the mark holds.

    Raises:
        msgspec.DecodeError: it holds something else.
    """
    return NOTHING if text is None else _decode(text)


def pauses_on(bus: Bus) -> Paused:
    """Return the pauses on a bus; when somebody broke them, it is said and there are none."""
    return PauseWatch(bus).look()


class PauseWatch:
    """Looks at the pauses on a bus again and again; when somebody breaks them, those known before go on."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._text: str | None = None
        self._paused = NOTHING

    def look(self) -> Paused:
        """Return the pauses; a value that cannot be read is said once."""
        text = self._bus.marks([MARK]).get(MARK)
        if text != self._text:
            try:
                self._paused = read_pauses(text)
            except msgspec.DecodeError as error:
                told = {"action": "pause.broken"}
                log.error("the mark %s cannot be read, what was paused stays so: %s", MARK, error, extra=told)
            self._text = text
        return self._paused


def change_pauses(bus: Bus, seen: str | None, new: Paused, facts: tuple[Fact, ...]) -> bool:
    """Write pauses in place of those in `seen`, and tell it; returns False when somebody else was faster."""
    text = _encode(new).decode() if new.pauses else None
    try:
        bus.commit(Plan(facts=facts), marks=[Mark(MARK, seen, text)])
    except Refused:
        return False
    return True
