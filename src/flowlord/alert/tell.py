"""What is told, and when: the first at once, then digests at growing intervals, then that it is over. Pure.

Nothing is told by way of an open notice that could not leave: what comes meanwhile is counted, and told in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from flowlord.alert.policy import Policy, next_wait
from flowlord.alert.port import NoticeKind
from flowlord.alert.state import ENDS, EventKind, Incident, Mode, Pace, Pending, Stage, State
from flowlord.alert.take import HOURS
from flowlord.alert.words import notice_of

HELD: Final = 5
"""Notices that may wait for one channel; while there are so many, what is new waits to be told together."""
REFUSED: Final = 50
"""Notices that are kept for one channel that refuses them."""
NEWS: Final = 10
"""Notices that are told at once in a row; then one in each tenth of the least wait, of results each RESULT_GAP_US."""
RESULT_GAP_US: Final = 10_000_000
QUIET_US: Final = 86_400_000_000
"""What nothing can end is over when it has not come again for so long."""
GIVEN_UP_US: Final = 7 * QUIET_US
"""What could have been ended and was not, likewise: its phase is gone."""

NEVER: Final = 1 << 62


def tell(state: State, policy: Policy, now_us: int) -> State:
    """Return the state with the notices that are due at `now_us` among its pending ones.

    `wake_us` of it says when it must be asked again if nothing happens. Asked twice it tells once.
    """
    desk = _Desk(state, policy, now_us)
    channels = {policy.channel(each.to) for each in state.incidents.values() if each.is_open}
    channels |= {name for name, pace in state.paces.items() if pace.due_us}
    for channel in sorted(channels):
        desk.channel(channel)
    return desk.state()


class _Desk:
    def __init__(self, state: State, policy: Policy, now_us: int) -> None:
        self._given, self._policy, self._now = state, policy, now_us
        self._incidents = dict(state.incidents)
        self._paces = dict(state.paces)
        self._pending = dict(state.pending)
        self._noticed = state.noticed
        self._mutes = {target: mute for target, mute in state.mutes.items() if mute.until_us > now_us}
        self._quiet_us = policy.quiet.until_us(now_us) if policy.quiet else 0
        self._wake = min([NEVER, *(mute.until_us for mute in self._mutes.values())])

    def state(self) -> State:
        return replace(
            self._given,
            incidents=self._incidents,
            paces=self._paces,
            pending=self._pending,
            noticed=self._noticed,
            mutes=self._mutes,
            wake_us=0 if self._wake == NEVER else self._wake,
        )

    def channel(self, name: str) -> None:
        """Tell one channel what it is to be told now."""
        ours = [
            each
            for each in self._incidents.values()
            if each.is_open and self._policy.channel(each.to) == name and not self._closed(each)
        ]
        heard = [each for each in ours if not any(mute.covers(each) for mute in self._mutes.values())]
        if name:
            self._results(name, [each for each in heard if each.kind is EventKind.RESULT and each.fresh])
            rest = [each for each in heard if each.kind is not EventKind.RESULT]
            if self._quiet_us:
                if any(each.fresh or each.good_us for each in rest):
                    self._wake_at(self._quiet_us)
                return
            heard = self._recovered(name, rest)
            heard = self._news(name, heard)
            self._digest(name, heard)
        else:
            self._recovered(name, ours)

    def _closed(self, incident: Incident) -> bool:
        """Close what has not come again for long, silently; returns whether it did."""
        last = max(incident.last_us, incident.good_us)
        length = GIVEN_UP_US if incident.kind in ENDS else QUIET_US
        untold = incident.fresh and self._policy.channel(incident.to) and not incident.acked_us
        if untold or self._now - last < length:
            self._wake_at(last + length if not untold else NEVER)
            return False
        self._incidents[incident.id] = replace(incident, stage=Stage.OVER, ended_us=self._now)
        return True

    def _results(self, name: str, found: Sequence[Incident]) -> None:
        if not found or not self._has_room(name):
            return
        pace = self._pace(name)
        allowed, used = self._may(pace.results_us, RESULT_GAP_US)
        if allowed:
            self._paces[name] = replace(pace, results_us=used)
            self._notice(name, NoticeKind.ALERT, found)

    def _recovered(self, name: str, found: Sequence[Incident]) -> list[Incident]:
        """Tell what is over; returns what is not."""
        over: list[Incident] = []
        rest: list[Incident] = []
        for each in found:
            quiet_at = each.good_us + each.window_us
            if not each.good_us:
                rest.append(each)
            elif quiet_at <= self._now:
                over.append(each)
            else:
                self._wake_at(quiet_at)
                rest.append(each)
        if not over or (name and not self._take_turn(name)):
            return rest
        if name:
            self._notice(name, NoticeKind.RECOVERED, over)
        for each in over:
            told = self._incidents[each.id]
            self._incidents[each.id] = replace(told, stage=Stage.RECOVERED, ended_us=each.good_us)
        return rest

    def _news(self, name: str, found: Sequence[Incident]) -> list[Incident]:
        """Tell at once what is new; returns what is left for the digest."""
        new = [each for each in found if _is_news(each)]
        if new and self._take_turn(name):
            self._notice(name, NoticeKind.NEW, new)
        return [each for each in found if not _is_news(each) and not each.is_immediate]

    def _digest(self, name: str, found: Sequence[Incident]) -> None:
        pace = self._pace(name)
        fresh = [each for each in found if each.fresh and not each.acked_us]
        due = pace.due_us or (self._now if fresh else 0)  # what a mute or an outage held up is told now
        if not due:
            return
        if due > self._now:
            self._wake_at(due)
            return
        if fresh and not self._has_room(name):
            return
        wait = next_wait(pace.wait_us, self._policy, stirred=pace.stirred)
        # A look of its own after a quiet window would find nothing: the beat begins again with the next event.
        due = self._now + wait if pace.stirred or fresh else 0
        self._paces[name] = replace(pace, wait_us=wait, stirred=False, due_us=due)
        if due:
            self._wake_at(due)
        if fresh:
            self._notice(name, NoticeKind.STILL, fresh)

    def _notice(self, name: str, kind: NoticeKind, found: Sequence[Incident]) -> None:
        self._noticed += 1
        id_ = f"{self._given.generation[:8]}-{self._noticed}"
        notice = notice_of(id_, kind, found, self._policy, name, self._now)
        self._pending[id_] = Pending(notice, tuple(line.incident for line in notice.lines), due_us=self._now)
        for each in found:
            self._incidents[each.id] = replace(
                each,
                fresh=0,
                hours=(),
                before=tuple(dict.fromkeys(each.before + each.hours))[:HOURS],
                told=each.told + 1,
                told_us=self._now,
            )

    def _take_turn(self, name: str) -> bool:
        """Whether something may be told at once now; what may not waits for the next turn."""
        if not self._has_room(name):
            return False
        pace = self._pace(name)
        allowed, used = self._may(pace.news_us, self._policy.min_us // 10)
        if allowed:
            self._paces[name] = replace(pace, news_us=used)
        return allowed

    def _may(self, used_us: int, gap_us: int) -> tuple[bool, int]:
        """Of NEWS turns each comes back after `gap_us`; `used_us` is when all are back."""
        free_us = used_us - (NEWS - 1) * gap_us
        if free_us > self._now:
            self._wake_at(free_us)
            return False, used_us
        return True, max(used_us, self._now) + gap_us

    def _has_room(self, name: str) -> bool:
        """Whether the channel keeps up; when it does not, its next delivery is what wakes us."""
        waiting = [each for each in self._pending.values() if each.notice.to == name]
        refused = sum(1 for each in waiting if each.lasting)
        return len(waiting) - refused < HELD and refused < REFUSED

    def _pace(self, name: str) -> Pace:
        return self._paces.get(name) or Pace(self._policy.min_us)

    def _wake_at(self, at_us: int) -> None:
        self._wake = min(self._wake, max(at_us, self._now + 1))


def _is_news(incident: Incident) -> bool:
    """Whether it is told as soon as can be: its first event, or each, where its phase wants that."""
    if not incident.fresh or incident.acked_us:
        return False
    return incident.mode is Mode.EVERY or (incident.mode is Mode.EDGE and not incident.told)
