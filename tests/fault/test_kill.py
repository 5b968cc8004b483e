"""The kill test in a small size, the bugs that it must find, its judge on logs made by hand. Full size: `make kill`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fault.kill_check import Log, judge
from fault.kill_flow import Slot, parent_of, slots_of
from fault.kill_page import page_of, parts_of
from support.redis_programs import program

KILL = Path(__file__).with_name("kill.py")
CLEAN, BROKEN = 0, 1
BUSES = ("sqlite", "redis")
LIMIT_S = 330  # longer than a run takes to find out by itself that it is stuck
SEED = os.environ.get("FLOWLORD_TEST_SEED", "20260101")


def kill(bus: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the kill test as a person would."""
    if bus == "redis":
        program("redis")  # skips or fails where there is none
    return subprocess.run(
        [sys.executable, str(KILL), "--bus", bus, "--seed", SEED, *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "default"},
    )


def value(run: subprocess.CompletedProcess[str], name: str) -> int:
    """Return a figure that was printed."""
    found = re.search(rf"(?m)^{name} +([\d,]+)", run.stdout)
    assert found, run.stdout + run.stderr
    return int(found[1].replace(",", ""))


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 10)
@pytest.mark.parametrize("bus", BUSES)
def test_no_kill_loses_a_task_or_doubles_a_child(bus):
    run = kill(bus, "--kills", "80", "--tasks", "1200")
    assert run.returncode == CLEAN, run.stdout + run.stderr
    assert value(run, "lost") == 0
    assert value(run, "children or retries doubled") == 0
    assert value(run, "results accepted without a lease") == 0
    assert value(run, "told otherwise by the history") == 0
    assert value(run, "attempts in the history") >= 1200
    assert value(run, "seconds of a clock that started one each") > 5
    assert value(run, "random kills") >= 80
    assert f"--seed {SEED}" in run.stderr  # the line that repeats it
    assert bus == "sqlite" or value(run, "of them the Redis server") >= 2


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 10)
@pytest.mark.parametrize("bus", ["redis", pytest.param("sqlite", marks=pytest.mark.full)])
@pytest.mark.parametrize(
    ("bug", "shows_as"),
    [
        ("ack-first", "lost"),
        ("publish-then-ack", "children or retries doubled"),
        ("no-fencing", "results accepted without a lease"),
        ("retry-in-memory", "lost"),
    ],
)
def test_a_planted_bug_is_found(bus, bug, shows_as):
    run = kill(bus, "--kills", "50", "--tasks", "900", "--plant", bug)
    assert run.returncode == BROKEN, run.stdout + run.stderr
    assert value(run, shows_as) > 0
    assert "left by itself" not in run.stdout + run.stderr, "the bug broke the taskmaster: that is no proof"


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.full  # few kills hit a historian in the moment in which the bug shows
@pytest.mark.timeout(LIMIT_S + 10)
@pytest.mark.parametrize(
    ("bug", "shows_as"), [("history-buffered", "history has "), ("history-twice", "records of kind ")]
)
def test_a_bug_that_is_planted_in_the_history_is_found(bug, shows_as):
    run = kill("sqlite", "--kills", "48", "--tasks", "720", "--plant", bug)
    assert run.returncode == BROKEN, run.stdout + run.stderr
    assert value(run, "told otherwise by the history") > 0
    assert shows_as in run.stderr
    assert value(run, "lost") == value(run, "children or retries doubled") == 0, "the bus has no bug here"


def line(
    verb: str,
    at_ns: int,
    slot: Slot,
    created: str = "c",
    run: str = "r",
    who: int = 1,
    *,
    deliveries: int = 1,
    name: str = "",
    cause: str | None = None,
) -> str:
    """One line as the tasks of the kill test write it; an attempt is named after its task unless told otherwise."""
    parent = parent_of(slot)
    if cause is None:
        cause = name_of(parent) if parent else ""
    name = name or name_of(slot)
    fields = (
        verb, who, at_ns, "key", run, slot.type, slot.job, slot.info, created, slot.attempt, deliveries, name, cause,
    )  # fmt: skip
    return "\t".join(map(str, fields)) + "\n"


def name_of(slot: Slot) -> str:
    return f"{slot.type}-{slot.info}-{slot.attempt}"


def whole(n: int = 0) -> list[str]:
    """The log of one root that went well: each task after its parent."""
    lines = []
    for at_ns, slot in enumerate(sorted(slots_of(n), key=lambda slot: (slot.type != "root", slot.type)), 1):
        lines += [
            line("start", 10 * at_ns, slot, f"c{at_ns}"),
            line("end", 10 * at_ns + 1, slot, f"c{at_ns}"),
        ]
    return lines


def judged(lines: list[str], roots: range = range(1)):
    log = Log()
    log.take("".join(lines))
    return judge(log, roots)


def test_a_log_in_which_all_went_well_is_clean():
    verdict = judged(whole(7))  # no task of root 7 fails
    assert verdict.lost  # root 0 was submitted and never ran
    verdict = judged(whole(0))
    assert verdict.is_clean
    assert (verdict.roots, verdict.tasks, verdict.retries, verdict.again) == (1, 6, 1, 0)


def test_a_task_that_never_ended_is_lost():
    assert len(judged(whole()[:-1]).lost) == 1
    assert len(judged(whole()[:-2]).lost) == 1


def test_two_dispatches_of_one_child_are_doubled():
    child = next(slot for slot in slots_of(0) if slot.type == "child")
    verdict = judged([*whole(), line("start", 500, child, "another"), line("end", 501, child, "another")])
    assert [told.split(":")[0] for told in verdict.doubled] == [f"child {child.info}"]


def test_the_same_dispatch_run_again_is_counted_and_no_fault():
    lines = whole()
    verdict = judged([*lines, *lines[-2:]])
    assert verdict.is_clean
    assert verdict.again == 1


@pytest.mark.parametrize(
    "slot", [Slot("child", "", "0/c", 0), Slot("grand", "sum", "0/a/sum", 7), Slot("root", "", "1", 0)]
)
def test_a_task_that_should_not_be_is_strange(slot):
    assert judged([*whole(), line("start", 500, slot)]).strange


def test_a_child_of_another_run_is_strange():
    lines = whole()
    lines[-2:] = [text.replace("\tr\t", "\tother\t") for text in lines[-2:]]
    assert judged(lines).strange == ["root 0 is spread over 2 runs"]


ROOT = Slot("root", "", "0", 0)


def test_a_result_that_was_accepted_after_another_took_its_task_over_is_unleased():
    later = line("start", 12, ROOT, "c1", who=2, deliveries=2, name="heir")
    verdict = judged([*whole(), later])
    assert verdict.unleased == ["root 0: root-0-0 was accepted after heir had taken it over"]
    assert (verdict.traced, verdict.outlived) == (4, 1)


def test_the_result_of_whoever_took_a_task_over_may_be_accepted():
    earlier = line("start", 9, ROOT, "c1", who=2, deliveries=1, name="dead")
    lines = [text.replace("\t1\troot-0-0\t", "\t2\troot-0-0\t") for text in whole()]
    verdict = judged([earlier, *lines])
    assert verdict.is_clean
    assert (verdict.outlived, verdict.again) == (1, 1)


def test_what_follows_from_results_of_two_attempts_is_unleased():
    lines = whole()
    child = next(slot for slot in slots_of(0) if slot.type == "child")
    lines += [
        line("start", 5, ROOT, "c1", name="dead"),
        line("start", 500, child, "c2", cause="dead"),
    ]
    assert judged(lines).unleased == ["root 0: results of 2 attempts were accepted, ['dead', 'root-0-0']"]


def test_a_cause_that_never_ran_is_strange():
    child = next(slot for slot in slots_of(0) if slot.type == "child")
    verdict = judged([*whole(), line("start", 500, child, "c2", cause="nobody")])
    assert "what follows from root 0 names 'nobody', which never ran it" in verdict.strange


def test_a_child_that_begins_before_its_parent_ended_is_early():
    assert judged(
        whole()[2:] + [text.replace("\t10\t", "\t900\t").replace("\t11\t", "\t901\t") for text in whole()[:2]]
    ).early


def test_a_torn_line_is_told():
    assert judged([*whole(), "start\t1\n"]).torn == ["start\t1"]


def test_every_task_but_a_root_follows_from_another():
    for n in range(40):
        slots = set(slots_of(n))
        assert {parent_of(slot) for slot in slots} <= slots | {None}
        assert [slot for slot in slots if parent_of(slot) is None] == [Slot("root", "", str(n), 0)]


def test_the_page_keeps_what_it_tells_of_the_other_bus():
    parts = {"sqlite": "One thing.\n", "redis": "Another one.\n\n| a | b |\n"}
    assert parts_of(page_of(parts)) == parts
    assert "make kill BUS=redis" in parts_of("# Nothing yet\n")["redis"]


def test_the_page_of_the_docs_has_a_part_for_each_bus():
    text = (KILL.parents[2] / "docs" / "proof.md").read_text("utf-8")
    assert page_of(parts_of(text)) == text
    for bus, part in parts_of(text).items():
        assert re.search(r"(?m)^\| lost \| 0 \|$", part), f"no run on {bus} is told of"


def test_half_a_line_waits_for_its_rest():
    text = "".join(whole())
    log = Log()
    for at in range(0, len(text), 7):
        log.take(text[at : at + 7])
    assert judge(log, range(1)).is_clean
