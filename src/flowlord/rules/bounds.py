"""The first and last planned instant of a rule: `from=` and `until=`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from flowlord.rules.errors import Unreadable, quote
from flowlord.rules.zones import instant_of

_FORM: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d))?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


def first_instant(text: str, zone: tzinfo) -> datetime:
    """Return the earliest instant that `from=` allows, in the zone of the rule: a day from its beginning.

    Raises:
        Unreadable: neither `2026-08-01` nor `2026-08-01T05`, with minutes, seconds and `Z` or an offset if wanted.
    """
    return _instant(text, zone)[0]


def last_instant(text: str, zone: tzinfo) -> datetime:
    """Return the latest instant that `until=` allows, in the zone of the rule: a day to its last second.

    Raises:
        Unreadable: as `first_instant`.
    """
    return _instant(text, zone)[1]


def _instant(text: str, zone: tzinfo) -> tuple[datetime, datetime]:
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise Unreadable(f"{quote(text)} is no time: write 2026-08-01 or 2026-08-01T05:30")
    year, month, day, hour, minute, second, offset = found.groups()
    try:
        wall = datetime(  # noqa: DTZ001 - its zone comes next
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)
        )
        if offset:
            start = datetime.fromisoformat(f"{wall.isoformat()}{offset}").astimezone(zone)
        else:
            start = _at(wall, zone)
        end = start if hour else _at(wall + _DAY, zone) - _SECOND
    except (ValueError, OverflowError) as error:
        raise Unreadable(f"{quote(text)} is no time that exists") from error
    return start, end


def _at(wall: datetime, zone: tzinfo) -> datetime:
    return wall.replace(tzinfo=UTC) if zone is UTC else instant_of(wall, zone).astimezone(zone)
