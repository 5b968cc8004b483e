"""What happens is taken into what is known: new and further incidents, ends, acts of people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from flowlord.alert.policy import Policy
from flowlord.alert.state import (
    ENDS,
    Act,
    ActKind,
    Ending,
    Event,
    EventKind,
    Happening,
    Incident,
    Mute,
    Pace,
    Stage,
    State,
    Tried,
    Trying,
)
from flowlord.rules.errortext import folded

MOST: Final = 1_000
"""Incidents that are kept. When so many are open, what is new is counted in one for all of its kind."""
OF_SUBJECT: Final = 20
"""Open incidents of one subject; further reasons are counted together."""
HOURS: Final = 500
"""Data times of an incident that are kept between two notices."""
MUTES: Final = 200
TRIES: Final = 20
"""Further tries of one subject that are known at a time, the newest."""
TRYING: Final = 100
"""Subjects of which further tries are known at a time, the newest."""
TRY_US: Final = 86_400_000_000
"""For how long a try counts whose end is not seen: a worker that hands back no key ends it under another."""
AGAIN_US: Final = 86_400_000_000
"""What comes again so soon after its end is the same incident, and has to be quiet for longer."""
ALL: Final = "*"


def take(state: State, found: Iterable[Happening], policy: Policy) -> State:
    """Return what is known after these happenings; nothing is told by this (see `tell`)."""
    desk = _Desk(state, policy)
    for each in found:
        match each:
            case Event():
                desk.event(each)
            case Ending():
                desk.ending(each)
            case Trying():
                desk.trying(each)
            case Tried():
                desk.tried(each)
            case Act():
                desk.act(each)
    return desk.state()


class _Desk:
    """A copy to work on; the state that was given stays as it is."""

    def __init__(self, state: State, policy: Policy) -> None:
        self._given, self._policy = state, policy
        self._incidents = dict(state.incidents)
        self._groups = dict(state.groups)
        self._mutes = dict(state.mutes)
        self._paces = dict(state.paces)
        self._tries = dict(state.tries)
        self._number = state.number
        self._open = Counter((each.kind, each.subject) for each in state.incidents.values() if each.is_open)

    def state(self) -> State:
        return replace(
            self._given,
            number=self._number,
            incidents=self._incidents,
            groups=self._groups,
            mutes=self._mutes,
            paces=self._paces,
            tries=self._tries,
        )

    def event(self, event: Event) -> None:
        if event.at_us < self._given.begun_us:
            return  # from before anybody listened
        to = self._policy.route(event)
        incident = self._incident(event, to)
        hours = incident.hours
        if event.hour is not None and event.hour not in hours and len(hours) < HOURS:
            hours = (*hours, event.hour)
        self._incidents[incident.id] = replace(
            incident,
            error=event.text,
            mode=event.mode,
            last_us=max(event.at_us, incident.last_us),
            total=incident.total + event.count,
            fresh=incident.fresh + event.count,
            hours=hours,
            good_us=0,
            batch=event.batch,
        )
        channel = self._policy.channel(to)
        pace = self._paces.get(channel) or Pace(self._policy.min_us)
        if not pace.stirred or not pace.due_us:
            due = pace.due_us or event.at_us + pace.wait_us
            self._paces[channel] = replace(pace, stirred=True, due_us=due)

    def trying(self, trying: Trying) -> None:
        """What is tried once more did not go well."""
        is_first = not self._tries.get(trying.subject)
        known = [*self._tries.pop(trying.subject, {}).items(), (trying.key, trying.at_us)]
        while len(self._tries) >= TRYING:
            del self._tries[next(iter(self._tries))]
        self._tries[trying.subject] = dict(known[-TRIES:])
        if not is_first:
            return  # nothing went well since
        for id_, incident in self._incidents.items():
            if incident.is_open and incident.good_us and incident.subject == trying.subject:
                self._incidents[id_] = replace(incident, good_us=0)

    def tried(self, tried: Tried) -> None:
        self._keep_tries(lambda key, at_us: key != tried.key)

    def ending(self, ending: Ending) -> None:
        self._keep_tries(lambda key, at_us: at_us > ending.at_us - TRY_US)
        if ending.subject in self._tries:
            return  # siblings may go well while one is being tried again
        for id_, incident in self._incidents.items():
            if (
                incident.is_open
                and not incident.good_us
                and (incident.kind in ENDS or incident.kind is EventKind.PROCESS)
            ):
                is_it = incident.subject == ending.subject
                is_sibling = ending.batch != "" and ending.batch == incident.batch
                if is_it and not is_sibling and ending.at_us >= incident.last_us:
                    self._incidents[id_] = replace(incident, good_us=ending.at_us)

    def _keep_tries(self, is_kept: Callable[[str, int], bool]) -> None:
        kept = {
            subject: {key: at_us for key, at_us in tries.items() if is_kept(key, at_us)}
            for subject, tries in self._tries.items()
        }
        self._tries = {subject: tries for subject, tries in kept.items() if tries}

    def act(self, act: Act) -> None:
        match act.kind:
            case ActKind.ACK:
                incident = self._incidents.get(act.target)
                if incident is not None and not incident.acked_us:  # of two at the same time, the first
                    self._incidents[act.target] = replace(
                        incident, acked_us=act.at_us, acked_by=act.by, reason=act.reason
                    )
            case ActKind.MUTE:
                while len(self._mutes) >= MUTES and act.target not in self._mutes:
                    del self._mutes[min(self._mutes, key=lambda target: self._mutes[target].until_us)]
                self._mutes[act.target] = Mute(act.target, act.until_us, act.at_us, act.by, act.reason)
            case ActKind.UNMUTE:
                self._mutes.pop(act.target, None)

    def _incident(self, event: Event, to: str) -> Incident:
        """Return the incident that an event belongs to; a new one when there is none."""
        # A process is one thing, whatever each of its parts says; its subject is its host and number.
        words = "" if event.kind is EventKind.PROCESS else folded(event.text)
        group = f"{event.kind}|{event.subject}|{to}|{words}"
        found = self._known(group, event.at_us)
        if found is not None:
            return found
        crowded = self._open[event.kind, event.subject]
        subject, name = event.subject, event.name
        if crowded >= OF_SUBJECT:
            group = f"{event.kind}|{subject}|{to}|{ALL}"
        elif self._open.total() >= MOST:
            subject, name = ALL, "others"
            group = f"{event.kind}|{ALL}|{to}|{ALL}"
        found = self._known(group, event.at_us)
        if found is not None:
            return found
        self._number += 1
        self._open[event.kind, subject] += 1
        new = Incident(
            f"a{self._number}",
            group,
            event.kind,
            subject,
            name,
            event.text,
            event.mode,
            to,
            event.workflow,
            event.phase,
            first_us=event.at_us,
            window_us=self._policy.min_us,
        )
        self._make_room()
        self._groups[group] = new.id
        return new

    def _known(self, group: str, at_us: int) -> Incident | None:
        """Return the incident of a group that goes on, or goes on again."""
        incident = self._incidents.get(self._groups.get(group, ""))
        if incident is None or incident.is_open:
            return incident
        if incident.stage is not Stage.RECOVERED or at_us - incident.ended_us > AGAIN_US:
            return None
        self._open[incident.kind, incident.subject] += 1
        window = min(incident.window_us * 2, self._policy.longest_us)
        return replace(
            incident,
            stage=Stage.OPEN,
            ended_us=0,
            window_us=window,
            told=0,
            first_us=at_us,
            total=0,
            fresh=0,
            hours=(),
            before=(),
            thread="",
            acked_us=0,
            acked_by="",
            reason="",
        )

    def _make_room(self) -> None:
        """Forget the oldest incidents that are over."""
        if len(self._incidents) < MOST:
            return
        over = sorted(
            (each for each in self._incidents.values() if not each.is_open), key=lambda each: each.ended_us
        )
        for each in over[: max(len(over) // 2, 1)]:
            del self._incidents[each.id]
            if self._groups.get(each.group) == each.id:
                del self._groups[each.group]
