"""Files of a group are told as started once their group has, whoever wrote down that they came."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlord.cache.decided import of_files
from flowlord.cache.fold import catch_up, fold
from flowlord.cache.seen import FileFilter, files, versions
from support.files import Watcher, put


@pytest.mark.parametrize("how", ["stored", "newer", "between"])
def test_the_first_files_of_a_group_are_told_as_started_when_it_has(tmp_path: Path, how: str) -> None:
    watcher = Watcher(
        f"files={tmp_path}/*/*.csv&count=3", f"files={tmp_path}/*/*.csv&group={{yyyy}}-{{mm}}-{{dd}}"
    )
    watcher.settle()
    history = fold(watcher.farm.bus, watcher.farm.clock)
    for number in range(8):
        put(tmp_path / "2026-08-01" / f"{number}.csv")
        watcher.farm.clock.advance(1.01)  # it is listed each second
        watcher.loop.look()
        watcher.farm.clock.advance(2.1)
        watcher.loop.look()
        if number == 3 and how == "between":
            history = fold(watcher.farm.bus, watcher.farm.clock)
    if how == "stored":
        history = fold(watcher.farm.bus, watcher.farm.clock)
    else:
        assert catch_up(history, watcher.farm.bus) == 0
    told = {Path(each.path).stem: each for each in files(history, FileFilter())}
    assert {name: each.state for name, each in told.items()} == {
        str(number): "started" if number < 6 else "counted" for number in range(8)
    }
    assert told["0"].keys == told["2"].keys != told["3"].keys == told["5"].keys
    assert set(told["0"].keys.split(",")) <= set(of_files(history, told["0"].moment))
    assert of_files(history, "2026-08-09T00") == []
    assert (told["0"].names, told["0"].tasks) == ("t0", 1)
    assert told["0"].text.endswith("counts in its group: t0 has 1 of 3; t1 has 1; its group started t0")
    [one] = versions(history, f"{tmp_path}/2026-08-01/1.csv", 9)
    assert (one.state, one.keys) == ("started", told["0"].keys)
    [last] = versions(history, f"{tmp_path}/2026-08-01/7.csv", 9)
    assert last.state == "counted"
    before = list(files(history, FileFilter(until_us=told["1"].at_us)))
    assert [(Path(each.path).stem, each.state) for each in before] == [("0", "started")]
    for _ in range(3):
        watcher.pass_time()  # the day is quiet
    catch_up(history, watcher.farm.bus)
    assert {each.state for each in files(history, FileFilter())} == {"started"}
