"""Until when a file must have come: what `late=` says, as instants and the data times that are expected by then."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final

from flowlord.rules.cron import Cron
from flowlord.rules.durations import parse_duration
from flowlord.rules.errors import Unreadable, quote

_SHIFT: Final = re.compile(r"(?:^|[^\s])(\s*)([+-])((?:[0-9]+(?:\.[0-9]+)?[a-zµ]+)+)$")
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII)
_MONTH, _DAY = timedelta(days=27), timedelta(hours=23)


@dataclass(frozen=True, slots=True)
class Deadline:
    """What `late=` says.

    `at` is the schedule of the deadlines, empty for a duration: then a file must have come `after_ns` behind each
    instant of the phase's `cron`, or, without one, `after_ns` behind the file before it. `shift_ns` leads from the
    deadline, or the instant of `cron`, to the data time of the file that is expected.
    """

    at: str
    after_ns: int
    shift_ns: int

    @classmethod
    def parse(cls, text: str) -> Deadline:
        """Read `06:00`, `2h` or a schedule such as `0 6 * * MON-FRI`, each with `-24h` or the like behind it.

        Raises:
            Unreadable: it is none of these.
        """
        what, shift_ns = text.strip(), 0
        if found := _SHIFT.search(what):
            sign = -1 if found[2] == "-" else 1
            shift_ns = sign * parse_duration(found[3])
            what = what[: found.start(2)].rstrip()
        if clock := _CLOCK.fullmatch(what):
            hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
            if hour > 23 or minute > 59 or second > 59:
                raise Unreadable(f"{quote(what)} is no time of a day: 00:00 to 23:59 are")
            return cls(f"{second} {minute} {hour} * * *", 0, shift_ns)
        if " " in what or what.startswith("@"):
            Cron.parse(what)
            return cls(what, 0, shift_ns)
        try:
            after_ns = parse_duration(what)
        except Unreadable:
            text = f"{quote(what)} is no time (06:00), no duration (2h) and no schedule (0 6 * * MON-FRI)"
            raise Unreadable(text) from None
        if after_ns <= 0:
            raise Unreadable(f"{quote(what)} is no time to wait for a file")
        return cls("", after_ns, shift_ns)


@dataclass(frozen=True, slots=True)
class Expected:
    """One file that is expected by `by`, of the data time `moment` (aware, in the zone of the rule), or since `since`.

    `span` is how far two deadlines are apart: files are expected of that month, day or hour.
    """

    by: datetime
    moment: datetime
    since: datetime
    span: timedelta

    def is_met_by(self, moment: datetime) -> bool:
        """Whether a file of that data time (UTC, as it stands in its path) is the expected one, or a later one."""
        return _cut(moment.timetuple()[:4], self.span) >= _cut(self.moment.timetuple()[:4], self.span)

    @property
    def words(self) -> str:
        """The data time, as exact as it counts."""
        form = "%Y-%m" if self.span >= _MONTH else "%Y-%m-%d" if self.span >= _DAY else "%Y-%m-%dT%H"
        return self.moment.strftime(form)


def expected(deadline: Deadline, cron: str, zone: str, after: datetime) -> Iterator[Expected]:
    """Yield what is expected with deadlines behind `after` (aware); nothing without any schedule."""
    text = deadline.at or cron
    if not text:
        return
    wait = timedelta(microseconds=deadline.after_ns // 1000)
    shift = timedelta(microseconds=deadline.shift_ns // 1000)
    since = after
    for instant, following in pairwise(_parsed(text, zone).upcoming(after - wait)):
        yield Expected(instant + wait, instant + shift, since, following - instant)
        since = instant + wait


_parsed = lru_cache(maxsize=1024)(Cron.parse)


def _cut(fields: tuple[int, ...], span: timedelta) -> tuple[int, ...]:
    return fields[:2] if span >= _MONTH else fields[:3] if span >= _DAY else fields
