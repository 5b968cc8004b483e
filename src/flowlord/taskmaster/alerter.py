"""Follows the journal for what people must know, and tells them: one process at a time, the one that holds the lease.

What is known lies on the bus (`alert.keep`), so that who comes next goes on. A notice is noted before it is sent and
struck off after it arrived: between the two, whoever dies leaves one that is sent again under the same id. That is the
one way in which people can be told twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from flowlord.alert import keep, outbox
from flowlord.alert.events import happenings
from flowlord.alert.past import ended
from flowlord.alert.policy import Policy
from flowlord.alert.port import Channel, Notice, Undelivered
from flowlord.alert.state import Event, EventKind, Happening, State
from flowlord.alert.take import take
from flowlord.alert.tell import tell
from flowlord.bus.port import Bus, JournalEntry
from flowlord.model.clock import Clock
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import Refused
from flowlord.model.plan import ANY, Mark, Plan
from flowlord.taskmaster.manners import as_phases_ask
from flowlord.taskmaster.overheard import Overheard

log = logging.getLogger("flowlord.alerts")

LEASE: Final = "alerts:lease"
LEASE_S: Final = 15.0
BATCH: Final = 500
WAIT_S: Final = 1.0
SAVE_AFTER: Final = 20_000
"""Entries without any news after which the place in the journal is written down all the same."""
FINISH_S: Final = 5.0
HURRY_S: Final = 8.0
"""How long channels may take once the process is to end; whoever waits for that gives up after 15 seconds."""
BACK_US: Final = 30_000_000
"""By how much the clock of the bus must go back to matter."""
YOUNG_US: Final = 900_000_000
"""Where nobody ever followed, what is older than this is no news."""


class Alerter:
    """One step follows a little and delivers at most one notice. To be used by one thread at a time."""

    name = "alerts"

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        policy: Policy,
        channels: Mapping[str, Channel],
        owner: str,
        *,
        lease_s: float = LEASE_S,
        tell_health: Callable[[str], None] = lambda text: None,
        overheard: Overheard | None = None,
    ) -> None:
        """`owner` names daemon and process as `DAEMON|PROCESS`; of one daemon the newest process is the only one alive.

        `lease_s` must be longer than any channel takes to send. `tell_health` hears what cannot be delivered now, and
        an empty text when all is well. What another follower read comes through `overheard`.
        """
        self._overheard = overheard
        self._reads = (
            True  # from the bus, until it has what is there: the other one may be elsewhere, or stand still
        )
        self._bus, self._clock, self._policy, self._channels = bus, clock, policy, channels
        self._owner, self._lease_s = owner, lease_s
        self._tell_health = tell_health
        self._told_health = ""
        self._held = ""  # the value of our lease; empty: it is not ours
        self._seen = ("", 0)  # a lease of somebody else, and since when it stands still
        self._saved_ns = 0
        self._latest_us = 0  # by the clock of the bus
        self._is_ending = False
        self._hurry_end_ns = 0  # by then channels are to be done; 0: there is no hurry
        self._failing: set[str] = set()  # channels of which the last message of ours did not arrive
        self._resting = threading.Event()
        self._state = State()
        self._saved = State()

    @property
    def holds(self) -> bool:
        """Whether we are the one who tells."""
        return bool(self._held)

    def step(self, wait_s: float = WAIT_S) -> bool:
        """Do what there is to do; returns whether there was anything. Waits up to `wait_s` for it.

        Raises:
            BusUnavailable: nothing is lost by it.
        """
        try:
            if not self._held and not self._take_lease():
                self._resting.wait(min(wait_s, self._lease_s / 5))
                return False
            followed = self._follow(wait_s)
            sent = self._deliver()
        except Refused:
            log.info("another process tells the alerts now", extra={"action": "alerts.lease"})
            self._held = ""
            return False
        return followed or sent

    def hurry(self) -> None:
        """Let what is being sent be over soon, for `finish` comes next; may be called by another thread than `step`.

        What is cut then may have arrived, and lies on the bus for whoever comes next.
        """
        if not self._hurry_end_ns:
            self._hurry_end_ns = self._clock.monotonic_ns() + int(HURRY_S * 1e9)
        for channel in self._channels.values():
            channel.hurry(HURRY_S)

    def finish(self) -> None:
        """Follow and deliver what is there, for FINISH_S at most, and let another process go on.

        A channel that failed last is not tried again: it may hang, and who waits for our end has little patience. Once
        the hurry is over nothing is sent any more.
        """
        self._is_ending = True
        end_ns = self._clock.monotonic_ns() + int(FINISH_S * 1e9)
        while self.step(0.0) and self._clock.monotonic_ns() < end_ns:
            pass
        if self._held:
            try:
                self._save(release=True)
            except Refused:
                pass
            self._held = ""

    # --- who does it ----------------------------------------------------------------------------------------------

    def _take_lease(self) -> bool:
        found = self._bus.marks([LEASE]).get(LEASE)
        now_ns = self._clock.monotonic_ns()
        if found is not None and not self._is_ours(found):
            if found != self._seen[0]:
                self._seen = (found, now_ns)
            if now_ns - self._seen[1] < self._lease_s * 1e9:
                return False
        mine = f"{self._owner}|1"
        try:
            self._bus.commit(Plan(), marks=[Mark(LEASE, found, mine)])
        except Refused:
            return False
        self._load()  # should the bus go away here, the lease is not ours yet: what is known must never be guessed
        self._held = mine
        return True

    def _is_ours(self, lease: str) -> bool:
        """Whether it was left by an earlier process of this daemon."""
        return lease.partition("|")[0] == self._owner.partition("|")[0]

    def _load(self) -> None:
        head = self._bus.marks([keep.HEAD])
        found = State()
        try:
            if head:
                found = keep.read({**head, **self._bus.marks(keep.names(head[keep.HEAD]))})
        except msgspec.DecodeError as error:
            log.error("what was known of alerts cannot be read: %s", error, extra={"action": "alerts.broken"})
        generation, now = self._bus.generation(), self._bus.now_us()
        last = self._bus.journal_bounds()[1]
        self._saved = found
        found = outbox.rerouted(keep.plausible(found, now, last), self._policy)
        if found.generation == generation:
            self._state = outbox.taken_over(found, now)
        else:
            self._state = replace(
                found, cursor=0, generation=generation, begun_us=max(found.begun_us, now - YOUNG_US), tries={}
            )
        self._saved_ns = self._clock.monotonic_ns()

    # --- what happened --------------------------------------------------------------------------------------------

    def _follow(self, wait_s: float) -> bool:
        found, cursor, moved = self._heard(self._patience(wait_s))
        state = self._state
        now = self._bus.now_us() if found or state.wake_us or state.pending else 0
        if now and now + BACK_US < self._latest_us:
            log.warning(
                "the clock of the bus was set back by %d s; alerts go on by the new time",
                (self._latest_us - now) // 1_000_000, extra={"action": "alerts.clock"},
            )  # fmt: skip
            self._state = state = keep.rewound(state, now)
        self._latest_us = now or self._latest_us
        is_due = bool(found) or 0 < state.wake_us <= now
        if is_due:
            state = tell(take(state, found, self._policy), self._policy, now)
            if state.pending.keys() == self._state.pending.keys() and not found:
                is_due = state != self._state  # only the time for the next look was wrong
        self._state = replace(state, cursor=cursor)
        behind = cursor - self._saved.cursor
        is_stale = self._since(self._saved_ns) > self._lease_s / 3
        if is_due or behind >= SAVE_AFTER or is_stale:
            self._save()
        return moved

    def _heard(self, wait_s: float) -> tuple[list[Happening], int, bool]:
        """Return what happened since, the last entry that is in it, and whether there was any."""
        cursor = self._state.cursor
        entries = self._next(cursor, wait_s)
        if not entries:
            last = self._bus.journal_bounds()[1] if wait_s else cursor
            if last < cursor:  # a server lost its newest data, and counts on from less
                self._forget_tries()
                return (
                    [self._own("the bus lost what it told last: alerts of the last moments may be missing")],
                    last,
                    True,
                )
            return [], cursor, False
        found = as_phases_ask(self._bus, happenings(entries, self._state.subjects, self._state.tried))
        if entries[0].seq > cursor + 1 and cursor:
            text = f"entries {cursor + 1} to {entries[0].seq - 1} of the journal were gone before they were looked at"
            found.insert(0, self._own(f"{text}: alerts in them were not told"))
            self._forget_tries()
            log.error("%s", text, extra={"action": "alerts.gap"})
        return found, entries[-1].seq, True

    def _next(self, cursor: int, wait_s: float) -> Sequence[JournalEntry]:
        """Return what follows in the journal: as another follower read it, from the bus when it did not."""
        if self._overheard is None:
            return self._bus.journal(cursor, BATCH, wait_s=wait_s)
        heard = self._overheard.hear(self._state.generation, cursor, 0.0 if self._reads else wait_s)
        if heard:
            self._reads = False
            return heard[:BATCH]
        found = self._bus.journal(cursor, BATCH)
        self._reads = bool(found)
        return found

    def _forget_tries(self) -> None:
        """What was not seen may have ended them, and one that never ends holds up the end of alerts."""
        self._state = replace(self._state, tries={})

    def _own(self, text: str) -> Event:
        return Event(EventKind.OTHER, self._bus.now_us(), text, "flowlord", "flowlord")

    def _patience(self, wait_s: float) -> float:
        """Return how long nothing else has to be done."""
        _, due = outbox.next_notice(self._state, self._bus.now_us()) if self._state.pending else ("", 0)
        times = [at for at in (self._state.wake_us, due) if at]
        if not times:
            return wait_s
        return min(wait_s, max((min(times) - self._bus.now_us()) / 1e6, 0.0))

    # --- what is told ---------------------------------------------------------------------------------------------

    def _deliver(self) -> bool:
        if not self._state.pending:
            self._say_health()
            return False
        now = self._bus.now_us()
        id_, _ = outbox.next_notice(self._state, now)
        if not id_ or (self._is_ending and not self._may_still(self._state.pending[id_].notice.to)):
            self._say_health()
            return False
        self._state = outbox.sending(self._state, id_, now)
        self._save()  # with it the lease is fresh: nobody else takes it while we send
        notice = outbox.threaded(self._state, id_)
        crashpoint("alerts.send.before")
        try:
            handle = self._send(notice)
        except Undelivered as error:
            now = self._bus.now_us()
            self._failing.add(notice.to)
            self._state = outbox.refused(self._state, id_, error, now, self._policy.min_us)
            self._complain(id_, now)
        else:
            crashpoint("alerts.send.after")
            now = self._bus.now_us()
            self._failing.discard(notice.to)
            self._state = outbox.delivered(self._state, id_, handle)
            log.info("told %s: %s", notice.to, notice.title, extra={"action": "alerts.told", "notice": id_})
        self._state = tell(self._state, self._policy, now)
        self._save()
        self._say_health()
        return True

    def _may_still(self, to: str) -> bool:
        """Whether something may be sent by a channel though the process is to end."""
        is_over = 0 < self._hurry_end_ns <= self._clock.monotonic_ns()
        return not is_over and to not in self._failing

    def _send(self, notice: Notice) -> str:
        channel = self._channels.get(notice.to)
        if channel is None:
            raise Undelivered(f"there is no channel {notice.to} any more", lasting=True)
        try:
            return channel.send(notice)
        except Undelivered:
            raise
        except Exception as error:  # a fault of a channel must not end the others
            log.exception("the channel %s failed", notice.to, extra={"action": "alerts.failed"})
            raise Undelivered(f"{type(error).__name__}: {error}") from error

    def _complain(self, id_: str, now_us: int) -> None:
        pending = self._state.pending[id_]
        if pending.tries & (pending.tries - 1):
            return  # said at the first, second, fourth, eighth try
        wait_s = max(pending.due_us - now_us, 0) // 1_000_000
        reason = pending.error.removeprefix(f"{pending.notice.to}: ")
        log.warning(
            "%s did not reach %s: %s; it is kept and tried again in %d s",
            pending.notice.title, pending.notice.to, reason, wait_s,
            extra={"action": "alerts.undelivered", "notice": id_},
        )  # fmt: skip

    def _say_health(self) -> None:
        text = outbox.undelivered_text(self._state)
        if text != self._told_health:
            self._told_health = text
            self._tell_health(text)

    # --- what is kept ---------------------------------------------------------------------------------------------

    def _save(self, *, release: bool = False) -> None:
        """Write what changed, if the lease is still ours; raises Refused."""
        owner, _, number = self._held.rpartition("|")
        lease = None if release else f"{owner}|{int(number) + 1}"
        new, gone = keep.written(self._saved, self._state)
        marks = [Mark(LEASE, self._held, lease)]
        marks += [Mark(key, ANY, value) for key, value in new.items()]
        marks += [Mark(key, ANY, None) for key in gone]
        self._bus.commit(Plan(facts=ended(self._saved, self._state, self._policy)), marks=marks)
        self._held, self._saved = lease or "", self._state
        self._saved_ns = self._clock.monotonic_ns()

    def _since(self, moment_ns: int) -> float:
        return (self._clock.monotonic_ns() - moment_ns) / 1e9
