"""`flowlord alerts ack`, `mute` and `unmute`: what a person does about alerts, told in the journal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from flowlord.alert.events import LONGEST, LONGEST_MUTE_US
from flowlord.alert.state import State, fits, names_of
from flowlord.alert.words import what_of
from flowlord.cli import printer
from flowlord.cli.alertlook import unknown
from flowlord.cli.alertstate import policy_of, state_on
from flowlord.cli.buses import bus_at
from flowlord.cli.exits import DONE, NO_SUCH_THING, WRONG_USE
from flowlord.cli.people import is_name, kept, who
from flowlord.cli.printer import Look
from flowlord.cli.times import iso
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.rules.durations import parse_duration
from flowlord.rules.errors import Unreadable

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.config.settings import Settings

LONGEST_MUTE_NS = LONGEST_MUTE_US * 1_000


FIELDS = ("act", "target", "until", "by", "reason", "known")


def ack(settings: Settings, what: Sequence[str], reason: str, *, look: Look | None = None) -> int:
    """Say that somebody knows of these incidents; returns the exit code."""

    def body() -> int:
        with closing(bus_at(settings.bus, by=who())) as bus:
            state = state_on(bus, policy_of(settings.alerts, settings.taskmaster.zone))
            for each in what:
                if each not in state.incidents:
                    return unknown(each)
            named = [state.incidents[each] for each in dict.fromkeys(what)]
            facts = tuple(
                _fact(FactKind.ACKED, incident.id, reason)
                for incident in named
                if incident.is_open and not incident.acked_us
            )
            if facts:
                bus.commit(Plan(facts=facts))
            for known in named:
                if not known.is_open:
                    printer.say(f"{known.id} is over already")
                elif known.acked_us:
                    at = iso(known.acked_us)
                    printer.say(f"{known.id} is acknowledged already, by {known.acked_by} at {at}")
            _tell(facts, look)
            for fact in facts:
                incident = state.incidents[fact.key]
                printer.say(f"acknowledged {fact.key}: {what_of(incident.name, incident.error)}")
            return DONE

    return printer.quietly(body)


def mute(settings: Settings, target: str, length: str, reason: str, *, look: Look | None = None) -> int:
    """Tell nobody of a target for a while; returns the exit code."""
    try:
        span_ns = parse_duration(length) if length else 0
    except (Unreadable, OverflowError) as error:
        printer.error(f"--for: {error}", hint="write it like 30m, 2h or 1d")
        return WRONG_USE
    if not 0 < span_ns <= LONGEST_MUTE_NS:
        printer.error(
            "a mute needs an end, in 31 days at most",
            hint=f"flowlord alerts mute {shlex.quote(target)} --for 2h",
        )
        return WRONG_USE
    if not is_name(target) or len(target) > LONGEST:
        printer.error("there is nothing of that name to mute", hint="flowlord alerts mute TOPIC --for 2h")
        return WRONG_USE

    def body() -> int:
        with closing(bus_at(settings.bus, by=who())) as bus:
            until_us = bus.now_us() + span_ns // 1_000
            fact = _fact(FactKind.MUTED, target, reason, until_us)
            bus.commit(Plan(facts=(fact,)))
            known = _names(bus, settings)
            is_known = fits(target, known)
            _tell((fact,), look, known=is_known)
            printer.say(f"{target} is muted until {iso(until_us)}")
            if not is_known:
                from flowlord.spec.near import nearest

                like = nearest(target, sorted(known))
                meant = (
                    f"; did you mean {like!r}? flowlord alerts unmute {shlex.quote(target)} takes it back"
                    if like
                    else ""
                )
                printer.say(f"note: nothing called {target} is on this bus now; it counts once it is{meant}")
            return DONE

    return printer.quietly(body)


def unmute(settings: Settings, target: str, *, look: Look | None = None) -> int:
    """End a mute; returns the exit code."""

    def body() -> int:
        with closing(bus_at(settings.bus, by=who())) as bus:
            state = state_on(bus, policy_of(settings.alerts, settings.taskmaster.zone))
            muted = _muted(state, bus.now_us())
            if target not in muted:
                hint = f"what is: {', '.join(muted)}" if muted else "nothing is muted"
                printer.error(f"{target} is not muted", hint=hint)
                return NO_SUCH_THING
            fact = _fact(FactKind.UNMUTED, target, "")
            bus.commit(Plan(facts=(fact,)))
            _tell((fact,), look)
            printer.say(f"{target} is no longer muted")
            return DONE

    return printer.quietly(body)


def _names(bus: Bus, settings: Settings) -> set[str]:
    """Return what can be muted now: alerts, workflows, phases, tasks and topics that the bus has heard of."""
    from flowlord.taskmaster.reload import MARK, last_good

    state = state_on(bus, policy_of(settings.alerts, settings.taskmaster.zone))
    flows = last_good(bus, [key.removeprefix(MARK) for key in bus.marks_like(MARK)])
    found = {name for incident in state.incidents.values() for name in names_of(incident)}
    found |= {flow.name for flow in flows} | {each.topic for each in bus.topics()}
    found |= {
        name for flow in flows for each in flow.phases for name in (each.identity, each.base_name, each.topic)
    }
    return found - {""}


def _tell(facts: Sequence[Fact], look: Look | None, *, known: bool = True) -> None:
    """Print what was done as data, where a form was asked for; words for people come anyway."""
    if look is not None and look.form:
        records = [
            {
                "act": fact.kind.value,
                "target": fact.key,
                "until": iso(fact.due) or None,
                "until_us": fact.due,
                "by": fact.cause.removeprefix("person:"),
                "reason": fact.text or None,
                "known": known,
            }
            for fact in facts
        ]
        printer.rows(records, FIELDS, name="target", look=look)


def _muted(state: State, now_us: int) -> list[str]:
    return [target for target, mute in state.mutes.items() if mute.until_us > now_us]


def _fact(kind: FactKind, key: str, reason: str, until_us: int = 0) -> Fact:
    return Fact(kind, key=key, cause=f"person:{who()}", text=kept(reason)[:LONGEST], due=until_us)
