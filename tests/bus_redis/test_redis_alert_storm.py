"""A storm of failures while Slack hangs: tasks go on, people get a handful of messages, and no failure is forgotten.

`bench/alerts.py` measures the same with a hundred thousand.
"""

import threading
from contextlib import closing

import pytest

from contract.test_alerter import known
from flowlord.alert.channels import channels_of
from flowlord.alert.policy import Policy
from flowlord.bus.clock import SystemClock
from flowlord.bus.redis import RedisBus
from flowlord.model.channel import ChannelKind, ChannelSpec, SecretRef
from flowlord.model.message import Message
from flowlord.model.task import Task
from flowlord.model.workflow import Workflows
from flowlord.spec.parse import parse
from flowlord.taskmaster.alerter import Alerter
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.surroundings import Surroundings
from support.slack import hang, standing_in

FIRST, STORM, PHASES = 20, 600, 20
PATIENCE_NS = 300_000_000_000


@pytest.fixture
def slack():
    with standing_in() as stand_in:
        yield stand_in


def failed(number):
    job = f"source{number % PHASES}"
    task = Task(
        type="load", job=job, info=f"?day=2026-01-{number % 28 + 1:02}", id=f"run-{number}", result="error",
        created=f"2026-01-01T00:00:00.{number:06}Z", meta=f"workflow=storm.toml&job={job}",
        msg=f"timeout talking to the bank after {number} ms",
    )  # fmt: skip
    return Message("done", task, key=f"{number:032x}", phase=f"storm.toml:load:{job}")


def decide(bus, router, numbers):
    bus.publish([failed(number) for number in numbers])
    heard = 0
    while heard < len(numbers):
        heard += router.step(0.0)


def test_tasks_go_on_while_slack_hangs_and_a_storm_is_a_handful_of_messages(server, namespace, slack):
    text = "".join(f'[[phase]]\ntask = "load:source{n}"\nrule = "cron=@yearly"\n' for n in range(PHASES))
    flow, _ = parse(text.encode(), "storm.toml")
    clock, chance = SystemClock(), Chance(7)
    with (
        closing(RedisBus(server.url, by="router", namespace=namespace)) as bus,
        closing(RedisBus(server.url, by="alerts", namespace=namespace)) as another,
    ):
        around = Surroundings(
            bus, clock, chance, Stamps(clock, 1), "router", workflows=Workflows({"storm.toml": flow})
        )
        router = Router(around)
        spec = ChannelSpec("slack", ChannelKind.SLACK, SecretRef("u", slack.hook), limit_ns=PATIENCE_NS)
        slack.next(always=hang())
        policy = Policy(channels=("slack",), default="slack")
        alerter = Alerter(another, clock, policy, channels_of([spec], clock), "d1|1")
        decide(bus, router, range(FIRST))
        telling = threading.Thread(target=alerter.step, args=(0.0,))
        telling.start()
        slack.received(atleast=1)
        decide(bus, router, range(FIRST, FIRST + STORM))
        assert telling.is_alive()  # Slack says nothing all the while
        assert (around.counters.dead, [state.waiting for state in bus.topics() if state.topic == "done"]) in (
            (FIRST + STORM, []), (FIRST + STORM, [0]),
        )  # fmt: skip
        slack.next()
        telling.join(40)
        for _ in range(60):
            alerter.step(1.0)
            if slack.taken() and known(bus).cursor == bus.journal_bounds()[1]:
                break
        messages = slack.taken()
        assert 1 <= len(messages) <= 5
        told = [json for json in messages if "20 new alerts" in str(json)]
        assert told
        state = known(bus)
        assert sum(each.total for each in state.incidents.values()) == FIRST + STORM
        assert len(state.incidents) == PHASES
        alerter.finish()
