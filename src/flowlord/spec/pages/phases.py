"""FL010 to FL019: phases and their fields."""

from __future__ import annotations

from typing import Final

from flowlord.spec.pages.page import Example, Page, phase

_DAILY: Final = 'rule = "cron=@daily"'
_GOOD: Final = Example(phase(_DAILY))
_EXTRACT: Final = phase('task = "extract"', _DAILY)

PAGES: Final = {
    "FL010": Page(
        "A field has one type: task, dependsOn and template are text, retry is a whole number, rule is "
        "text or a table. What is written otherwise was probably meant otherwise.",
        Example(phase(_DAILY, 'retry = «"3"»')),
        Example(phase(_DAILY, "retry = 3")),
    ),
    "FL011": Page(
        "Without a task nobody knows which queue the work goes to, so the phase is nothing.",
        Example("«[[phase]]»\n" + _DAILY + "\n"),
        _GOOD,
    ),
    "FL012": Page(
        "The key is nearly a known one, one letter away or two. It would be left out, and the phase would"
        " do something else than it says, so the file is refused.",
        Example(phase(_DAILY, "«retyr» = 3")),
        Example(phase(_DAILY, "retry = 3")),
    ),
    "FL013": Page(
        "Nobody reads this key. It may be a note of yours, or the name of something that flowlord calls "
        "otherwise. A key that begins with x- is yours and never told: a place for notes and YAML anchors.",
        Example(phase(_DAILY, '«owner» = "data team"')),
        Example(phase(_DAILY, "# owner: data team")),
    ),
    "FL014": Page(
        "Field names match in any case, and depends_on is dependsOn. Two of them with different values "
        "contradict each other.",
        Example(_EXTRACT + phase('dependsOn = "extract"', '«depends_on» = "extract"')),
        Example(_EXTRACT + phase('dependsOn = "extract"')),
    ),
    "FL015": Page(
        "retry says how many further tries a failed task gets: a whole number from 0 to 1,000,000.",
        Example(phase(_DAILY, "retry = «-1»")),
        Example(phase(_DAILY, "retry = 0")),
    ),
    "FL016": Page(
        "A list of parents would mean to wait for all of them. This version starts a phase by one parent,"
        " and does not pretend otherwise.",
        Example(_EXTRACT + phase('dependsOn = «["extract"]»')),
        Example(_EXTRACT + phase('dependsOn = "extract"')),
    ),
    "FL017": Page(
        "The file has no phases: it is empty, or its table has another name than [[phase]], or phases in "
        "YAML.",
        Example("«»# nothing yet\n"),
        _GOOD,
    ),
    "FL018": Page(
        "A name is TOPIC or TOPIC:JOB. The topic is the queue; in front of this colon there is none.",
        Example(phase('task = «":users"»', _DAILY)),
        Example(phase('task = "load:users"', _DAILY)),
    ),
    "FL019": Page(
        "On done lie the results of all workers, on quarantine what nobody could read. A task there would"
        " be taken for a result, or never be worked on.",
        Example(phase('task = «"done"»', _DAILY)),
        Example(phase('task = "finish"', _DAILY)),
    ),
}
