"""Which `flowlord backload` makes up for what is missing: data times as few ranges as its steps allow. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from flowlord.model.workflow import Phase
from flowlord.rules.batch import steps

_STEPS = ("hour", "day", "week", "month")
_LENGTHS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}


def commands(
    phase: Phase, times: Sequence[datetime], *, workflow: bool, only_missing: bool = False
) -> list[str]:
    """Return the commands that send the tasks of these data times (aware, sorted, each once).

    Args:
        workflow: name the file of the phase: others have one of that name too.
        only_missing: leave out tasks that history has.
    Returns:
        Nothing for a phase that a backload cannot name, or one whose template nobody wrote.
    """
    if not phase.template or "#" in phase.name:
        return []
    head = ["flowlord", "backload", phase.base_name]
    tail = ["--workflow", phase.workflow] if workflow else []
    tail += ["--only", "missing"] if only_missing else []
    return [shlex.join([*head, *span, *tail]) for span in _spans(phase, times)]


def _spans(phase: Phase, times: Sequence[datetime]) -> Iterator[list[str]]:
    at = 0
    while at < len(times):
        by, many = max(
            ((step, _run(times, at, step)) for step in _STEPS), key=lambda each: each[1]
        )  # of equal ones the first, finest
        first, last = times[at], times[at + many - 1]
        if many == 1:
            yield ["--at", _text(phase, first)]
        else:
            yield ["--from", _text(phase, first), "--to", _text(phase, last), "--by", by]
        at += many


def _run(times: Sequence[datetime], at: int, by: str) -> int:
    """Return how many times from the one at `at` on follow each other by this step, and by nothing else between."""
    if at + 1 == len(times):
        return 1
    length = _LENGTHS.get(by) if times[at].tzinfo is UTC else None
    many = 0
    try:
        # Nearly always UTC, and there such steps are all of one length.
        for time in _even(times[at], length) if length else steps(times[at], times[-1], by):
            if at + many == len(times) or time != times[at + many]:
                break
            many += 1
    except (ValueError, OverflowError):
        pass
    return max(many, 1)


def _even(time: datetime, length: timedelta) -> Iterator[datetime]:
    while True:
        yield time
        time += length


def _text(phase: Phase, time: datetime) -> str:
    """Return a time as backload reads it: by the clocks of the rule's zone where they say it, else with its offset."""
    is_plain = time.tzinfo is UTC if not phase.rule.tz else not time.fold
    if not is_plain or time.minute or time.second or time.microsecond:
        return time.isoformat().replace("+00:00", "Z")
    return f"{time:%Y-%m-%d}" if not time.hour else f"{time:%Y-%m-%dT%H}"
