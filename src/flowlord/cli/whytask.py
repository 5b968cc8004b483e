"""Why a task is as it is: who started it, what became of each try, what it waits for, and what comes next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from flowlord.cache.attempt import OPEN, Attempt, State
from flowlord.cache.decided import of_keys
from flowlord.cli.attempts import told_by_bus
from flowlord.cli.reasons import Answer
from flowlord.cli.times import iso, relative, took
from flowlord.model.paused import NOTHING, Paused
from flowlord.model.plan import PUT_BACK

if TYPE_CHECKING:
    from datetime import datetime

    from flowlord.bus.port import Presence, TopicState
    from flowlord.cache.queries import History
    from flowlord.cli.sources import Sources
    from flowlord.model.workflow import Workflow

FOLLOWERS = 5
_CAUSES = {"file": "the file", "files": "a group of files, the last one", "tick": "its schedule, planned for"}


def of_attempt(sources: Sources, history: History, of: Attempt, now: datetime, now_us: int) -> Answer:
    """Return the answer about the task that an attempt belongs to."""
    tries = history.attempts(of)
    if any(each.state in OPEN for each in tries):
        sources.ask(lambda bus: told_by_bus(tries, bus), None)
    last = tries[-1]
    state = last.state_at(now_us)
    moment = f" {last.moment.removesuffix('T00')}" if last.moment else ""
    answer = Answer(f"{last.name}{moment} ({last.key[:8]}): {state}")
    _begun(history, tries[0], answer)
    for each in tries[:-1]:
        said = each.msg or each.result or "ended"
        answer.add(
            f"try {each.number} failed: {said}" + (f" ({each.reason})" if each.reason else ""),
            "retry", each.ended_us or each.happened_us,
        )  # fmt: skip
    _now(sources, last, len(tries), state, answer, now, now_us)
    if vanished := last.lost - (state is State.LOST):
        answer.add(f"{vanished} of its workers vanished, and it was offered again", "lost")
    if last.late_us:
        answer.add("it had not come to its end in its time, which was told", "late", last.late_us)
    for told in of_keys(history, [each.key for each in tries]):
        if told.kind != "again":  # the last of these says how often
            answer.add(told.text, told.kind, told.at_us)
    _after(sources, history, tries, state, answer)
    return answer


def _begun(history: History, first: Attempt, answer: Answer) -> None:
    at_us = first.published_us
    if first.parent:
        parent = history.by_keys([first.parent]).get(first.parent)
        name = f"{parent.name} ({parent.key[:8]})" if parent else first.parent[:8]
        answer.add(f"it follows {name}, which is complete", "started", at_us)
        return
    word, _, rest = first.cause.partition(":")
    if word == "backload":
        answer.add(f"backload {rest} asked for it", "started", at_us)
    elif word == "ask":
        answer.add("it was sent by hand", "started", at_us)
    elif word in _CAUSES:
        rest = rest.removeprefix(f"{first.phase}:")
        rest = rest.rpartition(":")[0] or rest if word != "tick" else rest
        answer.add(f"it was started by {_CAUSES[word]} {rest}", "started", at_us)
    elif first.retry_of:
        answer.add(f"it repeats {first.retry_of[:8]}, which history does not know any more", "started", at_us)
    elif first.cause:
        answer.add(f"it was started by {first.cause}", "started", at_us)


def _now(
    sources: Sources, last: Attempt, tries: int, state: State, answer: Answer, now: datetime, now_us: int
) -> None:
    """Tell what the state means; `answer.then` is what will happen by itself."""
    if last.reason.startswith(PUT_BACK):
        answer.add(last.reason, "again")
    match state:
        case State.LATER:
            answer.add(f"its time comes at {iso(last.due_us)}", "later")
            answer.then = f"it will be offered to workers by itself {relative(last.due_us, now_us)}"
        case State.WAITING:
            waits_in(sources, last.topic, answer, now)
        case State.RUNNING:
            again = f", the {last.deliveries}. time that it was handed out" if last.deliveries > 1 else ""
            answer.add(f"{last.worker} works on it{again}", "running", last.started_us)
            answer.then = "what follows starts by itself when the worker reports"
        case State.COMPLETE:
            ran = f" in {took(last.took_us)}" if last.took_us else ""
            answer.add(f"{last.worker or 'a worker'} completed it{ran}", "complete", last.ended_us)
        case State.WARN | State.ALERT:
            answer.add(f"the worker answered {state}: {last.msg}", str(state), last.ended_us)
            answer.then = f"a task that answered {state} is not tried again, and nothing follows it"
        case State.CANCELLED:
            answer.add(last.reason or "it was cancelled", "cancelled", last.ended_us)
            answer.then = "nothing more will happen by itself"
        case State.LOST:
            answer.add(last.reason, "lost", last.happened_us)
            answer.add("a worker may have begun it, and even ended it: the bus cannot tell any more", "lost")
            answer.then = "nobody has it any more: nothing more will happen by itself"
        case State.ERROR:
            answer.add(f"its worker reported: {last.msg}", "error", last.ended_us)
            answer.then = "a taskmaster decides what follows as soon as it hears the result"
        case _:
            tried = "at its only try" if tries == 1 else f"after {tries} tries"
            said = last.msg or last.reason
            answer.add(f"it failed {tried}: {said}", str(state), last.ended_us)
            if last.reason and last.reason != said:
                answer.add(last.reason, str(state))
            answer.then = "no tries are left: nothing more will happen by itself"


def waits_in(sources: Sources, topic: str, answer: Answer, now: datetime) -> None:
    """Tell what the tasks that wait in a topic wait for."""
    from flowlord.bus.pauses import pauses_on

    paused: Paused = sources.ask(pauses_on, NOTHING)
    if pause := paused.topic(topic, now):
        answer.add(pause.words, "paused")
        end = f"at {pause.until:%Y-%m-%dT%H:%M:%SZ}" if pause.until else "when somebody resumes it"
        answer.then = f"it goes on {end}"
        answer.commands.append(f"flowlord resume {shlex.quote(topic)}")
        return
    nobody: list[Presence] = []
    workers = [each for each in sources.ask(lambda bus: bus.presences(), nobody) if each.kind == "worker"]
    taking = [each for each in workers if each.alive and topic in each.topics]
    if not taking:
        answer.add(f"no worker takes the topic {topic} now", "waiting")
        answer.then = "it is taken by itself as soon as such a worker runs"
        answer.commands.append(f"flowlord worker --types {shlex.quote(topic)} --exec COMMAND")
        return
    none: list[TopicState] = []
    state = next((each for each in sources.ask(lambda bus: bus.topics(), none) if each.topic == topic), None)
    if state is not None:
        many = "1 worker takes" if len(taking) == 1 else f"{len(taking)} workers take"
        answer.add(f"{state.waiting:,} tasks wait in {topic}, {state.running:,} run; {many} them", "waiting")
    answer.then = "a worker takes it by itself when its turn comes"


def _after(sources: Sources, history: History, tries: list[Attempt], state: State, answer: Answer) -> None:
    """Tell what followed, or what waits for it."""
    from flowlord.cli.terms import flow_named

    last = tries[-1]
    flow: Workflow | None = flow_named(history, last.workflow) if last.workflow else None
    phases = flow.children(last.topic, last.job) if flow else ()
    if state == State.COMPLETE:
        started = history.children(tries)
        for child in started[:FOLLOWERS]:
            answer.add(f"it started {child.name} ({child.key[:8]})", "followed", child.published_us)
        if len(started) > FOLLOWERS:
            answer.add(f"and {len(started) - FOLLOWERS:,} more", "followed")
        if not started and not phases:
            answer.then = "nothing depends on it: that is all"
        return
    if phases and state not in (State.CANCELLED, State.WARN, State.ALERT):
        names = ", ".join(dict.fromkeys(phase.base_name for phase in phases))
        answer.add(f"{names} will start by itself when it is complete", "waits")
    if state in (State.DEAD, State.QUARANTINED, State.LOST):
        answer.commands.append(f"flowlord retry {last.key[:12]}")
    if state not in OPEN:
        answer.commands.append(f"flowlord task {last.key[:12]}")
