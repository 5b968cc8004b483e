"""`flowlord doctor` and `flowlord workers` on an embedded bus: who is alive, what differs, what is behind."""

import json
import resource
from datetime import UTC, datetime, timedelta

import pytest

from flowlord.bus.open import open_bus
from flowlord.bus.pauses import change_pauses
from flowlord.bus.port import Presence, TopicState
from flowlord.cache.historian import Historian
from flowlord.cli import doctor, workers
from flowlord.cli.checkup import PARTS
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, UNREACHABLE
from flowlord.cli.fleet import at_work, differences
from flowlord.cli.printer import Look
from flowlord.config import BusSettings, CacheSettings, Settings
from flowlord.model.errors import FlowlordError
from flowlord.model.finding import Finding, Level
from flowlord.model.message import Message
from flowlord.model.paused import Pause, Paused
from flowlord.model.task import Task
from support.clock import VirtualClock

OK, WARN, FAULT = Level.OK, Level.WARN, Level.FAULT


def process(name, kind="worker", **more):
    return Presence(name, kind, "host", 7, **({"version": "1.0"} | more))


class Home:
    """A folder with an embedded bus, a history and a clock."""

    def __init__(self, folder):
        self.clock = VirtualClock(datetime(2026, 8, 1, 12, tzinfo=UTC))
        self.settings = Settings(
            bus=BusSettings(f"sqlite:///{folder / 'bus.db'}"), cache=CacheSettings(str(folder / "tasks.db"))
        )
        self.bus = open_bus(self.settings.bus.address, by="test", clock=self.clock)

    def send(self, count):
        self.bus.publish([Message("load", Task(type="load", info=f"{n}"), f"{n:032x}") for n in range(count)])

    def follow(self, generation=""):
        historian = Historian(self.settings.cache.path, self.clock)
        historian.attach(generation or self.bus.generation())
        while entries := self.bus.journal(historian.cursor(), 1000):
            historian.follow(entries)
        historian.close()

    def doctor(self, capsys, *parts, **more):
        """The exit code, and what was found, by part and name."""
        capsys.readouterr()
        code = doctor.run(self.settings, parts, look=Look("json"), clock=self.clock, **more)
        rows = json.loads(capsys.readouterr().out)
        assert all(set(row) == {"part", "name", "level", "text", "fix"} for row in rows)
        return code, {(row["part"], row["name"]): row for row in rows}


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    yield made
    made.bus.close()


def test_what_works_has_no_fault(home, capsys):
    home.bus.beat(process("t", "taskmaster", revision="aa", health="green"))
    home.bus.beat(process("w", topics=("load",), slots=4))
    home.send(1)
    home.follow()
    code, found = home.doctor(capsys)
    assert code == DONE, found
    nobody = found.pop(("alerts", "channels"))  # nobody is told here, and that is worth a warning
    assert (nobody["level"], "flowlord notify" in nobody["fix"]) == ("warn", True)
    assert home.doctor(capsys, "alerts", strict=True)[0] == ANSWER_IS_BAD
    assert {row["level"] for row in found.values()} == {"ok"}
    assert {part for part, _ in found} == set(PARTS) - {"redis"} | {"bus"}
    assert "engine" in found["bus", "bus"]["text"]
    assert "backup_path" in found["cache", "backups"]["text"]


def test_strict_counts_warnings_and_a_part_may_be_chosen(home, capsys):
    code, found = home.doctor(capsys, "workers")
    assert code == DONE
    assert found["workers", "taskmasters"]["level"] == "warn"
    assert {part for part, _ in found} == {"workers"}
    assert home.doctor(capsys, "workers", strict=True)[0] == ANSWER_IS_BAD
    assert home.doctor(capsys, "clock", "redis", strict=True)[0] == DONE
    assert home.doctor(capsys, "bus") == home.doctor(capsys, "redis")


def test_an_unknown_part_is_wrong_use_and_a_near_one_is_named(home):
    with pytest.raises(FlowlordError, match="no part") as refused:
        doctor.run(home.settings, ["workres"])
    assert "workers" in refused.value.hint


def test_people_get_a_line_each_and_below_it_what_mends_it(home, capsys):
    assert doctor.run(home.settings, ["workers"], look=Look(color="never"), clock=home.clock) == DONE
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("warn   workers  taskmasters  no taskmaster is alive")
    assert lines[1].strip() == "flowlord run workflows/"
    assert "0 faults, 2 warnings" in err
    doctor.run(home.settings, ["clock"], look=Look(color="always"), clock=home.clock)
    assert "\x1b[32mok   \x1b[0m" in capsys.readouterr().out


def test_a_bus_that_is_damaged_is_told_once_and_leaves_the_rest(home, capsys, tmp_path):
    home.follow()
    home.bus.close()
    (tmp_path / "bus.db").write_bytes(b"SQLite format 3\0" + b"\x07garbage" * 2000)
    code, found = home.doctor(capsys)
    assert code == ANSWER_IS_BAD
    assert [key for key, row in found.items() if row["level"] == "fault"] == [("bus", "bus")]
    assert found["cache", "history"]["level"] == "ok"


def test_a_bus_that_does_not_answer_exits_with_three(home, capsys, monkeypatch):
    from flowlord.model.errors import BusUnavailable

    def away(*_, **__):
        raise BusUnavailable("nobody there", hint="start it")

    monkeypatch.setattr("flowlord.bus.open.open_bus", away)
    code, found = home.doctor(capsys)
    assert code == UNREACHABLE
    assert [row["text"] for row in found.values() if row["level"] == "fault"] == ["nobody there"]
    assert found["bus", "bus"]["fix"] == "start it"
    assert ("files", "limit") in found


@pytest.mark.parametrize(
    ("sent", "generation", "level", "words"),
    [
        (0, "", "ok", "up to date"),
        (1, "", "ok", "1 entry behind"),
        (7, "", "warn", "7 entries behind"),
        (1, "another", "warn", "another bus"),
    ],
)
def test_a_history_that_is_behind_is_told(home, capsys, monkeypatch, sent, generation, level, words):
    monkeypatch.setattr("flowlord.cli.checkup.BEHIND", 5)
    home.follow(generation)
    for _ in range(sent):
        home.send(1)
    row = home.doctor(capsys, "cache")[1]["cache", "behind"]
    assert row["level"] == level
    assert words in row["text"]


def test_a_history_that_is_missing_or_switched_off(home, capsys):
    assert home.doctor(capsys, "cache")[1]["cache", "history"]["level"] == "warn"
    home.settings = Settings(bus=home.settings.bus, cache=CacheSettings(enabled=False))
    assert home.doctor(capsys, "cache")[1]["cache", "history"]["level"] == "ok"


def test_few_open_files_and_a_folder_that_cannot_be_written(home, capsys, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr("flowlord.cli.checkup.os.access", lambda *_: False)
    code, found = home.doctor(capsys, "files")
    assert code == ANSWER_IS_BAD
    assert found["files", "limit"]["level"] == "warn"
    assert "ulimit -n" in found["files", "limit"]["fix"]
    assert found["files", "folder"]["level"] == "fault"


def test_a_full_disk_is_near(home, capsys, monkeypatch):
    monkeypatch.setattr("flowlord.cli.checkup.ROOM", 1 << 62)
    assert home.doctor(capsys, "files")[1]["files", "folder"]["level"] == "warn"


def test_time_zones_that_are_missing_are_a_fault(home, capsys):
    from flowlord.config import TaskmasterSettings

    home.settings = Settings(bus=home.settings.bus, taskmaster=TaskmasterSettings(zone="Mars/Base"))
    code, found = home.doctor(capsys, "clock")
    assert (code, found["clock", "zones"]["level"]) == (ANSWER_IS_BAD, "fault")


# --- who is alive ---------------------------------------------------------------------------------------------


def told(findings) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for each in findings:
        found.setdefault(each.name, []).append(each)
    return found


def test_daemons_that_are_alike_differ_in_nothing():
    alike = [process("a", "taskmaster", revision="x"), process("b", "taskmaster", revision="x"), process("w")]
    lost = process("c", "taskmaster", revision="old", version="0.9", alive=False)
    assert list(differences([*alike, lost])) == []


def test_daemons_that_differ_are_named_with_what_they_have():
    found = told(
        differences(
            [
                process("a", "taskmaster", revision="x"),
                process("b", "taskmaster", revision="y"),
                process("w", version="0.9"),
                process("old"),
            ]
        )
    )
    assert "x (a), y (b)" in found["revisions"][0].text
    assert "0.9 (w), 1.0 (a, b, old)" in found["versions"][0].text
    assert {each.level for some in found.values() for each in some} == {WARN}


def test_work_that_nobody_takes_is_told_and_what_is_not_for_workers_is_not():
    topics = [TopicState(name, 3, 0, 0, 1) for name in ("load", "done", "quarantine", "retry-failed", "mail")]
    found = told(at_work([process("w", topics=("load",), slots=2)], topics, "retry-failed", 0))
    assert [each.text.split(",")[0] for each in found["topics"]] == ["mail has 3 waiting tasks"]
    assert found["workers"][0].level is OK
    assert found["taskmasters"][0].level is WARN


def test_slots_in_use_are_those_that_the_bus_knows_of():
    hands = [process("w", slots=4), process("short", slots=2, running=("a",)), process("x", alive=False)]
    found = told(at_work(hands, [], "", 0, held={"w": 1, "short": 40, "x": 2}))
    assert "3 of 6 slots in use" in found["workers"][0].text
    assert "it still holds 2 tasks, until its lease lapses" in found["lost"][0].text


def test_the_health_of_a_daemon_and_a_process_that_was_lost_are_told():
    sick = [
        process("t", "taskmaster", health="red: bus: away"),
        process("u", "taskmaster", health="yellow"),
        process("w", alive=False, beat_us=1),
    ]
    found = told(at_work(sick, [], "", 60_000_001))
    assert [(each.level, each.text) for each in found["health"]] == [
        (FAULT, "t is red: bus: away"),
        (WARN, "u is yellow: see its log"),
    ]
    assert "w on host went without a word, last heard 60s ago" in found["lost"][0].text


def test_workers_says_when_daemons_run_different_files(home, capsys):
    home.bus.beat(process("a", "taskmaster", revision="x"))
    workers.run(home.settings.bus, look=Look("table"), clock=home.clock)
    assert capsys.readouterr().err == ""
    home.bus.beat(process("b", "taskmaster", revision="y"))
    workers.run(home.settings.bus, look=Look("table"), clock=home.clock)
    out, err = capsys.readouterr()
    assert "REVISION" in out
    assert "note: taskmasters run different workflow files: x (a), y (b)" in err


def test_what_people_hold_up_is_told_with_what_lets_it_go_on(home, capsys):
    now = home.clock.now()
    pauses = (Pause("topic:load", now, now + timedelta(hours=2), by="ann"), Pause("b c.toml", now, now))
    assert change_pauses(home.bus, None, Paused(pauses), ())
    code, found = home.doctor(capsys, "workers")
    assert code == DONE
    told = found["workers", "paused"]
    assert told["text"] == "topic:load was paused by ann at 2026-08-01T12:00:00Z, until 2026-08-01T14:00:00Z"
    assert (told["level"], told["fix"]) == ("warn", "flowlord resume load")


def test_a_history_that_lies_where_it_may_be_damaged_is_told(tmp_path):
    from flowlord.cli.historyplace import LOG_BYTES, lies

    path = tmp_path / "tasks.db"
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 / {tmp_path} rw - ext4 /dev/vda rw\n")
    assert list(lies(str(path), mounts=mounts)) == []
    path.touch()
    (tmp_path / "other.db").hardlink_to(path)
    with (tmp_path / "tasks.db-wal").open("wb") as log:
        log.truncate(LOG_BYTES + 1)
    mounts.write_text(f"36 35 98:0 / {tmp_path} rw - nfs4 server:/x rw\n")
    found = {each.name: each for each in lies(str(path), mounts=mounts)}
    assert sorted(found) == ["log", "names", "place"]
    assert "network file system (nfs4)" in found["place"].text
    assert "2 names" in found["names"].text
    assert "268 MB" in found["log"].text
    assert all(each.fix for each in found.values())


def test_a_damaged_page_of_the_history_is_a_fault_and_topics_tell_what_the_bus_knows(tmp_path):
    from flowlord.cache.historian import Historian
    from support.clock import VirtualClock
    from support.journal import journal, published, task
    from support.processes import flowlord

    path = tmp_path / "tasks.db"
    historian = Historian(path, VirtualClock())
    historian.follow(journal([published(f"k{n}", task(n=n, info="i" * 500)) for n in range(200)]))
    sql = "SELECT rootpage FROM sqlite_master WHERE name IN ('tasks_happened', 'tasks_state')"
    pages = [page for (page,) in historian.connection.execute(sql)]
    historian.close()
    where = ("--bus", f"sqlite:///{tmp_path}/bus.db", "--cache", str(path))
    assert flowlord("send", "load", "x", *where[:2], cwd=tmp_path).code == 0
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * 4_096)
            file.write(b"\xa5" * 4_096)
    doctor = flowlord("doctor", "cache", *where, cwd=tmp_path)
    assert doctor.code == 1
    assert "is damaged" in doctor.out
    topics = flowlord("topics", *where, "-o", "json", cwd=tmp_path)
    assert topics.code == 0, topics.err
    assert [row["waiting"] for row in topics.data] == [1]
    assert "cannot be read" in topics.err
