"""`flowlord topics purge` and `move`: what people do to the messages that wait on a topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from flowlord.bus.clock import SystemClock
from flowlord.bus.port import CHUNK, QUARANTINE, Bus, Move, Peeked
from flowlord.bus.port import DONE as RESULTS
from flowlord.cli import printer
from flowlord.cli.attempts import of_peeked
from flowlord.cli.buses import bus_at
from flowlord.cli.exits import DONE, WRONG_USE
from flowlord.cli.people import agreed, counted, who, words_of
from flowlord.cli.printer import Look
from flowlord.cli.progress import Progress
from flowlord.cli.taskfilter import Chosen
from flowlord.cli.times import to_us
from flowlord.cli.topics import no_such_topic
from flowlord.model.clock import Clock

if TYPE_CHECKING:
    from flowlord.cache.filter import Filter
    from flowlord.config import Settings

FIELDS = ("topic", "to", "count", "result")
MOST_LATER = 100_000
"""Messages that wait for their time, of which one command sees so many."""


class Options(msgspec.Struct, frozen=True):
    """What the command line said."""

    reason: str = ""
    yes: bool = False
    dry_run: bool = False
    look: Look = msgspec.field(default_factory=Look)


def purge(settings: Settings, topic: str, options: Options) -> int:
    """Drop everything that waits on a topic; returns the exit code."""
    if topic == RESULTS:
        printer.error(
            "what lies on done are results: what follows from them would be lost",
            hint="flowlord run hears them",
        )
        return WRONG_USE

    def body() -> int:
        with closing(bus_at(settings.bus, by=who())) as bus:
            states = {state.topic: state for state in bus.topics()}
            if topic not in states:
                return no_such_topic(topic, list(states))
            state = states[topic]
            count = 0
            if state.waiting + state.later:
                runs = f"; {state.running:,} run and are not touched" if state.running else ""
                said = agreed(
                    f"{topic}: {state.waiting:,} waiting and {state.later:,} later would be dropped for good{runs}",
                    "drop them?",
                    yes=options.yes,
                    dry_run=options.dry_run,
                )
                if said is not None:
                    _foresee(topic, "", state.waiting + state.later, options.look, "dropped")
                    return said
                count = bus.purge(topic, reason=words_of("purged", who(), options.reason))
            return _told(topic, "", count, options.look, "dropped")

    return printer.quietly(body)


def move(
    settings: Settings, topic: str, to: str, chosen: Chosen, options: Options, *, clock: Clock | None = None
) -> int:
    """Move what waits on a topic, and is chosen, to another one; returns the exit code."""
    clock = clock or SystemClock()
    if hindrance := _hindrance(topic, to, settings.taskmaster.failed_topic):
        printer.error(*hindrance[:1], hint=hindrance[1])
        return WRONG_USE
    wanted, now_us = chosen.wanted(clock.now()), to_us(clock.now())

    def body() -> int:
        with closing(bus_at(settings.bus, by=who())) as bus:
            known = [state.topic for state in bus.topics()]
            if topic not in known:
                return no_such_topic(topic, known)
            until_us = bus.now_us()
            found = list(_waiting(bus, topic, wanted, now_us, until_us))
            count = 0
            if found:
                names = counted(Counter(name for _, name in found))
                note = "" if to in known else f"\n  note: nothing has been on {to} yet"
                said = agreed(
                    f"{len(found):,} from {topic} to {to}: {names}{note}",
                    "move them?",
                    yes=options.yes,
                    dry_run=options.dry_run,
                )
                if said is not None:
                    _foresee(topic, to, len(found), options.look, "moved")
                    return said
                words = words_of("moved", who(), options.reason)
                with Progress("tasks", len(found), clock) as progress:
                    for at in range(0, len(found), CHUNK):
                        progress.at(at)
                        some = [Move(topic, entry, to) for entry, _ in found[at : at + CHUNK]]
                        count += bus.move(some, reason=words)
            return _told(topic, to, count, options.look, "moved")

    return printer.quietly(body)


def _hindrance(topic: str, to: str, failed_topic: str) -> tuple[str, str] | None:
    if topic == to:
        return f"{topic} is where they are", "name another topic"
    if RESULTS in (topic, to):
        return (
            "results are on done, and nothing else",
            "flowlord quarantine replay sends back a result that was set aside",
        )
    if QUARANTINE in (topic, to):
        return "quarantine is left by being replayed", "flowlord quarantine replay"
    if topic == failed_topic:
        return (
            f"on {topic} lie copies of tasks that failed: they would not count",
            "flowlord retry --failed sends the tasks again",
        )
    return None


def _waiting(bus: Bus, topic: str, wanted: Filter, now_us: int, until_us: int) -> Iterator[tuple[str, str]]:
    """Yield entry and name of the tasks that are wanted, as they came, then those that come later."""
    after = ""
    while page := bus.arrived(topic, after, until_us, CHUNK):
        after = page[-1].entry
        yield from _fitting(page, "waiting", wanted, now_us)
    state = next(state for state in bus.topics() if state.topic == topic)
    if state.later:
        everything = min(state.running + state.waiting, MOST_LATER) + min(state.later, MOST_LATER)
        yield from _fitting(bus.peek(topic, everything), "later", wanted, now_us)


def _fitting(page: list[Peeked], state: str, wanted: Filter, now_us: int) -> Iterator[tuple[str, str]]:
    for each in page:
        if each.state == state:
            attempt = of_peeked(each)
            if wanted.accepts(attempt, now_us):
                yield each.entry, attempt.name


def _foresee(topic: str, to: str, count: int, look: Look, verb: str) -> None:
    """Print what would be done, when a form for machines was asked for: the preview tells people."""
    if look.form not in ("", "table"):
        row = {"topic": topic, "to": to, "count": count, "result": f"would be {verb}"}
        printer.rows([row], FIELDS, name="count", look=look)


def _told(topic: str, to: str, count: int, look: Look, verb: str) -> int:
    row = {"topic": topic, "to": to, "count": count, "result": verb}
    printer.rows([row], FIELDS, name="count", look=look)
    printer.say(f"{count:,} {verb}")
    return DONE
