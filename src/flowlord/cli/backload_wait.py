"""`flowlord backload --wait`: until every task of a batch has come to its end."""

from __future__ import annotations

from typing import Final

from flowlord.bus.port import Bus
from flowlord.cli import printer
from flowlord.cli.backload_limit import Limit
from flowlord.cli.exits import ANSWER_IS_BAD, DONE
from flowlord.cli.people import who
from flowlord.cli.texts import some
from flowlord.cli.wait import PAGE, STEP_S, lonely
from flowlord.model.plan import FactKind
from flowlord.model.task import Result
from flowlord.taskmaster.backloads import pause, standing

_IN_VAIN: Final = frozenset({FactKind.DEAD, FactKind.CANCELLED, FactKind.QUARANTINED})


def wait_for(bus: Bus, id_: str, topic: str, after: int, limit: Limit | None = None) -> int:
    """Wait until the batch is published and none of its tasks is open; returns the exit code: 1 when some failed.

    `after` is where the journal ended before anything of it was sent, 0 when nobody knows. With a `limit` it pauses
    the batch, and waits no longer, once so many of its tasks failed.
    """
    for words in lonely(bus, [topic]):
        printer.say(f"note: {words}")
    ours: set[str] = set()
    failed: set[str] = set()
    again: set[str] = set()  # sent again by somebody after they had failed, and not ended since
    resent: set[str] = set()  # all of these: a retry of one that fails is to be waited for, too
    told = ""
    well: set[str] = set()
    try:
        while True:
            # The bus is asked before the journal is read to its present end: what ended until then is told there.
            now = standing(bus, id_)
            still_open = bus.open_counts([now.holds]).get(now.holds, 0) if now.state == "published" else 0
            _, last = bus.journal_bounds()
            while after < last and (entries := bus.journal(after, PAGE)):
                after = entries[-1].seq
                for fact in (fact for each in entries for fact in each.facts):
                    how, _, before = fact.cause.partition(":")
                    if (
                        fact.kind is FactKind.PUBLISHED and fact.batch == id_ and how != "dead"
                    ):  # no dead letter
                        ours.add(fact.key)
                        if how == "retry" and (before in failed or before in resent):
                            failed.discard(before)
                            again.add(fact.key)
                            resent.add(fact.key)
                    elif fact.kind is FactKind.DONE:
                        again.discard(fact.key)
                        if limit and fact.key in ours and fact.task and fact.task.result != Result.ERROR:
                            well.add(fact.key)
                    elif fact.kind in _IN_VAIN and fact.key in ours:
                        again.discard(fact.key)
                        failed.add(fact.key)
            if limit and now.state == "running" and limit.is_passed(len(failed), len(failed) + len(well)):
                return _stopped(bus, id_, limit, len(failed), len(well))
            if now.state in ("stopped", "cancelled"):
                printer.error(f"{id_} is {now.state}: {now.why}", hint=f"flowlord backload status {id_}")
                return ANSWER_IS_BAD
            if now.state == "published" and not still_open and not again:
                break
            if now.state == "paused" and now.why != told:
                told = now.why
                printer.say(f"{id_} waits: {told}")
            bus.journal(after, 1, wait_s=STEP_S)
    except KeyboardInterrupt:
        printer.say(f"{id_} goes on; how far: flowlord backload status {id_}")
        raise
    if failed:
        printer.error(
            f"{some(len(failed), 'task')} of {id_} failed",
            hint=f"flowlord backload status {id_}; flowlord tasks --failed",
        )
        return ANSWER_IS_BAD
    printer.say(f"every task of {id_} is complete")
    return DONE


def _stopped(bus: Bus, id_: str, limit: Limit, failed: int, well: int) -> int:
    """Let the batch rest, since too many of its tasks failed."""
    now = pause(bus, id_, f"--stop-at-failures {limit} of {who()}")
    rest = f"{now.total - now.at.sent:,} were not sent" if now.total >= 0 else "the rest was not sent"
    printer.error(
        f"{id_} is {now.state}: {failed:,} of {some(failed + well, 'task')} that have ended failed; {rest}",
        hint=f"flowlord tasks --failed; mended, then: flowlord backload resume {id_}",
    )
    return ANSWER_IS_BAD
