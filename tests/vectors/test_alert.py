"""Vectors of what is told, and how often."""

import pytest

from flowlord.alert.policy import Policy, next_wait
from flowlord.alert.words import summary
from flowlord.rules.durations import parse_duration
from flowlord.rules.moments import parse_hour
from vectors.cases import cases


@pytest.mark.parametrize("case", cases("alert_summary"))
def test_alert_summary(case):
    found = {}
    for alert in case["input"]:
        name = f"{alert['type']}:{alert['job']}" if alert["job"] else alert["type"]
        time = parse_hour(alert["time"])
        found.setdefault(name, []).append(None if time is None else int(time.timestamp()) // 3600)
    assert summary((name, len(hours), hours) for name, hours in found.items()) == case["expected"]


@pytest.mark.parametrize("case", cases("notify_backoff"))
def test_notify_backoff(case):
    def us(text):
        return parse_duration(text) // 1000

    given = case["input"]
    policy = Policy(min_us=us(given["min"]) or Policy().min_us, max_us=us(given["max"]))
    wait, waits = policy.min_us, []
    for stirred in given["new_alerts_at_poll"]:
        wait = next_wait(wait, policy, stirred=stirred)
        waits.append(wait)
    expected = case["expected"]
    assert waits == [us(text) for text in expected["wait_after_poll"]]
    assert (policy.min_us, policy.longest_us) == (
        us(expected["effective_min"]),
        us(expected["effective_max"]),
    )
