"""Hears results and lands what follows from each together with its acknowledgement."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import msgspec

from flowlord.decide.context import Context
from flowlord.decide.done import Done, on_done, origin_of, sources_of
from flowlord.decide.keys import dispatch_key, outcome_identities
from flowlord.decide.usual import Usual
from flowlord.model.crashpoint import crashpoint
from flowlord.model.errors import BusError, InvalidTask
from flowlord.model.message import REPLAYED, Delivery
from flowlord.model.plan import Commit, Committed, FactKind, Plan
from flowlord.model.task import Result
from flowlord.model.workflow import Workflows
from flowlord.taskmaster.chance import Stamps
from flowlord.taskmaster.drivers import beside
from flowlord.taskmaster.landing import due_by_bus, land, quarantine
from flowlord.taskmaster.parked import Parked
from flowlord.taskmaster.readings import Found
from flowlord.taskmaster.reload import last_good
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.router")

BATCH = 500
WAIT_S = 0.5
LONG_NS = 1_000_000_000
"""How long a step goes on claiming: it is to end soon when the daemon does, and its loop must not seem to hang."""
LAND_AT = 5_000
"""Messages that are gathered at most before they are landed: batches of children are counted in thousands."""

_ERROR = Result.ERROR.value


class _Claimed(NamedTuple):
    deliveries: list[Delivery]
    at_ns: int
    """When, by the monotonic clock: their leases begin there."""


@dataclass(slots=True)
class Round:
    """Results that are decided in one moment: what all of them are decided with, and how many stamps that took."""

    flows: Workflows
    ctx: Context
    stamps: int = 0
    room: int = 1
    """Stamps from `ctx.now` on that are ours."""

    def takes(self, tasks: int, stamps: Stamps) -> bool:
        """Take the stamps of a plan; when another thread has some of them, go on at a moment that has room for all."""
        wanted = self.stamps + tasks
        if wanted <= self.room or stamps.widen(self.ctx.now, wanted, self.room):
            self.stamps, self.room = wanted, max(wanted, self.room)
            return True
        self.stamps, self.room = 0, tasks
        self.ctx = msgspec.structs.replace(self.ctx, now=stamps.take(self.room))
        return False


class Router:
    """Claims the results that are there, decides each, and lands many in one round trip."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._here = f"entry:{around.bus.generation()}"
        self._asked: Workflows | None = None
        self._some_read = False
        self._parked = Parked(around, "results", log)
        self._usual = Usual(around.workflows, around.host)

    def step(self, wait_s: float = WAIT_S) -> int:
        """Handle what is there, waiting up to `wait_s` for the first result; returns how many there were.

        While many wait, the next ones are claimed and the last ones land beside deciding: neither the bus nor we wait
        for the other. All have landed when it returns.
        """
        parked = self._parked
        claimed = self._claim(wait_s)
        until_ns = claimed.at_ns + LONG_NS
        ahead: Future[_Claimed] | None = None
        landing: Future[None] | None = None
        heard = 0
        try:
            while found := parked.with_held(claimed.deliveries):
                crashpoint("router.claimed")
                heard += len(found)
                in_time = self._around.clock.monotonic_ns() < until_ns
                if is_more := in_time and len(claimed.deliveries) == BATCH:
                    ahead = beside(self._claim, "flowlord-router-claims")
                for commits in self._decided(found, claimed.at_ns, ahead):
                    if landing is not None:
                        landing.result()
                    landing = (
                        beside(partial(self._end, commits), "flowlord-router-lands") if is_more else None
                    )
                    if landing is None:
                        self._end(commits)
                if ahead is None:
                    break
                claimed, ahead = ahead.result(), None
            if landing is not None:
                landing.result()
        except BaseException:
            self._abandon(landing, ahead)
            raise
        return heard

    def _claim(self, wait_s: float = 0.0) -> _Claimed:
        around = self._around
        found = self._parked.fetch(around.done_topic, BATCH, wait_s)
        return _Claimed(found, around.clock.monotonic_ns())

    def _decided(
        self, found: Sequence[tuple[Delivery, Found]], since_ns: int, ahead: Future[_Claimed] | None
    ) -> Iterator[list[Commit]]:
        """Yield what must land for these, in one go unless it is much or deciding takes long."""
        around = self._around
        commits: list[Commit] = []
        refused: list[Delivery] = []
        messages, round_, is_late = 0, self._round(len(found)), False
        for n, (delivery, rows) in enumerate(found, 1):
            commit = self._usually(delivery, round_)
            if commit is None:
                decided = self._commit(delivery, round_, rows)
                if not isinstance(decided, Commit):
                    if not self._parked.hold(delivery, decided, rows):
                        refused.append(delivery)
                    continue
                commit = decided
                is_late = around.clock.monotonic_ns() - since_ns > around.lease_ns // 4
                messages += commit.plan.size
            else:
                messages += len(commit.plan.children)
            commits.append(commit)
            if is_late or messages >= LAND_AT:
                # Large batches: land what there is, and keep what is still to be decided.
                yield commits
                left = [each for each, _ in found[n:]]
                left += ahead.result().deliveries if ahead is not None else ()
                around.bus.renew(left, lease_ns=around.lease_ns)
                since_ns, commits, messages = around.clock.monotonic_ns(), [], 0
                round_, is_late = self._round(len(found) - n), False
        yield commits
        self._parked.refuse(refused)

    def _round(self, results: int) -> Round:
        """Begin to decide so many results: most of them start one task or none."""
        around = self._around
        round_ = Round(around.workflows, around.context())
        if round_.flows is not self._usual.flows:
            self._usual = Usual(round_.flows, around.host)
        if around.stamps.widen(round_.ctx.now, results):
            round_.room = max(results, 1)
        return round_

    def _usually(self, delivery: Delivery, round_: Round) -> Commit | None:
        """Return what must land for a usual result, None for any other."""
        try:
            commit = self._usual.commit(delivery, round_.ctx, round_.stamps)
            if commit is not None and (wanted := round_.stamps + len(commit.plan.children)) <= round_.room:
                round_.stamps = wanted  # as nearly always
                return commit
            while commit is not None and not round_.takes(len(commit.plan.children), self._around.stamps):
                commit = self._usual.commit(delivery, round_.ctx, round_.stamps)
        except (
            Exception
        ):  # one hostile result must not stop the others; whoever decides the rest looks at it, too
            log.exception("a result could not be decided as a usual one", extra={"action": "done.unusual"})
            return None
        return commit

    def _abandon(self, landing: Future[None] | None, ahead: Future[_Claimed] | None) -> None:
        """After a failure, wait for what goes on beside, and give back what was claimed ahead."""
        if landing is not None:
            landing.exception()
        if ahead is not None and ahead.exception() is None:
            with suppress(BusError):  # then the leases lapse
                self._around.bus.release(ahead.result().deliveries)

    def close(self) -> None:
        """Give back what still waits for its rows; whoever routes next goes on with it."""
        self._parked.close()

    def _end(self, commits: list[Commit]) -> None:
        crashpoint("router.decided")
        bus, counters, is_quiet = self._around.bus, self._around.counters, not log.isEnabledFor(logging.INFO)
        for commit, answer in land(bus, due_by_bus(bus, self._around.clock, commits)):
            if not isinstance(answer, Committed):
                # Somebody else took the result over; what they landed is what counts.
                log.info("%s", answer, extra={"action": "done.lost"})
            elif answer.duplicate:
                log.info(
                    "a result came twice",
                    extra={"action": "done.duplicate", "key": commit.acknowledge[0].key},
                )
            elif is_quiet and commit.plan.told:  # a usual result, of which nobody wants to read
                counters.published += len(commit.plan.children)
                counters.done += 1
            else:
                self._tell(commit.plan)
        crashpoint("router.landed")

    def _commit(self, delivery: Delivery, round_: Round, rows: Found) -> Commit | list[str]:
        """Return what must land for a result; or the meta-files that must be read before, beside `rows`."""
        flows, ctx = round_.flows, round_.ctx
        try:
            task = delivery.task()
        except InvalidTask as error:
            return Commit(
                quarantine(delivery, str(error), flows.rule_of(delivery.phase)), acknowledge=(delivery,)
            )
        identities = outcome_identities(delivery.key, task.type, task.job, task.id, task.created)
        done = Done(
            task,
            # A foreign worker hands back no key; a hand-made task may have no identity at all but its entry.
            delivery.key or dispatch_key(identities[0] if identities else f"{self._here}:{delivery.entry}"),
            delivery.phase,
            delivery.revision,
            delivery.cause,
            delivery.batch,
            delivery.priority,
            delivery.timeout_ns,
            delivery.report,
        )
        try:
            origin = origin_of(task)
            flows = self._with_kept(flows, origin.workflow)
            wanted = sources_of(task, flows, origin) if self._reads(flows) else ()
            if wanted:
                missing = [pattern for pattern in wanted if pattern not in rows]
                rows = {**rows, **self._parked.at_once(missing)}
                if left := [pattern for pattern in missing if pattern not in rows]:
                    return left
                ctx = msgspec.structs.replace(ctx, sources=rows)
            if task.result == _ERROR:  # those that failed together must not be tried again together
                ctx = msgspec.structs.replace(ctx, jitter=self._around.chance.jitter())
            plan = on_done(done, flows, ctx, origin, round_.stamps)
            while not round_.takes(plan.stamps, self._around.stamps):
                ctx = msgspec.structs.replace(ctx, now=round_.ctx.now)
                plan = on_done(done, flows, ctx, origin, round_.stamps)
        except BusError:
            raise
        except Exception as error:  # one hostile result must not stop the others
            log.exception("a result could not be decided", extra={"action": "done.failed", "task": task.id})
            reason = f"it could not be decided: {error!r}"
            return Commit(
                quarantine(delivery, reason, flows.rule_of(delivery.phase)), acknowledge=(delivery,)
            )
        # The outcome of a result that is none was recorded when it was set aside: mended, it would count as repeated.
        return Commit(plan, (delivery,), (), () if delivery.cause == REPLAYED else identities)

    def _with_kept(self, flows: Workflows, name: str) -> Workflows:
        """Add a workflow that is not loaded here as it is kept on the bus: another daemon may run it."""
        if name in flows.by_name or name in ("", "*"):
            return flows
        kept = {flow.name: flow for flow in last_good(self._around.bus, [name])}
        return Workflows({**flows.by_name, **kept}) if kept else flows

    def _reads(self, flows: Workflows) -> bool:
        """Whether any child phase of these workflows reads a meta-file; most never do, and need not be asked."""
        if flows is not self._asked:
            self._asked = flows
            phases = (phase for flow in flows.by_name.values() for phase in flow.phases)
            self._some_read = any(phase.parent and phase.rule.meta_file for phase in phases)
        return self._some_read

    def _tell(self, plan: Plan) -> None:
        counters = self._around.counters
        counters.published += plan.size
        facts = plan.all_facts
        task = next((fact.task for fact in facts if fact.task), None)
        name, run = (task.name, task.id) if task else ("", "")
        is_told = any(fact.kind in (FactKind.DEAD, FactKind.QUARANTINED) for fact in facts)
        for fact in facts:
            told = {"task": run, "key": fact.key}
            match fact.kind:
                case FactKind.DONE:
                    counters.done += 1
                    if log.isEnabledFor(logging.INFO) and task:
                        children = plan.size
                        words = f" -> {children} more" if children and task.result == "complete" else ""
                        log.info("%s %s%s", name, task.result, words, extra={"action": "done", **told})
                case FactKind.RETRY:
                    counters.retried += 1
                    log.warning("%s %s", name, fact.text, extra={"action": "retry", **told})
                case FactKind.DEAD:
                    counters.dead += 1
                    log.error("%s failed for good: %s", name, fact.text, extra={"action": "dead", **told})
                case FactKind.QUARANTINED:
                    counters.quarantined += 1
                    log.error("%s %s", name, fact.text, extra={"action": "quarantined", **told})
                case FactKind.ALERT if is_told:
                    pass  # the line before says the same
                case FactKind.ALERT:
                    log.error("%s %s", name, fact.text, extra={"action": "alert", **told})
                case _:
                    log.info("%s", fact.text, extra={"action": str(fact.kind), **told})
