"""A bus is opened by its address."""

import os

import pytest

from flowlord.bus.open import open_bus
from flowlord.model.errors import BusUnusable, FlowlordError


def test_memory_opens_a_bus_of_its_own():
    one, two = open_bus("memory:", by="me"), open_bus("memory:", by="me")
    assert one.address == "memory:"
    assert one.generation() != two.generation()


def test_three_slashes_are_a_relative_path_and_four_an_absolute_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    relative = open_bus("sqlite:///state/bus.db", by="me")
    absolute = open_bus(f"sqlite:///{tmp_path}/state/bus.db", by="me")
    assert relative.address == absolute.address == f"sqlite:///{tmp_path}/state/bus.db"
    assert relative.generation() == absolute.generation()
    relative.close()
    absolute.close()
    assert os.listdir(tmp_path) == ["state"]


@pytest.mark.parametrize(
    "address",
    ["", "bus.db", "sqlite:", "sqlite://bus.db", "sqlite:///", "memory:x", "memory", "http://a", "file:///a"],
)
def test_another_address_is_refused_with_the_forms_that_are_allowed(address):
    with pytest.raises(FlowlordError) as refused:
        open_bus(address, by="me")
    assert repr(address) in str(refused.value)
    for form in ("sqlite:///relative/path.db", "sqlite:////absolute/path.db", "memory:"):
        assert form in refused.value.hint


@pytest.mark.parametrize(
    "address", ["redis://localhost", "rediss://h:1/0", "unix:///run/redis.sock", "valkey://h"]
)
def test_a_redis_address_is_told_to_come_later(address):
    with pytest.raises(FlowlordError, match="later release"):
        open_bus(address, by="me")


def test_a_folder_is_no_bus(tmp_path):
    with pytest.raises(BusUnusable, match="no regular file"):
        open_bus(f"sqlite:///{tmp_path}", by="me")


def test_who_writes_is_told_in_the_journal():
    from flowlord.model.plan import Fact, FactKind, Plan

    bus = open_bus("memory:", by="taskmaster@here")
    bus.commit(Plan(facts=(Fact(FactKind.RELOAD),)))
    assert bus.journal(0, 1)[0].by == "taskmaster@here"
