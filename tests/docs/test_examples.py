"""Every example runs: the phase files validate and make the tasks that their comments tell, the workers do theirs."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from docs.reference import ROOT
from flowlord.decide.context import Context
from flowlord.decide.tick import on_tick
from flowlord.model.problem import Severity
from flowlord.model.workflow import Workflows
from flowlord.rules.cron import Cron
from flowlord.rules.timetable import Timetable
from flowlord.spec.load import load
from flowlord.taskmaster.surroundings import read_sources
from support.object_servers import bucket_on, shared_gcs
from support.processes import flowlord, running, tasks, until

EXAMPLES = ROOT / "examples"
FOLDERS = [
    "workflows",
    *(
        f"examples/{name}"
        for name in (
            "files",
            "phases",
            "quickstart/workflows",
            "schedules/workflows",
            "batches/workflows",
            "backload/workflows",
            "reload/workflows",
            "buckets/workflows",
            "notices/workflows",
        )
    ),
]
NOW = datetime(2026, 8, 3, 5, tzinfo=UTC)  # a Monday


def workflows(folder: str) -> Workflows:
    loaded = load(ROOT / folder)
    assert [str(problem) for problem in loaded.problems if problem.severity is not Severity.NOTE] == []
    return loaded.workflows


@pytest.mark.parametrize("folder", FOLDERS)
def test_phase_files_have_neither_errors_nor_warnings(folder):
    assert workflows(folder).by_name


def infos(flow: str, topic: str, monkeypatch: pytest.MonkeyPatch, job: str = "") -> list[str]:
    """What a phase of examples/phases makes of its next start after NOW."""
    monkeypatch.chdir(ROOT)
    phase = workflows("examples/phases").phase_of(flow, topic, job)
    assert phase is not None
    instant = Cron.parse(phase.rule.cron, phase.rule.tz).next(NOW)
    assert instant is not None
    sources = read_sources([phase.rule.meta_file] if phase.rule.meta_file else [])
    plan = on_tick(phase, instant, Context(now=NOW, sources=sources))
    assert plan.facts == ()
    return [message.task.info for message in plan.messages]


def test_the_schedules_make_what_they_say(monkeypatch):
    assert infos("schedules.toml", "fetch", monkeypatch, "daily") == [
        "https://data.example.org/2026/08/02.csv"
    ]
    assert infos("schedules.toml", "poll", monkeypatch) == ["?at=2026-08-03T05:15"]


def test_the_batches_make_what_they_say(monkeypatch):
    days = [f"?day=2026-08-{day:02}" for day in (9, 8, 7, 6, 5, 4, 3)]
    assert infos("batches.toml", "recount", monkeypatch) == days
    assert infos("batches.toml", "copy", monkeypatch) == [
        "users?to=u_all&hour=2026-08-03T05", "orders?to=o_all&hour=2026-08-03T05", "items?to=i_all&hour=2026-08-03T05",
    ]  # fmt: skip
    assert infos("batches.toml", "score", monkeypatch) == [
        "customer/17?country=de", "customer/23?country=fr", "customer/42?country=pt",
    ]  # fmt: skip


def test_the_schedules_of_their_own_folder_start_when_they_say():
    flows = workflows("examples/schedules/workflows")
    tables = {
        phase.name: Timetable.of(phase.rule, phase.identity)
        for flow in flows.by_name.values()
        for phase in flow.phases
        if phase.rule.cron
    }
    gap = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert [f"{time:%d %H:%M%z}" for time in islice(tables["report:nightly"].upcoming(gap), 2)] == [
        "29 03:00+0200",
        "30 02:30+0200",
    ]
    campaign = list(tables["sync:campaign"].upcoming(NOW))
    assert [f"{time:%m-%d %H:%M}" for time in (campaign[0], campaign[-1])] == ["11-01 00:00", "12-24 23:00"]
    assert timedelta(0) < tables["sync:campaign"].delay < timedelta(minutes=10)
    assert tables["compact"].next(NOW) == NOW + timedelta(minutes=90)


def test_the_heartbeat_of_the_schedules_goes_one_by_one_and_what_follows_from_it_does_too(tmp_path):
    home = tmp_path / "schedules"
    copytree(EXAMPLES / "schedules", home)
    workers = ("--worker", "probe=./probe.sh", "--worker", "note=true")
    with running("run", "workflows/heartbeat.toml", *workers, cwd=home) as daemon:
        until(lambda: len(tasks(home, "--topic", "note")) >= 2, "two notes", every_s=0.5)
        assert daemon.end() == 0
    probes = sorted(row["info"] for row in tasks(home, "--topic", "probe"))
    assert len(set(probes)) == len(probes)
    assert {row["info"] for row in tasks(home, "--topic", "note")} == {"200"}


def test_the_files_start_what_they_say(tmp_path):
    home = tmp_path / "files"
    copytree(EXAMPLES / "files", home, ignore=ignore_patterns("in", ".flowlord"))
    work = ("--worker", "load,join,unpack,spread=builtin:echo")
    with running("run", "arrivals.toml", *work, cwd=home) as daemon:
        daemon.says("there is no folder in/", times=4)  # that of each root: what comes now is new
        told = script("arrive.sh", home)
        until(lambda: len(tasks(home, "--state", "complete")) >= 5, "what the files start", every_s=0.5)
        assert daemon.end() == 0
    assert sorted(task["info"] for task in tasks(home)) == [
        "in/2026/08/01/users.csv?day=2026-08-01",
        "in/big/dump.bin",
        "in/parts/0515?parts=4",
        "in/prices/now.json?region=eu",
        "in/prices/now.json?region=us",
    ]
    assert "exit code 1: it starts nothing" in told


def test_the_retries_wait_as_they_say():
    from flowlord.rules.backoff import wait_ns

    flows = workflows("examples/phases")
    waits = {}
    for topic in ("fetch", "probe", "upload"):
        phase = flows.phase_of("retries.yaml", topic, "")
        assert phase is not None
        rule = phase.rule
        waits[topic] = [
            wait_ns(n, delay=rule.retry_delay_ns, factor=rule.backoff, max_delay=rule.max_delay_ns, jitter=0)
            / 1e9
            for n in range(phase.retry)
        ]
    assert waits["fetch"] == [1, 2, 4, 8, 16]
    assert waits["probe"] == [20, 20]
    assert waits["upload"] == [30, 120, 480, 900, 900, 900, 900, 900]


def run(command: list[str], task: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=json.dumps(task, separators=(",", ":"), ensure_ascii=False), cwd=ROOT, capture_output=True,
        text=True, check=False, timeout=30, env={"PATH": "/usr/bin:/bin", "FLOWLORD_TASK_ID": "7"},
    )  # fmt: skip


def test_the_shell_worker_counts_or_asks_for_another_try(tmp_path):
    (tmp_path / "two").write_text("a\nb\n", "utf-8")
    script = str(EXAMPLES / "workers" / "count.sh")
    done = run(["sh", script, str(tmp_path / "two")], {})
    assert (done.returncode, done.stdout, done.stderr) == (0, "flowlord:meta lines=2\n", "2 lines (run 7)\n")
    assert run(["sh", script, str(tmp_path / "none")], {}).returncode == 75


def test_the_worker_in_another_language_reads_the_wire():
    from flowlord.model.task import Task, encode

    command = ["awk", "-f", str(EXAMPLES / "workers" / "shout.awk")]
    wire = json.loads(encode(Task(type="shout", info='say "hi" \\ there', id="1")))
    done = run(command, wire)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "flowlord:meta length=16\n",
        'SAY "HI" \\ THERE\n',
    )
    assert run(command, {"type": "whisper", "info": "x"}).returncode == 1


def test_the_python_worker_does_its_tasks(tmp_path, monkeypatch):
    from flowlord.model.task import Result, Task
    from flowlord.worker.resolve import handlers
    from support.workers import run_of

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    found = handlers(apps=["examples.workers.steps"])
    assert set(found) == {"count", "fetch", "load:hourly"}
    (tmp_path / "two").write_text("a\nb\n", "utf-8")
    ran = found["count"].run(run_of(Task(type="count", info=str(tmp_path / "two"))))
    assert (ran.result, ran.msg, ran.meta) == (Result.COMPLETE, "2 lines", {"lines": ["2"]})
    assert found["fetch"].run(run_of(Task(type="fetch", info="?day=2026-08-01"))).result is Result.WARN
    assert found["load:hourly"].run(run_of(Task(type="load", job="hourly", info=str(tmp_path / "no")))).again
    assert (
        found["load:hourly"].run(run_of(Task(type="load", job="hourly", info=str(tmp_path / "two")))).result
        is Result.COMPLETE
    )
    for name in [name for name in sys.modules if name == "examples" or name.startswith("examples.")]:
        monkeypatch.delitem(sys.modules, name)


def test_the_disk_worker_tells_how_full_it_is():
    script = str(EXAMPLES / "machine" / "disk.sh")
    calm = run(["sh", script, "/", "101"], {})
    assert calm.returncode == 0
    assert calm.stdout.startswith("flowlord:meta used=")
    assert "full=" not in calm.stdout
    assert "flowlord:meta full=" in run(["sh", script, "/", "0"], {}).stdout
    assert run(["sh", script, "/nowhere"], {}).returncode == 1


def test_the_week_of_the_past_is_sent_as_its_script_says(tmp_path):
    home = copytree(EXAMPLES / "batches", tmp_path / "batches")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["/bin/sh", "refill.sh"], cwd=home, env=os.environ | {"PATH": path}, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    *shown, first, again, listed, missing_first, _, _, _, missing_last = ran.stdout.splitlines()
    assert (shown[0], shown[-1]) == ("?day=2026-07-06", "?day=2026-07-12")
    assert first == again
    found = json.loads(listed)
    assert (found["id"], found["state"], found["sent"], found["open"]) == (first, "published", 7, 0)
    assert (missing_first, missing_last) == ("?day=2026-07-01", "?day=2026-07-05")


def script(name: str, home: Path) -> list[str]:
    """Run a script of a copied example and return the lines that it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["/bin/sh", name], cwd=home, env=os.environ | {"PATH": path}, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_the_backload_sends_each_hour_once_and_again_only_when_asked(tmp_path):
    home = copytree(EXAMPLES / "backload", tmp_path / "backload")
    *_, last_shown, status, first, again, anew = script("fill.sh", home)
    assert last_shown == "shop/2026/07/01/23/orders.json"
    found = json.loads(status)
    assert (found["state"], found["sent"], found["open"]) == ("published", 24, 0)
    assert first == again != anew
    told = [row["info"] for row in tasks(home, "--topic", "orders")]
    infos = [
        info for info in told if info.startswith("shop/2026/07/01/")
    ]  # not what ten past the hour started
    hours = [f"shop/2026/07/01/{hour:02}/orders.json" for hour in range(24)]
    assert sorted(infos) == sorted([*hours, hours[5], hours[5]])


def test_the_reload_keeps_the_last_good_version_and_takes_up_the_next(tmp_path):
    home = copytree(EXAMPLES / "reload", tmp_path / "reload")
    work = ("--worker", "greet=builtin:noop")
    with running("run", "workflows", *work, cwd=home) as daemon:
        daemon.says("greet complete")
        told = script("change.sh", home)
        rows = [json.loads(line) for line in told if line.startswith("{")]
        before, after = [
            row["revision"] for row in rows if row.get("kind") == "taskmaster" and "slots" in row
        ]
        assert before != after
        assert "exit 1: the last good version goes on" in told
        until(lambda: "good morning" in {row["info"] for row in tasks(home)}, "the new version", every_s=0.3)
        assert daemon.end() == 0


def test_the_buckets_start_what_they_say(tmp_path):
    home = copytree(EXAMPLES / "buckets", tmp_path / "buckets")
    server = shared_gcs()
    with bucket_on(server) as root:
        flow = home / "workflows" / "lake.toml"
        flow.write_text(flow.read_text("utf-8").replace("gs://my-lake", root), "utf-8")
        names = ("in/2026/08/01/users.csv", "in/2026/08/01/users_old.csv", "parts/1/_SUCCESS")
        for name in (*names, *(f"parts/1/part-{n}" for n in range(3)), "parts/2/part-0"):
            server.storage().write(f"{root}/{name}", b"x")
        work = ("--worker", "load,join=builtin:noop")
        assert flowlord("run", "workflows", "--once", *work, cwd=home, env=dict(server.variables)).code == 0
        found = sorted(row["info"] for row in tasks(home))
        assert found == [f"{root}/in/2026/08/01/users.csv?day=2026-08-01", f"{root}/parts/1?parts=3"]


def test_the_notices_start_each_file_once(tmp_path):
    home = copytree(EXAMPLES / "notices", tmp_path / "notices")
    told = [json.loads(line) for line in script("tell.sh", home)]
    started = {row["path"] for row in told if row.get("state") == "started"}
    assert started == {"gs://my-lake/in/users.csv", "s3://my-lake/in/sold items.csv"}
    assert sorted(row["info"] for row in told if "info" in row) == sorted(started)
