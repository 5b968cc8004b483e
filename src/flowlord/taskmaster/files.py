"""The loop that watches files: hears of them, waits until they stand still, and starts what they start."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowlord.bus.sqlite_place import file_system
from flowlord.decide.file import FileEvent
from flowlord.decide.files import Match
from flowlord.model.errors import BusError, Refused
from flowlord.model.plan import Fact, FactKind, Plan, Seen
from flowlord.model.problem import Severity
from flowlord.rules.globs import Glob
from flowlord.rules.places import BUCKETS, as_text, place_of
from flowlord.rules.settle import SETTLE_NS, Settling
from flowlord.taskmaster.filedesk import FileDesk, Ready
from flowlord.taskmaster.filestarts import PORTION, Complete, FileStarts
from flowlord.taskmaster.firstwatch import FirstWatch
from flowlord.taskmaster.knownfiles import KnownFiles
from flowlord.taskmaster.mounts import Share
from flowlord.taskmaster.surroundings import Surroundings
from flowlord.watch.bucket import BucketWatch
from flowlord.watch.local import LocalWatch, Root
from flowlord.watch.names import Names
from flowlord.watch.sighting import Look, Sighting

log = logging.getLogger("flowlord.files")

LONGEST_WAIT_S = 1.0
HINTS = 5_000
"""Events that are taken in before files are looked at again."""
LONGEST_STEP_NS = 10_000_000_000
READ_S = 0.1
"""How long is waited for more while files wait for meta-files: these may be read."""
ONCE_MORE_NS = 30_000_000_000
"""How long `run --once` waits for files that do not stand still."""


@dataclass(frozen=True, slots=True)
class Watching:
    """How files are heard of.

    `topic` has notices, empty for none; `initial` is ignore or run: what becomes of files that were there before;
    `poll_ns` how often what tells nothing is listed; without `buckets` they are left to notices.
    """

    topic: str = ""
    initial: str = "ignore"
    poll_ns: int = 30_000_000_000
    events: bool = True
    buckets: bool = True


class FileLoop:
    """One step takes in what happened, starts what is complete, and waits a moment for more; used by one thread.

    It watches the folders of this machine, or a share of them; or `buckets`, as another loop that may be slow.
    """

    def __init__(
        self,
        around: Surroundings,
        watching: Watching,
        *,
        once: bool = False,
        buckets: bool = False,
        share: Share | None = None,
        kind_of: Callable[[str], str] = file_system,
    ) -> None:
        """`share` tells which folders of this machine are this loop's; without, all are."""
        self._around = around
        self._watching = watching
        self._share = share
        self._turn = share.turn if share else 0
        self._kind_of = kind_of
        self._buckets = buckets
        self._source = "bucket" if buckets else "folder"
        self._desk = FileDesk(around, share.name if share else self._source, at_once=once)
        self._first = FirstWatch(around, self._desk, runs=once or watching.initial == "run")
        self._settling = Settling()
        self._watch = self._watching_of({})
        self._patterns: dict[str, tuple[str, ...]] = {}
        self._known = KnownFiles(around, self._desk)
        self._starts = FileStarts(around, self._desk, self._known, self, once=once)
        self._markers: dict[str, set[str]] = {}
        self._released: set[str] = set()
        self._coming: dict[str, dict[str, str]] = {}  # path -> the groups that it will join
        self._names = Names()
        self._gone: list[str] = []
        self._told: set[str] = set()
        self._begins = False
        self.taken = 0
        """Files that were seen so far, each time that they were: tells from outside that a long listing goes on."""

    def step(self, wait_s: float = LONGEST_WAIT_S) -> int:
        """Take in, start, wait; returns how many files were decided."""
        decided = self.look()
        soon = [
            each
            for each in (self._settling.next_ns(), self._watch.next_ns(), self._desk.groups.next_ns())
            if each
        ]
        if soon:
            wait_s = min(wait_s, max((min(soon) - self._around.clock.monotonic_ns()) / 1e9, 0.0))
        if len(self._starts):
            wait_s = min(wait_s, READ_S)
        self._watch.wait(wait_s)
        return decided

    def look(self) -> int:
        """Do everything that is due now; returns how many files were decided."""
        if self._desk.refresh() or self._begins or (self._share and self._share.turn != self._turn):
            self._begins = True  # until it has worked
            self._build()
            self._begins = False
        clock = self._around.clock
        for root in self._watch.due(clock.monotonic_ns()):
            self._scan(root)
        for sighting in self._watch.hints(HINTS):
            self._consider(sighting)
        self._announce()
        decided = self._starts.take_read()
        end_ns = clock.monotonic_ns() + LONGEST_STEP_NS  # what takes for ever looks like a loop that hangs
        while clock.monotonic_ns() < end_ns and (ready := self._settled()):
            decided += len(ready)
            self._starts.start(ready)
        self._tell_gone()
        self._coming = {
            path: groups
            for path, groups in self._coming.items()
            if path in self._settling or path in self._starts
        }
        self._announce()
        decided += self._desk.groups.start_quiet()
        if (
            self._desk.overdue
            and not len(self._settling)
            and not len(self._starts)
            and all(r.is_listed for r in self._watch.roots.values())
        ):
            self._desk.overdue = frozenset()
        return decided

    def once(self, stop: threading.Event) -> None:
        """Start what is there, and return when it stands still and has been started."""
        clock = self._around.clock
        self.look()
        longest = max((each.settle_ns for each in self._desk.phases.phases), default=0)
        end_ns = clock.monotonic_ns() + longest + ONCE_MORE_NS
        while (
            (len(self._settling) or self._desk.groups.waits)
            and clock.monotonic_ns() < end_ns
            and not stop.is_set()
        ):
            self.step(0.2)
        for path in self._settling.paths():
            log.warning("%s does not stand still, it is left", as_text(path), extra={"action": "file.left"})

    def close(self) -> None:
        """Stop watching."""
        self._watch.close()
        try:
            self._desk.groups.announce({})
        except BusError:  # others see that this daemon is no more
            pass

    # --- what is watched -------------------------------------------------------------------------------------------

    def _build(self) -> None:
        """Take up the patterns of the workflows as they are now."""
        if self._share:
            self._turn = self._share.turn
        by_root: dict[str, list[Glob]] = {}
        for rules in self._desk.phases.phases:
            for glob in rules.globs:
                place = place_of(glob.pattern)
                is_bucket = place.scheme in BUCKETS and not place.root.endswith("://")
                if is_bucket and self._watching.buckets:
                    watched = self._buckets
                elif place.scheme:
                    watched = False
                    if not self._buckets and (self._share is None or self._share.tells):
                        self._tell_unwatched(rules.phase.identity, glob.pattern)
                else:
                    watched = not self._buckets and (self._share is None or self._share.holds(place.root))
                if watched:
                    by_root.setdefault(place.root, []).append(glob)
        self._desk.overdue = self._first.begin(self._desk.phases)
        patterns = {root: tuple(sorted({glob.pattern for glob in globs})) for root, globs in by_root.items()}
        if patterns != self._patterns:
            self._watch.close()
            self._watch = self._watching_of(by_root)
            self._patterns = patterns
        for root in self._watch.roots.values():
            root.next_ns = 0
        self._known.clear()
        self._starts.clear()
        self._desk.groups.adopt()

    def _watching_of(self, by_root: dict[str, list[Glob]]) -> LocalWatch | BucketWatch:
        if self._buckets:
            around = self._around
            return BucketWatch(by_root, around.storage, around.clock, poll_ns=self._watching.poll_ns)
        return LocalWatch(
            by_root,
            self._around.clock,
            kind_of=self._kind_of,
            poll_ns=self._watching.poll_ns,
            events=self._watching.events,
        )

    def _tell_unwatched(self, identity: str, pattern: str) -> None:
        if pattern not in self._told:
            self._told.add(pattern)
            text = f"{identity}: {pattern} is not watched: only notices on the files topic start it"
            log.warning("%s", text, extra={"action": "files.unwatched"})

    def _scan(self, root: Root) -> None:
        """List a root; the first time, what lies there is recorded as seen unless it is to be started."""
        name = root.folders.root
        seen: set[str] = set()
        try:
            for sighting in self._watch.scan(root):
                seen.add(sighting.path)
                self._consider(sighting, name if self._first.is_new(name) else None)
            if not root.is_closed:
                self._first.listed(name)
        except BusError as error:
            # What was taken for seen may not have landed: all is asked anew.
            self._begins = True
            if isinstance(error, Refused):  # another daemon was faster to begin
                return
            raise
        if not root.is_closed:
            self._known.forget(name, seen, self._watch.is_there)
        self._known.refresh()
        self._desk.groups.adopt()
        self._first.still([each.folders.root for each in self._watch.roots.values() if not each.fault])
        self._tell(root)

    def _tell(self, root: Root) -> None:
        """Tell once what is wrong with a root, and once that it is well again."""
        subject, health = f"folder {root.folders.path}", self._around.health
        if root.polled and root.polled not in self._told:
            self._told.add(root.polled)
            every = self._watching.poll_ns / 1e9
            log.warning(
                "%s is listed every %g s: %s",
                root.folders.path,
                every,
                root.polled,
                extra={"action": "files.polled"},
            )
        if not root.fault:
            if health.mended(subject):
                log.warning("%s is watched again", root.folders.path, extra={"action": "files.mended"})
            return
        if health.faults().get(subject) == root.fault:
            return
        if root.was_there:
            fact = Fact(FactKind.ALERT, cause=subject, text=f"files are not seen: {root.fault}")
            self._around.bus.commit(Plan(facts=(fact,)))
        health.fault(subject, root.fault, Severity.WARNING)
        log.error("files are not seen: %s", as_text(root.fault), extra={"action": "files.fault"})

    # --- files -----------------------------------------------------------------------------------------------------

    def _consider(self, sighting: Sighting, new_root: str | None = None) -> None:
        """Take in that a file was seen."""
        self.taken += 1
        path, look = sighting.path, sighting.look
        now_ns = self._around.clock.monotonic_ns()
        self._release(path, now_ns)
        if self._known.has(path, look.version, now_ns) or self._starts.has(path, look.version):
            return
        text = as_text(path)
        matches = self._desk.phases.matching(text)
        if not matches and self._desk.phases.is_ignored(text):
            self._known.note(path, look.version, now_ns)
            return
        if new_root is not None:
            event = FileEvent(text, look.version, look.size, self._source)
            if self._first.takes(new_root, event, matches):
                self._names.of(path, look, self._watch.is_there)
                self._known.note(path, look.version, now_ns)
                return
        waits = [self._settle_ns(match) for match in matches] or [0 if self._buckets else SETTLE_NS]
        self._settling.see(path, look, now_ns, waits, opened=sighting.opened, closed=sighting.closed)
        self._will_join(path, matches)

    def _will_join(self, path: str, matches: Sequence[Match]) -> None:
        if groups := self._desk.groups.of(as_text(path), matches):
            self._coming[path] = groups

    def _announce(self) -> None:
        """Tell other daemons for which groups files are still to come."""
        coming: dict[str, str] = {}
        for groups in self._coming.values():
            coming |= groups
        self._desk.groups.announce(coming)

    def _release(self, path: str, now_ns: int) -> None:
        """Look again at the files that waited for this one, when it is a marker."""
        for held in self._markers.pop(path, ()):
            if held not in self._settling and (look := self._watch.look(held)) is not None:
                self._released.add(held)
                self._settling.see(held, look, now_ns, [0])
                self._will_join(held, self._desk.phases.matching(as_text(held)))

    def _settled(self) -> list[Complete]:
        """Return some of the files that are complete now."""
        found = []
        for path in self._settling.due(self._around.clock.monotonic_ns(), PORTION):
            now_ns = self._around.clock.monotonic_ns()
            look = self._watch.look(path)
            stood_ns = self._settling.looked(path, look, now_ns)
            if look is None and any(
                path.startswith(root) for root in self._patterns
            ):  # else of another loop now
                self._gone.append(path)
            if look is None or stood_ns is None:
                continue
            text = as_text(path)
            matches = self._desk.phases.matching(text)
            stood = path in self._released  # before its marker came
            self._released.discard(path)
            due = [
                match
                for match in matches
                if (stood or self._settle_ns(match) <= stood_ns) and not self._is_held(match, path)
            ]
            if due or not matches:
                whole = len(due) == len(matches) and path not in self._settling
                was = as_text(self._names.of(path, look, self._watch.is_there)) if matches else ""
                event = FileEvent(text, look.version, look.size, self._source, was=was)
                found.append((path, Ready(event, due), whole))
        return found

    def _settle_ns(self, match: Match) -> int:
        """How long a file must stand still; an object is complete when it can be seen."""
        if self._buckets and match.rules.phase.rule.settle_ns is None:
            return 0
        return match.rules.settle_ns

    def _is_held(self, match: Match, path: str) -> bool:
        marker = match.rules.marker_of(path)
        if not marker or self._watch.is_there(marker):
            return False
        self._markers.setdefault(marker, set()).add(path)
        return True

    def _tell_gone(self) -> None:
        """Record files of our phases that were gone before they stood still."""
        gone, self._gone = [as_text(path) for path in self._gone], []
        facts = []
        for path in gone:
            if self._desk.phases.matching(path):
                text = f"{path} was gone before it stood still"
                told = Seen(path, source=self._source, state="vanished")
                facts.append(Fact(FactKind.FILE, cause=f"file:{path}:", text=text, file=told))
                log.info("%s", text, extra={"action": "file.vanished"})
        if facts:
            self._around.bus.commit(Plan(facts=tuple(facts)))

    def is_settling(self, path: str) -> bool:
        """Tell whether a file is still to be looked at."""
        return path in self._settling

    def look_again(self, path: str, ready: Ready, wait_ns: int) -> None:
        """Take up a file again in a while, which need not stand still once more."""
        if path not in self._settling:
            self._released.add(path)
            look = Look(ready.event.size, ready.event.version)
            self._settling.see(path, look, self._around.clock.monotonic_ns(), [wait_ns])
