"""`flowlord next --explain`: what a schedule says, in words, and when it comes next."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

from flowlord.bus.clock import SystemClock
from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, WRONG_USE
from flowlord.cli.nextrows import View
from flowlord.cli.printer import Look
from flowlord.cli.texts import printable
from flowlord.cli.times import parse_time
from flowlord.decide.expand import utc_text
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError
from flowlord.rules.cron import Cron
from flowlord.rules.daylight import daylight_note
from flowlord.rules.errors import Unreadable
from flowlord.rules.words import in_words, on_clock_changes

TIMES = 5


def run(
    text: str,
    *,
    zone: str = "",
    default: str = "",
    number: int | None = None,
    start: str = "",
    local: bool = False,
    look: Look | None = None,
    clock: Clock | None = None,
) -> int:
    """Print what `text` means and its next times; returns the exit code, 1 when it means nothing.

    Args:
        text: a schedule, with `CRON_TZ=` in front when wanted, or a whole rule with `cron=` in it.
        zone: of its times, when it names none.
        default: the zone of schedules that name none anywhere, as configured; empty is UTC.
        local: the times are shown in the zone of this machine too.
    """
    look = look or Look()
    if look.form not in ("", "table", "json"):
        printer.error(f"--explain has no form {look.form!r}", hint="leave -o out, or write -o json")
        return WRONG_USE
    now = (clock or SystemClock()).now()
    try:
        first = parse_time(start, now) if start else now
    except ValueError as error:
        raise FlowlordError(str(error)) from error
    schedule, zone = _schedule(text, zone)
    View.asked(zone, local=False)  # refuses one that is none, before it looks like a fault of the schedule
    try:
        cron = Cron.parse(schedule, zone or default)
    except Unreadable as error:
        _tell(schedule, error, look)
        return ANSWER_IS_BAD
    view = View.asked("", local=local)
    # So that `first` itself counts; there is nothing before the beginning of the calendar.
    is_first = cron.every_ns is not None or first.replace(tzinfo=None) == datetime.min  # noqa: DTZ901
    after = first if is_first else first - timedelta(microseconds=1)
    times = [
        (utc_text(instant), view.of(instant).isoformat(), daylight_note(cron, instant))
        for instant in islice(cron.upcoming(after), number or TIMES)
    ]
    words, changes = in_words(cron), on_clock_changes(cron)
    if look.form == "json":
        printer.document(
            {
                "cron": schedule,
                "words": words,
                "zone": cron.zone or "UTC",
                "clock_changes": changes,
                "times": [{"at": at, "local": shown, "note": note} for at, shown, note in times],
            }
        )
        return DONE
    lines = [f"{printable(schedule)}", f"  {words}"]
    if changes:
        lines.append(f"  where the clocks change {changes}")
    lines.append("next:" if times else "it does not come again before the year 9999")
    for at, shown, note in times:
        other = "" if shown.endswith("+00:00") else f"   {shown}"
        lines.append(f"  {at}{other}" + (f"   {note}" if note else ""))
    printer.lines(lines)
    return DONE


def _schedule(text: str, zone: str) -> tuple[str, str]:
    """Return the schedule and zone of a whole rule, or `text` itself when it is no rule."""
    if not text.lstrip("?").startswith("cron=") and "&cron=" not in text:
        return text, zone
    from flowlord.spec.rule import parse_rule

    rule, _ = parse_rule(text)
    return (rule.cron or dict(rule.pairs).get("cron", ""), zone or rule.tz)


def _tell(schedule: str, error: Unreadable, look: Look) -> None:
    """Say why it is no schedule, with a mark below the place."""
    if look.form == "json":
        printer.document({"cron": schedule, "error": error.text, "column": error.offset + 1})
    printer.say(f"error: {error.text}")
    if schedule.strip():
        printer.say(f"  {printable(schedule)}\n  {' ' * len(printable(schedule[: error.offset]))}^")
