"""How a topic stands of which no phase is known: its tasks were sent by hand, or their phase is gone since."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from flowlord.cache.days import days
from flowlord.cli.reasons import Answer
from flowlord.cli.whytask import waits_in

if TYPE_CHECKING:
    from flowlord.bus.port import TopicState
    from flowlord.cli.case import Case

_EVER = 1 << 40


def of_topic(case: Case, name: str) -> Answer | None:
    """Return what is known of the tasks of a topic, or of `topic:job`; None when there never was one."""
    topic, _, job = name.partition(":")
    none: list[TopicState] = []
    states = case.sources.ask(lambda bus: bus.topics(), none)
    state = next((each for each in states if each.topic == topic), None)
    ended: Counter[str] = Counter()
    for slot, sums in days(case.history, 0, _EVER).items():
        if slot.topic == topic and job in ("", slot.job):
            ended[slot.state] += sums.attempts
    held = state.waiting + state.later + state.running if state else 0
    if not held and not ended:
        return None
    answer = Answer(f"{name}: no phase is called so now; tasks were sent by hand, or by one that is gone")
    if state and held:
        many = _counts(("wait", state.waiting), ("wait for their time", state.later), ("run", state.running))
        answer.add(f"in {topic} {many}", "waiting", state.oldest_us)
    if ended:
        answer.add(f"ended: {', '.join(f'{n:,} {word}' for word, n in ended.most_common())}", "ended")
    if state and state.waiting:
        waits_in(case.sources, topic, answer, case.now)
    answer.commands.append(f"flowlord tasks --topic {shlex.quote(name)}")
    return answer


def _counts(*told: tuple[str, int]) -> str:
    words = [f"{number:,} {'task' if number == 1 else 'tasks'} {word}" for word, number in told if number]
    return ", ".join(words)
