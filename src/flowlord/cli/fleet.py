"""The processes on a bus taken together: who is alive, and what about them does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from flowlord.bus.port import DONE, QUARANTINE, Bus, Presence, TopicState
from flowlord.cli.texts import some
from flowlord.cli.times import relative
from flowlord.model.finding import Finding, Level
from flowlord.model.revision import MARK, files_apart

NAMED = 3


def held_by(bus: Bus) -> Counter[str]:
    """Return how many tasks each consumer holds by the word of the bus, one that was killed too."""
    from flowlord.cli.attempts import running

    return Counter(each.consumer for each in running(bus))


def in_flight(process: Presence, held: int) -> int:
    """Return how many slots are in use: as the last heartbeat told, or as leases do that are younger than it.

    A worker holds more tasks than it runs at a time when they are short.
    """
    return max(len(process.running), min(held, process.slots))


def differences(found: Sequence[Presence], bus: Bus | None = None) -> Iterator[Finding]:
    """Tell where living processes differ that should be alike; the bus knows which files make a difference."""
    alive = [each for each in found if each.alive]
    if words := _apart({each.consumer: each.version for each in alive}):
        yield Finding(
            "versions",
            Level.WARN,
            f"different versions of flowlord are alive: {words}",
            "pip install --upgrade flowlord   # then restart the older ones",
        )
    revisions = {
        each.consumer: each.revision.partition("@")[0] for each in alive if each.kind == "taskmaster"
    }
    if words := _apart(revisions):
        yield Finding(
            "revisions",
            Level.WARN,
            f"taskmasters run different workflow files: {words}{_files(revisions.values(), bus)};"
            " what starts depends on who is first",
            "flowlord reload   # when all have the same files; it waits until they run",
        )


def at_work(
    found: Sequence[Presence],
    topics: Sequence[TopicState],
    failed_topic: str,
    now_us: int,
    bus: Bus | None = None,
    held: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[Finding]:
    """Tell who is alive and what nobody does."""
    masters = [each for each in found if each.alive and each.kind == "taskmaster"]
    hands = [each for each in found if each.alive and each.kind == "worker"]
    if masters:
        yield Finding("taskmasters", Level.OK, f"{_told(masters)} alive")
    else:
        text = "no taskmaster is alive: nothing starts by itself, and no result is heard"
        yield Finding("taskmasters", Level.WARN, text, "flowlord run workflows/")
    slots = sum(each.slots for each in hands)
    busy = sum(in_flight(each, held.get(each.consumer, 0)) for each in hands)
    served = {topic for each in hands for topic in each.topics}
    left = [
        state
        for state in topics
        if state.waiting and state.topic not in {*served, DONE, QUARANTINE, failed_topic}
    ]
    if hands:
        yield Finding("workers", Level.OK, f"{_told(hands)} alive, {busy} of {some(slots, 'slot')} in use")
    elif not left:
        yield Finding("workers", Level.WARN, "no worker is alive", "flowlord worker --help")
    for state in left:
        text = f"{state.topic} has {some(state.waiting, 'waiting task')}, and no living worker takes any"
        yield Finding("topics", Level.WARN, text, f"flowlord worker --types {state.topic} --exec COMMAND")
    yield from _unwell(masters + hands)
    for each in found:
        if not each.alive:
            when = relative(each.beat_us, now_us)
            text = f"the {each.kind} {each.consumer} on {each.host} went without a word, last heard {when}"
            if count := held.get(each.consumer, 0):
                text += f"; it still holds {some(count, 'task')}, until its lease lapses"
            yield Finding(
                "lost", Level.WARN, text, "flowlord tasks --lost   # what it held: it is offered again"
            )
    yield from differences(found, bus)


def _files(revisions: Iterable[str], bus: Bus | None) -> str:
    """Return which files differ, as far as anybody told; empty when nobody did."""
    if bus is None:
        return ""
    marks = bus.marks([MARK + revision for revision in sorted(set(revisions)) if revision])
    names = files_apart(marks.values())
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"; they differ in {', '.join(names[:NAMED])}{more}" if names else ""


def _unwell(alive: Sequence[Presence]) -> Iterator[Finding]:
    levels = {"yellow": Level.WARN, "red": Level.FAULT}
    for each in alive:
        colour, _, words = each.health.partition(": ")
        if colour in levels:
            yield Finding("health", levels[colour], f"{each.consumer} is {colour}: {words or 'see its log'}")


def _told(processes: Sequence[Presence]) -> str:
    """Return some names and how many more: `a, b, c and 4 more`."""
    names = [each.consumer for each in processes]
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _apart(values: Mapping[str, str]) -> str:
    """Return who has which value when not all have the same; those without one do not count."""
    holders: dict[str, list[str]] = {}
    for name, value in sorted(values.items()):
        if value:
            holders.setdefault(value, []).append(name)
    if len(holders) < 2:
        return ""
    return ", ".join(
        f"{value} ({', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''})"
        for value, names in sorted(holders.items())
    )
