"""Whether commits may land: the checks of the port as one pure function, for adapters that read before they write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from flowlord.bus.landing import Landing
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.message import Delivery
from flowlord.model.plan import ANY, Committed, Mark

Answer = Committed | Refused | LeaseLost
Holder = tuple[str, str]
"""Consumer and token of a lease."""

BATCH = "batch:"
"""Prefix of the marks that tell how far open batches are: frozen ones as `done/total`, others as a JSON array."""
RECIPE = "recipe:"
"""Prefix of the marks that tell what open batches are made of."""

LANDED = Committed()
_DUPLICATE = Committed(duplicate=True)


class Verdict(msgspec.Struct):
    """What to answer and what to write; `landed` are the commits whose plan lands, by place and in order."""

    answers: list[Answer] = msgspec.field(default_factory=list)
    landed: list[int] = msgspec.field(default_factory=list)
    entries: list[str] = msgspec.field(default_factory=list)
    marks: dict[str, Mark] = msgspec.field(default_factory=dict)
    digests: list[bytes] = msgspec.field(default_factory=list)


def marks_of(landing: Landing) -> Iterable[Mark]:
    """Return the marks that must hold: those of the commit, and that no batch is open under a name that it opens."""
    opened = landing.commit.plan.opened
    if not landing.frozen and not opened:
        return landing.commit.marks
    frozen = [Mark(BATCH + b.key, None, f"0/{len(b.messages)}") for b, _ in landing.frozen if b.messages]
    made = [
        mark
        for b in opened
        for mark in (Mark(BATCH + b.key, None, b.at), Mark(RECIPE + b.key, ANY, b.recipe))
    ]
    return [*landing.commit.marks, *frozen, *made]


def judge(
    landings: Sequence[Landing],
    holders: Mapping[str, Holder],
    values: Callable[[str], str | None],
    recorded: Callable[[bytes], bool],
) -> Verdict:
    """Check each commit against the bus as the ones before it leave it.

    Args:
        holders: who holds the entries that are acknowledged; those that nobody holds are absent.
        values: what a mark holds before the first commit.
        recorded: whether an outcome is known before the first commit.
    """
    verdict = Verdict()
    ended: set[str] = set()
    recent: set[bytes] = set()
    set_now: dict[str, str | None] = {}
    for place, landing in enumerate(landings):
        acknowledged = landing.commit.acknowledge
        lost = _lost(acknowledged, holders, ended)
        if lost is not None:
            verdict.answers.append(lost)
            continue
        duplicate = any(one in recent or recorded(one) for one in landing.digests)
        if not duplicate:
            marks = marks_of(landing)
            refused = _refused(marks, values, set_now)
            if refused is not None:
                verdict.answers.append(refused)
                continue
            for mark in marks:
                verdict.marks[mark.key] = mark
                set_now[mark.key] = mark.new
            fresh = dict.fromkeys(landing.digests)
            verdict.digests.extend(fresh)
            recent.update(fresh)
            verdict.landed.append(place)
        for delivery in acknowledged:
            if delivery.entry not in ended:
                ended.add(delivery.entry)
                verdict.entries.append(delivery.entry)
        verdict.answers.append(_DUPLICATE if duplicate else LANDED)
    return verdict


def _lost(
    acknowledged: Iterable[Delivery], holders: Mapping[str, Holder], ended: set[str]
) -> LeaseLost | None:
    for delivery in acknowledged:
        entry = delivery.entry
        if entry in ended or holders.get(entry) != (delivery.consumer, delivery.token):
            return LeaseLost(entry)
    return None


def _refused(
    marks: Iterable[Mark], values: Callable[[str], str | None], set_now: Mapping[str, str | None]
) -> Refused | None:
    for mark in marks:
        if mark.seen is ANY:
            continue
        found = set_now[mark.key] if mark.key in set_now else values(mark.key)
        if found != mark.seen:
            return Refused(mark.key, found)
    return None
