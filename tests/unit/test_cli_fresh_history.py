"""When a reading command may answer from the history without asking a Redis bus."""

from datetime import timedelta

import pytest

from flowlord.cache.historian import Historian
from flowlord.cli import printer
from flowlord.cli.sources import FRESH_S, opened
from flowlord.cli.task import run as story
from flowlord.config import BusSettings
from support.clock import VirtualClock
from support.journal import done, journal, published

NOBODY = BusSettings(address="redis://127.0.0.1:1?connect_timeout=1")


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def historian(tmp_path, clock):
    made = Historian(tmp_path / "tasks.db", clock)
    yield made
    made.close()


def asked(historian, clock, capsys) -> bool:
    """Whether the bus, which does not answer, was asked."""
    printer._say_once.cache_clear()  # each of these is a command of its own
    with opened(NOBODY, str(historian.path), clock) as sources:
        sources.history(fresh=True)
    return "the bus cannot be asked" in capsys.readouterr().err


def test_the_bus_is_asked_unless_a_daemon_said_just_now_that_history_has_everything(historian, clock, capsys):
    assert asked(historian, clock, capsys)
    historian.caught_up(clock.now())
    assert not asked(historian, clock, capsys)
    clock.advance(FRESH_S + 0.1)
    assert asked(historian, clock, capsys)


def test_that_history_was_written_does_not_say_that_it_has_everything(historian, clock, capsys):
    historian.caught_up(clock.now() - timedelta(seconds=60))
    historian.attach("generation")
    assert asked(historian, clock, capsys)


def test_only_of_a_task_that_has_not_ended_the_bus_is_asked_for_its_story(historian, clock, capsys):
    path = str(historian.path)
    historian.attach("generation")
    for seq, (fact, asks) in enumerate(((published("k1"), True), (done("k1"), False)), 1):
        historian.follow(journal([fact], seq))
        historian.caught_up(clock.now())
        printer._say_once.cache_clear()
        assert story(NOBODY, path, "@last", clock=clock) == 0
        assert ("the bus cannot be asked" in capsys.readouterr().err) is asks
