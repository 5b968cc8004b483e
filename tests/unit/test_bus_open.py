"""A bus is opened by its address."""

import os

import pytest

from flowlord.bus.open import open_bus
from flowlord.model.errors import BusUnavailable, BusUnusable, FlowlordError
from support.redis_servers import free_port


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


@pytest.mark.parametrize("address", ["sqlite:///bus.db", "memory:"])
def test_a_bus_without_namespaces_is_not_asked_for_one(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FlowlordError, match="has no namespaces") as refused:
        open_bus(address, by="me", namespace="staging")
    assert "sqlite:///.flowlord/staging.db" in refused.value.hint
    assert os.listdir(tmp_path) == []
    open_bus(address, by="me", namespace="flowlord", accept_loss=True).close()


def test_a_server_that_is_not_there_is_told_with_ways_to_go_on():
    address = f"redis://me:canary@127.0.0.1:{free_port()}"
    with pytest.raises(BusUnavailable) as refused:
        open_bus(address, by="me")
    assert "canary" not in f"{refused.value} {refused.value.hint}"
    assert address.rpartition("@")[2] in str(refused.value)
    for way in ("flowlord doctor redis", "redis-server", "sqlite:///"):
        assert way in refused.value.hint


@pytest.mark.parametrize("address", ["http://u:canary@h", "u:canary@h:1", "redis//:canary@h"])
def test_no_password_is_in_the_refusal_of_an_address(address):
    with pytest.raises(FlowlordError) as refused:
        open_bus(address, by="me")
    assert "canary" not in str(refused.value)


def test_a_folder_is_no_bus(tmp_path):
    with pytest.raises(BusUnusable, match="no regular file"):
        open_bus(f"sqlite:///{tmp_path}", by="me")


def test_who_writes_is_told_in_the_journal():
    from flowlord.model.plan import Fact, FactKind, Plan

    bus = open_bus("memory:", by="taskmaster@here")
    bus.commit(Plan(facts=(Fact(FactKind.RELOAD),)))
    assert bus.journal(0, 1)[0].by == "taskmaster@here"
