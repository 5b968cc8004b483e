"""Several daemons and workers on one Redis: everything once, whoever does it, and whoever goes."""

import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from support.processes import flowlord, running, tasks, until, write
from support.redis_home import ended_as, redis_home, waiting, workers
from support.redis_servers import fresh_namespace, shared_server

EVERY_SECOND = """
[[phase]]
task = "tick"
rule = "cron=* * * * * *&catchup=all"
template = "{ts}"
"""
FAMILY = """
[[phase]]
task = "kid"
dependsOn = "tick"
rule = "meta=n:1,2"
template = "{meta:n}"

[[phase]]
task = "frail"
dependsOn = "tick"
rule = "retry_delay=100ms"
retry = 1
template = "{meta:nothing}"

[[phase]]
task = "doomed"
dependsOn = "tick"
rule = "retry_delay=100ms"
retry = 1
"""
FRAIL = 'sh -c "if mkdir tried-$FLOWLORD_TASK_ID; then exit 1; fi"'
"""Fails at first and works when it is tried again."""
HELPERS = (
    "--worker", "tick=true", "--worker", "kid=true", "--worker", f"frail={FRAIL}", "--worker", "doomed=false",
)  # fmt: skip


def chain(name: str) -> str:
    """A phase and its child, which hands the number on."""
    return f'''
[[phase]]
task = "{name}"
rule = "cron=@yearly"

[[phase]]
task = "{name}-next"
dependsOn = "{name}"
template = "{{meta:n}}"
'''


def home_of(folder, files, namespace=""):
    server = shared_server("redis")
    return redis_home(folder, server.url, namespace or fresh_namespace(), files)


def instants(infos) -> list[datetime]:
    return sorted(datetime.strptime(info, "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for info in infos)


def without_gap(found: list[datetime]) -> bool:
    return all(later - earlier == timedelta(seconds=1) for earlier, later in pairwise(found))


def waiting_for(file: str) -> str:
    """A command that says it has begun, then ends once a file is there."""
    return f'sh -c "touch begun; while [ ! -e {file} ]; do sleep 0.05; done"'


def test_ticks_children_retries_and_dead_letters_come_once_and_both_histories_tell_all(tmp_path):
    home = home_of(tmp_path, {"workflows/a.toml": EVERY_SECOND + FAMILY})
    with (
        running("run", "workflows", "--cache", "one.db", cwd=home) as one,
        running("run", "workflows", "--cache", "two.db", cwd=home) as two,
        running("worker", *HELPERS, cwd=home) as hands,
        running("worker", *HELPERS, cwd=home) as more_hands,
    ):
        until(lambda: one.err.count("tick.sent") + two.err.count("tick.sent") >= 4, "four ticks")
        write(home, {"workflows/a.toml": EVERY_SECOND.replace("* * * * * *", "@yearly") + FAMILY})
        for daemon in (one, two):
            daemon.says("a.toml was changed")

        def sent() -> int:
            """Counted anew: a start that was on its way when the change came is told behind it."""
            return one.err.count("tick.sent") + two.err.count("tick.sent")

        until(lambda: (one.err + two.err).count("failed for good") >= sent(), "the dead letters")

        def is_all_told() -> bool:
            n = sent()
            seen = [
                Counter((row["topic"], row["state"]) for row in tasks(home, "--cache", each))
                for each in ("one.db", "two.db")
            ]
            wanted = {
                ("tick", "complete"): n, ("kid", "complete"): 2 * n,
                ("frail", "retried"): n, ("frail", "complete"): n,
                ("doomed", "retried"): n, ("doomed", "dead"): n,
            }  # fmt: skip
            return all(each == wanted for each in seen)

        until(is_all_told, "the end of all tasks in both histories", every_s=0.3)
        both = [tasks(home, "--cache", each) for each in ("one.db", "two.db")]
        for process in (one, two, hands, more_hands):
            assert process.end() == 0, process.err
    ids = [sorted((row["id"], row["topic"], row["info"], row["attempt"]) for row in rows) for rows in both]
    assert ids[0] == ids[1], "two histories of one journal"
    ticks = instants(row["info"] for row in both[0] if row["topic"] == "tick")
    assert len(ticks) == len(set(ticks)) == sent()
    assert without_gap(ticks), ticks
    kids = Counter((row["id"], row["info"]) for row in both[0] if row["topic"] == "kid")
    assert set(kids.values()) == {1}
    assert waiting(home)["retry-failed"]["waiting"] == sent()
    assert hands.err.count("Traceback") == more_hands.err.count("Traceback") == 0


def test_when_one_daemon_is_killed_the_other_goes_on_and_what_it_held_comes_back(tmp_path):
    slow = '\n[[phase]]\ntask = "slow"\nrule = "cron=@yearly"\n'
    home = home_of(tmp_path, {"workflows/a.toml": EVERY_SECOND + slow})
    with (
        running("run", "workflows", "--worker", f"slow={waiting_for('go')}", cwd=home) as held,
        running("run", "workflows", "--cache", "two.db", cwd=home) as other,
    ):
        assert flowlord("send", "slow", cwd=home).code == 0
        until((home / "begun").exists, "the task to begin")
        assert held.end(signal.SIGKILL) == -signal.SIGKILL
        sent = other.err.count("tick.sent")
        with running("worker", "--types", "slow", "--exec", "true", cwd=home):
            other.says("of dead workers")
            until(lambda: ended_as(home, "--cache", "two.db").get(("slow", "")) == ["complete"], every_s=0.2)
        other.says("tick.sent", sent + 2)

        def states() -> set[str]:
            return {row["state"] for row in workers(home).values() if row["pid"] == held.process.pid}

        until(lambda: states() == {"lost"}, "the killed daemon to be told as lost", every_s=0.3)
        write(home, {"go": ""})
        assert other.end() == 0
    ticks = instants(info for topic, info in ended_as(home, "--cache", "two.db") if topic == "tick")
    assert without_gap(ticks), ticks
    told = held.err.count("tick.sent") + other.err.count("tick.sent")
    assert len(ticks) - told in (0, 1), "who is killed may have sent one that it told nobody of"


def test_daemons_with_different_files_decide_each_others_results_once(tmp_path):
    home = home_of(tmp_path, {"here/a.toml": chain("load"), "there/b.toml": chain("mail")})
    types = ("load", "load-next", "mail", "mail-next")
    hosts = [word for each in types for word in ("--worker", f"{each}=builtin:noop")]
    with (
        running("run", "here", cwd=home) as one,
        running("run", "there", "--cache", "two.db", cwd=home) as two,
        running("worker", *hosts, "--id", "hands", cwd=home) as hands,
    ):
        one.says("a.toml was loaded")
        two.says("b.toml was loaded")
        for topic, flow, folder in (("load", "a.toml", "here"), ("mail", "b.toml", "there")):
            lines = "".join(f'{{"type":"{topic}","info":"{n}","meta":{{"n":"{n}"}}}}\n' for n in range(30))
            sent = flowlord(
                "send",
                topic,
                "--workflow",
                flow,
                "--workflows",
                folder,
                "--from-file",
                "-",
                cwd=home,
                stdin=lines,
            )
            assert sent.code == 0, sent.err
        wanted = {(topic, str(n)): ["complete"] for topic in types for n in range(30)}
        until(lambda: ended_as(home) == ended_as(home, "--cache", "two.db") == wanted, every_s=0.3)
        found = until(lambda: (rows := workers(home)) and len(rows) == 3 and rows, "three presences")
        assert hands.end() == 0
        assert len(workers(home)) == 2, "who leaves in order is not told as lost"
    masters = [row for row in found.values() if row["kind"] == "taskmaster"]
    assert len({row["revision"] for row in masters}) == 2
    assert {row["pid"] for row in masters} == {one.process.pid, two.process.pid}
    [worker] = [row for row in found.values() if row["kind"] == "worker"]
    assert worker["consumer"].startswith("hands-")
    assert (worker["topics"], worker["state"], worker["slots"]) == (sorted(types), "alive", 4)
    assert {row["version"] for row in found.values()} == {flowlord("version", cwd=home).out.split()[-1]}
    assert {row["health"] for row in masters} == {"green"}


def test_namespaces_on_one_server_share_neither_calendar_nor_work(tmp_path):
    one, two = (home_of(tmp_path / name, {"workflows/a.toml": EVERY_SECOND}) for name in ("one", "two"))
    with (
        running("run", "workflows", cwd=one) as with_worker,
        running("run", "workflows", cwd=two) as alone,
        running("worker", "--types", "tick", "--exec", "true", cwd=one),
    ):
        with_worker.says("complete", 2)
        alone.says("tick.sent", 2)
        assert with_worker.end() == alone.end() == 0
    assert "complete" not in alone.err
    for home, daemon in ((one, with_worker), (two, alone)):
        ticks = instants(row["info"] for row in tasks(home))
        assert without_gap(ticks), ticks
        assert len(ticks) == daemon.err.count("tick.sent")


def test_a_worker_that_is_told_to_stop_hands_back_at_once_what_it_cannot_finish(tmp_path):
    """The lease of a minute would take far longer than this test waits."""
    home = home_of(tmp_path, {"workflows/a.toml": '[[phase]]\ntask = "slow"\nrule = "cron=@yearly"\n'})
    long = ("--lease", "60s")
    with running("run", "workflows", *long, cwd=home):
        with running(
            "worker", "--types", "slow", "--exec", waiting_for("never"), "--grace", "100ms", *long, cwd=home
        ) as first:
            assert flowlord("send", "slow", "x", cwd=home).code == 0
            until((home / "begun").exists, "the task to begin")
            assert waiting(home)["slow"]["running"] == 1
            assert first.end() == 0, first.err
        assert (waiting(home)["slow"]["waiting"], waiting(home)["slow"]["running"]) == (1, 0)
        with running("worker", "--types", "slow", "--exec", "true", *long, cwd=home):
            until(lambda: ended_as(home) == {("slow", "x"): ["complete"]}, limit_s=20, every_s=0.2)
