"""What is no task is set aside with its reason, and everything else goes on."""

import pytest

from support.processes import flowlord, running, slip_in, until, write

FLOW = """
[[phase]]
task = "good"
rule = "cron=@yearly"
"""


def reported(home) -> int:
    """How many results wait on the done topic."""
    states = flowlord("topics", "-o", "json", cwd=home).data
    return sum(row["waiting"] for row in states if row["topic"] == "done")


POISON = {
    "no JSON": (b"\xff\xfe not a task", "not JSON"),
    "a list": (b'["type"]', "array"),
    "a wrong type": (b'{"type": 5, "info": ""}', "not a string"),
    "an unknown result": (b'{"type": "good", "info": "", "result": "splendid"}', "splendid"),
    "nested beyond measure": (b"[" * 100_000, "recursion"),
}


def quarantined(home) -> list[dict]:
    found = flowlord("topics", "peek", "quarantine", "-o", "json", cwd=home)
    assert found.code == 0, found.err
    return found.data


@pytest.mark.parametrize(("payload", "reason"), POISON.values(), ids=POISON)
def test_poison_among_the_results_goes_to_quarantine_and_the_loop_goes_on(tmp_path, payload, reason):
    write(tmp_path, {"workflows/a.toml": FLOW})
    with running("run", "workflows", "--worker", "good=builtin:noop", cwd=tmp_path) as daemon:
        daemon.says("a.toml was loaded")
        slip_in(tmp_path / ".flowlord" / "bus.db", "done", payload)
        daemon.says("quarantined")
        sent = flowlord("send", "good", "--wait", cwd=tmp_path)
        assert sent.code == 0, sent.err
        assert daemon.end() == 0
        assert "Traceback" not in daemon.err
    [found] = quarantined(tmp_path)
    assert reason in found["cause"]
    assert found["origin"] == "done"
    table = flowlord("topics", "peek", "quarantine", cwd=tmp_path)
    assert reason in table.out


def test_poison_for_a_worker_goes_to_quarantine_and_the_worker_goes_on(tmp_path):
    assert flowlord("send", "good", "first", cwd=tmp_path).code == 0
    slip_in(tmp_path / ".flowlord" / "bus.db", "good", b"{")
    assert flowlord("send", "good", "second", cwd=tmp_path).code == 0
    with running("worker", "--types", "good", "--exec", "true", cwd=tmp_path) as worker:
        until(lambda: quarantined(tmp_path), "the poison in quarantine")
        until(lambda: reported(tmp_path) == 2, "both good tasks reported")
        assert worker.end() == 0
    [found] = quarantined(tmp_path)
    assert found["origin"] == "good"
