"""FL070 to FL076: files that start phases, and what a failure tells."""

from __future__ import annotations

from typing import Final

from flowlord.spec.pages.page import Example, Page, phase

_FILE: Final = 'template = "{meta:file}"'


def _rule(text: str) -> Example:
    return Example(phase(f'rule = "{text}"', _FILE))


PAGES: Final = {
    "FL070": Page(
        "A pattern has * and ? within a folder, ** across folders, and classes such as [a-z]. This one "
        "opens a class and never closes it, or names nothing.",
        _rule("files=/in/«[0-9.csv»"),
        _rule("files=/in/[0-9].csv"),
    ),
    "FL071": Page(
        "In a rule string + is a space, as in a URL, so this pattern looks for a space.",
        _rule("files=/in/a«+»b.csv"),
        _rule("files=/in/a%2Bb.csv"),
    ),
    "FL072": Page(
        "No file has such a path. The folder in front of the first wildcard is taken as it is spelled, so ./in/*.csv "
        "and ../in/*.csv do match. Behind it paths have one slash between folders and neither . nor .. in them; they "
        "end in a name, ~ is not filled in, and in a bucket they begin with s3:// or gs://. Quotes and blanks around a "
        "pattern belong to it, and no character is in [z-a].",
        _rule("files=/in/*«//»*.csv"),
        _rule("files=/in/*/*.csv"),
    ),
    "FL073": Page(
        "A file that two phases match starts both. That may be meant; it is often an old pattern beside "
        "its successor.",
        Example(
            phase('task = "copy"', 'rule = "files=/in/**"', _FILE)
            + phase('rule = "files=«/in/*.csv»"', _FILE)
        ),
        Example(
            phase('task = "copy"', 'rule = "files=/in/*.json"', _FILE)
            + phase('rule = "files=/in/*.csv"', _FILE)
        ),
    ),
    "FL074": Page(
        "ignore leaves out every file that files takes, by its name or, with a slash in it, by its path, so the phase "
        "never starts.",
        _rule("files=/in/*.tmp&ignore=«*.tmp»"),
        _rule("files=/in/*&ignore=*.tmp"),
    ),
    "FL075": Page(
        "Braces and commas are ordinary text in these patterns, not alternatives as in a shell: several files= are. "
        "Nor are tokens filled in; a * stands for what changes from file to file.",
        _rule("files=/in/*.«{csv,json}»"),
        _rule("files=/in/*.csv&files=/in/*.json"),
    ),
    "FL076": Page(
        "no_alert stands twice and says yes and no. The first one counts; nobody who reads it can be sure.",
        Example(phase('rule = "cron=@daily&no_alert&«no_alert»=false"')),
        Example(phase('rule = "cron=@daily&no_alert"')),
    ),
    "FL077": Page(
        "One of the two wants people told and the other one wants nobody told; alert=none and no_alert are the same.",
        Example(phase('rule = "cron=@daily&no_alert&«alert»=every"')),
        Example(phase('rule = "cron=@daily&alert=every"')),
    ),
}
