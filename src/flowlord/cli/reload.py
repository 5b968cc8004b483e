"""`flowlord reload`: ask every taskmaster on a bus to look at its workflows, and hear what each of them runs then."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from socket import gethostname
from typing import TYPE_CHECKING, Final

from flowlord.bus.clock import SystemClock
from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING, TIMED_OUT
from flowlord.cli.fleet import differences
from flowlord.cli.printer import Look
from flowlord.cli.sources import opened
from flowlord.cli.table import GREEN, YELLOW, Column
from flowlord.cli.texts import some
from flowlord.cli.times import relative
from flowlord.model.clock import Clock
from flowlord.taskmaster.chance import Chance
from flowlord.taskmaster.looking import ask
from flowlord.taskmaster.reload import PLACE, SUBJECT

if TYPE_CHECKING:
    from flowlord.bus.port import Bus, Presence
    from flowlord.config import BusSettings

FIELDS: Final = ("consumer", "host", "pid", "state", "revision", "health")
HINT: Final = "flowlord run reads its workflows when it starts"
LOOK_S: Final = 0.1
GONE_S: Final = 2.0
"""So long even one is waited for whose process is not seen here: each looks once a second whether it was asked."""


def run(
    where: BusSettings,
    *,
    wait: bool = True,
    timeout_s: float = 30.0,
    look: Look | None = None,
    clock: Clock | None = None,
) -> int:
    """Ask, and print what each taskmaster runs once it has looked; returns the exit code."""
    clock = clock or SystemClock()

    def body() -> int:
        with opened(where, None, clock) as sources:
            bus = sources.bus()
            alive = _masters(bus)
            if bus is None or not alive:
                printer.error("no taskmaster is alive", hint=HINT)
                return NO_SUCH_THING
            token = Chance().token()
            ask(bus, token)
            if not wait:
                printer.say(f"{some(len(alive), 'taskmaster')} asked")
                return DONE
            found = _wait(bus, token, clock, timeout_s)
            gone = [each for each in found if each.reload != token and _is_gone(each)]
            if len(gone) == len(found):
                why = f": {_ended(gone, bus.now_us())}" if gone else ""
                printer.error(f"no taskmaster is alive{why}", hint=HINT)
                return NO_SUCH_THING
            printer.rows(
                [_record(each, token) for each in found], FIELDS, columns=_columns(), look=look or Look()
            )
            there = [each for each in found if each not in gone]
            for finding in differences(there, bus):
                printer.say(f"note: {finding.text}")
            if gone:
                printer.say(f"note: {_ended(gone, bus.now_us())}")
            late = [each.consumer for each in there if each.reload != token]
            if late:
                printer.error(
                    f"{', '.join(late)} did not answer within {timeout_s:g} s", hint="flowlord doctor workers"
                )
                return TIMED_OUT
            return ANSWER_IS_BAD if any(map(_keeps_old, there)) else DONE

    return printer.quietly(body)


def _masters(bus: Bus | None) -> list[Presence]:
    found = bus.presences() if bus is not None else []
    return sorted(
        (each for each in found if each.alive and each.kind == "taskmaster"), key=lambda each: each.consumer
    )


def _wait(bus: Bus, token: str, clock: Clock, timeout_s: float) -> list[Presence]:
    """Return all that count as living once each has looked, or as they are when the time is over.

    One that was killed counts as living until its lease lapses; when its process is not here, it is not waited for.
    """
    begin_ns = clock.monotonic_ns()
    pause = threading.Event()
    while True:
        found = _masters(bus)
        late = [each for each in found if each.reload != token]
        waited_s = (clock.monotonic_ns() - begin_ns) / 1e9
        if waited_s >= timeout_s or (all(map(_is_gone, late)) if waited_s >= GONE_S else not late):
            return found
        pause.wait(LOOK_S)


def _is_gone(found: Presence) -> bool:
    """Whether it ran on this machine and its process is there no more; a hint only: containers may share a name."""
    if found.host not in (gethostname(), os.uname().nodename):
        return False
    try:
        with open(f"/proc/{found.pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[:1] == [b"Z"]  # ended, and nobody has looked yet
    except FileNotFoundError:
        return not _is_hidden(found.pid)
    except OSError:
        return False


def _is_hidden(pid: int) -> bool:
    """Whether there is a process that is not shown: machines may show only those of the same user (hidepid)."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # the number is what somebody wrote on the bus
        return False
    except OSError:
        pass
    return True


def _ended(gone: Sequence[Presence], now_us: int) -> str:
    told = [f"{each.consumer}, last heard {relative(each.beat_us, now_us)}" for each in gone]
    return f"{'; '.join(told)}, ended without a word: there is no such process here"


def _keeps_old(found: Presence) -> bool:
    """Whether it goes on with an older version of something that is broken or out of reach now."""
    faults = found.health.partition(": ")[2].split("; ")
    return any(fault.startswith((SUBJECT, f"{PLACE}: ")) for fault in faults)


def _record(found: Presence, token: str) -> Mapping[str, object]:
    if found.reload != token:
        state = "gone" if _is_gone(found) else "late"
    else:
        state = "older" if _keeps_old(found) else "reloaded"
    return {
        "consumer": found.consumer,
        "host": found.host,
        "pid": found.pid,
        "state": state,
        "revision": found.revision,
        "health": found.health,
    }


def _columns() -> list[Column]:
    return [
        Column("taskmaster", lambda each, _: str(each["consumer"])),
        Column("state", paint=lambda each: GREEN if each["state"] == "reloaded" else YELLOW),
        Column("host"),
        Column("pid", right=True),
        Column("revision", lambda each, _: str(each["revision"]) or "-"),
        Column("health", gives=True),
    ]
