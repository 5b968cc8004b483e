"""A meta-file on a server that does not answer holds up its own phase, and no other."""

from __future__ import annotations

import threading

import pytest

from flowlord.bus.sqlite_place import Mount
from flowlord.model.plan import FactKind
from flowlord.storage.open import Storage
from flowlord.taskmaster.mounts import Mounts
from flowlord.taskmaster.readings import MOST_AT_ONCE, MOST_IN_ONE, Reader, Readings
from flowlord.taskmaster.scheduler import Scheduler
from support.farm import Farm
from support.flows import flows_of
from support.processes import until

FLOWS = flows_of(
    {
        "f.toml": [
            {"task": "rows", "rule": "cron=* * * * *&meta-file=s3://b/rows.json", "template": "{meta:n}"},
            {"task": "plain", "rule": "cron=* * * * *", "template": "x"},
        ]
    }
)


class Mute(Storage):
    """A bucket that answers when it is told to."""

    def __init__(self, tmp_path) -> None:
        super().__init__()
        self.answers = threading.Event()
        self.patterns: list[str] = []
        self.file = tmp_path / "rows.json"
        self.file.write_text('{"n": 1}\n{"n": 2}\n')
        self.local = Storage()

    @property
    def asked(self):
        return len(self.patterns)

    def paths(self, pattern):
        self.patterns.append(pattern)
        assert self.answers.wait(30)
        return self.local.paths(str(self.file))

    def lines(self, path, *arguments, **more):
        return self.local.lines(path, *arguments, **more)


@pytest.fixture
def farm(tmp_path):
    farm = Farm()
    farm.around = farm.daemon(FLOWS)
    farm.around.storage = farm.storage = Mute(tmp_path)
    farm.scheduler = Scheduler(farm.around, farm.around.changed, Readings(farm.around, farm.around.changed))
    farm.scheduler.decide_due()
    yield farm
    farm.storage.answers.set()


def test_other_phases_start_on_time_and_it_follows_when_its_rows_are_there(farm):
    farm.clock.advance(60)
    farm.scheduler.decide_due()
    assert len(farm.work("plain")) == 1
    farm.clock.advance(60)
    farm.scheduler.decide_due()
    assert len(farm.work("plain")) == 1
    assert (farm.work("rows"), farm.storage.asked) == ([], 1)
    farm.around.changed.clear()
    farm.storage.answers.set()
    assert farm.around.changed.wait(30)

    def started():
        farm.clock.advance(0.25)
        return farm.scheduler.decide_due()

    until(started, "the start that waited")
    infos = [delivery.task().info for delivery in farm.work("rows")]
    assert infos == ["1", "2", "1", "2"], "both instants, of what was read once"
    assert farm.storage.asked == 1
    assert farm.facts(FactKind.ALERT) == []


def test_what_was_read_long_ago_is_read_again(farm):
    readings = Readings(farm.around, farm.around.changed)
    farm.storage.answers.set()
    farm.around.changed.clear()
    assert readings.take("f.toml:rows", "s3://b/rows.json") is None
    assert farm.around.changed.wait(30)
    farm.clock.advance(61)
    farm.around.changed.clear()
    assert readings.take("f.toml:rows", "s3://b/rows.json") is None
    assert farm.around.changed.wait(30)
    assert readings.take("f.toml:rows", "s3://b/rows.json")
    assert farm.storage.asked == 2


def test_a_file_of_this_machine_is_read_at_once(farm):
    readings = Readings(farm.around, farm.around.changed)
    farm.around.storage = Storage()
    assert readings.take("f.toml:rows", str(farm.storage.file))


def test_what_hangs_takes_only_so_many_threads_and_leaves_room_for_other_folders(farm):
    readings, storage = Readings(farm.around, farm.around.changed), farm.storage
    for n in range(10 * MOST_IN_ONE):
        assert readings.take(f"f.toml:{n}", f"s3://b/in/{n}.json") is None
    assert readings.take("f.toml:other", "s3://b/other/rows.json") is None
    until(lambda: storage.asked == MOST_IN_ONE + 1, "the readings that there is room for")
    assert "s3://b/other/rows.json" in storage.patterns
    storage.answers.set()
    until(lambda: readings.take("f.toml:last", "s3://b/in/last.json"), "there is room again")
    assert storage.asked == MOST_IN_ONE + 2, "what had no room had not begun"


@pytest.mark.parametrize("where", ["/mnt/nfs", "s3://b"])
def test_what_hangs_with_many_folders_leaves_room_for_this_machine(farm, where):
    reader = Reader(farm.around, Mounts(lambda: [Mount("/mnt/nfs", "nfs4")]))
    for folder in range(2 * MOST_AT_ONCE // MOST_IN_ONE):
        for n in range(MOST_IN_ONE):
            if reader.has_room(pattern := f"{where}/{folder}/{n}.json"):
                reader.begin(pattern)
    assert not reader.has_room(f"{where}/more/rows.json")
    assert reader.has_room("/srv/rows.json")
