"""Groups of files that start when nothing comes any more: decided over what every daemon has seen, on the bus.

A daemon that sees a file of a group says on the group's mark that it has some to come, and takes that back when all of
them are complete or gone. While somebody who lives has said so, nobody starts the group; and since it is said on the
mark that a start compares, a start that did not know it is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from flowlord.decide.absent import came_mark
from flowlord.decide.context import Context
from flowlord.decide.file import KEEP_S, on_quiet
from flowlord.decide.files import FilePhase, FilePhases, Match
from flowlord.decide.group import GROUP, group_key, read_group, write_group
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.plan import Commit, Committed, Mark
from flowlord.rules.cron import Cron
from flowlord.taskmaster.surroundings import Surroundings

AGAIN_NS: Final = 1_000_000_000
"""How often it is asked whether files that others have to come have come."""
READ_AGAIN_NS: Final = 250_000_000
"""When to look again at a group whose meta-file is being read."""
GONE_NS: Final = 10_000_000_000
"""How long a daemon must not be among the living before nothing of it is waited for; it may only just begin."""
TRIES: Final = 8


class Desk(Protocol):
    """What decides and lands, of which groups ask."""

    phases: FilePhases

    def known(self, keys: Iterable[str]) -> dict[str, str]: ...
    def sources(self, name: str, match: Match) -> Mapping[str, object] | None: ...
    def context(self, sources: Mapping[str, object]) -> Context: ...
    def commit(self, commits: list[Commit]) -> list[Committed | Refused | LeaseLost]: ...
    def tell(self, commit: Commit) -> None: ...


@dataclass(slots=True)
class _Waiting:
    """A group that starts when nothing comes any more, or at an instant; `again_ns` is when to look again."""

    value: str
    since_ns: int
    instant: datetime | None = None
    again_ns: int = 0


class Groups:
    """The groups that one desk knows to wait; used by its thread.

    Args:
        who: the name of the desk in its daemon.
        at_once: nobody will be there at the next instant of a schedule.
    """

    def __init__(self, desk: Desk, around: Surroundings, who: str, *, at_once: bool) -> None:
        self._desk = desk
        self._around = around
        self._who = f"{around.consumer}/{who}"
        self._at_once = at_once
        self._waiting: dict[str, _Waiting] = {}
        self._announced: set[str] = set()
        self._missing: dict[str, int] = {}  # daemons that are not among the living, and since when

    def of(self, path: str, matches: Iterable[Match]) -> dict[str, str]:
        """Return the groups that a file will join and that start when they are quiet: their marks and phases."""
        return {
            group_key(match.rules, path): match.rules.phase.identity
            for match in matches
            if match.rules.is_grouped and not match.rules.phase.rule.count
        }

    def announce(self, coming: Mapping[str, str]) -> None:
        """Say on the bus for which groups files are still to come here, as `of` names them."""
        left = coming.keys() ^ self._announced
        for _ in range(TRIES):
            if not left:
                return
            values = self._desk.known(left)
            commits: list[tuple[str, str | None, Commit]] = []
            for name in left:
                value = values.get(name)
                group = read_group(value).announced(self._who, coming.get(name, ""), comes=name in coming)
                new = write_group(group) if group.files or group.coming else None
                commits.append((name, new, Commit(marks=(Mark(name, value, new, KEEP_S),))))
            answers = self._desk.commit([commit for _, _, commit in commits])
            left = set()
            for (name, new, _), answer in zip(commits, answers, strict=True):
                if not isinstance(answer, Committed):
                    left.add(name)
                    continue
                (self._announced.add if name in coming else self._announced.discard)(name)
                known = self._waiting.get(name)
                if known is not None and known.value == values.get(name) and new is not None:
                    known.value = new  # that it was quiet until now goes on to count
                else:
                    self.wait_for(name, new or "")

    def adopt(self) -> None:
        """Take up the groups that wait on the bus: after a restart, or those of a daemon that is no more."""
        if any(each.is_grouped and not each.phase.rule.count for each in self._desk.phases.phases):
            for name, value in self._around.bus.marks_like(GROUP).items():
                self.wait_for(name, value)

    def start_quiet(self) -> int:
        """Start the groups that have been quiet; returns how many."""
        now_ns, now = self._around.clock.monotonic_ns(), self._around.now()
        due = [name for name, each in self._waiting.items() if self._is_due(name, each, now_ns, now)]
        held = self._held([name for name in due if self._waiting[name].instant is None], now_ns)
        return sum(self._start(name) for name in due if name not in held)

    @property
    def waits(self) -> bool:
        """Whether some group waits to be quiet."""
        return bool(self._waiting)

    def next_ns(self) -> int | None:
        """Return when a group may be quiet."""
        found = []
        for name, each in self._waiting.items():
            rules = self._rules(name)
            if rules is not None and each.instant is None:
                found.append(max(each.since_ns + rules.settle_ns, each.again_ns))
        return min(found, default=None)

    def wait_for(self, name: str, value: str) -> None:
        """Take in what the mark of a group holds now."""
        group = read_group(value)
        rules = self._desk.phases.by_identity.get(group.phase)
        if not group.files or rules is None or rules.phase.rule.count:
            self._waiting.pop(name, None)
            return
        known = self._waiting.get(name)
        if known is not None and known.value == value:
            return
        instant = None
        if rules.phase.rule.cron and not self._at_once:
            cron = Cron.parse(rules.phase.rule.cron, rules.phase.rule.tz or self._around.zone)
            instant = known.instant if known is not None else cron.next(self._around.now())
        self._waiting[name] = _Waiting(value, self._around.clock.monotonic_ns(), instant)

    def _held(self, due: Collection[str], now_ns: int) -> set[str]:
        """Return those of the groups for which somebody who lives has files to come."""
        held = {name for name in due if read_group(self._waiting[name].value).coming}
        if not held:
            return held
        values = self._desk.known(held)
        living = {each.consumer for each in self._around.bus.presences() if each.alive}
        living.add(self._around.consumer)
        for name in list(held):
            each = self._waiting[name]
            value = values.get(name, "")
            if value != each.value:  # something came, or all that was to come
                self.wait_for(name, value)
            elif not any(self._lives(who, name, living, now_ns) for who in read_group(value).coming):
                held.discard(name)
                continue
            if name in self._waiting:
                self._waiting[name].again_ns = now_ns + AGAIN_NS
        return held

    def _lives(self, who: str, name: str, living: Collection[str], now_ns: int) -> bool:
        if who == self._who:
            return name in self._announced
        consumer = who.rpartition("/")[0]
        if consumer in living:
            self._missing.pop(consumer, None)
            return True
        return now_ns - self._missing.setdefault(consumer, now_ns) < GONE_NS

    def _rules(self, name: str) -> FilePhase | None:
        return self._desk.phases.by_identity.get(read_group(self._waiting[name].value).phase)

    def _is_due(self, name: str, each: _Waiting, now_ns: int, now: datetime) -> bool:
        rules = self._rules(name)
        if rules is None or now_ns < each.again_ns:
            return False
        if each.instant is not None:
            return each.instant.astimezone(UTC) <= now
        return now_ns - each.since_ns >= rules.settle_ns

    def _start(self, name: str) -> int:
        rules = self._rules(name)
        assert rules is not None
        value = self._waiting[name].value
        match = Match(rules, rules.phase.rule.files[0])
        sources = self._desk.sources(name, match)
        if sources is None:
            self._waiting[name].again_ns = self._around.clock.monotonic_ns() + READ_AGAIN_NS
            return 0
        ctx = self._desk.context(sources)
        marks = self._desk.known([came_mark(rules.phase.identity)]) if rules.phase.rule.late else {}
        commit = self._around.decide(ctx, lambda ctx: on_quiet(rules, name, value, ctx, marks=marks))
        if commit is None:
            del self._waiting[name]
            return 0
        [answer] = self._desk.commit([commit])
        del self._waiting[name]  # not before: when the bus is away it still waits
        if isinstance(answer, Committed):
            self._desk.tell(commit)
            return 1
        # A file joined elsewhere, or another daemon started it; any other mark says nothing of this group.
        found = (answer.found if answer.mark == name else value) if isinstance(answer, Refused) else None
        if found:
            self.wait_for(name, found)
        return 0
