"""Notices tasks that do not come to their end: walks through each topic behind the newest that could be late.

The bus is asked, not the history: what is open is there, history or not. Each task is looked at once for each limit
that counts on its topic, at the moment when it may be late, so the work is that of the late ones and not that of all.
How far the walk is lies in a mark, for all daemons; that a task was told lies among the outcomes, so it is told once
even where two walks meet.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from flowlord.bus.port import QUARANTINE, Peeked, TopicState
from flowlord.decide.late import Limits, Open, is_late, on_late, outcome_of
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import InvalidTask
from flowlord.model.plan import Commit, Committed, Mark
from flowlord.model.task import decode
from flowlord.model.workflow import Phase, Workflows
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.late")

PART = 64
"""Tasks that one answer of the bus holds: each may be a megabyte."""
PARTS = 30
"""Parts of one walk in one step: a million late tasks must not keep the bus from anything else."""
KEEP_S = 30 * 86_400
"""How long the place of a walk is kept: where nothing became late for so long, it begins again."""
EARLIER_US = 1_000
"""Redis counts arrival in milliseconds, and what is looked at must be late already: it is looked at once."""
SHORTEST_S, LONGEST_S = 1.0, 60.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LateWatch:
    """One step looks at what may be late now; used by one thread.

    Args:
        ttl_ns: how long a task may be open whose phase says nothing.
        ignored: topics on which no tasks wait for workers.
    """

    def __init__(self, around: Surroundings, ttl_ns: int, ignored: Collection[str] = ()) -> None:
        self._around = around
        self._ttl_ns = ttl_ns
        self._ignored = {QUARANTINE, around.done_topic, around.failed_topic, *ignored}
        self._built_from: Workflows | None = None
        self._limits = Limits.of(Workflows(), ttl_ns)
        self._phases: dict[str, Phase] = {}

    @property
    def pause_s(self) -> float:
        """How long to wait until the next step: a tenth of the shortest limit, from a second to a minute."""
        return min(max(self._limits.shortest_ns / 1e10, SHORTEST_S), LONGEST_S)

    def step(self) -> int:
        """Tell what is late; returns how many tasks were looked at, so that 0 means: nothing more for now."""
        around = self._around
        flows = around.workflows
        if flows is not self._built_from:
            self._limits = Limits.of(flows, self._ttl_ns)
            self._phases = {phase.identity: phase for flow in flows.by_name.values() for phase in flow.phases}
            self._built_from = flows
        now_us = around.bus.now_us()
        walks = [
            (state.topic, limit_ns)
            for state in around.bus.topics()
            if state.topic not in self._ignored
            for limit_ns in self._limits.on(state.topic)
            if _may_hold(state, now_us - limit_ns // 1000)
        ]
        if not walks:
            return 0
        workers = Counter(
            topic
            for each in around.bus.presences()
            if each.alive and each.kind == "worker"
            for topic in each.topics
        )
        places = around.bus.marks([self._limits.place(topic, limit_ns) for topic, limit_ns in walks])
        looked = 0
        for topic, limit_ns in walks:
            looked += self._walk(topic, limit_ns, now_us, workers[topic], places)
        return looked

    def _walk(self, topic: str, limit_ns: int, now_us: int, workers: int, places: dict[str, str]) -> int:
        bus, place = self._around.bus, self._limits.place(topic, limit_ns)
        seen, looked = places.get(place), 0
        for _ in range(PARTS):
            part = bus.arrived(topic, seen or "", now_us - limit_ns // 1000 - EARLIER_US, PART)
            if not part:
                break
            commits = [found for each in part if (found := self._told(each, limit_ns, now_us, workers))]
            commits.append(Commit(marks=(Mark(place, seen, part[-1].entry, KEEP_S),)))
            crashpoint("late.found")
            *told, moved = bus.commit_many(commits)
            for commit, answer in zip(commits, told, strict=False):
                if isinstance(answer, Committed) and not answer.duplicate:
                    fact = commit.plan.facts[0]
                    log.warning("%s", fact.text, extra={"action": "task.late", "key": fact.key})
            looked += len(part)
            if not isinstance(moved, Committed):  # another daemon walks here
                break
            seen = part[-1].entry
        return looked

    def _told(self, seen: Peeked, limit_ns: int, now_us: int, workers: int) -> Commit | None:
        """Return what is to be told of a message, None when it is none that is late."""
        if self._limits.limit_of(seen.phase) != limit_ns:
            return None
        try:
            task = decode(seen.payload)
        except InvalidTask:  # the worker that takes it sets it aside
            return None
        now, since = _time(now_us), _time(seen.at_us) if seen.at_us else None
        if not is_late(since, task.result, now, limit_ns):
            return None
        found = Open(
            f"{seen.topic}/{seen.entry}",
            seen.key,
            seen.topic,
            seen.phase,
            task,
            since,
            seen.consumer,
            workers,
        )
        paused = self._around.paused
        pause = paused.topic(seen.topic, self._around.now()) if paused and not seen.consumer else None
        return Commit(
            on_late(found, limit_ns, self._phases.get(seen.phase), pause), outcomes=(outcome_of(found),)
        )


def _may_hold(state: TopicState, until_us: int) -> bool:
    """Whether something that arrived by then may be on a topic; when what runs arrived is not told."""
    return bool(state.running) or (bool(state.waiting) and state.oldest_us <= until_us)


def _time(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
