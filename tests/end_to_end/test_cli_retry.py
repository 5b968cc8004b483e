"""A night's work: what failed is found, understood, sent again and done, by real processes."""

import json
from pathlib import Path

from support.processes import flowlord, write

FLOW = """
[[phase]]
task = "load:users"
rule = "cron=@yearly"
[[phase]]
task = "report"
dependsOn = "load:users"
"""
BAD = ("--worker", "load=sh -c 'echo quota of 17 rows exceeded >&2; exit 1'")
GOOD = ("--worker", "load=builtin:noop", "--worker", "report=builtin:noop")


def run(here: Path, *workers: str) -> int:
    return flowlord("run", "workflows", "--once", *workers, cwd=here).code


def test_what_failed_is_found_sent_again_once_and_its_children_follow(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    for day in ("01", "02"):
        assert flowlord("send", "load:users", f"?day=2026-08-{day}", cwd=tmp_path).code == 0
    assert run(tmp_path, *BAD) == 1

    [group] = flowlord("tasks", "--failed", "--group-by", "error", "-o", "json", cwd=tmp_path).data
    assert (group["count"], group["value"]) == (2, "quota of # rows exceeded")
    assert flowlord("retry", "--failed", cwd=tmp_path).code == 6
    sent = flowlord("retry", "--failed", "-y", "--reason", "more quota", "-o", "json", cwd=tmp_path)
    assert (sent.code, [row["result"] for row in sent.data]) == (0, ["sent", "sent"])
    again = flowlord("retry", sent.data[0]["id"], "-o", "json", cwd=tmp_path)
    assert (again.code, again.data[0]["result"]) == (0, "already sent")
    assert flowlord("cancel", sent.data[1]["id"], "--reason", "not the 2nd", cwd=tmp_path).code == 0

    assert run(tmp_path, *GOOD) == 0
    found = flowlord("tasks", "-o", "json", cwd=tmp_path).data
    assert sorted((row["type"], row["state"]) for row in found) == [
        ("load", "cancelled"), ("load", "complete"), ("load", "retried"), ("load", "retried"), ("report", "complete"),
    ]  # fmt: skip
    assert flowlord("tasks", "--failed", "-o", "json", "--exit-code", cwd=tmp_path).data == []
    topics = {row["topic"]: row for row in flowlord("topics", "-o", "json", cwd=tmp_path).data}
    assert topics["retry-failed"]["waiting"] == 0
    events = flowlord("task", sent.data[0]["id"], "--events", "-o", "json", cwd=tmp_path).data
    assert any(event["text"].endswith(": more quota") for event in events)
    assert [event["event"] for event in events][-1] in ("complete", "child")
    payload = flowlord("task", sent.data[0]["id"], "--payload", cwd=tmp_path)
    assert json.loads(payload.out)["type"] == "load"
