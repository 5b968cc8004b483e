"""What a daemon hands to the workers that it hosts."""

from types import SimpleNamespace

import pytest

from flowlord.cli.run import _hosted
from flowlord.config import Settings


@pytest.mark.parametrize(
    ("address", "shared"),
    [("memory:", True), ("sqlite:////var/bus.db", True), ("redis://there:6379", False), ("unix:///r", False)],
)
def test_workers_share_the_bus_of_their_daemon_unless_it_is_a_server(monkeypatch, address, shared):
    bus, given = SimpleNamespace(address=address), []

    def build(settings, *, bus, **options):
        given.append(bus)
        return None, bus

    monkeypatch.setattr("flowlord.cli.worker.build", build)
    assert _hosted(Settings(), bus, ["extract=builtin:noop"], "", 1) is not None
    assert given == [bus if shared else None]
