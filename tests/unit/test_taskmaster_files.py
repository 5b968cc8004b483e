"""The loop that watches files, on real folders, a bus in memory and a clock that the test moves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowlord.model.errors import BusUnavailable
from flowlord.model.plan import FactKind
from flowlord.taskmaster.absent import AbsentWatch
from support.farm import Farm
from support.files import Watcher, phases, put
from support.flows import flows_of


def test_what_was_there_before_starts_nothing_and_what_comes_starts_once(tmp_path: Path) -> None:
    put(tmp_path / "old.csv")
    watcher = Watcher(f"files={tmp_path}/*.csv")
    watcher.settle()
    put(tmp_path / "new.csv")
    watcher.settle()
    assert watcher.started() == [f"{tmp_path}/new.csv"]
    watcher.settle()
    assert watcher.started() == []
    [text] = watcher.farm.facts(FactKind.SKIPPED)
    assert text.startswith("1 file was there before f.toml:t0 watched")
    assert f"flowlord files --rerun '{tmp_path}/*.csv' --execute starts what is there" in text


@pytest.mark.parametrize("how", [{"initial": "run"}, {"once": True}])
def test_when_it_is_wanted_what_was_there_before_is_started(tmp_path: Path, how: dict) -> None:
    put(tmp_path / "old.csv")
    watcher = Watcher(f"files={tmp_path}/*.csv", **how)
    watcher.settle()
    assert watcher.started() == [f"{tmp_path}/old.csv"]


def test_what_came_while_nobody_watched_is_found_at_the_start(tmp_path: Path) -> None:
    first = Watcher(f"files={tmp_path}/*.csv")
    first.settle()
    put(tmp_path / "a.csv")
    first.settle()
    assert first.started() == [f"{tmp_path}/a.csv"]
    put(tmp_path / "b.csv")
    put(tmp_path / "a.csv", "longer")
    second = Watcher(f"files={tmp_path}/*.csv", farm=first.farm, name="d-2")
    second.settle()
    assert second.started() == [f"{tmp_path}/a.csv", f"{tmp_path}/b.csv"]


def test_after_so_long_that_marks_may_be_gone_what_lies_there_is_not_started_again(tmp_path: Path) -> None:
    first = Watcher(f"files={tmp_path}/*.csv")
    first.settle()
    put(tmp_path / "a.csv")
    first.settle()
    assert first.started() == [f"{tmp_path}/a.csv"]
    first.farm.clock.advance(8 * 86_400)
    while any(first.farm.bus.sweep().values()):
        pass
    assert first.farm.bus.marks_like("file:") == {}
    second = Watcher(f"files={tmp_path}/*.csv", farm=first.farm, name="d-2")
    second.settle()
    assert second.started() == []
    assert len(first.farm.facts(FactKind.SKIPPED)) == 1


def test_marks_live_as_long_as_a_listing_sees_their_file(tmp_path: Path) -> None:
    watcher = Watcher(f"files={tmp_path}/*.csv")
    watcher.settle()
    put(tmp_path / "a.csv")
    watcher.settle()
    for _ in range(20):
        watcher.farm.clock.advance(86_400)
        watcher.settle()
        watcher.farm.bus.sweep()
    assert watcher.started() == [f"{tmp_path}/a.csv"]
    again = Watcher(f"files={tmp_path}/*.csv", farm=watcher.farm, name="d-2")
    again.settle()
    assert again.started() == []


def test_two_daemons_on_one_folder_start_each_file_once(tmp_path: Path) -> None:
    farm = Farm()
    watchers = [
        Watcher(f"files={tmp_path}/*", f"files={tmp_path}/1*", farm=farm, name="d" * n) for n in (1, 2)
    ]
    for watcher in watchers:
        watcher.settle()
    for n in range(300):
        put(tmp_path / str(n))
    for _ in range(4):
        for watcher in watchers:
            watcher.loop.look()
        farm.clock.advance(3)
    assert watchers[0].started("t0") == sorted(f"{tmp_path}/{n}" for n in range(300))
    assert watchers[0].started("t1") == sorted(
        f"{tmp_path}/{n}" for n in range(300) if str(n).startswith("1")
    )


def test_a_daemon_that_begins_while_another_has_begun_takes_nothing_new_for_old(tmp_path: Path) -> None:
    farm = Farm()
    put(tmp_path / "old")
    one, other = (Watcher(f"files={tmp_path}/*", farm=farm, name="d" * n) for n in (1, 2))
    other.loop._desk.refresh()
    other.loop._build()  # has asked, and has not listed yet
    one.settle()
    put(tmp_path / "new")
    other.settle()
    assert other.started() == [f"{tmp_path}/new"]


def test_a_file_starts_only_when_it_stands_still(tmp_path: Path) -> None:
    watcher = Watcher(f"files={tmp_path}/*.csv&settle=10s")
    watcher.settle()
    for n in range(6):
        put(tmp_path / "a.csv", "x" * (n + 1))
        watcher.pass_time(4)
    assert watcher.started() == []
    for _ in range(4):
        watcher.pass_time(4)
    assert watcher.started() == [f"{tmp_path}/a.csv"]


def test_a_file_waits_for_its_marker_however_long(tmp_path: Path) -> None:
    watcher = Watcher(f"files={tmp_path}/*.csv&marker=.done", f"files={tmp_path}/*/*.csv&marker=_SUCCESS")
    watcher.settle()
    put(tmp_path / "a.csv")
    put(tmp_path / "b.csv")
    put(tmp_path / "day" / "c.csv")
    watcher.settle()
    assert watcher.started("t0") + watcher.started("t1") == []
    put(tmp_path / "b.csv.done")
    put(tmp_path / "day" / "_SUCCESS")
    watcher.settle()
    assert watcher.started("t0") == [f"{tmp_path}/b.csv"]
    assert watcher.started("t1") == [f"{tmp_path}/day/c.csv"]


def test_groups_count_over_restarts_and_daemons(tmp_path: Path) -> None:
    farm = Farm()
    rule = f"files={tmp_path}/*/*.csv&count=4"
    one = Watcher(rule, farm=farm)
    one.settle()
    for n in range(3):
        put(tmp_path / "day" / f"{n}.csv")
    one.settle()
    assert one.started() == []
    other = Watcher(rule, farm=farm, name="d-2")
    put(tmp_path / "day" / "3.csv")
    other.settle()
    one.settle()
    assert len(other.started()) == 1


def test_a_group_starts_when_it_is_quiet_also_after_a_restart(tmp_path: Path) -> None:
    farm = Farm()
    rule = f"files={tmp_path}/*/*.csv&group={{yyyy}}-{{mm}}-{{dd}}&settle=5s"
    one = Watcher(rule, farm=farm)
    one.settle()
    for n in range(3):
        put(tmp_path / "2026-08-01" / f"{n}.csv")
    one.pass_time(4)
    one.pass_time(2)  # they stand still, the group is not quiet yet
    assert one.started() == []
    other = Watcher(rule, farm=farm, name="d-2")
    other.settle()
    one.settle()
    assert len(other.started()) == 1


def test_with_a_schedule_files_start_at_its_instants(tmp_path: Path) -> None:
    watcher = Watcher(f"files={tmp_path}/*&cron=0 * * * *")
    watcher.settle()
    put(tmp_path / "a")
    watcher.settle()
    assert watcher.started() == []
    watcher.farm.clock.advance(3600)
    watcher.farm.bus.promote()
    assert watcher.started() == [f"{tmp_path}/a"]


def test_a_schedule_whose_instant_passed_while_nobody_watched_starts_what_came(tmp_path: Path) -> None:
    rule = f"files={tmp_path}/*&cron=0 * * * *"
    first = Watcher(rule)
    first.settle()
    put(tmp_path / "a")
    first.farm.clock.advance(3600)
    second = Watcher(rule, farm=first.farm, name="d-2")
    second.settle()
    assert second.started() == [f"{tmp_path}/a"]
    put(tmp_path / "b")
    second.settle()
    assert second.started() == []


def test_a_folder_that_is_not_there_vanishes_or_comes_back_is_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    watcher = Watcher(f"files={folder}/*.csv")
    watcher.settle()
    watcher.settle()
    health = watcher.around.health
    assert list(health.faults().values()) == [f"there is no folder {folder}/ yet"]
    assert health.colour() == "yellow"
    put(folder / "a.csv")
    watcher.settle()
    assert (watcher.started(), health.colour()) == ([f"{folder}/a.csv"], "green")
    (folder / "a.csv").unlink()
    folder.rmdir()
    for _ in range(30):
        watcher.settle()
    assert list(health.faults().values()) == [f"the folder {folder}/ is gone"]
    assert watcher.farm.facts(FactKind.ALERT) == [f"files are not seen: the folder {folder}/ is gone"]


def test_a_folder_that_cannot_be_read_is_told_and_what_it_held_is_not_new_later(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.symlink_to(folder)  # what nobody can read, root neither
    watcher = Watcher(f"files={folder}/*.csv")
    watcher.settle()
    [text] = watcher.around.health.faults().values()
    assert text == f"cannot be read: {folder}/: Too many levels of symbolic links"
    folder.unlink()
    put(folder / "old.csv")
    watcher.settle()
    put(folder / "new.csv")
    watcher.settle()
    assert watcher.started() == [f"{folder}/new.csv"]
    assert watcher.around.health.colour() == "green"


def test_names_that_are_no_text_or_look_like_something_else_are_files_like_any(tmp_path: Path) -> None:
    watcher = Watcher(f"files={tmp_path}/*.csv")
    watcher.settle()
    names = ["a b.csv", "new\nline.csv", "{meta:filename}.csv", "a&b=c;d#e.csv", "x" * 250 + ".csv", "ü.csv"]
    for name in names:
        put(tmp_path / name)
    raw = os.fsencode(tmp_path) + b"/no\xfftext.csv"
    os.close(os.open(raw, os.O_CREAT | os.O_WRONLY))
    watcher.settle()
    assert watcher.started() == sorted(
        [f"{tmp_path}/{name}" for name in names] + [f"{tmp_path}/no%FFtext.csv"]
    )
    assert {seen.state for seen in watcher.told()} == {"started"}


def test_links_are_followed_to_files_below_the_root_and_nowhere_else(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out"
    put(outside / "secret.csv")
    put(folder / "deep" / "a.csv")
    watcher = Watcher(f"files={folder}/**.csv", initial="run")
    (folder / "inside.csv").symlink_to("deep/a.csv")
    (folder / "escape.csv").symlink_to(outside / "secret.csv")
    (folder / "loop").symlink_to(folder)
    (folder / "away").symlink_to(outside)
    (folder / "self.csv").symlink_to("self.csv")
    (folder / "dangling.csv").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.csv")
    watcher.settle()
    assert watcher.started() == [f"{folder}/deep/a.csv", f"{folder}/inside.csv"]


def test_a_file_that_is_gone_before_it_stands_still_is_recorded(tmp_path: Path) -> None:
    watcher = Watcher(f"files={tmp_path}/*.csv")
    watcher.settle()
    put(tmp_path / "a.csv")
    watcher.farm.clock.advance(61)
    watcher.loop.look()
    (tmp_path / "a.csv").unlink()
    watcher.settle()
    assert [(seen.path, seen.state) for seen in watcher.told()] == [(f"{tmp_path}/a.csv", "vanished")]


def test_what_matches_nothing_is_recorded_once_with_what_is_nearest(tmp_path: Path) -> None:
    put(tmp_path / "before.txt")
    watcher = Watcher(f"files={tmp_path}/*.csv")
    watcher.settle()
    put(tmp_path / "a.csv.gz")
    put(tmp_path / ".hidden")
    watcher.settle()
    again = Watcher(f"files={tmp_path}/*.csv", farm=watcher.farm, name="d-2")
    again.settle()
    assert [(seen.path, seen.state) for seen in watcher.told()] == [(f"{tmp_path}/a.csv.gz", "unmatched")]
    [text] = watcher.farm.facts(FactKind.FILE)
    assert text.endswith("which ends before '.gz'")


def test_a_file_that_lacks_the_folder_of_two_stars_is_recorded_too(tmp_path: Path) -> None:
    watcher = Watcher(f"files={tmp_path}/**/*.csv")
    watcher.settle()
    put(tmp_path / "a.csv")
    watcher.settle()
    assert [(seen.path, seen.state) for seen in watcher.told()] == [(f"{tmp_path}/a.csv", "unmatched")]
    [text] = watcher.farm.facts(FactKind.FILE)
    assert text.endswith("'**/' is one folder or more")


def test_a_changed_pattern_does_not_start_what_lies_there(tmp_path: Path) -> None:
    put(tmp_path / "a.txt")
    watcher = Watcher(f"files={tmp_path}/*.csv")
    watcher.settle()
    watcher.around.workflows = flows_of({"f.toml": phases(f"files={tmp_path}/*.csv&files={tmp_path}/*.txt")})
    watcher.settle()
    put(tmp_path / "b.txt")
    put(tmp_path / "c.csv")
    watcher.settle()
    assert watcher.started() == [f"{tmp_path}/b.txt", f"{tmp_path}/c.csv"]


def test_a_bus_that_goes_away_costs_no_file(tmp_path: Path) -> None:
    away: list[bool] = []

    def fault(step: str) -> None:
        if away:
            raise BusUnavailable("away")

    for n in range(3):
        put(tmp_path / f"old-{n}")
    watcher = Watcher(f"files={tmp_path}/*", farm=Farm(fault))
    away.append(True)
    with pytest.raises(BusUnavailable):
        watcher.loop.look()
    away.clear()
    watcher.settle()
    put(tmp_path / "new")
    watcher.farm.clock.advance(61)
    watcher.loop.look()
    watcher.farm.clock.advance(3)
    away.append(True)
    with pytest.raises(BusUnavailable):
        watcher.loop.look()
    away.clear()
    watcher.farm.clock.advance(61)
    watcher.settle()
    assert watcher.started() == [f"{tmp_path}/new"]


def test_folders_of_a_network_are_listed_as_often_as_is_set_and_that_is_told(tmp_path: Path, caplog) -> None:
    watcher = Watcher(f"files={tmp_path}/*", kind_of=lambda _: "nfs4")
    watcher.loop._watching = type(watcher.loop._watching)(poll_ns=1_000_000_000)
    watcher.settle()
    put(tmp_path / "a")
    watcher.pass_time(1)
    watcher.pass_time(3)
    assert watcher.started() == [f"{tmp_path}/a"]
    assert sum("is listed every 1 s: it lies on nfs4" in record.message for record in caplog.records) == 1


def test_files_without_end_in_one_folder_are_taken_in_portions(tmp_path: Path) -> None:
    for n in range(700):
        (tmp_path / str(n)).touch()
    watcher = Watcher(f"files={tmp_path}/*", initial="run")
    watcher.settle()
    assert len(watcher.started()) == 700


def test_a_file_that_does_not_come_in_time_is_told_once_by_two_daemons(tmp_path: Path) -> None:
    """START is 2026-03-01T12:00:30Z."""
    folder = tmp_path / "2026" / "03" / "01"
    folder.mkdir(parents=True)
    put(folder / "there.csv")  # before anybody watches: it is there, so it is not missing
    rule = f"files={tmp_path}/**/*.csv&late=13:00"
    one = Watcher(rule)
    two = Watcher(rule, farm=one.farm, name="d-2")
    watches = [AbsentWatch(each.around, 30_000_000_000) for each in (one, two)]

    def pass_by(hours: float) -> list[str]:
        for _ in range(2):
            one.farm.clock.advance(hours * 1800)
            one.settle()
            two.settle()
        for watch in watches:
            watch.step()
        return one.farm.facts(FactKind.ABSENT)

    assert pass_by(0.1) == []
    assert pass_by(1) == []
    [text] = pass_by(24)
    assert text.startswith("the file of 2026-03-02 for t0 did not come by 2026-03-02T13:00:00Z; the last one")
    assert one.farm.facts(FactKind.ALERT) == [text]
    new = tmp_path / "2026" / "03" / "03"
    new.mkdir()
    put(new / "a.csv")
    assert pass_by(24) == [text]
    assert one.started() == [str(new / "a.csv")]
    assert len(pass_by(24)) == 2


def test_a_file_that_is_renamed_starts_under_its_new_name_and_is_told_to_be_the_old_one(
    tmp_path: Path,
) -> None:
    watcher = Watcher(f"files={tmp_path}/**")
    watcher.settle()
    old = put(tmp_path / "a.csv")
    watcher.settle()
    (tmp_path / "done").mkdir()
    old.rename(tmp_path / "done" / "b.csv")
    watcher.settle()
    assert watcher.started() == [f"{tmp_path}/a.csv", f"{tmp_path}/done/b.csv"]
    text = watcher.farm.facts(FactKind.FILE)[-1]
    assert text.endswith(
        f"{tmp_path}/done/b.csv started t0; until it was renamed it was {old}, which was known"
    )


def test_a_second_name_and_another_file_of_the_same_number_are_not_told_as_renamed(tmp_path: Path) -> None:
    watcher = Watcher(f"files={tmp_path}/*")
    watcher.settle()
    first = put(tmp_path / "a")
    watcher.settle()
    os.link(first, tmp_path / "b")
    watcher.settle()
    for name in ("a", "b"):
        (tmp_path / name).unlink()
    put(tmp_path / "c", "longer")  # often gets the number that became free
    watcher.settle()
    assert watcher.started() == [f"{tmp_path}/{name}" for name in "abc"]
    assert not any("renamed" in text for text in watcher.farm.facts(FactKind.FILE))
