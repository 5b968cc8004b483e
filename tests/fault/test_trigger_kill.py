"""The kill test of triggers in a small size, the bugs that it must find, its judge on logs made by hand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fault.trigger_check import Log, Told, Verdict, judge
from fault.trigger_flow import DAYS, EVERY_S, LINES, RATE, Asked, Place
from support.redis_programs import program

KILL = Path(__file__).with_name("trigger_kill.py")
CLEAN, BROKEN = 0, 1
LIMIT_S = 500  # longer than a run takes to find out by itself that it is stuck
SEED = os.environ.get("FLOWLORD_TEST_SEED", "20260101")


def kill(bus: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the kill test as a person would."""
    if bus == "redis":
        program("redis")  # skips or fails where there is none
    command = [sys.executable, str(KILL), "--bus", bus, "--seed", SEED, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 10)
@pytest.mark.parametrize("bus", [pytest.param("sqlite", marks=pytest.mark.full), "redis"])
def test_no_kill_loses_or_doubles_what_schedules_files_groups_and_backloads_start(bus: str) -> None:
    run = kill(bus, "--kills", "12", "--rows", "520")
    assert run.returncode == CLEAN, run.stdout + run.stderr
    assert f"--seed {SEED}" in run.stderr  # the line that repeats it


@pytest.mark.fault
@pytest.mark.full
@pytest.mark.timeout(LIMIT_S + 10)
@pytest.mark.parametrize(
    ("bug", "shows_as"),
    [
        ("mark-first", "lost"),
        ("mark-after", "doubled"),
        ("group-in-memory", "lost"),
        ("nothing-open", "crowded"),
        ("hurried", "hasty"),
    ],
)
def test_a_planted_bug_of_triggers_is_found(bug: str, shows_as: str) -> None:
    run = kill("sqlite", "--kills", "12", "--rows", "100", "--plant", bug)
    assert run.returncode == BROKEN, run.stdout + run.stderr
    found = re.search(rf"(?m)^{shows_as} +(\d+)", run.stdout)
    assert found, run.stdout + run.stderr
    assert int(found[1]) > 0, run.stdout + run.stderr


# --- the judge

BEGIN = datetime(2026, 8, 1, 12, 0, 0, tzinfo=UTC)
FOLDER = "/in"
INSTANTS = ["20260801T120002", "20260801T120004", "20260801T120006"]


def asked(**more: object) -> Asked:
    return Asked(FOLDER, BEGIN, BEGIN + timedelta(seconds=3 * EVERY_S), **more)  # type: ignore[arg-type]


def ran(phase: str, info: str, at: int, *, key: str = "", verbs: Sequence[str] = ("start", "end")) -> str:
    """A task that began at second `at` and ended half a second later."""
    return "".join(
        f"{verb}\t1\t{int((at + n / 2) * 1e9)}\t{key or phase + info}\t{phase}\t{info}\t1\n"
        for n, verb in enumerate(verbs)
    )


def whole() -> str:
    """The log of schedules that went well."""
    lines = [ran(f"line:{n}", info, at) for n in range(LINES) for at, info in enumerate(INSTANTS)]
    return "".join(lines) + "".join(ran("skip", info, at) for at, info in enumerate(INSTANTS[:2]))


def judged(text: str, what: Asked | None = None, paced_s: Sequence[float] = (), keys: str = "") -> Verdict:
    log = Log()
    log.take(text)
    told = Told([int(at * 1e6) for at in paced_s], {INSTANTS[2]}, Counter(keys))
    return judge(log, what or asked(), told)


def test_a_log_in_which_all_schedules_went_well_is_clean() -> None:
    assert judged(whole()).is_clean


def test_an_instant_that_never_ended_or_was_left_out_without_a_word_is_lost() -> None:
    assert judged(whole().replace(ran("line:1", INSTANTS[1], 1), "")).lost == [
        f"line:1 {INSTANTS[1]}: never ran"
    ]
    cut = ran("line:1", INSTANTS[1], 1, verbs=["start"])
    assert judged(whole().replace(ran("line:1", INSTANTS[1], 1), cut)).lost == [
        f"line:1 {INSTANTS[1]}: never ended"
    ]
    [told] = judged(whole().replace(ran("skip", INSTANTS[1], 1), "")).lost
    assert told == f"skip {INSTANTS[1]}: neither started nor told to be left out"


def test_an_instant_under_two_keys_or_started_and_left_out_is_doubled() -> None:
    assert judged(whole() + ran("line:0", INSTANTS[2], 9, key="another")).doubled
    assert judged(whole() + ran("skip", INSTANTS[0], 9, key="another")).doubled
    assert judged(whole() + ran("skip", INSTANTS[2], 9)).doubled


def test_a_key_that_was_published_twice_is_doubled_though_its_task_ran_once() -> None:
    assert judged(whole(), keys="abcb").doubled == ["b was published 2 times"]


def test_a_start_before_the_end_of_the_one_before_it_is_crowded() -> None:
    text = whole().replace(ran("line:2", INSTANTS[1], 1), ran("line:2", INSTANTS[1], 0))
    assert judged(text).crowded == [f"line:2 {INSTANTS[1]} began before {INSTANTS[0]} had ended"]
    days = [f"2026-01-{n + 1:02}" for n in range(DAYS)]
    serial = [ran("serial", day, n) for n, day in enumerate(days)]
    assert judged(whole() + "".join(serial), asked(has_serial=True)).is_clean
    serial[4] = ran("serial", days[4], 3)
    assert judged(whole() + "".join(serial), asked(has_serial=True)).crowded


def test_files_and_groups_are_started_once_and_each_file_of_a_day_counts_once() -> None:
    what = asked(files=1, groups=1, days=1)
    good = whole() + ran("file", "/in/plain/0.csv", 1) + ran("group", "/in/groups/0?n=3", 1)
    parts = ran("still", "2026-01-01?n=1", 1, key="a") + ran("still", "2026-01-01?n=1", 2, key="b")
    assert judged(good + parts, what).is_clean, "a day that starts in two parts counts as well"
    assert judged(good, what).lost == ["still 2026-01-01: 0 of 2 files counted"]
    more = ran("still", "2026-01-01?n=1", 3, key="c")
    assert judged(good + parts + more, what).doubled == ["still 2026-01-01: 3 counted of 2 files"]
    assert judged(whole() + parts, what).lost == [
        "file /in/plain/0.csv: never ran",
        "group /in/groups/0: never ran",
    ]
    assert judged(good + parts + ran("file", "/in/other.csv", 1), what).strange


def test_more_tasks_than_a_rate_and_its_burst_allow_are_hasty() -> None:
    even = [n / RATE for n in range(60)]
    assert judged(whole(), paced_s=even).is_clean
    assert judged(whole(), paced_s=[each + (each < 3) for each in even]).is_clean, "a second is made up for"
    assert judged(whole(), paced_s=[each / 3 for each in even]).hasty


def test_what_has_not_ended_is_missing() -> None:
    log = Log()
    log.take(whole() + ran("row", "0", 1, verbs=["start"]))
    assert log.missing(asked(rows=2)) == [Place("row", "0"), Place("row", "1")]
