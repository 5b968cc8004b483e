"""Real daemons tell a real receiver what failed: once, also when there are two, one is killed, or it answers late."""

import os
import signal

import pytest

from end_to_end.test_history_process import historian_of
from support.processes import flowlord, running, until, write
from support.slack import hang_after, standing_in, status

FLOW = """
[[phase]]
task = "bad:one"
rule = "cron=@yearly"

[[phase]]
task = "good"
rule = "cron=@yearly"
"""
HANDS = ("--worker", "bad=false", "--worker", "good=true")


@pytest.fixture
def slack():
    with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
def home(tmp_path, slack):
    settings = f'[slack]\nurl = "{slack.hook}"\n'
    return write(tmp_path, {"workflows/a.toml": FLOW, "flowlord.toml": settings})


def sending_to_a_webhook(home, slack):
    settings = f'[alerts.channels.ops]\nkind = "webhook"\nurl = "{slack.root}/ops"\ntimeout = "3s"\n'
    return write(home, {"flowlord.toml": settings})


def test_a_failed_task_is_in_slack_and_tasks_that_go_well_are_not(home, slack):
    with running("run", "workflows", *HANDS, cwd=home) as daemon:
        daemon.says("alerts     slack")
        assert flowlord("send", "good", cwd=home).code == 0
        assert flowlord("send", "bad:one", "?day=2026-08-01", cwd=home).code == 0
        [told] = slack.received(atleast=1)
        assert "bad:one" in str(told)
        daemon.says("told slack: bad:one failed")
        assert daemon.end() == 0, daemon.err
    assert len(slack.received()) == 1


@pytest.mark.full  # on Redis, and with a kill, in test_alerts_redis
def test_of_two_daemons_one_tells(home, slack):
    with running("run", "workflows", cwd=home) as one, running("run", "workflows", *HANDS, cwd=home) as two:
        one.says("alerts     slack")
        assert flowlord("send", "bad:one", "--wait", cwd=home).code == 1
        slack.received(atleast=1)
        until(lambda: one.err.count("told slack") + two.err.count("told slack") == 1, "one that told it")
        assert (one.end(), two.end()) == (0, 0)
    assert len(slack.received()) == 1


def test_who_is_killed_between_a_send_and_its_mark_costs_one_copy_with_the_same_id(home, slack):
    sending_to_a_webhook(home, slack)
    slack.next(hang_after())
    with running("run", "workflows", *HANDS, cwd=home) as daemon:
        assert flowlord("send", "bad:one", cwd=home).code == 0
        slack.received(atleast=1)  # it arrived, and nobody knows
        os.kill(historian_of(daemon.process.pid), signal.SIGKILL)
        first, second = slack.received(atleast=2)
        daemon.says("told ops: bad:one failed")
        assert daemon.end() == 0, daemon.err
    assert first["json"]["id"] == second["json"]["id"]
    assert len(slack.received()) == 2


def test_a_receiver_that_is_away_holds_up_no_task_and_is_told_when_it_is_back(home, slack):
    slack.next(status(429, retry_after="1"))
    with running("run", "workflows", *HANDS, cwd=home) as daemon:
        assert flowlord("send", "bad:one", cwd=home).code == 0
        daemon.says("did not reach slack")
        assert flowlord("send", "good", "--wait", cwd=home).code == 0
        daemon.says("told slack: bad:one failed")
        assert daemon.end() == 0, daemon.err


def test_with_once_what_failed_is_told_before_it_ends(home, slack):
    write(home, {"workflows/a.toml": FLOW})
    assert flowlord("send", "bad:one", cwd=home).code == 0
    assert flowlord("run", "workflows", "--once", *HANDS, cwd=home).code == 1
    assert len(slack.received()) == 1


def test_without_a_history_alerts_are_told_all_the_same(home, slack):
    with running("run", "workflows", *HANDS, cwd=home, env={"FLOWLORD_CACHE_ENABLED": "false"}) as daemon:
        assert flowlord("send", "bad:one", cwd=home).code == 0
        slack.received(atleast=1)
        assert daemon.end() == 0, daemon.err
    assert not (home / ".flowlord" / "tasks.db").exists()


def test_a_phase_says_how_and_where_it_is_told_and_none_is_told_nowhere(home, slack):
    phases = {"quiet": "alert=none", "loud": "alert=every&alert_to=oncall", "plain": "alert_to=nobody"}
    flow = "".join(
        f'[[phase]]\ntask = "{name}"\nrule = "cron=@yearly&{rule}"\n' for name, rule in phases.items()
    )
    hooks = "".join(
        f'[alerts.channels.{name}]\nkind = "webhook"\nurl = "{slack.root}/{name}"\n'
        for name in ("ops", "oncall")
    )
    write(home, {"workflows/a.toml": flow, "flowlord.toml": hooks})
    hands = [word for name in phases for word in ("--worker", f"{name}=false")]
    with running("run", "workflows", *hands, cwd=home) as daemon:
        daemon.says("alert_to=nobody of a.toml:plain names no channel: their alerts go to ops")
        for name, messages in (("quiet", 0), ("loud", 1), ("loud", 2), ("plain", 3)):
            assert flowlord("send", name, cwd=home).code == 0
            told = slack.received(atleast=messages)
        assert daemon.end() == 0, daemon.err
    assert sorted((each["path"], each["json"]["title"]) for each in told) == [
        ("/oncall", "loud failed"), ("/oncall", "loud failed"), ("/ops", "plain failed"),
    ]  # fmt: skip
    assert len(slack.received()) == 3
