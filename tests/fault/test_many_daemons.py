"""Two and five daemons on one schedule (T-11): no tick twice, none missing, and they did get in each other's way.

Their workflow files differ and are changed and reloaded all the time.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.model.plan import FactKind
from support.processes import until
from support.quick import quick_folder
from support.racers import racers
from support.redis_servers import drop_namespace, fresh_namespace, shared_server
from support.tick_race import PHASES, RELOADS

CONTESTED = 5
"""So many ticks more than one daemon must have sent to the bus, or the run shows nothing: it goes on until they have.
Two daemons that have a core each get in each other's way with one tick in seven, many on a busy machine with every
second one, and two that take turns with hardly any."""
RACE_TIMES = (20_000, pytest.param(100_000, marks=pytest.mark.full))


@contextmanager
def place(kind: str) -> Iterator[tuple[str, str]]:
    """The address and the namespace of an empty bus."""
    if kind == "sqlite":
        with quick_folder() as folder:
            yield f"sqlite:///{folder / 'bus.db'}", "flowlord"
        return
    server, namespace = shared_server("redis"), fresh_namespace()
    try:
        yield server.url, namespace
    finally:
        drop_namespace(namespace, [server])


def told(process: subprocess.Popen[str]) -> tuple[int, int]:
    """What a daemon tells at its end: what it won, and what another one had."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    won, taken = process.stdout.read().split()
    return int(won), int(taken)


def causes(bus: Bus) -> Counter[str]:
    """How often each slot was published, as the journal tells."""
    found: Counter[str] = Counter()
    seq = 0
    while entries := bus.journal(seq, 1_000):
        seq = entries[-1].seq
        found.update(f.cause for entry in entries for f in entry.facts if f.kind is FactKind.PUBLISHED)
    return found


@pytest.mark.fault
@pytest.mark.parametrize("ticks", RACE_TIMES)
@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_race_for_ticks_dispatches_each_of_them_once(kind: str, count: int, ticks: int) -> None:
    ticks = ticks // count
    with place(kind) as where, closing(open_bus(where[0], by="judge", namespace=where[1])) as bus:
        each_one = [["bus", *where, str(number), str(ticks)] for number in range(1, count + 1)]
        with racers("tick_race.py", each_one) as all_:
            ends = [told(each) for each in all_]
        found = causes(bus)
    assert set(found) == {str(tick) for tick in range(ticks)}, "none is missing"
    assert max(found.values()) == 1, "none came twice"
    assert sum(won for won, _ in ends) == ticks
    # Each tried each tick. Who comes late was refused by its mark, or it would have been published twice.
    assert sum(taken for _, taken in ends) == ticks * (count - 1)


def split(cause: str) -> tuple[str, datetime]:
    phase, _, instant = cause.partition("all.toml:")[2].partition(":2026")
    return phase, datetime.fromisoformat(f"2026{instant}")


@dataclass(frozen=True, slots=True)
class End:
    """What a daemon tells at its end: how often it reloaded, and every tick that it sent to the bus."""

    reloads: int
    tried: frozenset[str]


def end_of(process: subprocess.Popen[str]) -> End:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    reloads, *tried = process.stdout.read().splitlines()
    return End(int(reloads), frozenset(tried))


def storm(kind: str, count: int, ticks: int, home: Path, bug: str = "none") -> tuple[Counter[str], list[End]]:
    """Let so many daemons reload and race until so many ticks are published; of more than two, one is killed.

    They race on until those who live have got in each other's way; without marks that is when a tick came twice.

    Returns what was published how often, and the ends of those who lived.
    """
    # The clock of the last one is a planned second wrong.
    ahead = ["0"] * (count - 1) + ["0.7"]
    with place(kind) as where, closing(open_bus(where[0], by="judge", namespace=where[1])) as bus:
        each_one = [
            ["daemon", *where, str(number), wrong, str(home / str(number)), bug]
            for number, wrong in enumerate(ahead, 1)
        ]
        with racers("tick_race.py", each_one) as all_:
            victim = all_[0] if count > 2 else None
            until(lambda: _published(bus) > ticks // 2, "half of the ticks", limit_s=300.0, every_s=0.1)
            if victim is not None:
                victim.kill()
            until(lambda: _published(bus) > ticks, "the ticks", limit_s=300.0, every_s=0.1)
            lived = range(1 if victim is None else 2, count + 1)
            until(
                lambda: (
                    max(causes(bus).values()) > 1
                    if bug == "no-marks"
                    else sum(_lost(home, number) for number in lived) >= 2 * CONTESTED
                ),
                "daemons that get in each other's way",
                limit_s=300.0,
                every_s=0.1,
            )
            ends = [end_of(each) for each in all_ if each is not victim]
        return causes(bus), ends


def judge(found: Counter[str], ends: list[End]) -> None:
    """None twice, none missing, though files differ and change; and the daemons did get in each other's way."""
    assert {cause: n for cause, n in found.items() if n > 1} == {}, "none came twice"
    by_phase: dict[str, list[datetime]] = {}
    for cause in found:
        phase, instant = split(cause)
        by_phase.setdefault(phase, []).append(instant)
    alike = {f"tick:{n}" for n in range(PHASES)}
    assert alike | {"odd", "guest", "own:2"} <= by_phase.keys()
    for phase, instants in by_phase.items():
        # Who plans `odd` each second leaves out what lies at or before the mark of who plans it every other one.
        step = timedelta(seconds=2 if phase == "odd" else 1)
        planned = sorted(each for each in instants if phase != "odd" or each.second % 2 == 0)
        holes = (planned[-1] - planned[0]) / step + 1 - len(planned)
        assert holes == 0, f"{holes} ticks of {phase} are missing"
    assert min(end.reloads for end in ends) >= RELOADS, "they reloaded while they raced"
    tried = Counter(tick for end in ends for tick in end.tried if tick.split()[0] in alike)
    contested = sum(daemons > 1 for daemons in tried.values())
    assert contested >= CONTESTED, f"only {contested} of {len(tried)} were tried by several"


@pytest.mark.fault
@pytest.mark.parametrize(
    ("kind", "count", "ticks"),
    [
        ("sqlite", 2, 1_000),
        ("redis", 5, 2_000),
        pytest.param("sqlite", 5, 20_000, marks=[pytest.mark.full, pytest.mark.timeout(900)]),
        # At 520 planned ticks a second this takes two minutes at least.
        pytest.param("redis", 2, 50_000, marks=[pytest.mark.full, pytest.mark.timeout(900)]),
    ],
)
def test_daemons_side_by_side_miss_nothing_and_double_nothing_though_files_differ_and_one_is_killed(
    kind: str, count: int, ticks: int, tmp_path: Path
) -> None:
    judge(*storm(kind, count, ticks, tmp_path))


@pytest.mark.fault
@pytest.mark.parametrize(("bug", "shows_as"), [("no-marks", "came twice"), ("mark-first", "are missing")])
def test_a_bug_in_the_race_is_found(bug: str, shows_as: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=shows_as):
        judge(*storm("sqlite", 2, 200, tmp_path, bug))


def _lost(home: Path, number: int) -> int:
    file = home / f"{number}.lost"
    return int(file.read_text("utf-8")) if file.exists() else 0


def _published(bus: Bus) -> int:
    return next((state.waiting for state in bus.topics() if state.topic == "tick"), 0)
