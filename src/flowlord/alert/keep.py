"""The state as marks on the bus: one head, one mark for each incident and each notice on its way. Pure.

Only what changed is written; the head, which names all the others, is compared in the same step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from flowlord.alert.state import Incident, Mute, Pace, Pending, State

HEAD: Final = "alerts:head"
INCIDENT: Final = "alerts:incident:"
NOTICE: Final = "alerts:notice:"
AHEAD_US: Final = 86_400_000_000
"""No time to come that is kept lies further ahead: channels ask for six hours at most."""
SOON_US: Final = 3_600_000_000
"""So far ahead, at most, lies what is used up by telling things at once."""
HOURS: Final = 24 * 366 * 8_000
"""Data times, in hours since 1970, that a calendar can show."""

_Kept = TypeVar("_Kept")


class Head(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of a State that is not an incident or a notice; those are named."""

    cursor: int
    generation: str
    begun_us: int = 0
    number: int = 0
    noticed: int = 0
    wake_us: int = 0
    incidents: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    mutes: dict[str, Mute] = {}
    paces: dict[str, Pace] = {}
    tries: dict[str, dict[str, int]] = {}


_encode = msgspec.json.Encoder().encode
_head = msgspec.json.Decoder(Head).decode
_incident = msgspec.json.Decoder(Incident).decode
_notice = msgspec.json.Decoder(Pending).decode


def names(head: str) -> list[str]:
    """Return the other marks that a head names; raises as `read`."""
    found = _head(head)
    return [INCIDENT + id_ for id_ in found.incidents] + [NOTICE + id_ for id_ in found.pending]


def read(marks: Mapping[str, str]) -> State:
    """Return the state that these marks hold, the head among them. A mark that is missing or broken is left out.

    Raises:
        msgspec.DecodeError: the head is none.
    """
    if HEAD not in marks:
        return State()
    head = _head(marks[HEAD])
    incidents: dict[str, Incident] = {}
    pending: dict[str, Pending] = {}
    for id_ in head.incidents:
        if (incident := _read(_incident, marks.get(INCIDENT + id_))) is not None:
            incidents[id_] = incident
    for id_ in head.pending:
        if (notice := _read(_notice, marks.get(NOTICE + id_))) is not None:
            pending[id_] = notice
    return State(
        head.cursor,
        head.generation,
        head.begun_us,
        head.number,
        head.noticed,
        head.wake_us,
        incidents,
        {each.group: each.id for each in incidents.values()},
        dict(head.mutes),
        dict(head.paces),
        pending,
        dict(head.tries),
    )


def plausible(state: State, now_us: int, last: int) -> State:
    """Return the state without what only somebody else can have written: it would be obeyed for ever.

    Args:
        now_us: by the bus's clock.
        last: the newest entry of the journal.
    """
    soon_us = now_us + AHEAD_US
    incidents = {
        id_: each
        for id_, each in state.incidents.items()
        if each.id == id_ and all(0 <= hour < HOURS for hour in each.hours + each.before)
    }
    paces = {
        to: replace(
            pace,
            due_us=min(pace.due_us, soon_us),
            news_us=min(pace.news_us, now_us + SOON_US),
            results_us=min(pace.results_us, now_us + SOON_US),
            rest_us=min(pace.rest_us, soon_us),
            failures=max(pace.failures, 0),
        )
        for to, pace in state.paces.items()
    }
    return replace(
        state,
        cursor=min(max(state.cursor, 0), last) if last else state.cursor,
        begun_us=min(state.begun_us, now_us),
        incidents=incidents,
        groups={each.group: each.id for each in incidents.values()},
        paces=paces,
        pending={id_: replace(each, due_us=min(each.due_us, soon_us)) for id_, each in state.pending.items()},
    )


def rewound(state: State, now_us: int) -> State:
    """Return the state for a clock that was set back to `now_us`: nothing has to wait until it is there again.

    What was going to be done is done at once or in its usual time; when people muted something until stays.
    """
    incidents = {
        id_: each
        if max(each.first_us, each.last_us, each.good_us) <= now_us
        else replace(
            each,
            first_us=min(each.first_us, now_us),
            last_us=min(each.last_us, now_us),
            good_us=min(each.good_us, now_us),
        )
        for id_, each in state.incidents.items()
    }
    paces = {
        to: replace(
            pace,
            due_us=min(pace.due_us, now_us + pace.wait_us),
            news_us=min(pace.news_us, now_us),
            results_us=min(pace.results_us, now_us),
            rest_us=min(pace.rest_us, now_us),
        )
        for to, pace in state.paces.items()
    }
    pending = {id_: replace(each, due_us=min(each.due_us, now_us)) for id_, each in state.pending.items()}
    return replace(
        state,
        begun_us=min(state.begun_us, now_us - SOON_US),
        wake_us=min(state.wake_us, now_us),
        incidents=incidents,
        paces=paces,
        pending=pending,
    )


def written(before: State, after: State) -> tuple[dict[str, str], list[str]]:
    """Return the marks that are to be set, the head among them, and those that are to be removed."""
    head = Head(
        after.cursor,
        after.generation,
        after.begun_us,
        after.number,
        after.noticed,
        after.wake_us,
        tuple(after.incidents),
        tuple(after.pending),
        after.mutes,
        after.paces,
        after.tries,
    )
    new = {HEAD: _encode(head).decode()}
    for id_, incident in after.incidents.items():
        if before.incidents.get(id_) is not incident:
            new[INCIDENT + id_] = _encode(incident).decode()
    for id_, pending in after.pending.items():
        if before.pending.get(id_) is not pending:
            new[NOTICE + id_] = _encode(pending).decode()
    gone = [INCIDENT + id_ for id_ in before.incidents if id_ not in after.incidents]
    gone += [NOTICE + id_ for id_ in before.pending if id_ not in after.pending]
    return new, gone


def _read(decode: Callable[[str], _Kept], text: str | None) -> _Kept | None:
    try:
        return None if text is None else decode(text)
    except msgspec.DecodeError:
        return None
