"""Tasks of one phase and data time together: counts by state, those that failed first, then what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from flowlord.cache.attempt import FAILED, OPEN, Attempt, State
from flowlord.cache.decided import of_keys
from flowlord.cli.attempts import told_by_bus
from flowlord.cli.reasons import Answer
from flowlord.cli.times import to_us

if TYPE_CHECKING:
    from flowlord.cli.case import Case
    from flowlord.model.workflow import Phase

SHOWN = 5
ASKED = 500
"""Open tasks of which the bus is asked."""


def newest(case: Case, attempts: Iterable[Attempt]) -> list[Attempt]:
    """Return the last attempt of each task that these belong to, those that failed for good first.

    Args:
        attempts: as `History.tries` returns them: of each task those that history knows.
    """
    some = list(attempts)
    followed = {each.retry_of for each in some}
    last = [each for each in some if each.key not in followed] or some[-1:]
    unsure = [each for each in last if each.state in OPEN][:ASKED]
    if unsure:
        case.sources.ask(lambda bus: told_by_bus(unsure, bus), None)
    return sorted(last, key=lambda each: (State(each.state) not in FAILED, each.state == State.COMPLETE))


def counted(case: Case, tasks: Sequence[Attempt]) -> str:
    """Return how many are in which state, complete ones first, then as `newest` has them."""
    states = Counter(str(each.state_at(to_us(case.now))) for each in tasks)
    first = {str(State.COMPLETE): states.pop(str(State.COMPLETE), 0)}
    return ", ".join(f"{number:,} {state}" for state, number in (first | states).items() if number)


def tell(case: Case, tasks: Sequence[Attempt], answer: Answer) -> None:
    """Tell of those that are not complete, a few of each state, and what sends the failed ones again."""
    shown: Counter[str] = Counter()
    for each in tasks:
        state = str(each.state_at(to_us(case.now)))
        shown[state] += 1
        if state == State.COMPLETE or shown[state] > SHOWN:
            continue
        said = each.msg or each.reason
        words = f"{each.name} ({each.key[:8]}) is {state}"
        answer.add(f"{words}: {said}" if said else words, state, each.ended_us)
        verb = "retry" if each.state in FAILED else "why"
        answer.commands.append(f"flowlord {verb} {each.key[:12]}")
    for state, number in shown.items():
        if state != State.COMPLETE and number > SHOWN:
            answer.add(f"and {number - SHOWN:,} more that are {state}", "more")


def left_out(case: Case, phase: Phase, parents: Sequence[Attempt], answer: Answer) -> int:
    """Tell what was decided not to start of a phase behind these parents, each reason once; returns how many."""
    told = [
        each for each in of_keys(case.history, [each.key for each in parents]) if each.phase == phase.identity
    ]
    reasons: Counter[tuple[str, str]] = Counter((each.text, each.kind) for each in told)
    for (text, kind), number in reasons.most_common(SHOWN):
        answer.add(f"{text} ({number:,} times)" if number > 1 else text, kind)
    return len(told)
