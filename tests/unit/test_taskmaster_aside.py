"""A meta-file that does not answer, on a mount that hangs or in a bucket, holds up what needs it and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Message
from flowlord.model.plan import FactKind
from flowlord.model.task import Task
from flowlord.storage.open import Storage
from flowlord.taskmaster import filestarts, readings
from flowlord.taskmaster.batches import Batches
from flowlord.taskmaster.drivers import Drivers
from flowlord.taskmaster.notices import NoticeLoop
from flowlord.taskmaster.readings import Readings
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.scheduler import Scheduler
from support.farm import Farm
from support.files import Watcher, put
from support.flows import flows_of
from support.processes import until

BUCKET, MOUNT = "s3://b/rows.json", "/mnt/far/rows.json"


class Hanging(Storage):
    """A storage whose meta-files far away are read as soon as they are let go, in the state in which they are then."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.rows = put(folder / "rows-of-it.json", '{"n": 1}\n{"n": 2}\n')
        self.asked: list[str] = []
        self.answers = threading.Event()
        self._near = Storage()

    def paths(self, pattern: str) -> Any:
        if pattern in (BUCKET, MOUNT):
            self.asked.append(pattern)
            assert self.answers.wait(60)
            pattern = str(self.rows)
        return self._near.paths(pattern)

    def lines(self, path: str, *arguments: Any, **more: Any) -> Any:
        if path == str(self.rows):
            assert self.answers.wait(60)
        return self._near.lines(path, *arguments, **more)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "PATIENCE_S", 0.02)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Hanging]:
    storage = Hanging(tmp_path)
    yield storage
    storage.answers.set()


def watching(far: Hanging, *rules: str, farm: Farm | None = None, name: str = "d1") -> Watcher:
    watcher = Watcher(*rules, farm=farm, name=name)
    watcher.around.storage = far
    watcher.settle()
    return watcher


def started_in_the_end(watcher: Watcher, topic: str, count: int) -> list[str]:
    """Let the loop go on until so many tasks of a topic came; returns the infos."""
    got: list[str] = []

    def there() -> bool:
        watcher.pass_time(0.3)
        got.extend(watcher.started(topic))
        return len(got) >= count

    until(there, f"{count} tasks of {topic}")
    return got


@pytest.mark.parametrize("where", [BUCKET, MOUNT])
def test_a_file_whose_rows_do_not_come_holds_up_no_other_file_and_no_other_phase(
    far: Hanging, tmp_path: Path, where: str
) -> None:
    watcher = watching(
        far, f"files={tmp_path}/*.csv&meta-file={where}", f"files={tmp_path}/*.csv", f"files={tmp_path}/*.txt"
    )
    put(tmp_path / "a.csv")
    watcher.settle()
    put(tmp_path / "b.txt")
    watcher.settle()
    assert watcher.started("t1") == [f"{tmp_path}/a.csv"]
    assert watcher.started("t2") == [f"{tmp_path}/b.txt"]
    assert watcher.started("t0") == []
    for _ in range(40):  # two listings a minute and more find the same file again
        watcher.pass_time(10)
    assert len(far.asked) <= 2, "nor does it ask again and again"
    far.answers.set()
    assert started_in_the_end(watcher, "t0", 2) == [f"{tmp_path}/a.csv"] * 2
    watcher.settle()
    assert (watcher.started("t0"), watcher.started("t1")) == ([], []), "each once"
    assert {each.state for each in watcher.told() if each.path.endswith("a.csv")} == {"started"}


def test_what_is_read_in_a_moment_starts_in_the_same_step(far: Hanging, tmp_path: Path) -> None:
    far.answers.set()
    near = put(tmp_path / "near.json", '{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    watcher = watching(far, f"files={tmp_path}/*.csv&meta-file={near}")
    put(tmp_path / "a.csv")
    assert len(started_in_the_end(watcher, "t0", 3)) == 3


def test_a_version_that_comes_meanwhile_takes_the_place_of_the_one_before(
    far: Hanging, tmp_path: Path
) -> None:
    watcher = watching(far, f"files={tmp_path}/*.csv&meta-file={BUCKET}")
    put(tmp_path / "a.csv", "1", ns=10**18)
    watcher.settle()
    put(tmp_path / "a.csv", "22", ns=10**18 + 1)
    watcher.settle()
    far.answers.set()
    assert len(started_in_the_end(watcher, "t0", 2)) == 2
    watcher.settle()
    assert watcher.started("t0") == []
    assert {each.size for each in watcher.told()} == {2}


def test_a_bus_that_is_away_when_the_rows_come_costs_no_file(
    far: Hanging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filestarts, "PORTION", 2)
    watcher = watching(far, f"files={tmp_path}/*.csv&meta-file={BUCKET}")
    for n in range(5):
        put(tmp_path / f"{n}.csv")
    watcher.settle()
    real, failures = watcher.farm.bus.commit_many, [BusUnavailable("away")]

    def failing(commits: Any) -> Any:
        if failures and any(commit.plan.publish for commit in commits):
            raise failures.pop()
        return real(commits)

    monkeypatch.setattr(watcher.farm.bus, "commit_many", failing)
    far.answers.set()

    def failed() -> bool:
        try:
            watcher.pass_time(0.3)
        except BusUnavailable:
            return True
        return False

    until(failed, "the outage")
    got = started_in_the_end(watcher, "t0", 10)
    assert sorted(got) == sorted([f"{tmp_path}/{n}.csv" for n in range(5)] * 2)
    watcher.settle()
    assert watcher.started("t0") == []


def test_more_files_than_there_is_room_for_are_looked_at_again(
    far: Hanging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filestarts, "MOST_ASIDE", 2)
    watcher = watching(far, f"files={tmp_path}/*.csv&meta-file={BUCKET}")
    for n in range(5):
        put(tmp_path / f"{n}.csv")
    watcher.settle()
    far.answers.set()
    got = started_in_the_end(watcher, "t0", 10)
    assert sorted(got) == sorted([f"{tmp_path}/{n}.csv" for n in range(5)] * 2)


def test_a_group_whose_rows_do_not_come_holds_up_no_other_group(far: Hanging, tmp_path: Path) -> None:
    group = "group={yyyy}-{mm}-{dd}"
    watcher = watching(
        far, f"files={tmp_path}/*.csv&{group}&meta-file={MOUNT}", f"files={tmp_path}/*.txt&{group}"
    )
    for name in ("2026-08-01-a.csv", "2026-08-01-b.csv", "2026-08-01-a.txt", "2026-08-01-b.txt"):
        put(tmp_path / name)
    watcher.settle()
    watcher.settle()
    assert len(watcher.started("t1")) == 1
    assert watcher.started("t0") == []
    far.answers.set()
    assert len(started_in_the_end(watcher, "t0", 2)) == 2
    watcher.settle()
    assert watcher.started("t0") == [], "both files in one group, with its two rows"


def test_a_notice_whose_rows_do_not_come_keeps_its_lease_and_holds_up_no_other(far: Hanging) -> None:
    farm = Farm()
    flows = flows_of(
        {
            "f.toml": [
                {"task": "rows", "rule": f"files=gs://b/*.csv&meta-file={BUCKET}", "template": "{meta:n}"},
                {"task": "plain", "rule": "files=gs://b/*.txt", "template": "{meta:file}"},
            ]
        }
    )
    around = farm.daemon(flows)
    around.storage = far
    loop = NoticeLoop(around, "files")

    def tell(name: str) -> None:
        notice = f'{{"path": "gs://b/{name}", "size": 3, "checksum": "v"}}'
        farm.bus.publish([Message("files", Task(type="files", info=notice), f"n-{name}")])

    tell("a.csv")
    tell("b.txt")
    loop.step(0.0)
    assert [each.task().info for each in farm.work("plain")] == ["gs://b/b.txt"]
    for _ in range(10):
        farm.clock.advance(20)
        loop.step(0.0)
    assert farm.work("rows") == []
    assert [each.state for each in farm.bus.peek("files", 10)] == ["running"]
    far.answers.set()
    got: list[str] = []

    def landed() -> bool:
        loop.step(0.0)
        got.extend(each.task().info for each in farm.work("rows"))
        return len(got) == 2

    until(landed, "the rows")
    assert got == ["1", "2"]
    assert farm.bus.peek("files", 10) == []
    tell("c.csv")
    far.answers.clear()
    loop.step(0.0)
    loop.close()
    [back] = farm.bus.claim(["files"], "d2", 10)
    assert back.deliveries == 1, "given back at the end, and no crash counted"


def test_a_mount_that_hangs_holds_up_its_schedules_only(far: Hanging) -> None:
    farm = Farm()
    rule = f"cron=* * * * *&meta-file={MOUNT}"
    far_ones: list[dict[str, Any]] = [
        {"task": f"rows:{n}", "rule": rule, "template": "{meta:n}"} for n in range(20)
    ]
    around = farm.daemon(flows_of({"f.toml": [*far_ones, {"task": "plain", "rule": "cron=* * * * *"}]}))
    around.storage = far
    scheduler = Scheduler(around, around.changed, Readings(around, around.changed))
    scheduler.decide_due()
    farm.clock.advance(60)
    scheduler.decide_due()
    assert len(farm.work("plain")) == 1
    assert farm.work("rows") == []
    far.answers.set()
    got: list[str] = []

    def landed() -> bool:
        farm.clock.advance(0.25)
        scheduler.decide_due()
        got.extend(each.task().info for each in farm.work("rows"))
        return len(got) == 40

    until(landed, "the starts that waited")
    assert farm.facts(FactKind.ALERT) == []


def test_only_the_first_of_what_hangs_is_waited_for(far: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "PATIENCE_S", 1_000.0)
    farm = Farm()
    around = farm.daemon(flows_of({}))
    around.storage = far
    reader = readings.Reader(around)
    reader._slow.append(readings.Reading())  # something on this machine did not come in time
    assert reader.patiently(reader.begin(MOUNT), MOUNT) is None, "nor is anything else waited for then"
    reader._slow.clear()
    assert reader.patiently(reader.begin(BUCKET), BUCKET) is None, "what is far away is never waited for"


def test_a_mount_that_hangs_holds_up_the_results_that_need_it_only(far: Hanging) -> None:
    farm = Farm()
    around = farm.daemon(
        flows_of(
            {
                "f.toml": [
                    {"task": "wide", "template": "x"},
                    {
                        "task": "row",
                        "dependsOn": "wide",
                        "rule": f"meta-file={MOUNT}",
                        "template": "{meta:n}",
                    },
                    {"task": "narrow", "template": "x"},
                    {"task": "leaf", "dependsOn": "narrow", "template": "leaf"},
                ]
            }
        )
    )
    around.storage = far
    router = Router(around)

    def report(type_: str, number: int) -> None:
        about = f"{type_}-{number}"
        task = Task(type=type_, info="x", id=about, created=about, meta="workflow=f.toml", result="complete")
        farm.bus.publish([Message("done", task, f"key-{about}")])

    for number in range(5):
        report("wide", number)
        report("narrow", number)
        router.step(0.0)
        assert len(farm.work("leaf")) == 1
    assert far.asked == [MOUNT], "what hangs is asked once, however many wait for it"
    far.answers.set()
    got: list[str] = []

    def landed() -> bool:
        router.step(0.0)
        got.extend(each.task().info for each in farm.work("row"))
        return len(got) == 10

    until(landed, "the rows")
    assert got == ["1", "2"] * 5
    assert len(far.asked) == 2, "those that came while it was read share one reading after it"


def test_a_large_batch_whose_file_hangs_holds_up_no_other_batch(
    far: Hanging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowlord.decide.expand.HELD", 10)
    monkeypatch.setattr("flowlord.taskmaster.surroundings.HELD", 10)
    far.rows.write_text("".join(f'{{"n": {n}}}\n' for n in range(20)))
    near = put(tmp_path / "near.json", far.rows.read_text())
    farm = Farm()
    rules = {"far": MOUNT, "near": str(near)}
    around = farm.daemon(
        flows_of(
            {
                "f.toml": [
                    {"task": name, "rule": f"cron=* * * * *&meta-file={where}", "template": "{meta:n}"}
                    for name, where in rules.items()
                ]
            }
        )
    )
    around.storage = far
    scheduler = Scheduler(around, around.changed)
    scheduler.decide_due()
    far.answers.set()
    farm.clock.advance(60)
    scheduler.decide_due()
    far.answers.clear()
    assert len(farm.bus.marks_like("batch:")) == 2
    batches = Batches(around, patience_s=0.05)
    got: list[str] = []

    def landed(topic: str) -> Callable[[], bool]:
        def look() -> bool:
            assert batches.step() > 0 or not farm.bus.marks_like("batch:")
            got.extend(each.task().info for each in farm.work(topic))
            return len(got) == 20

        return look

    until(landed("near"), "the batch that can be read")
    assert farm.work("far") == []
    got.clear()
    far.answers.set()
    until(landed("far"), "the batch that hung")
    assert got == [str(n) for n in range(20)]
    assert batches.step() == 0


def test_an_error_of_the_bus_in_a_step_that_runs_aside_is_raised_where_it_is_waited_for() -> None:
    drivers = Drivers(patience_s=40.0)

    def fails() -> int:
        raise BusUnavailable("away")

    with pytest.raises(BusUnavailable, match="away"):
        drivers.run({"a": fails, "b": lambda: 3})
    assert drivers.run({"a": lambda: 1, "b": lambda: 2}) == 3
