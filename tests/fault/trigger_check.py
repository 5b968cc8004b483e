"""The judge of the kill test of triggers: reads the execution log, what the driver did, and what the journal tells.

lost      what must have run to its end and did not; a start of `skip` that was neither made nor told to be left out
doubled   one place dispatched under two keys, or one key published twice; a file counted twice
strange   what should not be there at all
crowded   a start of `overlap=queue`, or a task of a serial backload, that began before the one before it had ended
hasty     more tasks of a paced backload in some time than its rate allows
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from fault.trigger_flow import LINES, RATE, Asked, Place

FAULTS = ("lost", "doubled", "strange", "crowded", "hasty")
BURST_S = 2.0
"""What was not sent is made up for a second back; and a part that landed late is followed at once by the next one."""


@dataclass(slots=True)
class Seen:
    """What the log tells of one place."""

    keys: dict[str, str] = field(default_factory=dict)  # key: what follows the `?` of its info
    begun_ns: int = 0
    ended_ns: int = 0
    starts: int = 0


@dataclass(slots=True)
class Log:
    """The execution log as far as it was read."""

    seen: dict[Place, Seen] = field(default_factory=lambda: defaultdict(Seen))
    lines: int = 0
    redelivered: int = 0
    open: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """How many tasks each process had begun and not ended when it wrote its last line."""
    last: dict[str, str] = field(default_factory=dict)
    """The greatest info of each phase."""
    _rest: str = ""

    def take(self, text: str) -> None:
        """Read on; the last piece may be half a line."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            verb, who, at_ns, key, phase, info, deliveries = line.split("\t")
            info, _, more = info.partition("?")
            seen = self.seen[Place(phase, info)]
            self.last[phase] = max(self.last.get(phase, ""), info)
            self.lines += 1
            if verb == "start":
                seen.keys[key] = more
                seen.begun_ns = seen.begun_ns or int(at_ns)
                seen.starts += 1
                self.open[int(who)] += 1
                self.redelivered += int(deliveries) > 1
            else:
                seen.ended_ns = seen.ended_ns or int(at_ns)
                self.open[int(who)] -= 1

    def missing(self, asked: Asked) -> list[Place]:
        """Return what has not come to its end."""
        asked.last = self.last
        places = [*asked.once(), *(Place("still", day) for day in asked.still())]
        found = [place for place in places if place not in self.seen or not self.seen[place].ended_ns]
        return found + [
            place for place, seen in self.seen.items() if not seen.ended_ns and place not in found
        ]


@dataclass(slots=True)
class Verdict:
    """What was found; the lists name places."""

    tasks: int = 0
    executions: int = 0
    waited: int = 0
    """Starts that stood in line for more than a second."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    crowded: list[str] = field(default_factory=list)
    hasty: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Nothing of all that."""
        return not any(getattr(self, name) for name in FAULTS)


@dataclass(slots=True)
class Told:
    """What the journal tells: when tasks of the paced backload were published, which instants of `skip` were left out,
    and how often each key was published."""

    paced_us: list[int] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    published: Counter[str] = field(default_factory=Counter)


def judge(log: Log, asked: Asked, told: Told) -> Verdict:
    """Compare what ran with what must have run."""
    verdict = Verdict()
    asked.last = log.last
    once = set(asked.once())
    verdict.tasks = len(log.seen)
    verdict.executions = sum(seen.starts for seen in log.seen.values())
    for place in sorted(once):
        seen = log.seen.get(place)
        if seen is None or not seen.ended_ns:
            verdict.lost.append(f"{place.phase} {place.info}: never {'ran' if seen is None else 'ended'}")
        elif len(seen.keys) > 1:
            verdict.doubled.append(f"{place.phase} {place.info}: {sorted(seen.keys)}")
    verdict.doubled += [f"{key} was published {n} times" for key, n in told.published.items() if n > 1]
    _judge_still(verdict, log, asked)
    _judge_skip(verdict, log, asked, told.left_out)
    verdict.strange += [
        f"{place.phase} {place.info} should not be" for place in log.seen if not asked.knows(place, once)
    ]
    for phase in (*(f"line:{n}" for n in range(LINES)), "serial"):
        verdict.crowded += _crowded(phase, log)
    verdict.hasty = list(_hasty(sorted(told.paced_us)))
    return verdict


def _judge_still(verdict: Verdict, log: Log, asked: Asked) -> None:
    """Each file counts in one start of its day, however many starts it came to."""
    for day, files in asked.still().items():
        seen = log.seen.get(Place("still", day))
        counted = sum(int(more.removeprefix("n=")) for more in seen.keys.values()) if seen else 0
        if counted < files:
            verdict.lost.append(f"still {day}: {counted} of {files} files counted")
        elif counted > files:
            verdict.doubled.append(f"still {day}: {counted} counted of {files} files")


def _judge_skip(verdict: Verdict, log: Log, asked: Asked, left_out: set[str]) -> None:
    for instant in asked.instants("skip"):
        seen = log.seen.get(Place("skip", instant))
        if seen is None and instant not in left_out:
            verdict.lost.append(f"skip {instant}: neither started nor told to be left out")
        elif seen is not None and (len(seen.keys) > 1 or instant in left_out):
            verdict.doubled.append(
                f"skip {instant}: {len(seen.keys)} starts, left out: {instant in left_out}"
            )


def _crowded(phase: str, log: Log) -> Iterator[str]:
    """Yield who began before the one before him in his line had come to any end."""
    line = sorted((place.info, seen) for place, seen in log.seen.items() if place.phase == phase)
    for (before, one), (after, other) in pairwise(line):
        if not 0 < one.ended_ns < other.begun_ns:
            yield f"{phase} {after} began before {before} had ended"


def _hasty(at_us: list[int]) -> Iterator[str]:
    """Yield the first stretch in which there were more than the rate and what may be made up for allow."""
    for first in range(len(at_us)):
        for last in range(first + 1, len(at_us)):
            passed_s = (at_us[last] - at_us[first]) / 1e6
            if last - first + 1 > RATE * (passed_s + BURST_S) + 2:
                yield f"{last - first + 1} tasks within {passed_s:.2f} s at {RATE}/s"
                return
