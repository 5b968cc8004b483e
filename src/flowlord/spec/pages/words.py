"""FL080 to FL099: what stands in texts and comments."""

from __future__ import annotations

from typing import Final

from flowlord.spec.pages.page import Example, Page, phase

_DAILY: Final = 'rule = "cron=@daily"'

PAGES: Final = {
    "FL080": Page(
        "What stands in a workflow file stands in its history, in tasks, in logs and on pages. A secret "
        "belongs into the environment of its worker. Told is what stands behind password=, secret= and the like; "
        "behind token=, longer names such as PGPASSWORD=, and a colon, only a word of letters and digits mixed. "
        "env:NAME, vault:PATH and the like are none. Its text is not repeated by validate.",
        Example(phase(_DAILY, 'template = "postgres://etl:«hunter2»@db/users"')),
        Example(phase(_DAILY, 'template = "postgres://db/users"')),
    ),
    "FL081": Page(
        "A topic is part of keys, command lines and file names. Blanks, slashes and letters beyond ASCII "
        "work here, and trip up workers and scripts of others.",
        Example(phase('task = "load« »users"', _DAILY)),
        Example(phase('task = "load-users"', _DAILY)),
    ),
    "FL082": Page(
        "{mm} is the month, wherever it stands, and the template has it already in front of the hour. The minute is "
        "{min}.",
        Example(phase(_DAILY, 'template = "?time={yyyy}-{mm}-{dd}T{hh}:«{mm}»"')),
        Example(phase(_DAILY, 'template = "?time={yyyy}-{mm}-{dd}T{hh}:{min}"')),
    ),
    "FL090": Page(
        "The comment ignores something that is not there: it was mended, or the comment stands in the "
        "wrong line. Left in place it would hide the next one. A comment is about its own line, alone on a line about "
        "the next one; at the head of a phase, [[phase]] or its dash in YAML, about its task, too. What follows the "
        "codes says why.",
        Example(phase(_DAILY + "  # flowlord: ignore «FL034»")),
        Example(phase('rule = "cron=*/7 * * * *"  # flowlord: ignore FL034')),
    ),
    "FL091": Page(
        "The comment names no code, one that does not exist, or that of an error: a file with an error "
        "cannot be used, so there is nothing to ignore. ignore-file works above everything else only.",
        Example(phase(_DAILY + "  # flowlord: ignore «FL043x»")),
        Example(phase('rule = "cron=*/7 * * * *"  # flowlord: ignore FL034')),
    ),
}
