"""What becomes of a notice on its way: sent, tried again later, refused. Pure; shared by all channels."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from flowlord.alert.policy import Policy
from flowlord.alert.port import Notice, Undelivered
from flowlord.alert.state import Pace, State

SECOND_US: Final = 1_000_000
FIRST_US: Final = 2 * SECOND_US
LONGEST_US: Final = 600 * SECOND_US
LASTING_US: Final = 3600 * SECOND_US
"""What is refused for good is tried again so seldom: somebody may have mended the address or the rights."""
LONGEST_ASKED_US: Final = 6 * 3600 * SECOND_US
"""No receiver puts us off for longer."""


def next_notice(state: State, now_us: int) -> tuple[str, int]:
    """Return the notice to send now, oldest first, and, when there is none, when the next one is due (0: never)."""
    soonest = 0
    for id_, pending in state.pending.items():
        pace = state.paces.get(pending.notice.to)
        due = max(pending.due_us, pace.rest_us if pace else 0)
        if due <= now_us:
            return id_, now_us
        soonest = min(soonest or due, due)
    return "", soonest


def sending(state: State, id_: str, now_us: int) -> State:
    """Note that a notice is about to be sent: should we vanish, the next one knows that it may have arrived."""
    pending = state.pending[id_]
    marked = replace(
        pending,
        sending_us=now_us,
        doubtful=pending.doubtful or pending.sending_us > 0,
        tries=pending.tries + 1,
    )
    return replace(state, pending={**state.pending, id_: marked})


def threaded(state: State, id_: str) -> Notice:
    """Return the notice as it is to be sent now: what was delivered meanwhile may have begun its thread."""
    pending = state.pending[id_]
    notice = pending.notice
    if len(pending.incidents) == 1 and not notice.thread:
        incident = state.incidents.get(pending.incidents[0])
        if incident is not None and incident.thread_of == notice.to and not incident.is_immediate:
            return replace(notice, thread=incident.thread)
    return notice


def delivered(state: State, id_: str, handle: str) -> State:
    """Return the state without a notice that arrived; its incident remembers `handle`, by which it is updated."""
    pending = dict(state.pending)
    gone = pending.pop(id_)
    incidents = state.incidents
    if handle and len(gone.incidents) == 1 and gone.incidents[0] in incidents:
        [only] = gone.incidents
        incidents = {**incidents, only: replace(incidents[only], thread=handle, thread_of=gone.notice.to)}
    paces = state.paces
    pace = paces.get(gone.notice.to)
    if pace is not None and (pace.failures or pace.rest_us):
        paces = {**paces, gone.notice.to: replace(pace, failures=0, rest_us=0)}
    return replace(state, pending=pending, incidents=incidents, paces=paces)


def refused(state: State, id_: str, error: Undelivered, now_us: int, least_us: int) -> State:
    """Return the state after a notice did not arrive: when it is tried again, and how long its channel is left alone.

    `least_us` is the least wait between digests, for a channel that was never written to.
    """
    pending = state.pending[id_]
    to = pending.notice.to
    pace = state.paces.get(to) or Pace(least_us)
    failures = pace.failures + 1
    asked = min(int(error.retry_after_s * SECOND_US), LONGEST_ASKED_US)
    wait = LASTING_US if error.lasting else min(FIRST_US << min(failures - 1, 20), LONGEST_US)
    kept = replace(
        pending,
        sending_us=0,
        due_us=now_us + max(wait, asked),
        error=f"{error}; {error.hint}" if error.hint else str(error),
        lasting=error.lasting,
        doubtful=pending.doubtful or error.doubtful,
    )
    # One that is refused for good holds up no other one; an outage is one of the whole channel.
    rest = now_us + asked if error.lasting else kept.due_us
    paces = {**state.paces, to: replace(pace, failures=failures, rest_us=max(rest, pace.rest_us))}
    return replace(state, pending={**state.pending, id_: kept}, paces=paces)


def rerouted(state: State, policy: Policy) -> State:
    """Return the state with every notice bound for a channel that there is: names change with the configuration."""
    pending = dict(state.pending)
    for id_, each in state.pending.items():
        to = policy.channel(each.notice.to)
        if to != each.notice.to:
            pending[id_] = replace(each, notice=replace(each.notice, to=to, thread=""), lasting=False)
    return replace(state, pending=pending)


def taken_over(state: State, now_us: int) -> State:
    """Return the state for who delivers from now on: everything may be tried again at once."""
    pending = {id_: replace(each, due_us=min(each.due_us, now_us)) for id_, each in state.pending.items()}
    return replace(state, pending=pending)


def undelivered_text(state: State) -> str:
    """Return, in words, what cannot be delivered now; empty when everything goes well."""
    failing = [each for each in state.pending.values() if each.error]
    if not failing:
        return ""
    oldest = min(failing, key=lambda each: each.notice.at_us)
    to = oldest.notice.to
    where = f" to {to}" if to else ""
    held = len(state.pending)
    what = "1 alert" if held == 1 else f"{held} alerts"
    reason = oldest.error.removeprefix(f"{to}: ") if to else oldest.error
    return f"{what} could not be delivered{where}: {reason}"
