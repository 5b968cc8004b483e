"""One attempt of a task as history keeps it, and the states it can be in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, lru_cache

import msgspec

from flowlord.model.task import Task

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_read_time = datetime.fromisoformat
_META = re.compile(r"(?:^|&)(cron|retry|retried)=([^&]*)")
_CRON = re.compile(r"(?:^|&)cron=([^&]*)")


class State(StrEnum):
    """Where an attempt is; the values are those of `--state` and of every machine output.

    RUNNING is never stored: only the bus knows it. LATER turns into WAITING by itself when its time has come.
    ERROR is a failure that nothing has followed yet; RETRIED one that another attempt followed. LOST is what the bus
    held when it was reset: nobody has it any more, and whether it ran to its end is not known.
    """

    WAITING = "waiting"
    LATER = "later"
    RUNNING = "running"
    COMPLETE = "complete"
    WARN = "warn"
    ERROR = "error"
    RETRIED = "retried"
    DEAD = "dead"
    ALERT = "alert"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"
    LOST = "lost"


RESULTS = {state.value: state.value for state in (State.COMPLETE, State.WARN, State.ALERT)}
"""The states of results; any other result is an error."""
OPEN = frozenset({State.WAITING, State.LATER, State.RUNNING})
FAILED = frozenset({State.ERROR, State.DEAD, State.ALERT, State.QUARANTINED, State.LOST})
"""What `--failed` shows: ended badly, and nothing is going to happen by itself."""


class Attempt(msgspec.Struct):
    """A row of the table `tasks`: one dispatch key, one attempt. Before `topic` stands what hardly two have alike.

    Mutable, because the historian folds facts into it; whoever reads one out of a query owns it alone. Times are
    microseconds since 1970 UTC, 0 when unknown: `happened_us` is when the bus last told something of it, by the clock
    of the bus, the others are what was told. `cause` is the slot: `done:KEY` for a child of the attempt KEY,
    `retry:KEY` for the attempt that follows it. `number` counts attempts from 1. `late_us` is when it was told that it
    had not come to its end in time, `lost` how many workers, or data of the bus,
    vanished with it.
    """

    n: int | None = None
    key: str = ""
    id: str = ""
    info: str = ""
    meta: str = ""
    created: str = ""
    cause: str = ""
    published_us: int = 0
    due_us: int = 0
    started_us: int = 0
    ended_us: int = 0
    happened_us: int = 0
    topic: str = ""
    type: str = ""
    job: str = ""
    phase: str = ""
    workflow: str = ""
    revision: str = ""
    batch: str = ""
    priority: int = 5
    number: int = 1
    moment: str = ""
    state: str = State.WAITING.value
    result: str = ""
    msg: str = ""
    reason: str = ""
    worker: str = ""
    deliveries: int = 0
    output: str = ""
    late_us: int = 0
    lost: int = 0

    @property
    def parent(self) -> str:
        """The key of the attempt whose completion started this one, or nothing."""
        return self.cause[5:] if self.cause.startswith("done:") else ""

    @property
    def retry_of(self) -> str:
        """The key of the failed attempt that this one repeats, or nothing."""
        return self.cause[6:] if self.cause.startswith("retry:") else ""

    @property
    def name(self) -> str:
        """`type` or `type:job`."""
        return f"{self.type}:{self.job}" if self.job else self.type

    def state_at(self, now_us: int) -> State:
        """Where it is at `now_us`: what waited for its time waits in its topic from then on."""
        if self.state == "later" and self.due_us <= now_us:
            return State.WAITING
        return State(self.state)

    @property
    def waited_us(self) -> int:
        """How long it lay ready before a worker began; 0 when unknown."""
        ready = max(self.published_us, self.due_us)
        return max(0, self.started_us - ready) if self.started_us and ready else 0

    @property
    def took_us(self) -> int:
        """How long it ran; 0 when unknown."""
        return max(0, self.ended_us - self.started_us) if self.started_us and self.ended_us else 0


COLUMNS: tuple[str, ...] = Attempt.__struct_fields__


def microseconds(text: str) -> int:
    """Return the instant that an RFC 3339 text tells; 0 when it tells none, or one before 1970."""
    if not text:
        return 0
    try:
        since = _read_time(text) - _EPOCH
    except TypeError:  # without a zone
        since = _read_time(text).replace(tzinfo=UTC) - _EPOCH
    except (ValueError, OverflowError):
        return 0
    days = since.days
    return (days * 86_400 + since.seconds) * 1_000_000 + since.microseconds if days >= 0 else 0


def told_by_meta(meta: str) -> tuple[int, str]:
    """Return the number of the attempt, from 1, and the data time that a meta string tells."""
    if "retr" not in meta and "cron" not in meta:
        return 1, ""
    if "retr" not in meta:  # nearly always
        first = _CRON.search(meta)
        number, moment = 1, first[1] if first else ""
    else:
        found = dict(reversed(_META.findall(meta)))  # the first of a repeated key counts
        tried = found.get("retried", "") if found.get("retry") == "failed" else found.get("retry", "")
        number = int(tried) + 1 if tried.isdecimal() and len(tried) < 10 else 1
        moment = found.get("cron", "")
    if "%" in moment or "+" in moment:
        from urllib.parse import unquote_plus  # only the historian needs it, and hardly ever

        moment = unquote_plus(moment)
    return number, moment


def told_by(task: Task) -> tuple[int, str]:
    """Return the number of the attempt, from 1, and its data time: `cron` of the meta, else the hour of its own time.

    Source:
        docs/reference.md, "Times out of texts".
    """
    number, moment = told_by_meta(task.meta)
    return number, moment or hour_told(task)


def hour_told(task: Task) -> str:
    """Return the hour that the info of a task tells, or else the path in `file` of its meta; nothing for none."""
    parse_meta, hour_of, time_of_task, time_of_info = _rules_of_times()
    meta = task.meta
    time = time_of_task(task.info, parse_meta(meta)) if "file=" in meta else time_of_info(task.info)
    return hour_of(time) if time else ""


@cache
def _rules_of_times() -> tuple[
    Callable[[str], dict[str, list[str]]],
    Callable[[datetime], str],
    Callable[[str, Mapping[str, list[str]]], datetime | None],
    Callable[[str], datetime | None],
]:
    """Readers of the history, which have to be quick, need none of this; to import it for each task takes long."""
    from flowlord.rules.metastring import parse_meta
    from flowlord.rules.moments import format_hour, time_of_info, time_of_task

    # All of them are in UTC, so what is equal is written alike.
    return parse_meta, lru_cache(maxsize=1024)(format_hour), time_of_task, time_of_info
