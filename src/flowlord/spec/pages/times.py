"""FL030 to FL039: schedules."""

from __future__ import annotations

from typing import Final

from flowlord.spec.pages.page import Example, Page, phase


def _rule(text: str) -> Example:
    return Example(phase(f'rule = "{text}"'))


PAGES: Final = {
    "FL030": Page(
        "A schedule has five fields (minute hour day month weekday), six with seconds in front, or a word"
        " such as @daily or @every 10m. One that cannot be read, or that never comes (30 February), would"
        " start nothing.",
        _rule("cron=0 «25» * * *"),
        _rule("cron=0 23 * * *"),
    ),
    "FL031": Page(
        "Zones are named as in the zone database, with their capital letters: Europe/Berlin.",
        _rule("cron=@daily&tz=«Europe/Berln»"),
        _rule("cron=@daily&tz=Europe/Berlin"),
    ),
    "FL032": Page(
        "from and until take a day (2026-08-01) or a moment (2026-08-01T05:30, with Z or an offset if "
        "wanted).",
        _rule("cron=@daily&from=«2026-02-30»"),
        _rule("cron=@daily&from=2026-02-28"),
    ),
    "FL033": Page(
        "On the days on which clocks go forward this time does not exist. flowlord starts a fixed time "
        "once, at the first instant after the gap; who reads the schedule may not expect it.",
        _rule("cron=«30 2 * * *»&tz=Europe/Berlin"),
        _rule("cron=30 4 * * *&tz=Europe/Berlin"),
    ),
    "FL034": Page(
        "A step counts anew from the lowest value of its field, so one that does not divide it leaves a "
        "shorter pause at the end: */7 minutes is 49, 56, 0. For a steady beat there is @every.",
        _rule("cron=«*/7» * * * *"),
        _rule("cron=@every 7m"),
    ),
    "FL035": Page(
        "When both days are given, either of them is enough: this starts on each 13th and on each Friday,"
        " not only on Friday the 13th. That is how cron has always been, and hardly anybody expects it.",
        _rule("cron=0 6 «13 * FRI»"),
        _rule("cron=0 6 * * FRI"),
    ),
    "FL036": Page(
        "Nothing lies between from and until, so the phase would never start.",
        _rule("cron=@daily&from=2026-08-02&until=«2026-08-01»"),
        _rule("cron=@daily&from=2026-08-01"),
    ),
    "FL037": Page(
        "The last start lies in the past. The phase may be kept for its history, or forgotten.",
        _rule("cron=@daily&until=«2020-01-31»"),
        _rule("cron=@daily"),
    ),
    "FL038": Page(
        "jitter delays each start by up to so much, always by the same for one phase. Reaching past the "
        "next start, the phase is as late as if it had missed one.",
        _rule("cron=@hourly&jitter=«90m»"),
        _rule("cron=@hourly&jitter=10m"),
    ),
    "FL039": Page(
        "from and until are in order, and yet no planned start lies between them.",
        _rule("cron=0 0 31 * *&from=2098-02-01&until=«2098-02-28»"),
        _rule("cron=0 0 28 * *&from=2098-02-01&until=2098-02-28"),
    ),
}
