"""How attempts are shown: the record for machines, the columns for people, and the bus's word on open ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from flowlord.cache.attempt import OPEN, Attempt, State, microseconds, told_by
from flowlord.cli.table import DIM, GREEN, RED, YELLOW, Column
from flowlord.cli.times import iso, relative, took

if TYPE_CHECKING:
    from flowlord.bus.port import Bus, Peeked

FIELDS = (
    "state", "id", "key", "type", "job", "topic", "info", "meta", "moment", "attempt", "created", "published", "due",
    "started", "ended", "waited_s", "took_s", "result", "msg", "reason", "worker", "deliveries", "priority", "phase",
    "workflow", "revision", "cause", "batch", "late", "lost",
)  # fmt: skip
"""Keys of a task in every machine output; they are only ever added to."""

SYMBOLS = {
    State.WAITING: ("⌛", "."),
    State.LATER: ("⏸", "-"),
    State.RUNNING: ("▶", ">"),
    State.COMPLETE: ("✓", "+"),
    State.WARN: ("!", "!"),
    State.ERROR: ("✗", "x"),
    State.RETRIED: ("↻", "~"),
    State.DEAD: ("☠", "X"),
    State.ALERT: ("✗", "x"),
    State.CANCELLED: ("⏸", "-"),
    State.QUARANTINED: ("☠", "X"),
    State.LOST: ("☠", "X"),
}
_PAINTS = {
    State.COMPLETE: GREEN,
    State.WARN: YELLOW,
    State.RETRIED: YELLOW,
    State.ERROR: RED,
    State.DEAD: RED,
    State.ALERT: RED,
    State.QUARANTINED: RED,
    State.LOST: RED,
    State.CANCELLED: DIM,
    State.LATER: DIM,
}


def record(attempt: Attempt, now_us: int) -> dict[str, object]:
    """Return what machines get: names of FIELDS, times as ISO 8601, None for what is not known."""
    state = attempt.state_at(now_us)
    return {
        "state": state.value,
        "id": attempt.id,
        "key": attempt.key,
        "type": attempt.type,
        "job": attempt.job,
        "topic": attempt.topic,
        "info": attempt.info,
        "meta": attempt.meta,
        "moment": attempt.moment,
        "attempt": attempt.number,
        "created": attempt.created,
        "published": iso(attempt.published_us) or None,
        "due": iso(attempt.due_us) or None,
        "started": iso(attempt.started_us) or None,
        "ended": iso(attempt.ended_us) or None,
        "waited_s": attempt.waited_us / 1e6 if attempt.started_us and attempt.published_us else None,
        "took_s": attempt.took_us / 1e6 if attempt.started_us and attempt.ended_us else None,
        "result": attempt.result,
        "msg": attempt.msg,
        "reason": attempt.reason,
        "worker": attempt.worker,
        "deliveries": attempt.deliveries or None,
        "priority": attempt.priority,
        "phase": attempt.phase,
        "workflow": attempt.workflow,
        "revision": attempt.revision,
        "cause": attempt.cause,
        "batch": attempt.batch,
        "late": iso(attempt.late_us) or None,
        "lost": attempt.lost or None,
    }


def columns(now_us: int, *, ended: bool = False) -> list[Column]:
    """Return the columns of a list of tasks, as seen at `now_us`; `ended` when it holds only what has ended."""
    return [
        Column("state", lambda each, plain: state_words(each, plain=plain), paint),
        Column("id", lambda each, _: name_of(each)[:8]),
        Column("task", lambda each, _: str(each["type"]), gives=True),
        Column("job", lambda each, _: str(each["job"]), gives=True),
        Column("data time", lambda each, _: str(each["moment"]).removesuffix("T00")),
        Column("try", lambda each, _: str(each["attempt"]), right=True),
        Column("ended" if ended else "when", lambda each, _: when(each, now_us)),
        Column("took", lambda each, _: ran(each), right=True),
        Column("reason", lambda each, _: reason(each), gives=True),
    ]


def name_of(each: Mapping[str, object]) -> str:
    """Return what names this very attempt to other commands: its key, for all tasks of a run share the id."""
    return str(each["key"] or each["id"])


def state_words(each: Mapping[str, object], *, plain: bool) -> str:
    """Return the symbol and the word of a state: never the symbol or the colour alone."""
    state = State(str(each["state"]))
    return f"{SYMBOLS[state][plain]} {state}"


def paint(each: Mapping[str, object]) -> str:
    """Return the colour of a state."""
    return _PAINTS.get(State(str(each["state"])), "")


def when(each: Mapping[str, object], now_us: int) -> str:
    """Return when it ended, else when it began, else when it will or could begin."""
    order = ("due",) if each["state"] == State.LATER else ("ended", "started", "due", "published")
    found = next((str(each[name]) for name in order if each[name]), "")
    return relative(microseconds(found), now_us)


def ran(each: Mapping[str, object]) -> str:
    """Return how long it ran, nothing while that is not known."""
    seconds = each["took_s"]
    return took(round(seconds * 1e6)) if isinstance(seconds, float) else ""


def reason(each: Mapping[str, object]) -> str:
    """Return why it is so: the worker's words, else ours; nothing for what went well without a word."""
    said, ours = str(each["msg"]), str(each["reason"])
    if each["state"] == State.RETRIED and said and ours:
        return f"{said} ({ours})"
    return said or ours


def of_peeked(found: Peeked) -> Attempt:
    """Return what the bus tells of a message that history does not know (yet)."""
    from flowlord.model.errors import InvalidTask
    from flowlord.model.task import Task, decode

    try:
        task = decode(found.payload)
    except InvalidTask:
        task = Task(type=found.topic, info="")
    number, moment = told_by(task)
    attempt = Attempt(
        key=found.key, topic=found.topic, type=task.type, job=task.job, id=task.id, info=task.info, meta=task.meta,
        created=task.created, phase=found.phase, workflow=found.phase.partition(":")[0], cause=found.cause,
        priority=found.priority, number=number, moment=moment, published_us=found.at_us, happened_us=found.at_us,
    )  # fmt: skip
    set_by_bus(attempt, found)
    return attempt


def set_by_bus(attempt: Attempt, found: Peeked) -> None:
    """Write the bus's word over what history has: it knows who runs what, and what waits."""
    attempt.state = State(found.state).value
    if found.due_us or not attempt.lost:  # of one that was offered again history knows since when it is ready
        attempt.due_us = found.due_us
    if found.state == State.RUNNING:
        attempt.worker = found.consumer
        attempt.deliveries = found.deliveries


def told_by_bus(attempts: Iterable[Attempt], bus: Bus) -> None:
    """Correct the state of attempts that history holds for open, in one question."""
    unsure = {attempt.key: attempt for attempt in attempts if attempt.state in OPEN}
    if not unsure:
        return
    for found in bus.find(list(unsure)):
        if found.topic == unsure[found.key].topic:  # its result, on its way to us, carries the same key
            set_by_bus(unsure[found.key], found)


def running(bus: Bus) -> list[Peeked]:
    """Return every message that a consumer holds, but for results on their way to us."""
    return [
        found
        for topic in bus.topics()
        if topic.running and topic.topic != "done"
        for found in bus.peek(topic.topic, topic.running)
        if found.state == State.RUNNING
    ]
