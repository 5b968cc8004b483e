"""Publishes open batches: reads ahead what they are made of, and lands it part by part.

Any number of daemons may do so side by side: each part lands only where the batch still is. Who finds that another
one is at work on a batch leaves it to them, until it stands still.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import msgspec

from flowlord.decide.batch import CHUNK, OPEN, RECIPE, halt_commit, next_part, part_commit
from flowlord.decide.maker import Maker
from flowlord.decide.pace import allowance, next_after
from flowlord.decide.recipe import (
    Cell,
    Pace,
    Position,
    Read,
    Recipe,
    cells,
    decode_position,
    decode_recipe,
)
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import BusError, InvalidTask, LeaseLost, Refused
from flowlord.model.plan import Commit, Committed
from flowlord.rules.rows import Placed
from flowlord.storage.port import Unavailable
from flowlord.taskmaster.drivers import Drivers
from flowlord.taskmaster.meta_files import change_of, rows_of_file
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.batches")

PARTS = 4
"""Parts that land in one round trip."""
LEAVE_NS = 1_000_000_000
"""How long a batch is left to whoever was faster, before it is looked at again."""

AGAIN_NS = 30_000_000_000
"""How long a batch rests that failed for a reason that is none of its own."""


@dataclass(slots=True)
class _Batch:
    """A batch as this daemon sees it."""

    key: str
    recipe: Recipe
    maker: Maker
    at: Position
    mark: str
    coming: _Reading | None = None
    ready: _Round | None = None
    left_until_ns: int = 0
    was_moved: bool = False  # by somebody else, since its recipe was read
    reading: int = -1  # the file
    most: int = CHUNK


@dataclass(slots=True)
class _Round:
    """Parts that are to land together: their commits, where the batch is behind them, and why it cannot go on there."""

    commits: list[Commit]
    at: Position
    why: str = ""


class Batches:
    """One step lands some parts of each open batch.

    Args:
        patience_s: how long a step waits for batches whose files do not answer; without, for as long as they take.
    """

    def __init__(self, around: Surroundings, *, patience_s: float | None = None) -> None:
        self._around = around
        self._drivers = Drivers(patience_s)
        self._sender = ThreadPoolExecutor(1, "flowlord-batches")
        self._open: dict[str, _Batch] = {}
        self._unreadable: set[str] = set()

    def step(self) -> int:
        """Publish a little of each open batch; returns how many tasks, 1 at least while files are waited for."""
        try:
            ours = self._look()
            count = sum(self._tried(batch) for batch in ours if not batch.recipe.files)
            reading = {batch.key: partial(self._tried, batch) for batch in ours if batch.recipe.files}
            return count + self._drivers.run(reading)
        except BusError:
            self._open.clear()  # where they are is not known now
            raise

    def drive(self, key: str) -> int:
        """Publish a little of one batch; returns how many tasks."""
        return sum(self._tried(batch) for batch in self._look() if batch.key == key)

    def _look(self) -> list[_Batch]:
        """Return the open batches that are ours to go on with."""
        found = {
            name.removeprefix(OPEN): value
            for name, value in self._around.bus.marks_like(OPEN).items()
            if value.startswith("[")
        }
        for key in set(self._open) - found.keys():
            self._open.pop(key, None)
        for key in self._unreadable - found.keys():
            self._unreadable.discard(key)
            self._around.health.mended(OPEN + key)
        now_ns = self._around.clock.monotonic_ns()
        ours: list[_Batch] = []
        for key, mark in found.items():
            if self._drivers.is_busy(key):
                continue
            batch = self._open.get(key) or self._load(key)
            if batch is None:
                continue
            if batch.mark != mark:
                moved = decode_position(mark)
                if moved is None:
                    self._tell_unreadable(key, f"its mark is {mark[:80]!r}")
                    continue
                is_new = not batch.mark
                batch.at, batch.mark = moved, mark
                self._forget(batch)
                if not is_new:  # somebody else is at work on it
                    batch.left_until_ns, batch.was_moved = now_ns + LEAVE_NS, True
            if now_ns >= batch.left_until_ns:
                # A person may have paused it and let it go on, by another recipe.
                if batch.was_moved:
                    batch = self._load(key, batch)
                    if batch is None:
                        continue
                batch.left_until_ns = 0
                ours.append(batch)
        return ours

    def _load(self, key: str, known: _Batch | None = None) -> _Batch | None:
        """Read a batch, or what one is made by that is `known`; None when it cannot go on here."""
        text = self._around.bus.marks([RECIPE + key]).get(RECIPE + key)
        if text is None:  # it ended between two looks
            return None
        try:
            recipe = decode_recipe(text)
            maker = Maker(recipe)
        except Exception as error:  # noqa: BLE001 - anything may stand there, and no batch hinders another
            self._tell_unreadable(key, str(error))
            return None
        batch = _Batch(key, recipe, maker, known.at if known else Position(), known.mark if known else "")
        self._open[key] = batch
        return batch

    def _tell_unreadable(self, key: str, why: str) -> None:
        """Tell once that a batch cannot go on here; another version of flowlord may know what to do with it."""
        text = f"the batch {key} cannot be read by this version: {why}"
        if key not in self._unreadable:
            self._unreadable.add(key)
            log.error("%s", text, extra={"action": "batch.unreadable"})
        self._around.health.fault(OPEN + key, text)

    def _tried(self, batch: _Batch) -> int:
        try:
            return self._drive(batch)
        except BusError:
            raise
        except Exception:  # no batch hinders another
            log.exception(
                "the batch of %s cannot go on here", batch.recipe.base_name,
                extra={"action": "batch.failed", "batch": batch.recipe.batch},
            )  # fmt: skip
            self._forget(batch)
            batch.left_until_ns = self._around.clock.monotonic_ns() + AGAIN_NS
            return 0

    def _drive(self, batch: _Batch) -> int:
        """Land the next parts of a batch."""
        found = batch.ready or self._made(batch, batch.at)
        batch.ready = None
        if found is None:
            return 0
        changed = self._changed(batch)
        if changed or (batch.coming and isinstance(batch.coming.error, Unavailable)):
            # What was read may be of another version already.
            found = _Round([], batch.at, changed or found.why)
        commits = found.commits
        if found.why:
            commits = [*commits, halt_commit(batch.key, batch.recipe, found.at, found.why)]
        crashpoint("batches.made")
        try:
            return self._land(batch, commits, found)
        except InvalidTask as error:
            self._forget(batch)
            if batch.most > 1:  # one of them: from here on one by one, to find out which
                batch.most = 1
                return self._drive(batch)
            why = str(error)
            return self._land(
                batch,
                [halt_commit(batch.key, batch.recipe, batch.at, why)],
                _Round([], batch.at, why),
            )

    def _made(self, batch: _Batch, start: Position) -> _Round | None:
        """Make the next parts of a batch from `start` on; None while its pace allows none."""
        reading = batch.coming
        if reading is None:
            reading = batch.coming = _Reading(cells(batch.recipe, start, self._reader(batch)))
        commits: list[Commit] = []
        at, why = start, ""
        pace, most, now_us, parts = batch.recipe.pace, batch.most, 0, PARTS if batch.most > 1 else 1
        if pace is not None:
            now_us, parts = self._around.bus.now_us(), 1
            most = min(most, self._allowed(batch, pace, now_us))
            if not most:
                return None
        while len(commits) < parts and not why:
            part = next_part(batch.maker, batch.recipe, at, reading, most)
            if pace is not None:
                next_us = next_after(pace, at, now_us, len(part.series.keys))
                part = msgspec.structs.replace(part, at=msgspec.structs.replace(part.at, next_us=next_us))
            why = part.why or str(reading.error or "")
            if why:
                part = msgspec.structs.replace(part, ends=False)
            if part.at.made > at.made or part.ends:
                commits.append(part_commit(batch.key, batch.recipe, at, part))
            at = part.at
            if part.ends:
                break
        return _Round(commits, at, why)

    def _forget(self, batch: _Batch) -> None:
        """Forget what was read and made ahead: the batch is elsewhere."""
        batch.coming = batch.ready = None

    def _allowed(self, batch: _Batch, pace: Pace, now_us: int) -> int:
        """Return how many tasks of a paced batch may go now; when it moved since it was read, they will not land."""
        group = batch.recipe.holds
        open_tasks = self._around.bus.open_counts([group]).get(group, 0) if pace.active else 0
        return allowance(pace, batch.at, now_us, open_tasks, CHUNK)

    def _sent(
        self, batch: _Batch, commits: list[Commit], found: _Round
    ) -> list[Committed | Refused | LeaseLost]:
        """Send commits, and make the next parts while the bus is at work on them, where there is much to come."""
        if found.why or len(commits) < PARTS or commits[-1].marks[0].new is None:
            return self._around.bus.commit_many(commits)
        answers = self._sender.submit(self._around.bus.commit_many, commits)
        try:
            batch.ready = self._made(batch, found.at)
        except Exception:  # noqa: BLE001 - what is on its way counts first; the next step meets the same again
            self._forget(batch)
        return answers.result()

    def _land(self, batch: _Batch, commits: list[Commit], found: _Round) -> int:
        sent = 0
        for commit, answer in zip(commits, self._sent(batch, commits, found), strict=True):
            if not isinstance(answer, Committed):
                log.debug("batch %s goes on elsewhere", batch.key, extra={"action": "batch.taken"})
                self._forget(batch)
                batch.left_until_ns = self._around.clock.monotonic_ns() + LEAVE_NS
                break
            sent += commit.plan.size
            batch.mark = commit.marks[0].new or ""
            batch.at = decode_position(batch.mark) or batch.at
        else:
            if not batch.mark:
                self._ended(batch, found.why)
        self._around.counters.published += sent
        crashpoint("batches.landed")
        return sent

    def _ended(self, batch: _Batch, why: str) -> None:
        self._open.pop(batch.key, None)
        told = {"slot": batch.recipe.slot, "batch": batch.recipe.batch}
        if why:
            self._around.counters.halted += 1
            log.error("the batch of %s stopped: %s", batch.recipe.base_name, why,
                      extra={"action": "batch.halted", **told})  # fmt: skip
        else:
            log.info("the batch of %s is published", batch.recipe.base_name,
                     extra={"action": "batch.sent", **told})  # fmt: skip

    def _reader(self, batch: _Batch) -> Read:
        def read(number: int, offset: int, line: int) -> Iterator[Placed]:
            batch.reading = number
            return rows_of_file(self._around.storage, batch.recipe.files[number], offset, line)

        return read

    def _changed(self, batch: _Batch) -> str:
        """Tell when the file that is being read is another one now: what is open may still be the old one."""
        if batch.reading < 0 or batch.coming is None:
            return ""
        return change_of(self._around.storage, batch.recipe.files[batch.reading])


class _Reading:
    """Cells up to the first that cannot be read; `error` then tells why."""

    def __init__(self, found: Iterator[Cell]) -> None:
        self.error: Exception | None = None
        self._cells = self._up_to_an_error(found)

    def __iter__(self) -> Iterator[Cell]:
        return self._cells

    def _up_to_an_error(self, found: Iterator[Cell]) -> Iterator[Cell]:
        try:
            yield from found
        except (Unavailable, ValueError) as error:
            self.error = error
