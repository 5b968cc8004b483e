"""Who only looks changes nothing: reading commands in a namespace that nobody has ever used."""

import json
import subprocess
import sys

import pytest

from flowlord.bus.ends import journal_end
from flowlord.bus.open import open_bus
from flowlord.bus.redis import RedisBus
from flowlord.cli.catalogue import SECTIONS
from flowlord.model.errors import BusMissing, BusUnavailable
from flowlord.model.message import Message
from flowlord.model.task import Task

LOOKING = [
    *([word] for word in SECTIONS["Look"]),
    ["task", "@last"], ["why", "@failed"], ["trace", "@last"], ["topics", "peek", "load"], ["tasks", "--failed"],
    ["next", "one.toml"], ["pause"], ["doctor"], ["cache", "status"], ["notify"], ["cancel", "--topic", "load"],
]  # fmt: skip
ALL = """
import json, os, sys
from flowlord.cli.main import main
os._exit = sys.exit
for words in json.loads(sys.argv[1]):
    sys.argv = ["flowlord", *words]
    try:
        main()
    except SystemExit:
        pass
"""


def test_no_command_that_looks_begins_a_bus(server, namespace, cli, tmp_path):
    (tmp_path / "one.toml").write_text('[[phase]]\ntask = "extract"\nrule = "cron=0 0 1 * * *"\n')
    variables = {"FLOWLORD_BUS": server.url, "FLOWLORD_NAMESPACE": namespace, "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ALL, json.dumps(LOOKING)], cwd=tmp_path, env=variables, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert f"there is no bus in the namespace {namespace} of {server.url} yet" in done.stderr
    assert cli("KEYS", "{}:*").split() == []
    assert done.returncode == 0, done.stderr


def test_a_bus_that_is_not_to_be_made_is_missing_and_one_that_is_there_is_used(server, namespace):
    with pytest.raises(BusMissing, match=namespace):
        open_bus(server.url, by="look", namespace=namespace, accept_loss=True, make=False)
    RedisBus(server.url, namespace=namespace).close()
    open_bus(server.url, by="look", namespace=namespace, accept_loss=True, make=False).close()


def test_where_a_journal_ends_is_told_as_the_open_bus_tells_it(server, namespace, tmp_path):
    for address, name in ((server.url, namespace), (f"sqlite:///{tmp_path}/a b%3f.db", "flowlord")):
        assert journal_end(address, name) is None
        bus = open_bus(address, by="t", namespace=name)
        assert journal_end(address, name) == (bus.generation(), 0)
        bus.publish([Message("load", Task(type="load", info=""), key="k")])
        assert (
            journal_end(address, name) == (bus.generation(), bus.journal_bounds()[1]) != (bus.generation(), 0)
        )
        bus.close()
    assert journal_end("memory:", "flowlord") is None
    (tmp_path / "text.db").write_text("no database at all, but long enough to look at its head" * 9)
    assert journal_end(f"sqlite:///{tmp_path}/text.db", "flowlord") is None
    with pytest.raises(BusUnavailable, match=r"127\.0\.0\.1:1"):
        journal_end("redis://:hunter2@127.0.0.1:1?connect_timeout=1", "flowlord")
