"""FL040 to FL049: tokens of templates and of require."""

from __future__ import annotations

from typing import Final

from flowlord.spec.pages.page import Example, Page, phase

_DAILY: Final = 'rule = "cron=@daily"'
_EXTRACT: Final = phase('task = "extract"', _DAILY)
_REGIONS: Final = phase(
    'task = "extract"', 'rule = "cron=@daily&meta=region:eu,us"', 'template = "?region={meta:region}"'
)
_CHILD: Final = 'dependsOn = "extract"'

PAGES: Final = {
    "FL040": Page(
        "A word in braces that is no token stays as it is, so the task would carry the braces. Tokens are"
        " {yyyy} {yy} {mm} {dd} {hh} {min} {ts} {slug} {day_slug} {month_slug} {host} {pod} {uuid} and "
        "{meta:name}. They are read in any case, but meta: is written in small letters.",
        Example(phase(_DAILY, 'template = "?day=«{yyy}»-{mm}-{dd}"')),
        Example(phase(_DAILY, 'template = "?day={yyyy}-{mm}-{dd}"')),
    ),
    "FL041": Page(
        "require waits for values that the parent's task brought back, each named as {meta:name}. A name "
        "without them, or one with blanks, would wait for nothing.",
        Example(_EXTRACT + phase(_CHILD, 'rule = "require=«file»"')),
        Example(_EXTRACT + phase(_CHILD, 'rule = "require={meta:file}"')),
    ),
    "FL042": Page(
        "What starts this phase gives no such value, so the token is always empty. A schedule gives the "
        "rows of meta= and meta-file=, a file that arrives gives file, filename and files, and several that "
        "count as one also dir and count.",
        Example(phase(_DAILY, 'template = "?region=«{meta:region}»"')),
        Example(phase('rule = "cron=@daily&meta=region:eu,us"', 'template = "?region={meta:region}"')),
    ),
    "FL043": Page(
        "Beside its tokens require holds text that means nothing and is left out.",
        Example(_EXTRACT + phase(_CHILD, 'rule = "require=«file:{meta:file}»"')),
        Example(_EXTRACT + phase(_CHILD, 'rule = "require={meta:file}"')),
    ),
    "FL044": Page(
        "No phase of the file gives this value, so it comes from the parent's worker or not at all. "
        "Nobody can know that from the files; with require={meta:name} the phase waits for it instead of "
        "starting without.",
        Example(_EXTRACT + phase(_CHILD, 'template = "«{meta:rows}»"')),
        Example(_EXTRACT + phase(_CHILD, 'rule = "require={meta:rows}"', 'template = "{meta:rows}"')),
    ),
    "FL045": Page(
        "The parent gives a value with nearly this name, so a slip of the fingers is likelier than a "
        "worker that returns the other one.",
        Example(_REGIONS + phase(_CHILD, 'template = "?in=«{meta:regoin}»"')),
        Example(_REGIONS + phase(_CHILD, 'template = "?in={meta:region}"')),
    ),
    "FL046": Page(
        "Time tokens stand for the data time. It comes from a schedule, from a parent, or from the path "
        "of a file, and this path tells none; the tokens would stay as they are.",
        Example(phase('rule = "files=/in/latest.csv"', 'template = "{meta:file}?day=«{yyyy}»-{mm}-{dd}"')),
        Example(phase('rule = "files=/in/*/*/*/users.csv"', 'template = "{meta:file}?day={yyyy}-{mm}-{dd}"')),
    ),
    "FL047": Page(
        "What travels from parent to child is the hour of the data time, as existing workers expect. The "
        "minute is always 00 in a child of a phase that starts more often.",
        Example(
            phase('task = "extract"', 'rule = "cron=*/15 * * * *"')
            + phase(_CHILD, 'template = "?at={hh}:«{min}»"')
        ),
        Example(
            phase('task = "extract"', 'rule = "cron=*/15 * * * *"') + phase(_CHILD, 'template = "?hour={hh}"')
        ),
    ),
    "FL048": Page(
        "date= and day= name a day. flowlord reads the hour behind it as well; workers of other systems "
        "read a day, or nothing.",
        Example(phase(_DAILY, 'template = "?«date»={yyyy}-{mm}-{dd}T{hh}"')),
        Example(phase(_DAILY, 'template = "?hour={yyyy}-{mm}-{dd}T{hh}"')),
    ),
    "FL049": Page(
        "From a # on only {meta:…} is replaced, because a fragment of a URL is often a template of its own.",
        Example(phase(_DAILY, 'template = "s3://lake/users#«{yyyy}»"')),
        Example(phase(_DAILY, 'template = "s3://lake/users/{yyyy}"')),
    ),
}
