"""The plain kinds of rule options: how a text, a duration, a number, a word or a moment is taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias

from flowlord.rules.bounds import first_instant, last_instant
from flowlord.rules.deadline import Deadline
from flowlord.rules.durations import short_duration
from flowlord.rules.errors import Unreadable, quote
from flowlord.rules.sizes import parse_size
from flowlord.rules.zones import zone_of
from flowlord.spec.near import nearest

YES: Final = ("", "true", "yes", "on", "1")
NO: Final = ("false", "no", "off", "0")
NUMBER: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
MOST: Final = 10_000_000
PRIORITIES: Final = {"low": 2, "normal": 5, "high": 7, "critical": 9}
ALERTS: Final = ("every", "edge", "digest", "none")
WIDEST: Final = timedelta(days=3)  # more than any two zones are apart, and a day that one of them left out
_CHANNEL: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FACTOR: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?", re.ASCII)


class Reader(Protocol):
    """Whoever gathers the values of a rule and what is wrong with them."""

    given: dict[str, object]
    moments: dict[str, datetime]  # those of `from` and `until`, as if they were in UTC

    def say(
        self,
        code: str,
        number: int,
        text: str,
        hint: str = "",
        *,
        on_key: bool = False,
        better: str | None = None,
    ) -> None:
        """Note that something is wrong with the option of that number."""
        ...

    def complain(self, code: str, number: int, value: str, error: Unreadable) -> None:
        """Note that a value could not be read."""
        ...

    def duration(self, number: int, value: str, *, negative: bool = False) -> int | None:
        """Return nanoseconds; None when the value is no duration, which is noted."""
        ...


Take: TypeAlias = Callable[[Any, int, str], None]
"""Takes the value of the option of that number into a Reader."""


def text(name: str) -> Take:
    """Return what takes a text as it is."""

    def take(options: Reader, number: int, value: str) -> None:
        options.given[name] = value

    return take


def lasting(name: str, *, negative: bool = False, least_ns: int = 0) -> Take:
    """Return what takes a duration, of `least_ns` at least unless it may be negative."""

    def take(options: Reader, number: int, value: str) -> None:
        found = options.duration(number, value, negative=negative)
        if found is None:
            return
        if not negative and found < least_ns:
            options.say("FL023", number, f"{quote(value)} is less than {short_duration(least_ns)}")
        else:
            options.given[name] = found

    return take


def number(name: str, low: int) -> Take:
    """Return what takes a number from `low` on."""

    def take(options: Reader, number: int, value: str) -> None:
        found = int(value) if NUMBER.fullmatch(value) else -1
        if low <= found <= MOST:
            options.given[name] = found
        else:
            options.say("FL023", number, f"{quote(value)} is no number from {low} to {MOST:,}")

    return take


def choice(name: str, words: Sequence[str]) -> Take:
    """Return what takes one of some words, in any case."""

    def take(options: Reader, number: int, value: str) -> None:
        if value.lower() in words:
            options.given[name] = value.lower()
            return
        like = nearest(value.lower(), words)
        hint = f"did you mean {like!r}?" if like else ""
        text = f"{quote(value)} is none of {', '.join(words)}"
        options.say("FL023", number, text, hint, better=like or None)

    return take


def factor(options: Reader, number: int, value: str) -> None:
    """Take by how much each wait is longer than the one before."""
    found = float(value) if _FACTOR.fullmatch(value) else 0.0
    if 1 <= found <= 1000:
        options.given["backoff"] = found
    else:
        options.say("FL023", number, f"{quote(value)} is no factor from 1 to 1000, such as 2 or 1.5")


def priority(options: Reader, number: int, value: str) -> None:
    """Take which tasks of a topic go first: a number, or a word for one."""
    word = PRIORITIES.get(value.lower())
    if word is not None:
        options.given["priority"] = word
    elif NUMBER.fullmatch(value) and int(value) <= 10:
        options.given["priority"] = int(value)
    else:
        like = nearest(value.lower(), PRIORITIES)
        hint = f"did you mean {like!r}?" if like else ""
        text = f"{quote(value)} is no priority: 0 to 10 are, and {', '.join(PRIORITIES)}"
        options.say("FL023", number, text, hint, better=like or None)


def marker(options: Reader, number: int, value: str) -> None:
    """Take what tells that a file is complete: an ending behind its name, or a file beside it."""
    if not value or "/" in value or value == ".":
        text = f"{quote(value)} is no marker: write '.done' for a suffix, or the name of a file beside it"
        options.say("FL023", number, text)
    else:
        options.given["marker"] = value


def size(options: Reader, number: int, value: str) -> None:
    """Take how large a file must be."""
    try:
        options.given["min_size"] = parse_size(value)
    except Unreadable as error:
        options.complain("FL023", number, value, error)


def deadline(options: Reader, number: int, value: str) -> None:
    """Take until when a file must have come."""
    try:
        Deadline.parse(value)
        options.given["late"] = value
    except Unreadable as error:
        options.complain("FL023", number, value, error)


def channel(options: Reader, number: int, value: str) -> None:
    """Take the name of a channel; whether there is one of that name, the configuration knows."""
    if _CHANNEL.fullmatch(value):
        options.given["alert_to"] = value
    else:
        text = f"{quote(value)} is no name of a channel: letters, digits, - and _ are, up to 64"
        options.say(
            "FL023", number, text, "alert_to=oncall means [alerts.channels.oncall] of the configuration"
        )


def of_one_mind(options: Reader, at: Mapping[str, int]) -> None:
    """Note that `alert` and `no_alert` say opposite things; else `alert=none` is `no_alert`.

    `at` has the place of each option.
    """
    silent = options.given["alert"] == "none"
    if options.given.get("no_alert", silent) is silent:
        options.given["no_alert"] = silent
        return
    other = "no_alert=false" if silent else "no_alert"
    text = f"alert={options.given['alert']} and {other} say opposite things"
    options.say("FL077", max(at["alert"], at["no_alert"]), text, "keep one of them", on_key=True)


def bound(name: str) -> Take:
    """Return what takes a day or a moment."""

    def take(options: Reader, number: int, value: str) -> None:
        try:
            options.moments[name] = first_instant(value, UTC)
            options.given[name] = value
        except Unreadable as error:
            options.complain("FL032", number, value, error)

    return take


def is_yes(value: str) -> bool:
    """Tell what a switch says: everything is a yes that is no plain no."""
    return value.strip().lower() not in NO


def in_zone(options: Reader, at: Mapping[str, int], zone: str) -> bool:
    """Tell whether `from` and `until` are times in a zone, too; note what is before the year 1 or after 9999 there."""
    for name, moment in options.moments.items():
        if not 1 < moment.year < 9999:
            value, option = str(options.given[name]), "from" if name == "first" else name
            try:
                last_instant(value, zone_of(zone))
            except Unreadable as error:
                options.complain("FL032", at[option], value, error)
                return False
    return True


def in_order(options: Reader, number: int, first: str, until: str, zone: str) -> None:
    """Note, at the option of that number, that nothing lies between `from` and `until`; both can be read."""
    if options.moments["until"] - options.moments["first"] > WIDEST:
        return  # in any zone
    if last_instant(until, zone_of(zone)) < first_instant(first, zone_of(zone)):
        text = f"until={until} lies before from={first}: nothing would ever start"
        options.say("FL036", number, text, "swap them, or take one out")
