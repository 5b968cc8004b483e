"""Why a file started something or nothing, and which groups of files wait for more."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from flowlord.cache.attempt import Attempt
from flowlord.cli.filebefore import rerun, there_before, words_of
from flowlord.cli.filemeant import meant
from flowlord.cli.reasons import Answer
from flowlord.cli.texts import some
from flowlord.cli.trace import seen_versions
from flowlord.decide.files import FilePhases
from flowlord.decide.group import GROUP, read_group

if TYPE_CHECKING:
    from flowlord.cli.case import Case
    from flowlord.cli.sources import Sources
    from flowlord.model.workflow import Phase

TASKS = 5


def of_file(case: Case, path: str) -> Answer | None:
    """Return what became of a file; None for a text that is no path and that nobody has seen."""
    seen = seen_versions(case.history, path)
    if not seen:
        return _unseen(case, path) if "/" in path else None
    newest = seen[0]
    path = newest.path  # as it was seen, however it was asked for
    answer = Answer(f"{path}: {newest.state}")
    for each in reversed(seen):
        answer.add(each.text, each.state, each.at_us)
    keys = [each for each in newest.keys.split(",") if each]
    started = case.history.by_keys(keys[:TASKS])
    for key in keys[:TASKS]:
        if task := started.get(key):
            answer.add(_task(task), "task", task.published_us)
    if newest.tasks > TASKS:
        answer.add(f"and {newest.tasks - TASKS:,} more tasks", "task")
    if newest.state == "counted":
        for match in FilePhases.of(case.loaded.flows).matching(path):
            for words in groups_of(case.sources, match.rules.phase):
                answer.add(words, "group")
        answer.then = "its group starts by itself when it is complete"
    elif newest.state == "unmatched":
        answer.then = "it will not start anything by itself, unless a pattern is changed to match it"
        answer.commands.append(shlex.join(["flowlord", "files", "--test", path]))
    elif newest.state in ("skipped", "vanished", "deleted"):
        answer.commands.append(rerun(path))
    if newest.tasks:
        answer.commands.append(shlex.join(["flowlord", "trace", path]))
    return answer


def groups_of(sources: Sources, phase: Phase) -> list[str]:
    """Return in words the groups of a phase that have files and wait for more."""
    if not (phase.rule.count or phase.rule.group):
        return []
    nothing: dict[str, str] = {}
    found = []
    for value in sources.ask(lambda bus: bus.marks_like(GROUP), nothing).values():
        group = read_group(value)
        if group.phase == phase.identity and group.files:
            wanted = f" of {phase.rule.count}" if phase.rule.count else ", and starts when it is quiet"
            found.append(f"a group has {some(group.files, 'file')}{wanted}; the last was {group.path}")
    return found


def _unseen(case: Case, path: str) -> Answer:
    answer = Answer(f"{path}: never seen")
    phases = FilePhases.of(case.loaded.flows)
    if other := meant(path, phases):
        answer = _unseen(case, other)
        answer.head += f" (asked for as {path})"
        return answer
    matches = phases.matching(path)
    if before := there_before(case.sources, matches, path):
        answer.head = f"{path}: there before it was watched"
        for match in before:
            answer.add(words_of(match), "before")
        answer.then = "a daemon starts what comes or is written from now on; this one starts by hand"
        answer.commands.append(rerun(path))
        return answer
    if not matches:
        answer.add(f"no phase matches it: {phases.why_not(path)}", "unmatched")
        answer.then = "it would start nothing"
    for match in matches:
        phase = match.rules.phase
        answer.add(
            f"it would start {phase.base_name} ({phase.workflow}:{phase.line}) by {match.pattern}", "would"
        )
        answer.then = "it starts by itself when a daemon sees it, complete and standing still"
    answer.commands.append(shlex.join(["flowlord", "files", "--test", path]))
    if matches:
        answer.commands.append(rerun(path))
    return answer


def _task(each: Attempt) -> str:
    said = each.msg or each.reason
    return f"{each.name} ({each.key[:8]}) is {each.state}" + (f": {said}" if said else "")
