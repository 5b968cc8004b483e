"""A folder with a bus, a history that follows it, and a clock, for commands that are called in this process."""

from datetime import UTC, datetime

import msgspec

from flowlord.bus.open import open_bus
from flowlord.bus.port import Presence
from flowlord.cache.historian import Historian
from flowlord.cli import task as task_command
from flowlord.cli import tasks
from flowlord.cli.printer import FORMS, Look
from flowlord.cli.taskfilter import Chosen
from flowlord.config import BusSettings
from flowlord.decide.context import Context
from flowlord.decide.done import Done, on_done
from flowlord.model.message import Message
from flowlord.model.task import Task
from flowlord.model.workflow import Phase, Rule, Workflow, Workflows
from support.clock import VirtualClock

EVIL = "\x1b]0;owned\x07 a\tb\nc \u202edcba =1+1"
PHASES = (
    Phase(
        "daily.toml",
        "extract",
        "users",
        name="extract:users",
        retry=1,
        rule=Rule(retry_delay_ns=30_000_000_000),
    ),
    Phase("daily.toml", "load", "users", name="load:users", parent="extract", template="{meta:x}"),
)
FLOWS = Workflows({"daily.toml": Workflow("daily.toml", PHASES, "4f1c2ab")})


class Place:
    """A folder with a bus, a history that follows it, and a clock."""

    def __init__(self, folder):
        self.clock = VirtualClock(datetime(2026, 8, 1, 12, tzinfo=UTC))
        self.where = BusSettings(f"sqlite:///{folder / 'bus.db'}")
        self.cache = str(folder / "tasks.db")
        self._bus = None
        self.forms = [Look(form) for form in FORMS]

    @property
    def bus(self):
        if self._bus is None:
            self._bus = open_bus(self.where.address, by="test", clock=self.clock)
        return self._bus

    def send(self, n, info="s3://in", topic="extract", **more):
        task = Task(
            type=topic, job="users", info=info, id=f"{n:08x}-run", created=f"2026-08-01T12:00:00.{n:06}Z",
            meta="workflow=daily.toml&job=users&cron=2026-08-01T00",
        )  # fmt: skip
        self.bus.publish(
            [
                Message(
                    topic,
                    task,
                    f"{n:032x}",
                    phase=f"daily.toml:{topic}:users",
                    cause=f"tick:{n}",
                    revision="4f1c2ab",
                    **more,
                )
            ]
        )

    def work(self, result="complete", msg="", topic="extract"):
        for delivery in self.bus.claim([topic], "w1", 1):
            began = self.clock.now()
            self.clock.advance(2)
            ended = msgspec.structs.replace(
                delivery.task(),
                started=began.isoformat(),
                ended=self.clock.now().isoformat(),
                result=result,
                msg=msg,
            )
            reported = Done(ended, delivery.key, delivery.phase, delivery.revision, delivery.cause)
            plan = on_done(reported, FLOWS, Context(now=self.clock.now(), failed_topic="retry-failed"))
            self.bus.commit(plan, acknowledge=[delivery])

    def follow(self):
        historian = Historian(self.cache, self.clock)
        historian.attach(self.bus.generation())
        while entries := self.bus.journal(historian.cursor(), 100):
            historian.follow(entries)
        historian.close()

    def beat(self, name, **more):
        self.bus.beat(Presence(name, "worker", "host", 7, ("extract",), 4, started_us=1, **more))

    def tasks(self, look=None, **asked):
        chosen = {name: asked.pop(name) for name in list(asked) if name in Chosen.__struct_fields__}
        question = tasks.Question(Chosen(**chosen), look=look or Look(), **asked)
        return tasks.run(self.where, self.cache, question, clock=self.clock)

    def task(self, what, look=None):
        return task_command.run(self.where, self.cache, what, look=look, clock=self.clock)
