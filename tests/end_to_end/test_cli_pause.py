"""`flowlord pause` and `resume` as people type them, and a daemon and its worker that heed them."""

from support.processes import flowlord, running, until, write

FLOW = """
[[phase]]
task = "tick:fast"
rule = "cron=* * * * * *&catchup=all"
template = "{ts}"
"""


def test_a_paused_phase_starts_nothing_until_it_goes_on(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    worker = "tick=true"
    with running("run", "workflows", "--worker", worker, cwd=tmp_path) as daemon:
        daemon.says("tick.sent", 2)
        paused = flowlord("pause", "a.toml:tick:fast", "--reason", "moving", cwd=tmp_path)
        assert (paused.code, paused.out) == (0, "")
        assert paused.err.startswith("a.toml:tick:fast is paused by ")
        [listed] = flowlord("pause", "-o", "json", cwd=tmp_path).data
        assert (listed["target"], listed["reason"], listed["until"]) == ("a.toml:tick:fast", "moving", None)
        assert flowlord("pause", "-o", "name", cwd=tmp_path).out == "a.toml:tick:fast\n"
        # What was on its way when the pause came may still start; then it is quiet for three of its seconds.
        quiet = until(lambda: _stands_still(daemon), "the ticks to stop", every_s=3.0)
        assert quiet
        resumed = flowlord("resume", "a.toml:tick:fast", cwd=tmp_path)
        assert (resumed.code, resumed.err.count("what it left out stays left out")) == (0, 1)
        daemon.says("tick.skipped")
        before = daemon.err.count("tick.sent")
        daemon.says("tick.sent", before + 2)
        assert daemon.end() == 0
    assert daemon.err.count("tick.skipped") == 1
    assert "was paused by" in daemon.err
    assert "moving" in daemon.err


_counts: dict[int, int] = {}


def _stands_still(daemon):
    """Whether no start came since this was asked last."""
    before, now = _counts.get(id(daemon)), daemon.err.count("tick.sent")
    _counts[id(daemon)] = now
    return before == now


def test_a_paused_topic_keeps_its_tasks_and_says_so(tmp_path):
    assert flowlord("send", "load", "1", cwd=tmp_path).code == 0
    assert flowlord("pause", "load", "--for", "2h", cwd=tmp_path).code == 0
    drained = flowlord("worker", "--types", "load", "--exec", "true", "--drain", cwd=tmp_path)
    assert drained.code == 0, drained.err
    [topic] = [row for row in flowlord("topics", "-o", "json", cwd=tmp_path).data if row["topic"] == "load"]
    assert topic["waiting"] == 1
    assert topic["paused"].startswith("topic:load was paused by ")
    [listed] = flowlord("pause", "-o", "json", cwd=tmp_path).data
    assert listed["until"] > listed["since"]
    assert flowlord("resume", "load", cwd=tmp_path).code == 0
    drained = flowlord("worker", "--types", "load", "--exec", "true", "--drain", cwd=tmp_path)
    assert (drained.code, flowlord("pause", "-o", "json", cwd=tmp_path).data) == (0, [])
    [topic] = [row for row in flowlord("topics", "-o", "json", cwd=tmp_path).data if row["topic"] == "load"]
    assert (topic["waiting"], topic["paused"]) == (0, None)


def test_both_print_what_they_changed_to_a_script_that_asks(tmp_path):
    write(tmp_path, {})
    [paused] = flowlord("pause", "load", "--reason", "moving", "-o", "json", cwd=tmp_path).data
    assert (paused["target"], paused["reason"], paused["until"]) == ("topic:load", "moving", None)
    [resumed] = flowlord("resume", "load", "-o", "json", cwd=tmp_path).data
    assert resumed == paused
    assert flowlord("resume", "load", "-o", "json", cwd=tmp_path).code == 5, (
        "it was never a topic of this bus"
    )


def test_what_cannot_be_paused_or_resumed_is_told(tmp_path):
    assert flowlord("send", "load", "1", cwd=tmp_path).code == 0
    unknown = flowlord("pause", "laod", cwd=tmp_path)
    assert (unknown.code, "nothing called laod is on this bus now" in unknown.err) == (0, True)
    not_paused = flowlord("resume", "load", cwd=tmp_path)
    assert (not_paused.code, "load is not paused" in not_paused.err) == (0, True)
    assert "topic:laod" in not_paused.err
    nobody = flowlord("resume", "nobody", cwd=tmp_path)
    assert (nobody.code, "nobody is not paused" in nobody.err) == (5, True)
    for length in ("soon", "-2h", "0s"):
        assert flowlord("pause", "load", f"--for={length}", cwd=tmp_path).code == 2
    assert flowlord("pause", "", cwd=tmp_path).code == 0
    assert flowlord("pause", "load", "--bus", "memory:", cwd=tmp_path).code != 0


def test_a_phase_under_a_paused_workflow_is_still_held_up_when_it_alone_goes_on(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    for target in ("a.toml", "a.toml:tick:fast"):
        assert flowlord("pause", target, cwd=tmp_path).code == 0
    resumed = flowlord("resume", "a.toml:tick:fast", cwd=tmp_path)
    assert "note: a.toml was paused by " in resumed.err
