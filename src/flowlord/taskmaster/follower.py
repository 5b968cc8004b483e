"""Copies the journal into the history; never on the path of a task, and able to start anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from flowlord.bus.port import Bus, JournalEntry
from flowlord.cache.historian import Historian
from flowlord.cache.ledger import keys_of
from flowlord.cache.lost import open_keys, were_lost
from flowlord.model.clock import Clock
from flowlord.model.errors import BusUnavailable, Refused
from flowlord.model.plan import Fact, FactKind, Mark, Plan
from flowlord.taskmaster.inspector import Inspector
from flowlord.taskmaster.overheard import Overheard

LEAST = 200
BATCH = 2_000
MOST = 8_000
"""Entries that are copied at once while many wait: what began and ended among them is written once instead of twice."""
ENOUGH = 2_000
"""Facts for which a step pays: of more, each takes as long, and the history would only be behind for longer."""
FEW = 200
GATHER_S = 0.05
"""How long more is waited for after a step that copied few: ten at a time cost three times as much as two hundred."""
LONGEST_GATHER_S = 0.25
"""The same after one that copied many: two hundred at a time cost twice as much as two thousand."""
LONG_NS = 400_000_000
"""A step that takes longer is followed by a smaller one: large entries stay few at a time."""
WAIT_S = 1.0
PRUNING_WAIT_S = 0.02
PRUNE_EVERY_NS = 3_600_000_000_000
FINISH_NS = 10_000_000_000
TOLD_S = 7 * 86_400
"""How long it is remembered that a loss was told; the journal reaches no further."""


class Follower:
    """One step copies what is there; waits up to WAIT_S for more.

    The history is opened by the first step, so that a history which cannot be opened hinders nothing else.
    """

    name = "history"
    rest_s = 0.0
    """How long it pays to wait before the next step, while nobody waits for it."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        open_history: Callable[[], Historian],
        keep: timedelta,
        max_bytes: int = 0,
        at_end: Callable[[], object] | None = None,
        inspector: Inspector | None = None,
        overheard: Overheard | None = None,
    ) -> None:
        """`at_end` is called when the history has everything and is let go of; `inspector` tells that it is damaged.

        What is read is told to `overheard`, before it is written.
        """
        self._overheard = overheard
        self._bus = bus
        self._clock = clock
        self._open = open_history
        self._keep = keep
        self._max_bytes = max_bytes
        self._at_end = at_end
        self._inspector = inspector
        self._historian: Historian | None = None
        self._generation = ""
        self._openings = 0
        self._last = (0, "")
        self._in_doubt = False
        self._pruned_ns: int | None = None
        self._is_pruning = False
        self._batch = BATCH

    def step(self, wait_s: float = WAIT_S) -> int:
        """Copy the next entries; returns how many there were."""
        historian = self._historian or self._begin()
        if self._inspector and (damage := self._inspector.take()):
            historian.condemn(*damage)
        if historian.openings != self._openings:
            self._attach(historian)
        asked = self._clock.now()
        try:
            self._compare(historian)
            wait_s = min(wait_s, PRUNING_WAIT_S) if self._is_pruning else wait_s
            entries = self._bus.journal(historian.cursor(), self._batch, wait_s=wait_s)
        except BusUnavailable:
            self._in_doubt = True
            raise
        if self._bus.generation() != self._generation or historian.openings != self._openings:
            # Another loop may have taken the reset up. Numbers begin again, so what came cannot be told by its number.
            # And a file that took the place of another does not know yet which data it follows.
            self._attach(historian)
            entries = self._bus.journal(historian.cursor(), self._batch)
        if entries:
            if self._overheard:
                self._overheard.tell(self._generation, entries)
            begin_ns = self._clock.monotonic_ns()
            historian.follow(entries)
            self._last = (entries[-1].seq, entries[-1].commit)
            self._gather(entries)
            self._suit(len(entries), self._clock.monotonic_ns() - begin_ns)
        else:
            self.rest_s = 0.0
            historian.caught_up(asked)
        self._prune(historian)
        return len(entries)

    def finish(self) -> None:
        """Copy what is there now, but for no longer than FINISH_NS, and let go of the file."""
        end_ns = self._clock.monotonic_ns() + FINISH_NS
        while self.step(0.0) and self._clock.monotonic_ns() < end_ns:
            pass
        if self._historian:
            self._historian.close()
        if self._at_end:
            self._at_end()

    def _attach(self, historian: Historian) -> None:
        generation = self._bus.generation()
        before = historian.following()
        gone = self._gone(historian, before) if before not in ("", generation) else []
        historian.attach(generation, gone)
        seq = historian.cursor()
        # It lost its newest data while nobody followed. A journal that keeps nothing, after quiet days, tells nothing.
        first, last = self._bus.journal_bounds()
        if 0 < last < seq:
            historian.rewind(self._gone(historian, f"{generation}:{seq}"), first=first)
        self._generation, self._openings = generation, historian.openings
        self._last = (0, "")

    def _compare(self, historian: Historian) -> None:
        """After an outage, see whether the bus still has what it told last: a server may lose its newest data."""
        seq, commit = self._last
        if self._in_doubt and seq and historian.cursor() == seq:
            found = self._bus.journal(seq - 1, 1)
            is_same = found and (found[0].seq, found[0].commit) == (seq, commit)
            # Other data altogether is attached to, once it is known; this is about newest data of the same.
            if not is_same and self._bus.generation() == self._generation:
                historian.rewind(self._gone(historian, commit), first=self._bus.journal_bounds()[0])
                self._last = (0, "")
        self._in_doubt = False

    def _gone(self, historian: Historian, before: str) -> Sequence[str]:
        """Return what history takes for open and the bus does not have, after it lost data; people are told once."""
        known = open_keys(historian.connection)
        there = {found.key for found in self._bus.find(known)} if known else set()
        gone = self._untold([key for key in known if key not in there])
        if gone:
            text = f"{were_lost(len(gone))} with the data of the bus: flowlord retry --state lost"
            fact = Fact(FactKind.ALERT, cause=f"lost:{before}", text=text)
            with suppress(Refused):  # several histories may follow one bus
                self._bus.commit(
                    Plan(facts=(fact,)),
                    marks=[Mark(f"lost:{before}", None, self._bus.generation(), ttl_s=TOLD_S)],
                )
        return gone

    def _untold(self, keys: Sequence[str]) -> Sequence[str]:
        """Return those of which the journal says nothing: the others ended on this bus, which is followed next."""
        left = dict.fromkeys(keys)
        seq = 0
        while left and (entries := self._bus.journal(seq, BATCH)):
            for key in keys_of(entries, first_heard=False):
                left.pop(key, None)
            seq = entries[-1].seq
        return list(left)

    def _begin(self) -> Historian:
        self._historian = self._open()
        return self._historian

    def _prune(self, historian: Historian) -> None:
        now = self._clock.monotonic_ns()
        if self._pruned_ns is not None and now - self._pruned_ns <= PRUNE_EVERY_NS:
            return
        # In small steps: one a look, until nothing is left.
        self._is_pruning = historian.prune(self._keep, self._max_bytes)
        if not self._is_pruning:
            self._pruned_ns = now

    def _gather(self, entries: Sequence[JournalEntry]) -> None:
        """Choose how long to let more come: at the pace at which these were told, until a large step is due."""
        facts = sum(len(entry.facts) for entry in entries)
        # Not at the pace at which they came here: the first ones after a silence waited for it with us.
        pace_s = max(0, entries[-1].at_us - entries[0].at_us) / 1e6 / max(1, facts)
        if len(entries) >= self._batch or facts >= ENOUGH:
            self.rest_s = 0.0  # more waits already
        elif facts < FEW or len(entries) == 1 or pace_s * FEW > LONGEST_GATHER_S:
            self.rest_s = GATHER_S
        else:
            self.rest_s = min(pace_s * (ENOUGH - facts), LONGEST_GATHER_S)

    def _suit(self, copied: int, took_ns: int) -> None:
        """Choose how many entries the next step copies."""
        if took_ns > LONG_NS:
            self._batch = max(LEAST, self._batch // 2)
        elif copied == self._batch:
            self._batch = min(MOST, self._batch * 2)
