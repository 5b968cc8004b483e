"""Reading commands that are given another bus than the one that the history beside them follows."""

from datetime import timedelta

import pytest

from flowlord.cache.historian import Historian
from flowlord.cache.schema import as_of
from flowlord.cli import printer
from flowlord.cli.buses import name_of
from flowlord.cli.exits import DONE
from flowlord.cli.sources import FRESH_S
from flowlord.config import BusSettings
from support.place import Place

AWAY = BusSettings(address="redis://:hunter2@127.0.0.1:1?connect_timeout=1")


@pytest.fixture(autouse=True)
def command():
    """Each of these is a command of its own: what is said once is said again."""
    printer._say_once.cache_clear()


@pytest.fixture
def here(tmp_path):
    """A folder with one task, whose history a daemon follows right now."""
    (tmp_path / "here").mkdir()
    place = Place(tmp_path / "here")
    place.send(1)
    place.follow()
    followed(place)
    yield place
    place.bus.close()


@pytest.fixture
def there(tmp_path, here):
    """The bus of another folder with two tasks, asked about in `here`."""
    (tmp_path / "there").mkdir()
    place = Place(tmp_path / "there")
    place.send(2)
    place.send(3)
    place.cache = here.cache
    yield place
    place.bus.close()


def followed(place):
    historian = Historian(place.cache, place.clock, of=name_of(place.where))
    # Ahead of the clock of the files, so that no time of a file gives it away.
    historian.caught_up(place.clock.now() + timedelta(days=36_500))
    historian.close()


def listed(place, capsys):
    assert place.tasks() == DONE
    out, err = capsys.readouterr()
    return sum("-run" in line for line in out.splitlines()), err


def test_another_bus_answers_out_of_its_own_journal_and_that_is_said(here, there, capsys):
    count, err = listed(there, capsys)
    assert count == 2
    assert "is of another bus, or of this one before it was reset" in err
    assert "this is what the journal of the bus still tells" in err
    assert listed(here, capsys) == (1, "")


def test_a_history_that_nobody_follows_any_more_is_not_taken_for_that_of_another_bus(here, there, capsys):
    historian = Historian(here.cache, here.clock)
    historian.caught_up(here.clock.now() - timedelta(seconds=FRESH_S * 2))
    historian.close()
    count, err = listed(there, capsys)
    assert count == 2
    assert "is of another bus" in err


def test_another_bus_out_of_reach_is_said_while_the_history_is_followed(here, capsys):
    here.where = AWAY
    _count, err = listed(here, capsys)
    assert "the bus cannot be asked" in err
    kept_for = f"sqlite:///{here.cache.removesuffix('tasks.db')}bus.db"
    assert f"was kept for {kept_for}" in err
    assert "which may be another bus" in err
    assert err.count("cannot be asked") == 1
    assert "hunter2" not in err


def test_the_name_of_a_bus_has_no_password_and_tells_namespaces_apart(here, monkeypatch, tmp_path):
    assert "hunter2" not in name_of(AWAY)
    assert name_of(BusSettings("unix:///r.sock?password=hunter2&db=3")) == "unix:///r.sock?db=3 flowlord"
    assert name_of(BusSettings("redis://h:1", namespace="a")) != name_of(BusSettings("redis://h:1"))
    monkeypatch.chdir(tmp_path / "here")
    assert name_of(BusSettings("sqlite:///bus.db")) == name_of(here.where)
    with open(as_of(here.cache), encoding="utf-8") as word:
        assert word.read() == name_of(here.where)
