"""`flowlord tasks --group-by`: how many there are of each kind instead of each of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from flowlord.cache.attempt import State
from flowlord.cache.filter import Filter
from flowlord.cache.groups import BY, By, Group, grouped, move
from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE
from flowlord.cli.printer import Look
from flowlord.cli.selection import held, history_for
from flowlord.cli.sources import Sources
from flowlord.cli.table import Column
from flowlord.cli.times import iso, relative
from flowlord.model.errors import FlowlordError

FIELDS = ("by", "value", "count", "tasks", "moment_from", "moment_to", "last")
SHOWN_NAMES = 4


def by_of(text: str) -> By:
    """Read `--group-by`; raises FlowlordError."""
    if text not in BY:
        raise FlowlordError(
            f"--group-by {text[:40]!r} is no kind of group", hint=f"write one of {', '.join(BY)}"
        )
    return text


def groups(
    sources: Sources, wanted: Filter, by: By, now_us: int, look: Look, limit: int, *, exit_code: bool = False
) -> int:
    """Print the groups, the largest first; returns the exit code."""
    history = history_for(sources, wanted)
    found = grouped(history, wanted, by, now_us)
    if by == "state" and (not wanted.states or State.RUNNING in wanted.states):
        found = move(found, held(sources, history, wanted, now_us), State.RUNNING)
    shown = list(islice(found, limit or None))
    printer.rows(
        (_record(by, each) for each in shown), FIELDS, name="value", columns=_columns(by, now_us), look=look
    )
    if not found or (look.resolved() == "table" and printer.on_terminal()):
        _sum_up(found, len(shown))
    return ANSWER_IS_BAD if exit_code and found else DONE


def _sum_up(found: list[Group], shown: int) -> None:
    if not found:
        printer.say("no such tasks")
    elif shown < len(found):
        printer.say(f"… {len(found) - shown} more, --limit 0 for all")


def _record(by: By, group: Group) -> Mapping[str, object]:
    return {
        "by": by,
        "value": group.value,
        "count": group.count,
        "tasks": ",".join(sorted(group.names)),
        "moment_from": group.moment_from,
        "moment_to": group.moment_to,
        "last": iso(group.last_us) or None,
        "last_us": group.last_us,
    }


def _columns(by: By, now_us: int) -> list[Column]:
    def names(each: Mapping[str, object], _: bool) -> str:
        found = str(each["tasks"]).split(",")
        more = f" and {len(found) - SHOWN_NAMES} more" if len(found) > SHOWN_NAMES else ""
        return ", ".join(found[:SHOWN_NAMES]) + more

    def moments(each: Mapping[str, object], _: bool) -> str:
        first, last = (str(each[name]).removesuffix("T00") for name in ("moment_from", "moment_to"))
        return first if first == last else f"{first}…{last}"

    def last(each: Mapping[str, object], _: bool) -> str:
        at = each["last_us"]
        return relative(at, now_us) if isinstance(at, int) else ""

    title = "reason" if by == "error" else by
    return [
        Column("count", right=True),
        Column(title, lambda each, _: str(each["value"]) or "-", gives=True),
        Column("tasks", names, gives=True),
        *([Column("data times", moments)] if by == "error" else []),
        Column("last", last),
    ]
