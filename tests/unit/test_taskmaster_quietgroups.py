"""A group of files starts once for all that several daemons see of it, each on folders of its own."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from flowlord.bus.port import Presence
from flowlord.decide.group import GROUP, read_group
from flowlord.model.errors import BusUnavailable
from flowlord.rules.metastring import parse_meta
from support.farm import Farm
from support.files import Watcher, put

DAY = "2026-08-01"


class Host(Watcher):
    """A daemon that lives, and to which only one of the folders is there."""

    def __init__(self, farm: Farm, base: Path, name: str, own: str, folders: str) -> None:
        rule = "&".join(f"files={base}/{each}/*.csv" for each in folders)
        super().__init__(f"{rule}&group={{yyyy}}-{{mm}}-{{dd}}&settle=5s", farm=farm, name=name)
        self.folder, self.name = base / own, name
        self.folder.mkdir()
        self.loop._desk.refresh()
        self.loop._build()
        for root in list(self.loop._watch.roots):
            if root != f"{self.folder}/":
                del self.loop._watch.roots[root]
        self.look()

    def look(self) -> None:
        self.farm.bus.beat(Presence(self.name, "taskmaster", self.name, 1))
        self.loop.look()

    def put(self, number: int) -> Path:
        """A file comes, and is seen."""
        path = put(self.folder / f"{DAY}-{number}.csv")
        self.farm.clock.advance(1.01)  # it is listed each second
        self.look()
        return path

    def pass_time(self, seconds: float = 3.0) -> int:
        self.look()
        self.farm.clock.advance(seconds)
        self.look()
        return 0


def hosts(base: Path, folders: str = "ab") -> tuple[Farm, list[Host]]:
    farm = Farm()
    return farm, [Host(farm, base, f"host-{each}", each, folders) for each in folders]


def counts(farm: Farm) -> list[str]:
    """Take what was started; returns the number of files of each start."""
    found = farm.bus.claim(["t0"], "w", 100)
    return [parse_meta(each.task().meta)["count"][0] for each in found]


def test_a_group_waits_for_a_file_that_only_another_daemon_sees(tmp_path: Path) -> None:
    farm, (one, other) = hosts(tmp_path)
    one.put(1)
    one.pass_time(6)  # it stands still, and its group waits to be quiet
    other.put(2)
    one.pass_time(4.5)
    assert counts(farm) == [], "quiet for the one, while the other has a file to come"
    other.pass_time(1)
    one.pass_time(6)
    other.pass_time(1)
    assert counts(farm) == ["2"]
    assert [read_group(each).coming for each in farm.bus.marks_like(GROUP).values()] == [()]


@pytest.mark.parametrize("seed", range(6))
def test_five_daemons_start_one_group_once_however_they_take_turns(tmp_path: Path, seed: int) -> None:
    farm, daemons = hosts(tmp_path, "abcde")
    chance = random.Random(seed)
    for number in range(12):
        chance.choice(daemons).put(number)
        for each in chance.sample(daemons, len(daemons)):
            farm.clock.advance(chance.uniform(0, 0.6))
            each.look()
    for _ in range(12):
        for each in chance.sample(daemons, len(daemons)):
            farm.clock.advance(chance.uniform(0.2, 1))
            each.look()
    assert counts(farm) == ["12"]


def test_what_a_dead_daemon_had_to_come_is_waited_for_until_it_is_known_to_be_dead(tmp_path: Path) -> None:
    farm, (one, other) = hosts(tmp_path)
    one.put(1)
    one.pass_time(6)
    other.put(2)  # and then it is killed
    one.pass_time(30)
    assert counts(farm) == []
    for _ in range(20):
        one.pass_time(5)
    assert counts(farm) == ["1"]


def test_a_file_that_is_gone_before_it_is_complete_holds_up_nobody(tmp_path: Path) -> None:
    farm, (one, other) = hosts(tmp_path)
    one.put(1)
    one.pass_time(6)
    other.put(2).unlink()
    other.pass_time(6)
    one.pass_time(6)
    one.pass_time(6)
    assert counts(farm) == ["1"]


def test_what_came_elsewhere_counts_as_noise_also_for_one_that_takes_back_its_own_word(
    tmp_path: Path,
) -> None:
    farm, (one, other) = hosts(tmp_path)
    one.put(1)
    one.pass_time(6)
    gone = one.put(2)
    other.put(3)
    other.pass_time(6)  # it joins just now
    gone.unlink()
    for root in one.loop._watch.roots.values():
        root.next_ns = farm.clock.monotonic_ns() + 60_000_000_000  # no listing looks at what others did
    one.look()
    assert counts(farm) == []
    one.pass_time(6)
    assert counts(farm) == ["2"]


def test_a_daemon_that_ends_takes_back_what_it_said(tmp_path: Path) -> None:
    farm, (one, other) = hosts(tmp_path)
    one.put(1)
    one.pass_time(6)
    other.put(2)
    other.loop.close()
    one.pass_time(6)
    one.pass_time(6)
    assert counts(farm) == ["1"]


def test_while_it_waits_for_others_a_daemon_does_not_spin(tmp_path: Path) -> None:
    farm, (one, other) = hosts(tmp_path)
    one.put(1)
    one.pass_time(6)
    other.put(2)
    one.pass_time(6)
    assert counts(farm) == []
    next_ns = one.loop._desk.groups.next_ns()
    assert next_ns is not None
    assert next_ns > farm.clock.monotonic_ns()


def test_what_could_not_land_while_the_bus_was_away_lands_when_it_is_back_and_in_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm, (one, _) = hosts(tmp_path)
    one.put(1)
    one.put(2)
    farm.clock.advance(6)
    commit_many = farm.bus.commit_many

    def away(_commits: object) -> None:
        raise BusUnavailable("away")

    monkeypatch.setattr(farm.bus, "commit_many", away)
    with pytest.raises(BusUnavailable):
        one.loop.look()
    monkeypatch.setattr(farm.bus, "commit_many", commit_many)
    one.look()
    assert [read_group(each).files for each in farm.bus.marks_like(GROUP).values()] == [2]
    one.pass_time(6)
    assert counts(farm) == ["2"]
