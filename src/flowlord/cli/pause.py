"""`flowlord pause` and `flowlord resume`: what is held up on a bus, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flowlord.bus.clock import SystemClock, time_of
from flowlord.bus.pauses import change_pauses, read_pauses
from flowlord.cli import printer
from flowlord.cli.buses import bus_at
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING, WRONG_USE
from flowlord.cli.people import is_name, kept, who
from flowlord.cli.printer import Look
from flowlord.cli.sources import opened
from flowlord.cli.table import Column
from flowlord.cli.times import iso, relative, to_us
from flowlord.decide.pause import on_pause, on_resume
from flowlord.model.clock import Clock
from flowlord.model.paused import MARK, NOTHING, TOPIC, Pause, Paused, target_of
from flowlord.model.plan import Fact
from flowlord.rules.durations import parse_duration
from flowlord.rules.errors import Unreadable

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.config import BusSettings

FIELDS = ("target", "since", "until", "by", "reason")
_Change = Callable[[Paused, datetime], tuple[Paused, Fact] | None]


def pause(
    where: BusSettings, text: str, *, length: str = "", reason: str = "", look: Look | None = None
) -> int:
    """Pause a target for a while, or until somebody resumes it; returns the exit code.

    With `look` the new pause is printed, as `show` has it.
    """
    target = target_of(text)
    if not is_name(target.removeprefix(TOPIC)):
        printer.error("there is nothing of that name to pause", hint="flowlord pause TOPIC, or FILE.toml")
        return WRONG_USE
    try:
        span = timedelta(microseconds=parse_duration(length) // 1000) if length else None
    except (Unreadable, OverflowError) as error:
        printer.error(f"--for: {error}", hint="write it like 30m, 2h or 1d")
        return WRONG_USE
    if span is not None and span <= timedelta(0):
        printer.error(f"--for {length} is over before it begins", hint="write it like 30m, 2h or 1d")
        return WRONG_USE

    def change(paused: Paused, now: datetime) -> tuple[Paused, Fact]:
        until = None if span is None else now + span
        new = Pause(target, now, until, by=who(), reason=kept(reason))
        return on_pause(paused, new, now)

    def body() -> int:
        with _bus(where) as bus:
            fact = _changed(bus, change)
            if fact is None:
                return ANSWER_IS_BAD
            printer.say(fact.text)
            _told(bus, [each for each in _paused(bus).pauses if each.target == target], look)
            if not _is_known(bus, target):
                printer.say(f"note: nothing called {text} is on this bus now; it counts once it is")
            return DONE

    return printer.quietly(body)


def resume(where: BusSettings, text: str, *, catchup: bool = False, look: Look | None = None) -> int:
    """End the pause of a target; returns the exit code. With `look` the pause that it ended is printed."""
    target = target_of(text)
    ended: list[Pause] = []

    def change(paused: Paused, now: datetime) -> tuple[Paused, Fact] | None:
        ended[:] = [each for each in paused.on(now) if each.target == target]
        return on_resume(paused, target, now, by=who(), catchup=catchup)

    def body() -> int:
        with _bus(where) as bus:
            found = _changed(bus, change)
            on = _paused(bus).on(time_of(bus.now_us()))
            if found is None:
                names = ", ".join(each.target for each in on)
                if _is_known(bus, target):  # the same twice does nothing, and is no mistake
                    printer.say(f"{text} is not paused" + (f"; what is: {names}" if names else ""))
                    _told(bus, [], look)
                    return DONE
                printer.error(
                    f"{text} is not paused", hint=f"what is: {names}" if names else "nothing is paused"
                )
                return NO_SUCH_THING
            printer.say(found.text)
            _told(bus, ended, look)
            for other in on:
                if _covers(other.target, target):
                    printer.say(f"note: {other.words}; that goes on to hold it up")
            return DONE

    return printer.quietly(body)


def show(where: BusSettings, *, look: Look | None = None, clock: Clock | None = None) -> int:
    """List what is paused; returns the exit code."""
    clock = clock or SystemClock()

    def body() -> int:
        with opened(where, None, clock) as sources:
            bus = sources.bus()
            now = time_of(bus.now_us()) if bus is not None else clock.now()
            on = _paused(bus).on(now) if bus is not None else ()
            records = [_record(each) for each in sorted(on, key=lambda each: (each.since, each.target))]
            printer.rows(records, FIELDS, name="target", columns=_columns(to_us(now)), look=look or Look())
            if not on:
                printer.say("nothing is paused")
            return DONE

    return printer.quietly(body)


class _bus:
    """The bus that a person changes something on."""

    def __init__(self, where: BusSettings) -> None:
        self._bus = bus_at(where, by=who())

    def __enter__(self) -> Bus:
        return self._bus

    def __exit__(self, *_: object) -> None:
        self._bus.close()


def _changed(bus: Bus, change: _Change) -> Fact | None:
    """Change what is paused, however many others do so at the same time."""
    while True:
        seen = bus.marks([MARK]).get(MARK)
        found = change(read_pauses(seen), time_of(bus.now_us()))  # which daemons go by, more or less
        if found is None:
            return None
        new, fact = found
        if change_pauses(bus, seen, new, (fact,)):
            return fact


def _told(bus: Bus, changed: Sequence[Pause], look: Look | None) -> None:
    """Print the pauses that a command made or ended, to whom asked for it."""
    if look is not None:
        columns = _columns(bus.now_us())
        printer.rows([_record(each) for each in changed], FIELDS, name="target", columns=columns, look=look)


def _paused(bus: Bus | None) -> Paused:
    return read_pauses(bus.marks([MARK]).get(MARK)) if bus is not None else NOTHING


def _is_known(bus: Bus, target: str) -> bool:
    """Whether the bus has heard of a topic, or keeps a workflow with such a phase."""
    from flowlord.taskmaster.reload import MARK as KEPT
    from flowlord.taskmaster.reload import last_good

    names = [key.removeprefix(KEPT) for key in bus.marks_like(KEPT)]
    if target in names:
        return True
    probe = Paused((Pause(target, datetime(1970, 1, 1, tzinfo=UTC)),))
    phases = [phase for flow in last_good(bus, names) for phase in flow.phases]
    topics = {state.topic for state in bus.topics()} | {phase.topic for phase in phases}
    return target.removeprefix(TOPIC) in topics or any(any(probe.of_phase(phase)) for phase in phases)


def _covers(wide: str, target: str) -> bool:
    return target.startswith(f"{wide}:")


def _record(each: Pause) -> Mapping[str, object]:
    return {
        "target": each.target,
        "since": iso(to_us(each.since)),
        "since_us": to_us(each.since),
        "until": iso(to_us(each.until)) if each.until else None,
        "until_us": to_us(each.until) if each.until else 0,
        "by": each.by,
        "reason": each.reason,
    }


def _columns(now_us: int) -> list[Column]:
    def when(name: str) -> Callable[[Mapping[str, object], bool], str]:
        def text(each: Mapping[str, object], _: bool) -> str:
            at = each[name]
            return relative(at, now_us) if isinstance(at, int) and at else "-"

        return text

    return [
        Column("target"),
        Column("since", when("since_us")),
        Column("until", when("until_us")),
        Column("by"),
        Column("reason", gives=True),
    ]
