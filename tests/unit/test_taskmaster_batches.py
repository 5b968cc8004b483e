"""Open batches as daemons publish them: on the memory bus, with files on disk."""

from __future__ import annotations

import gzip
import itertools
import random
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flowlord.decide.keys import dispatch_key
from flowlord.decide.recipe import decode_recipe
from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Message
from flowlord.model.plan import ANY, FactKind, Mark, Plan
from flowlord.model.task import Task
from flowlord.taskmaster.batches import LEAVE_NS, Batches
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.surroundings import Surroundings
from support.farm import Farm, scheduler_of
from support.flows import flows_of

ROWS = 3_000


@pytest.fixture(autouse=True)
def _few_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("decide.expand", "taskmaster.surroundings"):
        monkeypatch.setattr(f"flowlord.{room}.HELD", 600)


@pytest.fixture(autouse=True)
def _files_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with much to do, rows on the disk take longer than a daemon waits before it goes on without them."""
    monkeypatch.setattr("flowlord.taskmaster.readings.PATIENCE_S", 60.0)


def json_rows(path: Path, rows: int = ROWS, bad: int = 0) -> Path:
    path.write_text("".join("oops\n" if n == bad else f'{{"n": {n}}}\n' for n in range(1, rows + 1)))
    return path


def csv_rows(path: Path, rows: int = ROWS) -> Path:
    text = "n,text\r\n" + "".join(f'{n},"a\nb"\r\n' for n in range(1, rows + 1))
    with gzip.open(path, "wt", newline="") as out:
        out.write(text)
    return path


def tick(farm: Farm, rule: str, name: str = "d1", **phase: Any) -> Surroundings:
    """Let a cron phase of these rows start once."""
    flows = flows_of(
        {"f.toml": [{"task": "load", "rule": f"cron=* * * * *&{rule}", "template": "{meta:n}", **phase}]}
    )
    around = farm.daemon(flows, name)
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    farm.clock.advance(30)
    scheduler.decide_due()
    return around


def waiting(farm: Farm, topic: str = "load") -> list[str]:
    return [delivery.task().info for delivery in farm.bus.claim([topic], "w", 100_000)]


def publish_all(around: Surroundings) -> int:
    batches = Batches(around)
    return sum(iter(batches.step, 0))


@pytest.mark.parametrize(
    "write", [lambda folder: json_rows(folder / "r.json"), lambda folder: csv_rows(folder / "r.csv.gz")]
)
def test_a_large_meta_file_is_published_from_its_recipe_in_order_and_once(tmp_path: Path, write: Any) -> None:
    farm = Farm()
    around = tick(farm, f"meta-file={write(tmp_path)}")
    [mark] = farm.bus.marks_like("batch:").values()
    assert mark == "[0,0,-1,0,0,0,0]"
    assert waiting(farm) == []
    assert publish_all(around) == ROWS
    assert waiting(farm) == [str(n) for n in range(1, ROWS + 1)]
    assert farm.bus.marks_like("batch:") == farm.bus.marks_like("recipe:") == {}
    assert farm.facts(FactKind.BATCH) == ["all 3,000 tasks of the batch are published"]


def test_dates_times_lists_above_what_is_held_need_no_file(tmp_path: Path) -> None:
    farm = Farm()
    around = tick(farm, "for=-800h&by=hour&meta=n:a,b", template="{meta:n}{yyyy}{mm}{dd}{hh}")
    assert publish_all(around) == 1602
    infos = waiting(farm)
    assert (infos[:3], len(set(infos))) == (["a2026030112", "b2026030112", "a2026030111"], 1602)


def test_a_daemon_leaves_a_batch_to_the_faster_one_and_takes_over_when_that_stands_still(
    tmp_path: Path,
) -> None:
    farm = Farm()
    one = tick(farm, f"meta-file={json_rows(tmp_path / 'r.json', 9_000)}")
    first, second = Batches(one), Batches(farm.daemon(one.workflows, "d2", 2))
    assert first.step() == 2_000
    assert second.step() == 2_000
    assert first.step() == 0  # somebody was at work
    assert second.step() == 2_000
    assert first.step() == 0
    farm.clock.advance(LEAVE_NS / 1e9 + 0.1)
    assert second.step() == 2_000
    assert first.step() == 0  # it moved meanwhile
    farm.clock.advance(LEAVE_NS / 1e9 + 0.1)
    assert first.step() == 1_000  # now it stood still
    assert waiting(farm) == [str(n) for n in range(1, 9_001)]


def test_who_leaves_a_batch_to_others_does_not_read_its_recipe_each_time_it_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm = Farm()
    one = tick(farm, f"meta-file={json_rows(tmp_path / 'r.json', 9_000)}")
    first, second = Batches(one), Batches(farm.daemon(one.workflows, "d2", 2))
    assert (first.step(), second.step()) == (2_000, 2_000)
    read: list[str] = []
    monkeypatch.setattr(
        "flowlord.taskmaster.batches.decode_recipe", lambda text: read.append(text) or decode_recipe(text)
    )
    for _ in range(2):
        assert (first.step(), second.step()) == (0, 2_000)
    assert read == []
    assert second.step() == 1_000


def test_of_two_that_read_ahead_at_once_one_lands_and_the_other_changes_nothing(tmp_path: Path) -> None:
    farm = Farm()
    one = tick(farm, f"meta-file={json_rows(tmp_path / 'r.json')}")
    second = Batches(farm.daemon(one.workflows, "d2", 2))
    first = Batches(one)
    commit_many = farm.bus.commit_many

    def interrupted(commits: Any) -> Any:
        farm.bus.commit_many = commit_many  # type: ignore[method-assign]
        assert second.step() == 2_000
        return commit_many(commits)

    farm.bus.commit_many = interrupted  # type: ignore[method-assign]
    assert first.step() == 0
    assert second.step() == 1_000
    assert waiting(farm) == [str(n) for n in range(1, ROWS + 1)]


def test_the_next_parts_are_made_while_the_bus_is_at_work_on_those_before(tmp_path: Path) -> None:
    farm = Farm()
    batches = Batches(tick(farm, f"meta-file={json_rows(tmp_path / 'r.json')}"))
    commit_many, read_on, waited = farm.bus.commit_many, threading.Event(), []
    reader = batches._reader

    def reading(batch: Any) -> Any:
        found = reader(batch)

        def read(number: int, offset: int, line: int) -> Any:
            for placed in found(number, offset, line):
                if placed[0]["n"] == "2500":
                    read_on.set()
                yield placed

        return read

    def slow(commits: Any) -> Any:
        waited.append(read_on.wait(40))
        return commit_many(commits)

    batches._reader = reading  # type: ignore[method-assign]
    farm.bus.commit_many = slow  # type: ignore[method-assign]
    assert batches.step() == 2_000
    assert waited == [True]
    assert batches.step() == 1_000
    assert waiting(farm) == [str(n) for n in range(1, ROWS + 1)]


def blind(commits: Any) -> Any:
    """A bug: a part lands wherever the batch is."""
    for commit in commits:
        marks = tuple(Mark(mark.key, ANY, mark.new, mark.ttl_s) for mark in commit.marks)
        yield msgspec.structs.replace(commit, marks=marks)


@pytest.mark.parametrize(
    ("seed", "bug"),
    [(1, None), (2, None), (1, blind), (1, lambda commits: reversed(list(blind(commits))))],
)
def test_daemons_that_read_ahead_and_land_in_any_order_publish_each_row_once_and_in_order(
    tmp_path: Path, seed: int, bug: Any
) -> None:
    """Each of three has parts on their way and others made ahead while the rest land theirs; two bugs show in it."""
    rows, chance, farm = 8_000, random.Random(seed), Farm()
    around = tick(farm, f"meta-file={json_rows(tmp_path / 'r.json', rows)}")
    idle = [Batches(around), *(Batches(farm.daemon(around.workflows, f"d{n}", n)) for n in (2, 3))]
    commit_many = farm.bus.commit_many

    def step() -> None:
        farm.clock.advance(LEAVE_NS / 1e9 + 0.1)
        batches = idle.pop(chance.randrange(len(idle)))
        with suppress(BusUnavailable):
            batches.step()
        idle.append(batches)

    def interrupted(commits: Any) -> Any:
        if idle and chance.random() < 0.6:
            step()
        if chance.random() < 0.1:
            raise BusUnavailable("away")
        return commit_many(commits if bug is None else list(bug(commits)))

    farm.bus.commit_many = interrupted  # type: ignore[method-assign]
    for _ in range(40):  # a bug may lead back again and again
        if farm.bus.marks_like("batch:"):
            step()
    is_right = waiting(farm) == [str(n) for n in range(1, rows + 1)]
    assert is_right == (bug is None)


def test_a_bus_that_fails_meanwhile_costs_what_was_made_ahead_and_no_row(tmp_path: Path) -> None:
    farm = Farm()
    batches = Batches(tick(farm, f"meta-file={json_rows(tmp_path / 'r.json')}"))
    commit_many = farm.bus.commit_many

    def away(_commits: Any) -> Any:
        farm.bus.commit_many = commit_many  # type: ignore[method-assign]
        raise BusUnavailable("away")

    farm.bus.commit_many = away  # type: ignore[method-assign]
    with pytest.raises(BusUnavailable):
        batches.step()
    assert batches.step() + batches.step() == ROWS
    assert waiting(farm) == [str(n) for n in range(1, ROWS + 1)]


def test_a_file_that_changes_after_parts_were_made_ahead_publishes_none_of_them(tmp_path: Path) -> None:
    farm = Farm()
    path = json_rows(tmp_path / "r.json")
    batches = Batches(tick(farm, f"meta-file={path}"))
    assert batches.step() == 2_000
    path.write_text(path.read_text() + '{"n": 0}\n')
    assert batches.step() == 0
    assert len(waiting(farm)) == 2_000
    assert "2,000 of its tasks were published before" in farm.facts(FactKind.ALERT)[0]


def test_a_bad_row_stops_its_batch_with_file_line_and_what_was_published_before(tmp_path: Path) -> None:
    farm = Farm()
    path = json_rows(tmp_path / "r.json", bad=2_345)
    around = tick(farm, f"meta-file={path}")
    assert publish_all(around) == 2_344
    assert len(waiting(farm)) == 2_344
    [alert] = farm.facts(FactKind.ALERT)
    assert f'{path}: line 2345: "oops" is not JSON' in alert
    assert "2,344 of its tasks were published before, up to line 2,344" in alert
    assert "flowlord backload resume" in alert
    assert farm.bus.marks_like("batch:") == {}
    assert len(farm.bus.marks_like("halted:")) == 1
    assert around.counters.halted == 1


def test_a_bad_row_hinders_no_other_batch(tmp_path: Path) -> None:
    farm = Farm()
    flows = flows_of(
        {
            "f.toml": [
                {
                    "task": "bad",
                    "rule": f"cron=* * * * *&meta-file={json_rows(tmp_path / 'bad.json', bad=700)}",
                },
                {"task": "good", "rule": f"cron=* * * * *&meta-file={json_rows(tmp_path / 'good.json')}"},
            ]
        }
    )
    around = farm.daemon(flows)
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    farm.clock.advance(30)
    scheduler.decide_due()
    publish_all(around)
    assert len(waiting(farm, "good")) == ROWS
    assert len(waiting(farm, "bad")) == 699


def test_a_file_that_changes_meanwhile_stops_its_batch(tmp_path: Path) -> None:
    farm = Farm()
    path = json_rows(tmp_path / "r.json")
    batches = Batches(tick(farm, f"meta-file={path}"))
    assert batches.step() == 2_000
    json_rows(path, ROWS + 1)
    assert batches.step() == 0
    [alert] = farm.facts(FactKind.ALERT)
    assert f"{path} has changed: it was version" in alert
    assert "2,000 of its tasks were published before" in alert
    assert len(waiting(farm)) == 2_000


def test_a_file_that_goes_away_stops_its_batch_for_the_next_daemon_too(tmp_path: Path) -> None:
    farm = Farm()
    path = json_rows(tmp_path / "r.json")
    around = tick(farm, f"meta-file={path}")
    Batches(around).step()
    path.unlink()
    assert publish_all(farm.daemon(around.workflows, "d2", 2)) == 0
    [alert] = farm.facts(FactKind.ALERT)
    assert f"{path} cannot be read: No such file" in alert


def test_more_rows_than_the_limit_are_published_up_to_it_and_told(tmp_path: Path) -> None:
    farm = Farm()
    around = tick(farm, f"batch_limit=2500&meta-file={json_rows(tmp_path / 'r.json')}")
    assert publish_all(around) == 2_500
    [alert] = farm.facts(FactKind.ALERT)
    assert "it makes more than 2,500 tasks; batch_limit= in the rule allows more" in alert


def test_a_batch_of_just_its_limit_ends(tmp_path: Path) -> None:
    farm = Farm()
    around = tick(farm, f"batch_limit=3000&meta-file={json_rows(tmp_path / 'r.json')}")
    assert publish_all(around) == 3_000
    assert farm.facts(FactKind.ALERT) == []


def test_more_dates_than_the_limit_are_refused_as_a_whole() -> None:
    farm = Farm()
    around = tick(farm, "batch_limit=1000&for=-800h&by=hour&meta=n:a,b")
    assert publish_all(around) == 0
    [alert] = farm.facts(FactKind.ALERT)
    assert "more than 1000 tasks" in alert


def test_a_row_that_makes_too_large_a_task_stops_at_its_line(tmp_path: Path) -> None:
    farm = Farm()
    path = tmp_path / "r.json"
    lines = [f'{{"n": "{n}"}}\n' for n in range(1, ROWS + 1)]
    lines[1_700] = '{"n": "' + "x" * 70_000 + '"}\n'
    path.write_text("".join(lines))
    assert publish_all(tick(farm, f"meta-file={path}")) == 1_700
    [alert] = farm.facts(FactKind.ALERT)
    assert "becomes longer than 65536 bytes" in alert
    assert "1,700 of its tasks" in alert


def test_a_task_that_no_bus_carries_stops_at_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("decide.expand", "taskmaster.surroundings"):
        monkeypatch.setattr(f"flowlord.{room}.HELD", 1)
    path = tmp_path / "r.json"
    path.write_text(
        "".join(f'{{"n": "{n * size}"}}\n' for n, size in (("1", 1), ("2", 1), ("3", 60_000), ("4", 1)))
    )
    farm = Farm()
    child = {"task": "leaf", "dependsOn": "root", "rule": f"pass=p&meta-file={path}", "template": "{meta:n}"}
    around = farm.daemon(flows_of({"f.toml": [{"task": "root", "template": "x"}, child]}))
    meta = f"workflow=f.toml&p={'p' * 990_000}"
    parent = Task(type="root", info="", id="run", created="c", meta=meta, result="complete")
    farm.bus.publish([Message("done", parent, "key")])
    assert Router(around).step(0.0) == 1
    assert publish_all(around) == 2
    assert waiting(farm, "leaf") == ["1", "2"]
    [alert] = farm.facts(FactKind.ALERT)
    assert "more than 1048576" in alert


def test_children_stream_too_and_share_the_run_of_their_parent(tmp_path: Path) -> None:
    farm = Farm()
    path = json_rows(tmp_path / "r.json")
    flows = flows_of(
        {
            "f.toml": [
                {"task": "root", "rule": "cron=* * * * *", "template": "?day={yyyy}-{mm}-{dd}"},
                {
                    "task": "leaf",
                    "dependsOn": "root",
                    "rule": f"meta-file={path}",
                    "template": "{meta:n} {dd} {meta:x}",
                },
                {"task": "small", "dependsOn": "root", "template": "{dd}"},
            ]
        }
    )
    around = farm.daemon(flows)
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    farm.clock.advance(30)
    scheduler.decide_due()
    [root] = farm.work("root")
    assert Router(around).step(0.0) == 1
    assert waiting(farm, "small") == ["01"]
    assert publish_all(around) == ROWS
    found = farm.bus.claim(["leaf"], "w", 100_000)
    assert [delivery.task().info for delivery in found[:2]] == ["1 01 ", "2 01 "]
    assert {delivery.task().id for delivery in found} == {root.task().id}
    assert len({delivery.task().created for delivery in found}) == ROWS
    assert found[0].cause == f"done:{root.key}"
    assert found[7].key == dispatch_key(f"done:{root.key}:f.toml:leaf", 7)


@pytest.mark.parametrize("place", ["commit.before", "commit.checked", "commit.applied"])
def test_an_error_of_the_bus_at_any_commit_loses_and_doubles_nothing(tmp_path: Path, place: str) -> None:
    count = itertools.count()

    def fault(step: str) -> None:
        if step == place and next(count) % 3 == 2:
            raise BusUnavailable("gone for a moment")

    farm = Farm()
    around = tick(farm, f"meta-file={json_rows(tmp_path / 'r.json')}")
    farm.bus._fault = fault
    sent, batches = 0, Batches(around)
    while farm.bus.marks_like("batch:"):
        try:
            sent += batches.step()
        except BusUnavailable:
            batches = Batches(farm.daemon(around.workflows, "d2", 2))
        farm.clock.advance(2)
    assert waiting(farm) == [str(n) for n in range(1, ROWS + 1)]


def test_marks_that_are_no_batches_hinder_no_other_batch_and_are_told(tmp_path: Path) -> None:
    farm = Farm()
    around = tick(farm, f"meta-file={json_rows(tmp_path / 'r.json')}")
    recipe = next(iter(farm.bus.marks_like("recipe:").values()))
    bad = {
        "batch:a": "[0,0,-1,0,0,0,0]",
        "recipe:a": recipe.replace('"slot"', '"chosen":"x","slot"', 1),
        "batch:b": "[oops",
        "recipe:b": recipe,
        "batch:c": "[0,0,-1,0,0,0,0]",
        "recipe:c": "{",
    }
    farm.bus.commit(Plan(), marks=[Mark(key, None, text) for key, text in bad.items()])
    batches = Batches(around)
    assert sum(iter(batches.step, 0)) == ROWS
    assert {"batch:a", "batch:b", "batch:c"} <= around.health.faults().keys()
    farm.bus.commit(Plan(), marks=[Mark(key, text, None) for key, text in bad.items()])
    batches.step()
    assert not around.health.faults()
