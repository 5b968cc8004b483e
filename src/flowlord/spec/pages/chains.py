"""FL100 to FL109: what starts what."""

from __future__ import annotations

from typing import Final

from flowlord.spec.pages.page import Example, Page, phase

_DAILY: Final = 'rule = "cron=@daily"'
_EXTRACT: Final = phase('task = "extract"', _DAILY)
_CHAIN: Final = Example(_EXTRACT + phase('dependsOn = "extract"'))

PAGES: Final = {
    "FL100": Page(
        "The phases start each other, so one task would make tasks for ever. A parent without a job means every job "
        "of its topic, so a phase on that topic that depends on it starts itself.",
        Example(phase('task = "extract"', 'dependsOn = «"load"»') + phase('dependsOn = "extract"')),
        _CHAIN,
    ),
    "FL101": Page(
        "The phase has no schedule, no files and no parent. It runs only when somebody asks for it: flowlord send and "
        "flowlord backload do. Where that is what it is for, a comment above or behind [[phase]], or behind its "
        "task, says so: # flowlord: ignore FL101.",
        Example(phase('task = «"load"»', 'template = "users"')),
        Example(phase(_DAILY, 'template = "users"')),
    ),
    "FL102": Page(
        "No phase of this file has the parent's name, so nothing starts this one unless a task of that "
        "name is reported for this workflow.",
        Example(_EXTRACT + phase('dependsOn = «"extarct"»')),
        _CHAIN,
    ),
    "FL103": Page(
        "The parent is a phase of another file. A task starts children in its own file only, because "
        "files are loaded, changed and removed each for itself.",
        Example(phase('dependsOn = «"extract"»'), beside=(("other.toml", _EXTRACT),)),
        _CHAIN,
    ),
    "FL104": Page(
        "Two phases have one name. Results come back under that name and are the first one's: its retries"
        " and children count for both.",
        Example(phase(_DAILY) + phase('task = «"load"»', 'rule = "cron=@hourly"')),
        Example(
            phase('task = "load:daily"', _DAILY) + phase('task = "load:hourly"', 'rule = "cron=@hourly"')
        ),
    ),
    "FL105": Page(
        "Dead letters lie on this topic. A worker that takes its tasks would take them, too.",
        Example(phase('task = «"retry-failed"»', _DAILY)),
        Example(phase('task = "again"', _DAILY)),
    ),
}
