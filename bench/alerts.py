"""Alerts on Redis: what a storm of failures costs those who are told, and what it and a Slack that hangs cost tasks.

PYTHONPATH=src:tests python bench/run.py redis.alerts
"""

from __future__ import annotations

import gc
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median

from chain import flowlord, running
from given import INFO, TIMES, fill
from pickup import at, latencies
from server import Server, emptied
from table import Row, alternately, medians

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.bus.port import Bus
from flowlord.cache.historian import Historian
from flowlord.cli.alerting import alerter_of
from flowlord.cli.historian import beside as process_beside
from flowlord.config.settings import AlertSettings, BusSettings, CacheSettings, Settings
from flowlord.model.channel import ChannelKind, ChannelSpec, SecretRef
from flowlord.model.message import Message, Report
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.model.task import Task
from flowlord.taskmaster.alerter import Alerter
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.chronicle import SUBJECT
from flowlord.taskmaster.follower import Follower
from flowlord.taskmaster.reload import Reloader
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.surroundings import Surroundings
from support.slack import StandIn, hang, standing_in

STORM = 100_000
MESSAGES = 10
TASKS = 10_000
PHASES = 20
PAIRS = 5
SAMPLES = 60
SEED = 1
LEAST = 0.95
"""Of the throughput without a channel; what differs by less is the machine's own noise."""
MOST = 1.1
"""Times the pick-up without a channel."""
RATE_GOAL = 10_000
"""Failures a second: more than a taskmaster decides."""
LIMIT_S = 120.0
LOOK_S = 0.05


def redis_rows(server: Server, storm: int = STORM, tasks: int = TASKS) -> list[Row]:
    """Measure on this server; whoever is compared with each other runs in turn."""
    logging.getLogger("flowlord").setLevel(logging.CRITICAL)  # each failure would be a line
    with standing_in() as slack:
        found = [*_storm(server, slack, storm)]
        slack.next(always=hang())
        hangs = _settings(slack)

        def rate(alerts: AlertSettings) -> float:
            with emptied(server.port), tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
                return decide(server, Path(folder), tasks, alerts)

        ours, floor, ratio = medians(alternately(lambda: rate(hangs), lambda: rate(AlertSettings()), PAIRS))
        found.append(
            Row("failures decided while Slack hangs, without a channel", f"{ours:,.0f}/s", f"{floor:,.0f}/s",
                f"{ratio:.2f}", f">= {LEAST}", ratio >= LEAST)
        )  # fmt: skip
        mine, bare = _pickups(server, slack)
        ratio = median(mine) / median(bare)
        for name, share in (("median", 0.5), ("99 of 100", 0.99)):
            goal = (f"<= {MOST}", ratio <= MOST) if share == 0.5 else ("", None)
            told = f"{at(mine, share):.2f} ms", f"{at(bare, share):.2f} ms"
            found.append(
                Row(
                    f"pick-up while Slack hangs, without a channel, {name}",
                    *told,
                    f"{at(mine, share) / at(bare, share):.2f}",
                    *goal,
                )
            )
    return found


def _storm(server: Server, slack: StandIn, failures: int) -> Iterator[Row]:
    """Decide many failures, then count what a Slack that is well was told of them, and what following them costs."""
    with emptied(server.port), tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        bus = open_bus(server.url, by="bench", accept_loss=True)
        try:
            alerter = alerter_of(bus, SystemClock(), _settings(slack), "", "bench|1", lambda text: None)
            bus.commit(Plan(facts=(Fact(FactKind.ALERT, text="the first one loads what sends"),)))
            _follow(alerter)
            took_s = failures / handle(bus, Path(folder), failures)
            gc.collect()
            begun_s = time.process_time()
            _follow(alerter)
            ours = failures / (time.process_time() - begun_s)
            messages = len(slack.taken()) - 1
            begun_s, seq = time.process_time(), 0
            while entries := bus.journal(seq, 500):
                seq = entries[-1].seq
            floor = failures / (time.process_time() - begun_s)
            alerter.finish()
        finally:
            bus.close()
    yield Row(
        f"{failures:,} failures, decided in {took_s:.0f} s: messages", f"{messages}", goal=f"1 to {MESSAGES}",
        met=1 <= messages <= MESSAGES,
    )  # fmt: skip
    yield Row(
        "failures followed by who tells alerts, by processor time", f"{ours:,.0f}/s", f"{floor:,.0f}/s",
        f"{ours / floor:.2f}", f">= {RATE_GOAL:,}/s", ours >= RATE_GOAL,
    )  # fmt: skip


def _follow(alerter: Alerter) -> None:
    while alerter.step(0.0):
        pass


def decide(server: Server, where: Path, failures: int, alerts: AlertSettings) -> float:
    """Return failures decided in a second, while a process beside this one writes the history and tells alerts."""
    settings = Settings(
        BusSettings(server.url, accept_loss=True), CacheSettings(str(where / "tasks.db")), alerts=alerts
    )
    bus = open_bus(server.url, by="bench", accept_loss=True)
    clock = SystemClock()
    here = Historian(settings.cache.path, clock)
    try:
        around = surroundings(bus)
        history = process_beside(settings, around, Follower(bus, clock, lambda: here, timedelta(days=30)))
        around.health.fault(SUBJECT, "it has not begun")
        while around.health.faults():
            history.step()
        try:
            rate = handle(bus, where, failures)
            begin, last = time.monotonic(), bus.journal_bounds()[1]
            while here.cursor() < last:
                time.sleep(LOOK_S)
                assert time.monotonic() - begin < LIMIT_S, (
                    f"history has {here.cursor():,} of {last:,} entries"
                )
            return rate
        finally:
            history.finish()
    finally:
        here.close()
        bus.close()


def handle(bus: Bus, where: Path, failures: int) -> float:
    """Return how many failures a second the router decides; each is a dead letter and an alert."""
    (where / "flow").mkdir()
    names = [f"load:source{n}" for n in range(PHASES)]
    text = "".join(f'[[phase]]\ntask = "{name}"\nrule = "cron=@yearly"\n' for name in names)
    (where / "flow" / "storm.toml").write_text(text, "utf-8")
    around = surroundings(bus)
    Reloader(around, str(where / "flow")).start()
    fill(bus, [failed(number) for number in range(failures)])
    router = Router(around)
    gc.collect()
    begin, heard = time.perf_counter(), 0
    while heard < failures:
        heard += router.step(0.0)
        assert time.perf_counter() - begin < LIMIT_S, f"only {heard:,} of {failures:,} were heard"
    took_s = time.perf_counter() - begin
    assert around.counters.dead == failures
    return failures / took_s


def failed(number: int) -> Message:
    """Return what a worker tells of a task that failed, each with a number of its own in the reason."""
    job = f"source{number % PHASES}"
    meta = f"workflow=storm.toml&job={job}&cron=2026-01-{number % 28 + 1:02}T{number % 24:02}"
    ended = Task(
        type="load", job=job, info=INFO, created="2026-01-01T00:00:00.000000Z", id=f"{number:036}", meta=meta,
        result="error", msg=f"timeout talking to bank.example after {number} ms", **TIMES,
    )  # fmt: skip
    report = Report("bench-1", 1)
    return Message("done", ended, key=f"{number:032x}", phase=f"storm.toml:load:{job}", report=report)


def surroundings(bus: Bus) -> Surroundings:
    """Return the world of one daemon."""
    clock, chance = SystemClock(), Chance(SEED)
    return Surroundings(bus, clock, chance, Stamps(clock, chance.digit()), "bench")


def _settings(slack: StandIn) -> AlertSettings:
    spec = ChannelSpec("slack", ChannelKind.SLACK, url=SecretRef("slack.url", value=slack.hook))
    return AlertSettings((spec,), "slack")


def _pickups(server: Server, slack: StandIn) -> tuple[list[float], list[float]]:
    """Return pick-ups beside a daemon whose Slack hangs over an alert, and beside one without a channel."""
    mine: list[float] = []
    bare: list[float] = []
    for _ in range(3):
        for found, url in ((mine, slack.hook), (bare, "")):
            with emptied(server.port), _daemon(server, url):
                found += latencies(SAMPLES, server.url)
    return mine, bare


@contextmanager
def _daemon(server: Server, url: str) -> Iterator[None]:
    with ExitStack() as stack:
        where = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flowlord-bench-")))
        (where / "flow").mkdir()
        (where / "flow" / "storm.toml").write_text(
            '[[phase]]\ntask = "load:source0"\nrule = "cron=@yearly"\n'
        )
        (where / "flowlord.toml").write_text(f'[slack]\nurl = "{url}"\n' if url else "")
        bus = open_bus(server.url, by="bench", accept_loss=True)
        stack.callback(bus.close)
        bus.publish([failed(0)])
        stack.enter_context(running([flowlord("run", "flow", "--bus", server.url, "-q")], where))
        begin = time.monotonic()
        while not any(key.startswith("alerts:incident:") for key in bus.marks_like("alerts:")):
            time.sleep(LOOK_S)
            assert time.monotonic() - begin < LIMIT_S, "nobody heard of the failure"
        yield
