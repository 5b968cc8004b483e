"""Redis goes away, comes back, or comes back empty, under daemons and workers that run on."""

import random
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from flowlord.bus.open import open_bus
from support.lossy_proxy import Fault, LossyProxy
from support.processes import Running, flowlord, running, tasks, until, write
from support.redis_home import ended_as, redis_home, waiting
from support.redis_server import Server
from support.redis_servers import drop_namespace, fresh_namespace, shared_server

FLOW = """
[[phase]]
task = "tick"
rule = "cron=* * * * * *&catchup=all"
template = "{ts}"

[[phase]]
task = "kid"
dependsOn = "tick"
"""
HANDS = ("worker", "--types", "tick,kid", "--exec", "true")


@pytest.fixture
def server():
    """One that loses nothing when it is killed."""
    with Server(options={"appendonly": "yes", "appendfsync": "always"}) as started:
        yield started


def lines(process: Running, *words: str) -> list[str]:
    return [line for line in process.err.splitlines() if any(word in line for word in words)]


def follows(cache: Path) -> bool:
    """Whether the history in this file has begun to follow a bus."""
    if not cache.exists():
        return False
    with closing(sqlite3.connect(cache)) as db:
        try:
            return bool(db.execute("SELECT generation FROM cursor WHERE generation <> ''").fetchone())
        except sqlite3.OperationalError:  # the tables are still being made
            return False


def is_through(home: Path) -> bool:
    return not any(each["waiting"] or each["running"] or each["later"] for each in waiting(home).values())


def completed(process: Running) -> int:
    return process.err.count("kid complete")


def test_a_server_that_dies_and_returns_is_told_once_and_nothing_is_lost_or_doubled(server, tmp_path):
    home = redis_home(tmp_path, server.url, "flowlord", {"workflows/a.toml": FLOW})
    with (
        running("run", "workflows", cwd=home) as one,
        running("run", "workflows", "--cache", "two.db", cwd=home) as two,
        running(*HANDS, cwd=home) as hands,
        running(*HANDS, cwd=home) as more_hands,
    ):
        daemons, workers = (one, two), (hands, more_hands)
        until(lambda: len(flowlord("workers", "-o", "json", cwd=home).data) == 4, "all four to be there")
        until(lambda: sum(map(completed, daemons)) >= 2, "work that is done")
        before = sum(map(completed, daemons))
        server.kill()
        for daemon in daemons:
            daemon.says("bus.lost")
        for worker in workers:
            worker.says("the bus is out of reach")
        refused = flowlord("topics", cwd=home)
        assert (refused.code, "refused" in refused.err, "Traceback" in refused.err) == (3, True, False)
        server.start()
        for daemon in daemons:
            daemon.says("the bus answers again")
        for worker in workers:
            worker.says("the bus is back")
        until(lambda: sum(map(completed, daemons)) >= before + 4, "new work that is done")
        write(home, {"workflows/a.toml": FLOW.replace("* * * * * *", "@yearly")})
        for daemon in daemons:
            daemon.says("a.toml was changed")
        until(lambda: is_through(home), "the end of all work", every_s=0.3)
        for process in (*daemons, *workers):
            assert process.end() == 0, process.err
    assert is_through(home)
    rows = tasks(home)
    assert {row["state"] for row in rows} == {"complete"}
    infos = sorted(row["info"] for row in rows if row["topic"] == "tick")
    assert len(infos) == len(set(infos))
    told = sum(daemon.err.count("tick.sent") for daemon in daemons)
    assert len(infos) - told in (0, 1), "a start may have landed whose answer died with the server"
    assert all(int(later[-2:]) - int(earlier[-2:]) in (1, -59) for earlier, later in pairwise(infos)), infos
    assert ended_as(home) == ended_as(home, "--cache", "two.db")
    for process in (*daemons, *workers):
        # Once each, however many loops and seconds it took; the words differ between daemon and worker.
        told = lines(process, "bus.lost", "bus.back", "warning bus ")
        assert len(told) == 2, told
        assert "Traceback" not in process.err


def test_a_server_that_was_emptied_is_told_aloud_and_everybody_goes_on(server, tmp_path):
    home = redis_home(tmp_path, server.url, "flowlord", {"workflows/a.toml": FLOW})
    with (
        running("run", "workflows", cwd=home) as one,
        running("run", "workflows", "--cache", "two.db", cwd=home) as two,
        running(*HANDS, cwd=home) as hands,
    ):
        until(lambda: completed(one) + completed(two) >= 2, "work that is done")
        for cache in (".flowlord/tasks.db", "two.db"):
            until(lambda cache=cache: follows(home / cache), "a history that knows this bus")
        kept = server.ask("HKEYS", "{flowlord}:marks")
        assert "workflow:a.toml" in kept
        assert flowlord("send", "nobody", "1", cwd=home).code == 0
        for cache in (".flowlord/tasks.db", "two.db"):
            until(
                lambda cache=cache: state_of_nobody(home / cache) == "waiting", "a task that waits for ever"
            )
        server.ask("FLUSHALL")
        told = one.err.count("tick.sent") + two.err.count("tick.sent")
        for process in (one, two, hands):
            process.says("was reset")
        for daemon in (one, two):
            daemon.says("history.reset")
            daemon.says("history.lost")
        until(lambda: one.err.count("tick.sent") + two.err.count("tick.sent") >= told + 3, "ticks again")
        until(lambda: "workflow:a.toml" in server.ask("HKEYS", "{flowlord}:marks"), "the kept workflow")
        done = completed(one) + completed(two)
        until(lambda: completed(one) + completed(two) >= done + 2, "work that is done again")
        journal = "".join(map(str, server.ask("XRANGE", "{flowlord}:journal", "-", "+")))
        assert journal.count("was reset") == 1, "an alert, by whoever saw it first"
        assert journal.count("lost with the data of the bus") == 1
        write(home, {"workflows/a.toml": FLOW.replace("* * * * * *", "@yearly")})
        for daemon in (one, two):
            daemon.says("a.toml was changed")
        sent = one.err.count("tick.sent") + two.err.count("tick.sent")
        for process in (one, two, hands):
            assert process.end() == 0, process.err
            assert "Traceback" not in process.err
    for cache in (".flowlord/tasks.db", "two.db"):
        rows = tasks(home, "--cache", cache, "--topic", "tick")
        infos = sorted(row["info"] for row in rows)
        assert len(infos) >= sent - 1, "what was sent in the moment of the loss may be missing"
        assert all(
            int(later[-2:]) - int(earlier[-2:]) in (0, 1, -59) for earlier, later in pairwise(infos)
        ), infos
        assert state_of_nobody(home / cache) == "lost"
    again = ("retry", "--state", "lost", "--topic", "nobody", "-y", "-o", "json")
    assert [row["result"] for row in flowlord(*again, cwd=home).data] == ["sent"]
    assert flowlord(*again, cwd=home).data == []
    assert server.ask("XLEN", "{flowlord}:topic:nobody") == 1


def state_of_nobody(path: Path) -> str:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        found = db.execute("SELECT state FROM tasks WHERE topic = 'nobody'").fetchone()
    return str(found[0]) if found else ""


def test_redis_url_alone_chooses_redis(tmp_path):
    server, namespace = shared_server("redis"), fresh_namespace()
    env = {"REDIS_URL": f"127.0.0.1:{server.port}", "FLOWLORD_NAMESPACE": namespace}
    write(tmp_path, {"workflows/a.toml": FLOW.replace("* * * * * *", "@yearly")})
    assert flowlord("send", "tick", "x", cwd=tmp_path, env=env).code == 0
    assert server.ask("XLEN", f"{{{namespace}}}:topic:tick") == 1
    ended = flowlord("run", "--once", "--worker", "tick=true", "--worker", "kid=true", cwd=tmp_path, env=env)
    assert ended.code == 0, ended.err
    assert f"bus        redis://127.0.0.1:{server.port}" in ended.err
    assert not (tmp_path / ".flowlord" / "bus.db").exists()
    rows = flowlord("tasks", "-o", "json", cwd=tmp_path, env=env).data
    assert sorted((row["topic"], row["state"]) for row in rows) == [("kid", "complete"), ("tick", "complete")]


class Cut(LossyProxy):
    """Carries so many exchanges and then none, until it is mended."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.carries: int | None = None

    def _draw(self, chance: random.Random) -> Fault | None:
        super()._draw(chance)
        return None if self.carries is None or self.exchanges <= self.carries else Fault.NO_REQUEST


def test_a_bus_that_goes_away_once_it_was_opened_is_waited_for_before_the_first_line_too(tmp_path):
    namespace = fresh_namespace()
    with Cut(shared_server().port) as proxy:
        for _ in range(2):  # the first one may have to send the scripts
            before = proxy.exchanges
            open_bus(proxy.url, by="t", namespace=namespace, accept_loss=True).close()
        home = redis_home(tmp_path, proxy.url, namespace, {"workflows/a.toml": FLOW})
        proxy.carries = 2 * proxy.exchanges - before  # as many as it takes to open it
        with running("run", "workflows", "--accept-loss", cwd=home) as daemon:
            daemon.says("bus.lost")
            assert "  bus        redis://" not in daemon.err
            proxy.carries = None
            daemon.says("the bus answers again")
            daemon.says("  bus        redis://")
            assert daemon.end() == 0
    drop_namespace(namespace, [shared_server()])
