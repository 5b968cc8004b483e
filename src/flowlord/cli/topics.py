"""`flowlord topics` and `flowlord topics peek`: the queues, and what lies in one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock
from flowlord.bus.pauses import pauses_on
from flowlord.cache.queries import History
from flowlord.cache.schema import CacheUnusable
from flowlord.cli import printer
from flowlord.cli.attempts import state_words
from flowlord.cli.exits import DONE, NO_SUCH_THING
from flowlord.cli.printer import Look
from flowlord.cli.sources import opened
from flowlord.cli.table import RED, Column
from flowlord.cli.times import coarse, iso, relative, to_us
from flowlord.model.clock import Clock

if TYPE_CHECKING:
    from flowlord.bus.port import Bus, Peeked
    from flowlord.config import BusSettings

DAY_US = 86_400_000_000
PEEKED = 5
ALWAYS = {"done", "quarantine", "retry-failed"}
"""Topics of flowlord itself: that nothing ever lay there is good news, not a mistake."""
RATE_MIN = 10
"""Minutes over which the rate of a topic is taken."""
FIELDS = ("topic", "waiting", "later", "running", "oldest", "failed_24h", "workers", "paused", "rate_min")
PEEK_FIELDS = (
    "state",
    "topic",
    "key",
    "priority",
    "arrived",
    "due",
    "deliveries",
    "consumer",
    "phase",
    "cause",
    "origin",
    "payload",
)
Record = Mapping[str, object]


def run(
    where: BusSettings, cache_path: str | None, *, look: Look | None = None, clock: Clock | None = None
) -> int:
    """Print every topic with its lengths; returns the exit code. `failed_24h` is unknown without a history."""
    clock = clock or SystemClock()
    now_us = to_us(clock.now())

    def body() -> int:
        with opened(where, cache_path, clock) as sources:
            bus = sources.bus()
            failures, ended = _known(cache_path, now_us)
            found = _topics(bus, failures, ended, clock) if bus is not None else []
            columns = _columns(now_us)
            if any(each["paused"] for each in found):
                columns.append(Column("paused", gives=True))
            printer.rows(found, FIELDS, name="topic", columns=columns, look=look or Look())
            return DONE

    return printer.quietly(body)


def peek(
    where: BusSettings,
    topic: str,
    *,
    number: int = PEEKED,
    newest: bool = False,
    look: Look | None = None,
    clock: Clock | None = None,
) -> int:
    """Print some messages of a topic, which stay where they are; returns the exit code."""
    clock = clock or SystemClock()
    now_us = to_us(clock.now())

    def body() -> int:
        with opened(where, None, clock) as sources:
            bus = sources.bus()
            known = [state.topic for state in bus.topics()] if bus is not None else []
            if bus is not None and topic not in {*known, *ALWAYS}:
                return no_such_topic(topic, known)
            lying = bus.peek(topic, max(number, 0), newest=newest) if bus is not None else []
            found = [_peeked(each) for each in lying]
            printer.rows(
                found, PEEK_FIELDS, name="key", columns=_peek_columns(now_us, found), look=look or Look()
            )
            return DONE

    return printer.quietly(body)


def no_such_topic(topic: str, known: list[str]) -> int:
    """Say that there is no such topic; returns the exit code."""
    printer.error(f"there is no topic {topic[:100]}", hint=_near(topic[:100], known))
    return NO_SUCH_THING


def payload_text(payload: bytes) -> str:
    """Return the bytes of a message as text; those that are no UTF-8 as `\\xff`."""
    return payload.decode("utf-8", "backslashreplace")


def _topics(
    bus: Bus, failures: Mapping[str, int] | None, ended: Mapping[str, int] | None, clock: Clock
) -> list[Record]:
    serving: dict[str, int] = {}
    paused, now = pauses_on(bus), clock.now()
    for presence in bus.presences():
        for topic in presence.topics if presence.alive and presence.kind == "worker" else ():
            serving[topic] = serving.get(topic, 0) + 1
    return [
        {
            "topic": state.topic,
            "waiting": state.waiting,
            "later": state.later,
            "running": state.running,
            "oldest": iso(state.oldest_us) or None,
            "oldest_us": state.oldest_us,
            "failed_24h": failures.get(state.topic, 0) if failures is not None else None,
            "workers": serving.get(state.topic, 0),
            "rate_min": round(ended.get(state.topic, 0) / RATE_MIN, 1) if ended is not None else None,
            "paused": pause.words if (pause := paused.topic(state.topic, now)) else None,
        }
        for state in bus.topics()
    ]


def _known(cache_path: str | None, now_us: int) -> tuple[Mapping[str, int] | None, Mapping[str, int] | None]:
    """Return by topic what failed in a day and what ended in RATE_MIN minutes; None each without a history."""
    if cache_path is None:
        return None, None
    try:
        history = History.open(cache_path)
    except CacheUnusable:
        return None, None
    import sqlite3

    try:
        return history.failures(now_us - DAY_US), history.ended(now_us - RATE_MIN * 60_000_000)
    except sqlite3.DatabaseError as error:  # what waits is told by the bus, whatever became of history
        printer.say(
            f"note: the history {cache_path} cannot be read: {error}; flowlord cache verify tells more"
        )
        return None, None
    finally:
        history.close()


def _columns(now_us: int) -> list[Column]:
    def age(each: Record, _: bool) -> str:
        since = each["oldest_us"]
        return coarse(max(0, now_us - since)) if isinstance(since, int) and since else "-"

    def failed(each: Record, _: bool) -> str:
        return "-" if each["failed_24h"] is None else str(each["failed_24h"])

    return [
        Column("topic"),
        Column("waiting", right=True),
        Column("later", right=True),
        Column("running", right=True),
        Column("oldest", age, right=True),
        Column(
            "rate/min", lambda each, _: "-" if each["rate_min"] is None else str(each["rate_min"]), right=True
        ),
        Column("failed 24h", failed, lambda each: RED if each["failed_24h"] else "", right=True),
        Column("workers", right=True),
    ]


def _peeked(found: Peeked) -> Record:
    return {
        "state": found.state,
        "topic": found.topic,
        "key": found.key,
        "priority": found.priority,
        "arrived": iso(found.at_us) or None,
        "arrived_us": found.at_us,
        "due": iso(found.due_us) or None,
        "due_us": found.due_us,
        "deliveries": found.deliveries,
        "consumer": found.consumer,
        "phase": found.phase,
        "cause": found.cause,
        "origin": found.origin,
        "payload": payload_text(found.payload),
    }


def _peek_columns(now_us: int, found: Sequence[Record]) -> list[Column]:
    def when(each: Record, _: bool) -> str:
        at = each["due_us"] if each["state"] == "later" else each["arrived_us"]
        return relative(at, now_us) if isinstance(at, int) else ""

    set_aside = [
        Column("from", lambda each, _: str(each["origin"])),
        Column("reason", lambda each, _: str(each["cause"])),
    ]
    return [
        Column("state", lambda each, plain: state_words(each, plain=plain)),
        Column("key", lambda each, _: str(each["key"])[:8]),
        Column("when", when),
        *(set_aside if any(each["origin"] for each in found) else []),
        Column("payload", lambda each, _: str(each["payload"]), gives=True),
    ]


def _near(topic: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(topic, known, n=1)
    return f"did you mean {close[0]}?" if close else "flowlord topics lists them"
