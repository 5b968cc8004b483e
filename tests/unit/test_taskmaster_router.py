"""Many results that wait: what the router does beside deciding, and what is left when that fails."""

from __future__ import annotations

import logging
import threading

import pytest

from flowlord.bus.memory import MemoryBus
from flowlord.decide.usual import Usual
from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Message
from flowlord.model.task import Task
from flowlord.taskmaster.reaper import reap
from flowlord.taskmaster.router import BATCH, LONG_NS, Router
from support.farm import CHAIN, Farm
from support.flows import flows_of

REST = 10
MANY = 2 * BATCH + REST
LEAVES = 2
"""That each result of the chain starts."""
LIMIT_S = 60


def farm_with(results: int) -> Farm:
    farm = Farm()
    farm.around = farm.daemon(flows_of(CHAIN))
    farm.bus.publish([Message("done", ended(number), f"k{number}") for number in range(results)])
    return farm


def ended(number: int) -> Task:
    return Task(
        type="root",
        info="?t=2026-01-01T00",
        id=f"r{number}",
        created=f"c{number}",
        meta="workflow=f.toml",
        result="complete",
    )


def keys(farm: Farm, topic: str) -> list[str]:
    return [found.key for found in farm.bus.peek(topic, 10 * BATCH)]


def test_one_step_hears_all_that_wait_and_all_has_landed_when_it_returns() -> None:
    farm = farm_with(MANY)
    assert Router(farm.around).step(0.0) == MANY
    assert len(set(keys(farm, "leaf"))) == LEAVES * MANY
    assert keys(farm, "done") == []
    assert farm.around.counters.done == MANY


def test_a_usual_result_that_cannot_be_decided_as_one_is_decided_as_any(monkeypatch, caplog) -> None:
    farm = farm_with(2)

    def broken(usual: Usual, *arguments: object) -> None:
        raise RecursionError("planted")

    monkeypatch.setattr(Usual, "commit", broken)
    assert Router(farm.around).step(0.0) == 2
    assert len(set(keys(farm, "leaf"))) == LEAVES * 2
    assert farm.around.counters.done == 2
    assert [record.action for record in caplog.records if record.exc_info] == ["done.unusual"] * 2


def test_usual_results_are_counted_and_told_as_all_others(monkeypatch, caplog) -> None:
    told = []
    for level in (logging.INFO, logging.WARNING):
        farm = farm_with(3)
        with caplog.at_level(level, "flowlord.router"):
            caplog.clear()
            Router(farm.around).step(0.0)
        counters = farm.around.counters
        assert (counters.done, counters.published) == (3, 3 * LEAVES)
        told.append([record.getMessage() for record in caplog.records if record.name == "flowlord.router"])
    assert told == [["root complete -> 2 more"] * 3, []]


def test_a_step_that_has_lasted_for_a_while_ends_although_more_wait(monkeypatch) -> None:
    farm = farm_with(MANY)
    claim = MemoryBus.claim

    def claimed(bus: MemoryBus, *arguments, **more):
        farm.clock.advance(LONG_NS / 1e9)
        return claim(bus, *arguments, **more)

    monkeypatch.setattr(MemoryBus, "claim", claimed)
    router = Router(farm.around)
    assert [router.step(0.0) for _ in range(3)] == [2 * BATCH, REST, 0]


def test_while_one_batch_lands_the_next_is_claimed_and_decided(monkeypatch) -> None:
    farm = farm_with(MANY)
    claim, commit = MemoryBus.claim, MemoryBus.commit_many
    third = threading.Event()
    claims: list[int] = []

    def claimed(bus: MemoryBus, *arguments, **more):
        claims.append(1)
        if len(claims) == 3:
            third.set()  # only after the second batch was taken up
        return claim(bus, *arguments, **more)

    def landed(bus: MemoryBus, commits):
        assert third.wait(LIMIT_S), "nothing was claimed while this landed"
        return commit(bus, commits)

    monkeypatch.setattr(MemoryBus, "claim", claimed)
    monkeypatch.setattr(MemoryBus, "commit_many", landed)
    assert Router(farm.around).step(0.0) == MANY
    assert len(keys(farm, "leaf")) == LEAVES * MANY


def test_what_was_claimed_ahead_goes_back_when_the_bus_fails_to_land(monkeypatch) -> None:
    farm = farm_with(MANY)
    commit = MemoryBus.commit_many
    calls: list[int] = []

    def landed(bus: MemoryBus, commits):
        calls.append(len(commits))
        if len(calls) == 1:
            raise BusUnavailable("it went away")
        return commit(bus, commits)

    monkeypatch.setattr(MemoryBus, "commit_many", landed)
    router = Router(farm.around)
    with pytest.raises(BusUnavailable, match="went away"):
        router.step(0.0)
    assert [found.state for found in farm.bus.peek("done", MANY)].count("waiting") == REST
    assert keys(farm, "leaf") == []
    farm.clock.advance(61)  # the others lapse
    while reap(farm.around):
        pass
    assert router.step(0.0) == MANY
    assert len(set(keys(farm, "leaf"))) == LEAVES * MANY
