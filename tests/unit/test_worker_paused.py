"""A worker and paused topics: their tasks wait, the others are done."""

from datetime import UTC, datetime

import pytest

from flowlord.bus.open import open_bus
from flowlord.bus.pauses import change_pauses
from flowlord.model.paused import MARK, Pause, Paused
from support.workers import Calling, await_that, drained, message, working


@pytest.fixture(params=["memory", "sqlite"])
def bus(request, tmp_path):
    opened = open_bus("memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/bus.db", by="test")
    yield opened
    opened.close()


def pause(bus, *targets):
    """Write what is paused, as `flowlord pause` does."""
    since = datetime(2026, 8, 1, tzinfo=UTC)
    pauses = Paused(tuple(Pause(target, since) for target in targets))
    assert change_pauses(bus, bus.marks([MARK]).get(MARK), pauses, ())


def waiting(bus, topic):
    return next((state.waiting for state in bus.topics() if state.topic == topic), 0)


def test_of_a_paused_topic_nothing_is_claimed_until_it_goes_on(bus):
    pause(bus, "topic:load", "f.toml")
    bus.publish([message("load", "1"), message("other", "2")])
    done = []
    handler = Calling(lambda run: done.append(run.task.info))
    with working(bus, {"load": handler, "other": handler}):
        await_that(lambda: done == ["2"])
        assert waiting(bus, "load") == 1
        pause(bus, "f.toml")
        await_that(lambda: done == ["2", "1"])


def test_a_worker_all_of_whose_topics_are_paused_goes_on_looking(bus):
    pause(bus, "topic:load")
    bus.publish([message("load", "1")])
    done = []
    with working(bus, {"load": Calling(lambda run: done.append(1))}) as running:
        await_that(lambda: bus.presences())
        assert (done, running.is_gone) == ([], False)
        pause(bus)
        await_that(lambda: done)


def test_a_worker_that_drains_ends_though_its_topic_is_paused(bus):
    pause(bus, "topic:load")
    bus.publish([message("load", "1")])
    assert drained(bus, {"load": Calling(lambda run: None)}).completed == 0
    assert waiting(bus, "load") == 1
