"""FL050 to FL069: durations and batches."""

from __future__ import annotations

from typing import Final

from flowlord.spec.pages.page import Example, Page, phase

_DAY: Final = 'template = "?day={yyyy}-{mm}-{dd}"'
_NAME: Final = 'template = "?name={meta:name}"'


def _rule(text: str, *more: str) -> Example:
    return Example(phase(f'rule = "{text}"', *more))


def _rows(marked: str, rows: str = "") -> Example:
    beside = (("rows.csv", rows),) if rows else ()
    return Example(marked, beside=beside)


_FILE: Final = 'rule = "cron=@daily&meta-file=rows.csv"'

PAGES: Final = {
    "FL050": Page(
        "A duration is a number with its unit: 90s, 5m, 1h30m, 2d, 1w. A bare number could be anything, and blanks "
        "around it belong to it.",
        _rule("cron=@daily&offset=« -6h»"),
        _rule("cron=@daily&offset=-6h"),
    ),
    "FL051": Page(
        "Only offset and for may go backwards. Nobody can wait for less than nothing.",
        _rule("cron=@daily&retry_delay=«-30s»", "retry = 3"),
        _rule("cron=@daily&retry_delay=30s", "retry = 3"),
    ),
    "FL052": Page(
        "An interval has whole seconds, one at least: parts of a second are cut off, and what is less than one counts "
        "as one. Written out, everybody sees how often it starts.",
        _rule("cron=@every «500ms»"),
        _rule("cron=@every 1s"),
    ),
    "FL053": Page(
        "The tasks of a phase with for, meta or meta-file count from the full hour of the start, so the minute is 00 "
        "in each of them, and all starts of one hour give the same times. A single task has the minute of its start.",
        _rule("cron=30 5 * * *&meta=name:users,orders", 'template = "?name={meta:name}&at={hh}:«{min}»"'),
        _rule("cron=30 5 * * *&meta=name:users,orders", 'template = "?name={meta:name}&hour={hh}"'),
    ),
    "FL060": Page(
        "meta= holds lists, name:a,b,c with | between them; meta-file= names a file.",
        _rule("cron=@daily&meta=«users,orders»", _NAME),
        _rule("cron=@daily&meta=name:users,orders", _NAME),
    ),
    "FL061": Page(
        "Row n takes item n of each list, so all lists have the same length. A shorter one leaves rows "
        "without a value.",
        _rule(
            "cron=@daily&meta=«name:users,orders|size:1»", 'template = "?name={meta:name}&size={meta:size}"'
        ),
        _rule(
            "cron=@daily&meta=name:users,orders|size:1,2", 'template = "?name={meta:name}&size={meta:size}"'
        ),
    ),
    "FL062": Page(
        "Rows come from lists or from a file; nobody could say how the two are put together.",
        _rule("cron=@daily&meta=name:users,orders&«meta-file»=rows.csv", _NAME),
        _rule("cron=@daily&meta=name:users,orders", _NAME),
    ),
    "FL063": Page(
        "One start would make more tasks than batch_limit allows (100,000 without the option). It would "
        "be refused, each time. Raise the limit if you mean it.",
        _rule(
            "cron=@daily&for=«-4000d»&by=hour&batch_limit=50000", 'template = "?hour={yyyy}-{mm}-{dd}T{hh}"'
        ),
        _rule("cron=@daily&for=-4000d&by=hour", 'template = "?hour={yyyy}-{mm}-{dd}T{hh}"'),
    ),
    "FL064": Page(
        "The step of a range is hour, day, week or month. Anything else counts as a day.",
        _rule("cron=@daily&for=-48h&by=«hours»", _DAY),
        _rule("cron=@daily&for=-48h&by=hour", _DAY),
    ),
    "FL065": Page(
        "The range ends before its first step, so there is one task, as without the option.",
        _rule("cron=@daily&for=«-12h»", _DAY),
        _rule("cron=@daily&for=-12h&by=hour", 'template = "?hour={yyyy}-{mm}-{dd}T{hh}"'),
    ),
    "FL066": Page(
        "The file with the rows is not there. A relative path counts from where flowlord is started, so "
        "this may be right on the machine of the daemon; --no-file-checks looks at no such files.",
        _rows(phase('rule = "cron=@daily&meta-file=«rows.csv»"', _NAME)),
        _rows(phase(_FILE, _NAME), "name\nusers\n"),
    ),
    "FL067": Page(
        "The file with the rows is there and cannot be used: a line is no JSON object, a row has too many"
        " values, it is not text. No task would be made.",
        _rows(phase('rule = "cron=@daily&meta-file=«rows.csv»"', _NAME), "name\nusers,orders\n"),
        _rows(phase(_FILE, _NAME), "name\nusers\n"),
    ),
    "FL068": Page(
        "The template reads a value that rows of the file do not have; it would be empty.",
        _rows(phase(_FILE, 'template = «"?name={meta:name}"»'), "names\nusers\n"),
        _rows(phase(_FILE, _NAME), "name\nusers\n"),
    ),
    "FL069": Page(
        "The template reads none of the values that tell the rows apart, or two rows are alike: tasks "
        "would do the same several times.",
        _rule("cron=@daily&meta=«name:users,orders»", _DAY),
        _rule("cron=@daily&meta=name:users,orders", _NAME),
    ),
}
