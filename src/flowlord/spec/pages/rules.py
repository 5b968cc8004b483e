"""FL020 to FL029: the options of rules."""

from __future__ import annotations

from typing import Final

from flowlord.spec.pages.page import Example, Page, phase

_EXTRACT: Final = phase('task = "extract"', 'rule = "cron=@daily"')


def _rule(text: str, *more: str) -> Example:
    return Example(phase(f'rule = "{text}"', *more))


PAGES: Final = {
    "FL020": Page(
        "No option has this name. It changes nothing but the meta of tasks that files start, into which "
        "it travels.",
        _rule("cron=@daily&«colour»=red"),
        _rule("cron=@daily"),
    ),
    "FL021": Page(
        "The option is nearly a known one. Left out, the phase would run otherwise than it says: at "
        "another time, without its wait, for other dates. So the file is refused.",
        _rule("cron=@daily&«ofset»=-24h"),
        _rule("cron=@daily&offset=-24h"),
    ),
    "FL022": Page(
        "The lists of meta= hold nothing, so a start has no row to make a task of: the schedule comes, and nothing "
        "is sent.",
        Example(phase('rule = "cron=@daily&meta=«name:»"', 'template = "?name={meta:name}"')),
        Example(phase('rule = "cron=@daily&meta=name:users,orders"', 'template = "?name={meta:name}"')),
    ),
    "FL023": Page(
        "The option has some words or numbers to choose from, and this is none of them; the problem names"
        " them.",
        _rule("cron=@daily&catchup=«lst»"),
        _rule("cron=@daily&catchup=last"),
    ),
    "FL024": Page(
        "Of an option that is given twice the first counts; only files, ignore, meta, pass and require "
        "add up. The second one looks as if it did something. Of two lists of meta with one name the last counts.",
        _rule("cron=@daily&«cron»=@hourly"),
        _rule("cron=@daily"),
    ),
    "FL025": Page(
        "A % in a rule string begins an escape of two hex digits. This one stays as it is; write %25 so "
        "that readers of other programs see the same.",
        _rule("cron=@daily&job=50«%»"),
        _rule("cron=@daily&job=50%25"),
    ),
    "FL026": Page(
        "This looks like a schedule, and an option without a name starts nothing.",
        Example(_EXTRACT + phase('dependsOn = "extract"', 'rule = "«0 6 * * *»"')),
        _rule("cron=0 6 * * *"),
    ),
    "FL027": Page(
        "The notation is understood, and a newer one says the same in the way of all other options.",
        Example(_EXTRACT + phase('dependsOn = "extract"', 'rule = "«require:{meta:file}»"')),
        Example(_EXTRACT + phase('dependsOn = "extract"', 'rule = "require={meta:file}"')),
    ),
    "FL028": Page(
        "The option is about something that this phase does not have: count, group, marker, settle, "
        "min_size, ignore and on_rewrite need files; overlap, jitter, from, until and catchup need cron; "
        "require and pass need dependsOn; by needs for. It is written down and changes nothing.",
        _rule("cron=@daily&«settle»=30s"),
        _rule("files=/in/*.csv&settle=30s"),
    ),
    "FL029": Page(
        "retry_delay, backoff and max_delay say how long to wait before a further try, and without retry "
        "there is none: the first failure is final.",
        _rule("cron=@daily&«retry_delay»=30s"),
        _rule("cron=@daily&retry_delay=30s", "retry = 3"),
    ),
}
