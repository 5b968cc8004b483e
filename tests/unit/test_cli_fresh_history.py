"""When a reading command may answer from the history without asking a Redis bus."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from flowlord.cache.historian import Historian
from flowlord.cache.schema import as_of
from flowlord.cli import printer
from flowlord.cli.sources import FRESH_S, opened
from flowlord.config import BusSettings
from support.clock import VirtualClock
from support.place import Place

NOBODY = BusSettings(address="redis://127.0.0.1:1?connect_timeout=1")


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def historian(tmp_path, clock):
    made = Historian(tmp_path / "tasks.db", clock)
    yield made
    made.close()


def asked(historian, clock, capsys, *, fresh: bool) -> bool:
    """Whether the bus, which does not answer, was asked."""
    printer._say_once.cache_clear()  # each of these is a command of its own
    with opened(NOBODY, str(historian.path), clock) as sources:
        sources.history(fresh=fresh)
    return "the bus cannot be asked" in capsys.readouterr().err


def test_the_bus_is_asked_unless_a_daemon_said_just_now_that_history_has_everything(historian, clock, capsys):
    assert asked(historian, clock, capsys, fresh=False)
    historian.caught_up(clock.now())
    assert not asked(historian, clock, capsys, fresh=False)
    clock.advance(FRESH_S + 0.1)
    assert asked(historian, clock, capsys, fresh=False)


def test_the_bus_is_asked_for_what_was_sent_a_moment_ago_even_if_a_daemon_was_there_just_now(
    historian, clock, capsys
):
    historian.caught_up(clock.now())  # and killed right after it
    assert asked(historian, clock, capsys, fresh=True)


def test_that_history_was_written_does_not_say_that_it_has_everything(historian, clock, capsys):
    historian.caught_up(clock.now() - timedelta(seconds=60))
    historian.attach("generation")
    assert asked(historian, clock, capsys, fresh=False)


@pytest.mark.parametrize("word", ["none", "from before"])
def test_what_was_told_while_the_history_wrote_something_else_is_read_from_the_bus(tmp_path, word):
    place = Place(tmp_path)
    place.send(1)
    place.follow()
    if word == "from before":
        before_ns = (tmp_path / "bus.db").stat().st_mtime_ns - 1_000_000_000
        word_of(place).touch()
        os.utime(word_of(place), ns=(before_ns, before_ns))
    place.send(2)
    place.bus.close()
    now_ns = (tmp_path / "bus.db").stat().st_mtime_ns
    os.utime(place.cache, ns=(now_ns + 5_000_000_000,) * 2)  # its last step ended behind the second message
    with opened(place.where, place.cache, place.clock) as sources:
        history = sources.history(fresh=True)
        assert {each.id for each in history.newer.values()} == {"00000002-run"}


def test_a_bus_that_was_not_written_since_the_history_had_everything_is_not_asked(tmp_path):
    place = Place(tmp_path)
    place.send(1)
    place.follow()
    place.bus.close()
    word_of(place).touch()
    later_ns = (tmp_path / "bus.db").stat().st_mtime_ns + 5_000_000_000
    for file in (place.cache, word_of(place)):
        os.utime(file, ns=(later_ns, later_ns))
    with opened(place.where, place.cache, place.clock) as sources:
        assert not sources.history(fresh=True).newer
        assert sources._bus is None


def word_of(place) -> Path:
    return Path(as_of(place.cache))
