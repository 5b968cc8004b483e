"""What was there before a phase began to watch: seen, and started only when that is wanted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from flowlord.decide.absent import came, came_mark
from flowlord.decide.file import KEEP_S, FileEvent, file_mark
from flowlord.decide.files import FilePhase, FilePhases, Match
from flowlord.decide.keys import dispatch_key
from flowlord.decide.versions import with_version
from flowlord.model.errors import Refused
from flowlord.model.plan import ANY, Commit, Fact, FactKind, Mark, Plan
from flowlord.rules.cron import Cron
from flowlord.rules.moments import time_of_path
from flowlord.rules.places import place_of
from flowlord.taskmaster.filedesk import FileDesk
from flowlord.taskmaster.surroundings import Surroundings

log = logging.getLogger("flowlord.files")

FORGET = timedelta(days=5)
"""A pattern that nobody watched for so long is new again: the marks of its files, kept for 7 days from the last look
and refreshed each second day, are certain to be there for as long, and no longer."""
AGAIN_NS = 3_600_000_000_000
CHUNK = 500


@dataclass(slots=True)
class _Pattern:
    """A pattern of a phase, and the mark that tells since when and until when it was watched."""

    rules: FilePhase
    pattern: str
    key: str
    seen: str | None
    is_new: bool
    files: int = 0


@dataclass(slots=True)
class FirstWatch:
    """Knows which patterns are watched for the first time, and records what lies there as seen.

    Args:
        runs: what lies there is started like anything that comes.
    """

    around: Surroundings
    desk: FileDesk
    runs: bool = False
    _patterns: dict[str, list[_Pattern]] = field(default_factory=dict)  # by root
    _batch: list[tuple[FileEvent, str]] = field(default_factory=list)
    _told_ns: int = 0

    def begin(self, phases: FilePhases) -> frozenset[str]:
        """Ask which patterns are new; returns the phases whose schedule passed an instant while nobody watched."""
        found = [
            (rules, glob.pattern, f"watch:{dispatch_key(rules.phase.identity + chr(0) + glob.pattern)}")
            for rules in phases.phases
            for glob in rules.globs
        ]
        values = self.desk.known(key for _, _, key in found)
        now = self.around.now()
        self._patterns, self._batch = {}, []
        overdue = set()
        for rules, pattern, key in found:
            at = _time(values.get(key))
            new = at is None or now - at > FORGET
            each = _Pattern(rules, pattern, key, values.get(key), new)
            self._patterns.setdefault(place_of(pattern).root, []).append(each)
            if at is not None and not new and rules.phase.rule.cron:
                instant = Cron.parse(rules.phase.rule.cron, rules.phase.rule.tz or self.around.zone).next(at)
                if instant is not None and instant <= now:
                    overdue.add(rules.phase.identity)
        self._told_ns = self.around.clock.monotonic_ns()
        return frozenset(overdue)

    def is_new(self, root: str) -> bool:
        """Tell whether some pattern of this root is watched for the first time, and what lies there must not start."""
        return not self.runs and any(each.is_new for each in self._patterns.get(root, ()))

    def takes(self, root: str, event: FileEvent, matches: Sequence[Match]) -> bool:
        """Record a file that was there before for every phase to which it is new; returns whether that is all of them.

        One that starts nothing is recorded too, so that it is not told as one that came.

        Raises:
            Refused: another daemon began to watch meanwhile: what is new must be asked anew.
        """
        left = False
        if not matches:
            self._batch.append((event, ""))
        for match in matches:
            fitting = [
                each
                for each in self._patterns.get(root, ())
                if each.rules is match.rules and _fits(each, event.path)
            ]
            if all(each.is_new for each in fitting) and fitting:
                fitting[0].files += 1
                self._batch.append((event, match.rules.phase.identity))
            else:
                left = True
        if len(self._batch) >= CHUNK:
            self._flush(root)
        return not left

    def listed(self, root: str) -> None:
        """Take in that everything below a root was listed: from now on what comes is new.

        Raises:
            Refused: as `takes`.
        """
        self._flush(root)
        for each in [each for each in self._patterns.get(root, ()) if each.is_new]:
            value = self._now()
            facts: tuple[Fact, ...] = ()
            were = "1 file was" if each.files == 1 else f"{each.files:,} files were"
            text = (
                f"{were} there before {each.rules.phase.identity} watched {each.pattern}: nothing starts by that; "
                f"flowlord files --rerun '{each.pattern}' --execute starts what is there"
            )
            if each.files:
                phase = each.rules.phase
                facts = (
                    Fact(
                        FactKind.SKIPPED,
                        topic=phase.topic,
                        phase=phase.identity,
                        revision=each.rules.revision,
                        cause=each.key,
                        text=text,
                    ),
                )
            self.around.bus.commit(Plan(facts=facts), marks=[Mark(each.key, each.seen, value, KEEP_S)])
            each.is_new, each.seen = False, value
            if each.files:
                log.warning("%s", text, extra={"action": "files.before"})

    def still(self, roots: Sequence[str]) -> None:
        """Say now and then that these roots are watched, so that nobody takes them for new ones."""
        patterns = [each for root in roots for each in self._patterns.get(root, ()) if not each.is_new]
        now_ns = self.around.clock.monotonic_ns()
        often = any(each.rules.phase.rule.cron for each in patterns)
        if not patterns or (now_ns - self._told_ns < AGAIN_NS and not often):
            return
        now = self._now()
        self.around.bus.commit(Plan(), marks=[Mark(each.key, ANY, now, KEEP_S) for each in patterns])
        self._told_ns = now_ns

    def _flush(self, root: str) -> None:
        batch, self._batch = self._batch, []
        if not batch:
            return
        new = [each for each in self._patterns[root] if each.is_new]
        known = self.desk.known(file_mark(identity, event.path) for event, identity in batch)
        marks: dict[str, Mark] = {}
        for event, identity in batch:
            key = file_mark(identity, event.path)
            before = known.get(key)
            marks[key] = Mark(key, before, with_version(before, event.version), KEEP_S)
        guards = [Mark(each.key, each.seen, each.seen, KEEP_S) for each in new]
        guards += self._came(batch)
        [answer] = self.around.bus.commit_many([Commit(marks=(*guards, *marks.values()))])
        if isinstance(answer, Refused):
            raise answer

    def _came(self, batch: Sequence[tuple[FileEvent, str]]) -> list[Mark]:
        """Return the marks that files came, for phases that tell when none does: what lies there is not missing."""
        phases = self.desk.phases.by_identity
        late = [each for each in batch if each[1] in phases and phases[each[1]].phase.rule.late]
        seen = self.desk.known(dict.fromkeys(came_mark(identity) for _, identity in late))
        found: dict[str, Mark] = {}
        for event, identity in late:
            before = found[identity].new if identity in found else seen.get(came_mark(identity))
            mark = came(identity, before, event.path, time_of_path(event.path), self.around.now())
            found[identity] = Mark(mark.key, seen.get(mark.key), mark.new, mark.ttl_s)
        return list(found.values())

    def _now(self) -> str:
        return self.around.now().astimezone(UTC).isoformat(timespec="seconds")


def _fits(each: _Pattern, path: str) -> bool:
    return any(glob.pattern == each.pattern and glob.matches(path) for glob in each.rules.globs)


def _time(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
