"""Real daemons tell what did not happen: a task that is not done in time, and a worker that vanished with one."""

import os
import signal

import pytest

from flowlord.bus.open import open_bus
from flowlord.model.plan import FactKind
from support.processes import flowlord, running, until, write
from support.redis_servers import drop_namespace, fresh_namespace, shared_server

FLOW = """
[[phase]]
task = "slow"
rule = "cron=@yearly&ttl=1s"
"""


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.full)])
def settings(request, tmp_path):
    """Where the bus is, as environment variables."""
    if request.param == "sqlite":
        yield {"FLOWLORD_BUS": f"sqlite:///{tmp_path}/.flowlord/bus.db", "FLOWLORD_NAMESPACE": "flowlord"}
        return
    server, namespace = shared_server("redis"), fresh_namespace()
    yield {"FLOWLORD_BUS": server.url, "FLOWLORD_NAMESPACE": namespace, "FLOWLORD_ACCEPT_LOSS": "true"}
    drop_namespace(namespace, [server])


def test_two_daemons_tell_once_that_a_task_is_late_and_its_worker_vanished(tmp_path, settings):
    write(tmp_path, {"workflows/a.toml": FLOW})
    bus = open_bus(
        settings["FLOWLORD_BUS"], by="test", namespace=settings["FLOWLORD_NAMESPACE"], accept_loss=True
    )

    def told(kind):
        return [fact for entry in bus.journal(0, 1_000) for fact in entry.facts if fact.kind is kind]

    lease = ("--lease", "1500ms")
    with (
        running("run", "workflows", *lease, cwd=tmp_path, env=settings) as one,
        running("run", "workflows", *lease, "--no-cache", cwd=tmp_path, env=settings) as two,
    ):
        one.says("a.toml")
        two.says("history")
        sent = flowlord("send", "slow", "x", cwd=tmp_path, env=settings)
        assert sent.code == 0, sent.err
        until(lambda: told(FactKind.LATE), "the task told to be late while it waits")
        with running(
            "worker", "--types", "slow", "--exec", "sleep 60", *lease, cwd=tmp_path, env=settings
        ) as worker:
            until(
                lambda: any(each.kind == "worker" and each.running for each in bus.presences()),
                "a worker that runs the task",
            )
            os.kill(worker.process.pid, signal.SIGKILL)
            until(lambda: told(FactKind.LOST) and told(FactKind.VANISHED), "the worker told to be lost")
        until(
            lambda: flowlord("tasks", "-o", "json", cwd=tmp_path, env=settings).data[0].get("lost"),
            "the history to know it",
        )
        assert one.end() == 0
        assert two.end() == 0
    [late], [lost], [vanished] = told(FactKind.LATE), told(FactKind.LOST), told(FactKind.VANISHED)
    assert (late.phase, late.key) == ("a.toml:slow", lost.key)
    assert "within 1s: it waits, and no worker takes tasks of slow" in late.text
    assert vanished.cause.removeprefix("process:") in lost.text
    assert {fact.text for fact in told(FactKind.ALERT)} >= {late.text, vanished.text}
    for only in ("--late", "--lost"):
        [row] = flowlord("tasks", only, "-o", "json", cwd=tmp_path, env=settings).data
        assert row["topic"] == "slow"
    bus.close()
