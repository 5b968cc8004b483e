"""`flowlord backload`: shown first, sent once, at its pace, and stopped when somebody says so."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flowlord.bus.open import open_bus
from support.processes import FLOWLORD, Ended, flowlord, running, started, tasks, until, write

FILES = {
    "workflows/f.toml": """
        [[phase]]
        task = "load:users"
        rule = "cron=@yearly"
        template = "?day={yyyy}-{mm}-{dd}"

        [[phase]]
        task = "report"
        dependsOn = "load:users"
        template = "{dd}"

        [[phase]]
        task = "rows"
        rule = "cron=@yearly"
        template = "{meta:n}"
    """
}


def bus_of(home: Path) -> str:
    return f"sqlite:///{home / '.flowlord' / 'bus.db'}"


JULY = ("backload", "load:users", "--from", "2026-07-01", "--to", "2026-07-31")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write(tmp_path, FILES)


def backload(home: Path, *arguments: str, code: int = 0) -> Ended:
    ended = flowlord(*JULY, *arguments, cwd=home)
    assert ended.code == code, ended.err
    return ended


def status(home: Path, id_: str = "b-") -> dict[str, Any]:
    [found] = flowlord("backload", "status", id_, "-o", "json", cwd=home).data
    return dict(found)


def test_it_is_shown_until_it_is_to_be_executed_and_then_sent_once(home: Path) -> None:
    shown = backload(home, "-o", "json")
    assert (shown.data["count"], shown.data["ranges"]) == (31, "2026/07/01-2026/07/31")
    every = [f"?day=2026-07-{day:02}" for day in range(1, 32)]
    assert [task["info"] for task in shown.data["tasks"]] == every
    assert backload(home, "-o", "name").out.splitlines() == every
    assert [line.split("\t")[0] for line in backload(home).out.splitlines()[1:]] == [
        str(n) for n in range(1, 32)
    ]
    assert len(backload(home, "-o", "table").out.splitlines()) == 7
    assert "nothing was sent" in shown.err
    assert not (home / ".flowlord").exists()
    sent = backload(home, "--execute")
    id_ = sent.out.strip()
    assert f"sent 31 tasks to load as {id_}" in sent.err
    again = backload(home, "--execute")
    assert (again.out.strip(), "already asked for" in again.err) == (id_, True)
    assert "--again" in again.err
    once = flowlord(
        "run", "--once", "--worker", "load=builtin:echo", "--worker", "report=builtin:noop", cwd=home
    )
    assert once.code == 0
    found = tasks(home)
    assert len([task for task in found if task["topic"] == "load"]) == 31
    assert len([task for task in found if task["topic"] == "report"]) == 31  # children follow
    assert {key: status(home)[key] for key in ("state", "sent", "total", "open", "failed")} == {
        "state": "published", "sent": 31, "total": 31, "open": 0, "failed": 0,
    }  # fmt: skip


def test_only_what_the_history_does_not_know_is_sent(home: Path) -> None:
    refused = backload(home, "--only", "missing", code=2)
    assert "--only needs the history" in refused.err
    flowlord("backload", "load:users", "--from", "2026-07-03", "--to", "2026-07-29", "--execute", cwd=home)
    flowlord("run", "--once", "--worker", "load=builtin:echo", "--worker", "report=builtin:noop", cwd=home)
    shown = backload(home, "--only", "missing", "-o", "json")
    assert (shown.data["count"], shown.data["known"]) == (4, {"done": 27, "missing": 4})
    assert [task["info"][-2:] for task in shown.data["tasks"]] == ["01", "02", "30", "31"]
    assert "sent 4 tasks" in backload(home, "--only", "missing", "--execute").err
    assert "nothing to send" in backload(home, "--only", "missing,failed", "--execute").err


def test_many_tasks_are_not_sent_from_a_pipe_unasked(home: Path) -> None:
    large = ("backload", "load:users", "--from", "2020-01-01", "--to", "2026-01-01")
    refused = flowlord(*large, "--execute", cwd=home)
    assert (refused.code, "2,193 tasks" in refused.err, "-y" in refused.err) == (6, True, True)
    assert not (home / ".flowlord").exists()
    assert "sent 2,193 tasks" in flowlord(*large, "-y", cwd=home).err


def test_a_serial_one_at_a_rate_is_driven_by_the_daemon_to_its_end(home: Path) -> None:
    id_ = backload(home, "--serial", "--rate", "1000/s", "--execute").out.strip()
    assert status(home, id_)["sent"] == 0
    assert (
        flowlord(
            "run", "--once", "--worker", "load=builtin:echo", "--worker", "report=builtin:noop", cwd=home
        ).code
        == 0
    )
    assert (status(home, id_)["state"], status(home, id_)["open"]) == ("published", 0)
    days = [task["info"][-2:] for task in reversed(tasks(home, "--topic", "load"))]
    assert sorted(days) == [f"{day:02}" for day in range(1, 32)]


def test_no_more_of_it_are_open_than_allowed_and_it_goes_on_as_they_end(home: Path) -> None:
    first = backload(home, "--max-active", "3", "--execute").out.strip()
    rows = (
        "backload",
        "rows",
        "--meta",
        "n=1,2,3,4,5,6,7,8",
        "--at",
        "2026-01-01",
        "--max-active",
        "5",
        "-y",
    )
    with running("run", cwd=home) as daemon, closing(open_bus(bus_of(home), by="test")) as bus:

        def waiting(topic: str) -> int:
            return sum(each.waiting for each in bus.topics() if each.topic == topic)

        until(lambda: waiting("load") == 3, "what the first may have open; nobody works on it")
        assert flowlord(*rows, cwd=home).code == 0
        until(lambda: waiting("rows") == 5, "the daemon looks at all of them again")
        assert daemon.end() == 0
        assert (waiting("load"), waiting("rows")) == (3, 5)
    workers = [word for name in ("load", "report", "rows") for word in ("--worker", f"{name}=builtin:noop")]
    assert flowlord("run", "--once", *workers, cwd=home).code == 0
    ended = status(home, first)
    assert (ended["state"], ended["sent"], ended["open"]) == ("published", 31, 0)


def test_it_is_paused_resumed_and_cancelled_by_its_id(home: Path) -> None:
    id_ = backload(home, "--rate", "1/h", "--execute").out.strip()
    assert "paused" in flowlord("backload", "pause", id_, cwd=home).err
    assert status(home)["state"] == "paused"
    assert "running" in flowlord("backload", "resume", id_[:5], cwd=home).err
    with running("run", cwd=home) as daemon:
        until(lambda: status(home)["sent"] == 1, "the first of the hour")
        assert daemon.end() == 0
    ended = flowlord("backload", "cancel", id_, cwd=home)
    assert "cancelled: 1 task that still waited" in ended.err
    assert status(home)["state"] == "cancelled"
    assert flowlord("run", "--once", cwd=home).code == 0  # nothing is left to wait for


def test_a_command_that_is_killed_leaves_the_rest_to_any_daemon(home: Path) -> None:
    rows = 20_000
    (home / "rows.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(rows)))
    command = [*FLOWLORD, "backload", "rows", "--meta-file", "rows.csv", "--at", "2026-01-01", "-y", "-q"]
    with started(command, cwd=home) as sender:
        until(lambda: (home / ".flowlord/bus.db").exists() and sender.out, "it is asked for")
        sender.tell(signal.SIGKILL)
        sender.wait()
    with running("run", cwd=home) as daemon:
        until(lambda: status(home)["state"] == "published", "the daemon goes on", limit_s=90)
        assert daemon.end() == 0
    assert status(home)["open"] == rows
    [topic] = [each for each in flowlord("topics", "-o", "json", cwd=home).data if each["topic"] == "rows"]
    assert topic["waiting"] == rows


def test_how_far_it_is_is_told_in_a_pipe_unless_it_is_quiet(home: Path) -> None:
    rows = 20_000
    (home / "rows.json").write_text("".join(json.dumps({"n": n}) + "\n" for n in range(rows)))
    command = ("backload", "rows", "--meta-file", "rows.json", "--at", "2026-01-01", "-y")
    assert " %: " not in flowlord(*command, "-q", cwd=home).err
    told = flowlord(*command, "--again", cwd=home).err
    assert "sent 20,000 tasks" in told
    assert " of 20,000 tasks" in told or "%" not in told  # a machine may be done before it is worth a word


def test_it_can_be_waited_for_and_says_whether_all_went_well(home: Path) -> None:
    week = ("backload", "load:users", "--from", "2026-07-01", "--to", "2026-07-03", "--wait", "-y")
    with running("run", "--worker", "load=test {info} != ?day=2026-07-02", cwd=home) as daemon:
        ended = flowlord(*week, cwd=home)
        assert (ended.code, "1 task of b-" in ended.err) == (1, True), ended.err
        assert status(home)["open"] == 0
        again = flowlord(*week, cwd=home)
        assert (again.code, "nothing was sent now" in again.err) == (1, True), again.err
        one = flowlord(
            "backload", "load:users", "--at", "2026-07-04", "--rate", "20/s", "--wait", "-y", cwd=home
        )
        assert (one.code, "every task of b-" in one.err) == (0, True), one.err
        assert daemon.end() == 0


def test_a_task_that_was_sent_again_since_is_waited_for_and_did_not_fail(home: Path) -> None:
    days = ("backload", "load:users", "--from", "2026-07-01", "--to", "2026-07-02", "--wait", "-y")
    with running("run", "--worker", f"load=test -e {home}/mended", cwd=home) as daemon:
        ended = flowlord(*days, cwd=home)
        assert (ended.code, "2 tasks of b-" in ended.err) == (1, True), ended.err
        assert flowlord("retry", "--failed", "-y", cwd=home).code == 0
        ended = flowlord(*days, cwd=home)
        assert (ended.code, "2 tasks of b-" in ended.err) == (1, True), ended.err
        (home / "mended").touch()
        assert flowlord("retry", "--failed", "-y", cwd=home).code == 0
        ended = flowlord(*days, cwd=home)
        assert (ended.code, "every task of b-" in ended.err) == (0, True), ended.err
        assert daemon.end() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("nope",), 5, "no phase is called nope"),
        (("load",), 5, "did you mean load:users?"),
        (("load:users", "--workflow", "none.toml"), 5, "none.toml has no phase load:users"),
        (("load:users", "--workflow", "workflows/users.toml"), 5, "loaded workflows: "),
        (("load:users", "--from", "2026-02-30"), 2, "is no time"),
        (("load:users", "--at", "0001-01-02"), 2, "no year for tasks"),
        (("load:users", "--by", "fortnight"), 2, "is no step"),
        (("load:users", "--rate", "fast"), 2, "--rate 'fast' is none"),
        (("load:users", "--only", "odd"), 2, "--only 'odd' is none"),
        (("load:users", "--order", "odd"), 2, "--order 'odd' is none"),
        (("load:users", "--meta", "odd"), 2, "is no list"),
        (("load:users", "--meta-file", "none.csv"), 2, "none.csv"),
        (
            ("load:users", "--from", "2020-01-01", "--to", "2026-01-01", "--limit", "9"),
            2,
            "allow more: --limit 2193",
        ),
        (("load:users", "b-1"), 2, "'b-1' is too much"),
        (("status",), 2, "status which one?"),
        (("status", "b-1"), 5, "there is no backload b-1"),
    ],
)
def test_what_cannot_be_is_said_with_the_way_on(
    home: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    ended = flowlord("backload", *arguments, cwd=home)
    assert (ended.code, text in ended.err) == (code, True), ended.err


def test_a_bad_row_is_told_before_anything_is_sent(home: Path) -> None:
    (home / "rows.json").write_text('{"n": 1}\n' * 700 + "oops\n")
    ended = flowlord("backload", "rows", "--meta-file", "rows.json", "-y", cwd=home)
    assert ended.code == 2
    assert "rows.json" in ended.err
    assert "line 701" in ended.err
    assert not (home / ".flowlord").exists()


def test_it_tells_what_to_expect_and_stops_when_too_many_fail(home: Path) -> None:
    only_june = "load=test {info} = ?day=2026-06-01"
    with running("run", "workflows", "--worker", only_june, cwd=home) as daemon:
        flowlord("backload", "load:users", "--at", "2026-06-01", "-y", "--wait", cwd=home)
        shown = until(lambda: _expected(home), "the history", every_s=0.3)
        assert shown["takes_s"] >= 31 / shown["slots"] * shown["each_s"]
        assert (shown["children"], shown["most_waiting"]) == (["report"], max(0, 2 - shown["slots"]))
        stopped = backload(home, "--rate", "1/s", "--stop-at-failures", "2", "-y", code=1)
        assert "tasks that have ended failed" in stopped.err
        now = status(home, stopped.out.strip())
        assert now["state"] == "paused"
        assert 2 <= now["sent"] < 31
        assert "--stop-at-failures 2" in now["why"]
        assert daemon.end() == 0


def _expected(home: Path) -> dict[str, Any] | None:
    shown = backload(home, "--max-active", "2", "-o", "json").data
    return shown if shown["each_s"] else None


@pytest.mark.parametrize(
    ("more", "words"),
    [(("--stop-at-failures", "10%"), "stops nothing"), (("--serial", "--stop-at-failures", "0"), "is none")],
)
def test_a_limit_of_failures_that_means_nothing_is_refused(home: Path, more: list[str], words: str) -> None:
    assert words in backload(home, *more, code=2).err
