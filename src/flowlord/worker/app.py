"""Tasks as Python functions: how they are marked and what they are given.

    from flowlord.worker import Context, Outcome, Result, TryAgain, task

    @task("extract")                         # or "extract:hourly" for one job only
    def extract(task: Context) -> str:       # `async def` works too
        rows = fetch(task.info, day=task.meta["cron"])
        task.add_meta(rows=len(rows))        # for the children
        return f"{len(rows)} rows"           # the message; or a Result, an Outcome, None

Raising makes the task an error with the exception's text as its message; raising TryAgain brings it back later
without counting an attempt.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

    from flowlord.model.task import Result, Task

F = TypeVar("F", bound=Callable[..., Any])
Meta = Mapping[str, object]
"""Values are texts, or anything that `str` reads well; a list or a tuple is a repeated key."""

MARK = "__flowlord_tasks__"


class TryAgain(Exception):
    """What the task needs is not there yet: bring it back later, by growing waits, for at most 24 hours."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task function may return when a message alone does not tell it all.

    `result` is a `Result` or its text (complete, warn, alert, error).
    """

    result: Result | str = "complete"
    msg: str = ""
    meta: Meta = field(default_factory=dict)


class Context:
    """One task while a function works on it.

    `deadline` is when its timeout runs out (None without one). `cancelled` is set when the function should return
    soon: its time is over, the worker must leave, or the task belongs to another worker by now; what it returns
    then does not count. `key` is the same each time this dispatch runs, so use it to make effects idempotent.
    `deliveries` counts the starts, from 1.
    """

    def __init__(
        self,
        task: Task,
        *,
        key: str = "",
        deliveries: int = 1,
        deadline: datetime | None = None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.task = task
        self.key = key
        self.deliveries = deliveries
        self.deadline = deadline
        self.added: dict[str, list[str]] = {}
        self._is_cancelled = False
        if cancelled is not None:
            self._cancelled = cancelled

    @property
    def type(self) -> str:
        """The task's type."""
        return self.task.type

    @property
    def job(self) -> str:
        """The variant inside the type; may be empty."""
        return self.task.job

    @property
    def info(self) -> str:
        """The task's argument."""
        return self.task.info

    @property
    def id(self) -> str:
        """The id of the run that this task belongs to."""
        return self.task.id

    @property
    def created(self) -> str:
        """When the task was made, RFC 3339."""
        return self.task.created

    @property
    def meta(self) -> dict[str, str]:
        """The first value of each key of the task's meta."""
        from flowlord.rules.metastring import parse_meta

        return {key: values[0] for key, values in parse_meta(self.task.meta).items()}

    @property
    def params(self) -> dict[str, str]:
        """The first value of each parameter in the query of info: what follows its first `?`."""
        from flowlord.rules.metastring import parse_meta

        query = self.task.info.partition("?")[2].partition("#")[0]
        return {key: values[0] for key, values in parse_meta(query).items()}

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose lines carry the task's id."""
        return logging.LoggerAdapter(
            logging.getLogger("flowlord.task"), {"action": self.task.name, "task": self.task.id}
        )

    @property
    def cancelled(self) -> threading.Event:
        """Set when the function should return soon."""
        found: threading.Event | None = vars(self).get("_cancelled")
        if found is None:
            # Made when asked for, since most tasks are over before anybody asks; one for all threads of a function.
            found = vars(self).setdefault("_cancelled", threading.Event())
            if self._is_cancelled:
                found.set()
        return found

    def cancel(self) -> None:
        """Ask the function to return soon."""
        self._is_cancelled = True  # first: who is making the event at this moment looks here afterwards
        found: threading.Event | None = vars(self).get("_cancelled")
        if found is not None:
            found.set()

    def add_meta(self, values: Meta | None = None, /, **more: object) -> None:
        """Hand values back with the task; each key takes the place of the one that the task had."""
        self.added |= texts({**(values or {}), **more})


def task(*names: str) -> Callable[[F], F]:
    """Mark a function as the one that does tasks of these types (`"type"`) or jobs (`"type:job"`)."""
    given: tuple[object, ...] = names
    if not given or not all(isinstance(name, str) and name.partition(":")[0] for name in given):
        raise TypeError('say which tasks the function does: @task("type") or @task("type:job")')

    def mark(function: F) -> F:
        setattr(function, MARK, (*getattr(function, MARK, ()), *names))
        return function

    return mark


def texts(meta: Meta) -> dict[str, list[str]]:
    """Return every value as the texts that travel."""
    found: dict[str, list[str]] = {}
    for key, value in meta.items():
        many: Sequence[object] = value if isinstance(value, list | tuple) else (value,)
        found[_sound(key)] = [_sound(each) for each in many]
    return found


def _sound(value: object) -> str:
    """The text of a value; half a surrogate pair, which no encoding holds, becomes a question mark."""
    return str(value).encode("utf-8", "replace").decode()
