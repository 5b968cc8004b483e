"""What a channel would be told now, all in one: from the alerts on the bus, or from what failed in the history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from flowlord.alert.keep import HEAD, names, read
from flowlord.alert.port import Notice, NoticeKind
from flowlord.alert.state import Event, EventKind, Incident, State
from flowlord.alert.take import take
from flowlord.alert.words import LINES, notice_of
from flowlord.cli import printer
from flowlord.cli.sources import Sources
from flowlord.cli.texts import some

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.cache.attempt import Attempt
    from flowlord.config import AlertSettings

DAY_US: Final = 86_400_000_000
MOST: Final = 10_000
"""Failed tasks of the history that are looked at."""


class Digest:
    """What is open now, by channel."""

    def __init__(self, settings: AlertSettings, sources: Sources, now_us: int) -> None:
        self._now_us = now_us
        from flowlord.cli.alertstate import policy_of

        self._policy = policy_of(
            settings, ""
        )  # the zone is that of quiet hours, which one look does not keep
        state = sources.ask(state_on, None)
        if state is None:
            printer.say("note: no daemon watches over alerts on this bus; these are the failures of a day")
            state = take(State(), _events(sources, now_us), self._policy)
        mutes = [mute for mute in state.mutes.values() if mute.until_us > now_us]
        self._open = [
            each
            for each in state.incidents.values()
            if each.is_open and not each.acked_us and not any(mute.covers(each) for mute in mutes)
        ]
        hidden = sum(1 for each in state.incidents.values() if each.is_open) - len(self._open)
        if hidden:
            printer.say(f"note: {some(hidden, 'alert')} acked or muted: flowlord alerts")

    def channels(self) -> list[str]:
        """Return the channels that have something to hear."""
        return list(dict.fromkeys(self._policy.channel(each.to) for each in self._open))

    def notice(self, channel: str, id_: str) -> Notice | None:
        """Return what is told to one channel, the most first; None when all is well."""
        ours = [each for each in self._open if self._policy.channel(each.to) == channel]
        if not ours:
            return None
        ours.sort(key=lambda each: (-_count(each), each.name, each.id))
        told = notice_of(id_, NoticeKind.STILL, list(map(_whole, ours)), self._policy, channel, self._now_us)
        assert len(told.lines) <= LINES
        return told


def state_on(bus: Bus) -> State | None:
    """Return what the daemons know of alerts; None when none of them ever looked."""
    head = bus.marks([HEAD]).get(HEAD)
    return None if head is None else read({HEAD: head, **bus.marks(names(head))})


def _events(sources: Sources, now_us: int) -> Iterator[Event]:
    """Yield the failures of the last day, the oldest first."""
    from flowlord.cache.attempt import State as Stand
    from flowlord.cache.filter import Filter

    wanted = Filter(states=frozenset((Stand.DEAD, Stand.ALERT)), since_us=now_us - DAY_US)
    found: list[Attempt] = []
    for page in sources.history(fresh=True).pages(wanted, now_us):
        found += page
        if len(found) >= MOST:
            break
    yield from map(_event, reversed(found[:MOST]))


def _event(attempt: Attempt) -> Event:
    from flowlord.cache.attempt import State as Stand

    name = f"{attempt.type}:{attempt.job}" if attempt.job else attempt.type
    return Event(
        EventKind.RESULT if attempt.state == Stand.ALERT else EventKind.TASK,
        attempt.happened_us,
        attempt.msg or attempt.reason or attempt.state,
        subject=attempt.phase or name,
        name=name,
        workflow=attempt.workflow,
        phase=attempt.phase,
        hour=_hour(attempt.moment),
    )


def _hour(moment: str) -> int | None:
    from datetime import UTC, datetime

    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()) // 3600


def _count(incident: Incident) -> int:
    return incident.fresh or incident.total


def _whole(incident: Incident) -> Incident:
    """Return an incident as if nothing of it had been told: a digest that a person asks for tells all."""
    from msgspec.structs import replace

    hours = tuple(sorted({*incident.before, *incident.hours}))
    return replace(incident, fresh=incident.total, hours=hours, before=())
