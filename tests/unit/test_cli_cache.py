"""`flowlord cache`: every verb, what it prints in which form, and with which code it ends when something is wrong."""

import csv
import io
import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowlord.bus.open import open_bus
from flowlord.cache import schema
from flowlord.cache.alone import alone
from flowlord.cache.ask import EXPORTED
from flowlord.cache.historian import Historian
from flowlord.cache.schema import VERSION
from flowlord.cli.entry import enter
from flowlord.model.message import Message
from flowlord.model.plan import Fact, FactKind, Past, PhaseText, Plan
from support.clock import VirtualClock
from support.journal import done, journal, published, task, told

FORMS = ("json", "jsonl", "csv", "tsv", "table", "name")


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWLORD_CACHE", str(tmp_path / "tasks.db"))
    return tmp_path


@pytest.fixture
def cache(home, capsys, monkeypatch) -> Callable[..., Ended]:
    def run(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["flowlord", "cache", *words])
        try:
            enter()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


def fill(path: Path, attempts: int = 30) -> None:
    commits: list = [
        Fact(FactKind.RELOAD, phase="a.toml", revision="1", text="loaded", phases=(PhaseText("load"),)),
        told(FactKind.FILE, "", cause="file:/in/a.csv:v1"),
        told(FactKind.ALERT, "k0", "late"),
        (
            told(FactKind.SKIPPED, "", "paused"),
            Fact(
                FactKind.INCIDENT,
                key="i1",
                phase="a.toml:load",
                incident=Past("failed", "load", "over", 1, 2, 3, 4),
            ),
        ),
    ]
    for n in range(attempts):
        commits += [
            published(f"k{n}", task(n=n)),
            done(f"k{n}", task(n=n), "error" if n % 10 == 0 else "complete"),
        ]
    with closing(Historian(path, VirtualClock())) as historian:
        historian.follow(journal(commits, first=2))  # and a gap


@pytest.fixture
def filled(home) -> Path:
    path = home / "tasks.db"
    fill(path)
    return path


def parsed(form: str, text: str) -> list:
    match form:
        case "json":
            found = json.loads(text)
            return found if isinstance(found, list) else [found]
        case "jsonl":
            return [json.loads(line) for line in text.splitlines()]
        case "csv":
            return list(csv.DictReader(io.StringIO(text)))
        case "tsv":
            head, *rows = text.splitlines() or [""]
            return [dict(zip(head.split("\t"), row.split("\t"), strict=True)) for row in rows]
    return text.splitlines()


@pytest.mark.parametrize("form", FORMS)
def test_every_verb_that_reads_gives_every_form(cache, filled, home, form):
    place = str(home / "backups")
    assert cache("restore", "--list", "--from", place, "-o", form).code == 0
    assert cache("backup", "--to", place).code == 0
    for words, least in (
        (("status",), 1),
        (("verify",), 1),
        (("verify", "--backups", "--from", place), 2),
        (("restore", "--list", "--from", place), 1),
        (("query", "SELECT key, state FROM tasks"), 30),
        (("query", "SELECT key FROM tasks WHERE key = 'none'"), 0),
        (("export",), 30),
        (("export", "--table", "days"), 2),
        (("trim", "--dry-run", "--keep", "1d"), 1),
    ):
        ended = cache(*words, "-o", form)
        assert ended.code == 0, ended.err
        assert len(parsed(form, ended.out)) >= least, words
        assert "\x1b" not in ended.out


@pytest.mark.parametrize("table", EXPORTED)
def test_every_table_can_be_written_out_to_its_last_row(cache, filled, table, monkeypatch):
    monkeypatch.setattr("flowlord.cache.ask._PAGE", 2)
    with closing(sqlite3.connect(filled)) as db:
        [count] = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert count > 0
    rows = parsed("jsonl", cache("export", "--table", table).out)
    assert len(rows) == len({json.dumps(row) for row in rows}) == count
    assert len(parsed("csv", cache("export", "--table", table, "-o", "csv").out)) == count


def test_what_is_written_out_can_be_bounded_in_time(cache, filled):
    assert parsed("jsonl", cache("export", "--until", "2026-07-31").out) == []
    assert len(parsed("jsonl", cache("export", "--since", "2026-07-31", "--until", "2026-08-02").out)) == 30
    assert cache("export", "--since", "2030").out == ""
    assert cache("export", "--since", "soon").code == 2
    assert cache("export", "--table", "sqlite_master").code == 2


def test_status_tells_size_reach_and_backup(cache, filled, home):
    [found] = parsed("json", cache("status", "-o", "json").out)
    assert (found["tasks"], found["schema"], found["seq"], found["gaps"]) == (30, VERSION, 65, 1)
    assert (found["state"], found["behind"], found["backup_name"]) == ("ok", None, "")
    cache("backup", "--to", str(home / "backups"))
    told = cache("status", "-o", "table").out
    assert "tasks 30" in told
    assert "1 gaps" in told
    assert f"backup     {home}/backups" in told


def test_status_tells_how_far_the_bus_is_ahead(cache, home):
    with closing(open_bus(f"sqlite:///{home}/.flowlord/bus.db", by="t")) as bus:
        bus.publish([Message("load", task(), "k")])
        with closing(Historian(home / "tasks.db", VirtualClock())) as historian:
            historian.attach(bus.generation())
    [found] = parsed("json", cache("status", "-o", "json").out)
    assert found["behind"] == 1


def test_a_question_has_named_values_and_only_reads(cache, filled):
    asked = "SELECT count(*) AS n FROM tasks WHERE state = :s AND job = :j"
    answer = cache("query", asked, "-p", "s=error", "-p", "j=users", "-o", "json")
    assert json.loads(answer.out) == [{"n": 3}]
    hostile = cache("query", asked, "-p", "s='; DROP TABLE tasks; --", "-p", "j=x", "-o", "json")
    assert json.loads(hostile.out) == [{"n": 0}]
    before = filled.read_bytes()
    for sql in (
        "DELETE FROM tasks", "DROP TABLE tasks", "INSERT INTO gaps VALUES (1, 1, '', 1, 1)", "VACUUM", "BEGIN",
        "ATTACH '/tmp/other.db' AS other", "PRAGMA user_version = 9", "PRAGMA user_version", "", ";",
        "SELECT 1; DROP TABLE tasks", "CREATE TEMP TABLE t (a)", "SELECT load_extension('x')", "SELECT * FROM nope",
        "SELECT :unknown", "REINDEX", "EXPLAIN DELETE FROM tasks",
    ):  # fmt: skip
        ended = cache("query", sql)
        assert (ended.code, ended.out) == (2, ""), sql
        assert ended.err.startswith("error: ")
    assert filled.read_bytes() == before
    assert cache("query", "SELECT 1", "-p", "nothing").code == 2


def test_a_question_that_takes_too_long_or_too_much_is_given_up(cache, filled):
    endless = "WITH RECURSIVE x(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM x) SELECT count(*) FROM x"
    ended = cache("query", endless, "--timeout", "50ms")
    assert (ended.code, ended.out) == (124, "")
    assert "longer than 0.05 s" in ended.err
    assert cache("query", "SELECT zeroblob(900000000)").code == 2
    assert cache("query", "SELECT 1", "--timeout", "soon").code == 2


def test_a_question_may_come_from_stdin(cache, filled, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT count(*) AS n FROM tasks"))
    assert json.loads(cache("query", "-", "-o", "json").out) == [{"n": 30}]


def test_what_tasks_said_reaches_no_terminal_unescaped(cache, home):
    with closing(Historian(home / "tasks.db", VirtualClock())) as historian:
        historian.follow(journal([published("k"), done("k", msg="\x1b]52;c;bad\x07\n=cmd()")]))
    for form in ("table", "csv", "tsv", "json"):
        out = cache("query", "SELECT msg FROM tasks", "-o", form).out
        assert "\x1b" not in out
        assert "\x07" not in out


@pytest.mark.parametrize(
    "words",
    [
        ("verify",), ("query", "SELECT 1"), ("export",), ("trim", "-y"), ("migrate",),
        ("backup", "--to", "backups"),
    ],
)  # fmt: skip
def test_without_a_history_it_is_said_where_it_should_be_and_nothing_is_made(cache, home, words):
    ended = cache(*words)
    assert (ended.code, ended.out) == (5, "")
    assert f"there is no history at {home}/tasks.db yet" in ended.err
    assert list(home.iterdir()) == []


def test_status_without_a_history_is_no_error(cache, home):
    ended = cache("status", "-o", "json")
    assert ended.code == 0
    assert json.loads(ended.out)["exists"] is False


def damaged(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xff" * 100)


def another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE mine (a)")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (damaged, "cannot be read|damaged"), (another_program, "another program"), (newer, "newer flowlord"),
        (empty, "empty"), (a_folder, "is a folder, and no history"),
    ],
)  # fmt: skip
def test_a_history_that_cannot_be_used_is_told_by_every_verb_and_left_as_it_is(
    cache, filled, home, break_it, said
):
    import re

    break_it(filled)
    for words, code in (
        (("status",), 1), (("verify",), 1), (("query", "SELECT 1"), 3), (("export",), 3),
        (("backup", "--to", "backups"), 3), (("trim", "--keep", "1d", "--dry-run"), 3),
    ):  # fmt: skip
        ended = cache(*words)
        assert ended.code == code, (words, ended)
        assert re.search(said, ended.out + ended.err), (words, ended)
        assert "Traceback" not in ended.err
    assert not list(home.glob("*aside*"))
    assert not list(home.glob("backups/*"))


def test_damage_deep_in_the_file_is_found(cache, filled):
    with filled.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 3)
    ended = cache("verify", "-o", "json")
    assert ended.code == 1
    assert json.loads(ended.out)[0]["state"] == "damaged"


@pytest.mark.parametrize("form", FORMS)
def test_a_column_may_have_any_name_and_stays_a_name(cache, filled, form):
    evil = "\x1b]0;owned\x07 \u202e,a\tb"
    ended = cache("query", f"SELECT 1 AS \"{evil}\", 2 AS '=cmd()'", "-o", form)
    assert ended.code == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(ended.out)
    if form == "json":
        assert json.loads(ended.out) == [{evil: 1, "=cmd()": 2}]
    if form == "csv":
        assert ended.out.splitlines()[0].endswith("'=cmd()")


def test_a_locked_history_is_read_all_the_same(cache, filled):
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert cache("query", "SELECT count(*) FROM tasks").code == 0
        assert cache("backup", "--to", "backups").code == 0
        other.execute("ROLLBACK")


def test_while_another_process_is_at_it_a_backup_and_a_restore_say_so(cache, filled, home):
    cache("backup", "--to", "backups")
    with alone(filled, wait=True):
        for words in (("backup", "--to", "backups"), ("restore", "--from", "backups", "--force", "-y")):
            ended = cache(*words)
            assert ended.code == 3
            assert "another process is at" in ended.err


def test_nobody_said_where_backups_lie(cache, filled):
    for words in (("backup",), ("restore",), ("restore", "--list"), ("verify", "--backups")):
        ended = cache(*words)
        assert ended.code == 2
        assert "cache.backup_path" in ended.err


def test_what_was_looked_at_before_the_place_was_missed_is_whole_json(cache, filled):
    [row] = json.loads(cache("verify", "--backups", "-o", "json").out)
    assert row["state"] == "ok"


def test_a_place_that_refuses_is_told(cache, filled, home):
    (home / "backups").write_text("a file")
    ended = cache("backup", "--to", "backups/deeper")
    assert ended.code == 3
    assert "backups/deeper" in ended.err
    assert cache("backup", "--to", "ftp://x/y").code == 3
    assert cache("backup", "--to", "s3://no-such-bucket-anywhere/x", "--dry-run").code == 0


def test_a_backup_put_back_by_hand_sets_what_is_there_aside(cache, filled, home):
    [name] = parsed("name", cache("backup", "--to", "backups", "-o", "name").out)
    with closing(Historian(filled, VirtualClock())) as historian:
        historian.follow(journal([published("late")], first=66))
    assert cache("restore", "--from", "backups").code == 6
    assert cache("restore", "--from", "backups", "--force").code == 6
    shown = cache("restore", "--from", "backups", "--force", "--dry-run", "-o", "json")
    assert (shown.code, json.loads(shown.out)["result"]) == (0, "would be restored")
    assert not list(home.glob("*aside*"))
    ended = cache("restore", "--from", "backups", "--force", "-y")
    assert (ended.code, ended.out.strip()) == (0, name)
    count = "SELECT count(*) AS n FROM tasks"
    assert json.loads(cache("query", count, "-o", "json").out) == [{"n": 30}]
    with closing(sqlite3.connect(home / "tasks.db.aside-1")) as db:
        assert db.execute(count).fetchone() == (31,)


@pytest.mark.parametrize("form", FORMS)
def test_acts_on_the_history_tell_machines_what_they_did(cache, filled, home, form):
    cache("backup", "--to", "backups")
    for words in (("restore", "--from", "backups", "--force", "-y"), ("migrate",)):
        ended = cache(*words, "-o", form)
        assert ended.code == 0
        if form == "json":
            assert json.loads(ended.out)["result"] in ("restored", "up to date")
        elif form != "table":
            assert len(parsed(form, ended.out)) == 1


def test_a_table_of_what_was_verified_lines_up(cache, filled, home, monkeypatch):
    monkeypatch.setenv("FLOWLORD_CACHE", "tasks.db")  # shorter than the name of a backup
    cache("backup", "--to", "backups")
    ended = cache("verify", "--backups", "--from", "backups", "-o", "table")
    header, *rows = ended.out.splitlines()
    assert len(rows) == 2
    for title, state in (("STATE", "ok"), ("TEXT", "")):
        at = header.index(title)
        assert all(row[at - 2 : at] == "  " and row[at:].startswith(state) for row in rows)
        assert all(row[at] != " " for row in rows)


def test_a_named_backup_that_is_damaged_is_told_and_nothing_changes(cache, filled, home):
    [name] = parsed("name", cache("backup", "--to", "backups", "-o", "name").out)
    (home / "backups" / name / "00001.gz").write_bytes(b"no")
    ended = cache("verify", name, "--from", "backups")
    assert (ended.code, "damaged" in ended.out) == (1, True)
    before = filled.read_bytes()
    ended = cache("restore", name, "--from", "backups", "--force", "-y")
    assert ended.code == 1
    assert "cannot be used" in ended.err
    assert filled.read_bytes() == before
    for unknown in ("20200101T000000Z-00000000", "../../etc", ""):
        ended = cache("restore", unknown or "no such", "--from", "backups")
        assert ended.code == 5


def test_trimming_is_previewed_needs_a_yes_and_keeps_the_days(cache, filled):
    asked = ("trim", "--keep", "1d")
    assert json.loads(cache(*asked, "--dry-run", "-o", "json").out)["tasks"] == 30
    assert cache(*asked).code == 6
    assert json.loads(cache("query", "SELECT count(*) AS n FROM tasks", "-o", "json").out) == [{"n": 30}]
    assert cache(*asked, "-y").code == 0
    assert json.loads(cache("query", "SELECT count(*) AS n FROM tasks", "-o", "json").out) == [{"n": 0}]
    days = json.loads(cache("query", "SELECT sum(attempts) AS n FROM days", "-o", "json").out)
    assert days == [{"n": 30}]
    assert cache(*asked, "-y").code == 0, "the same again has nothing to do"


def test_a_history_is_made_anew_out_of_the_journal(cache, home, filled):
    with closing(open_bus(f"sqlite:///{home}/.flowlord/bus.db", by="t")) as bus:
        bus.publish([Message("load", task(), "k")])
        bus.commit(Plan(facts=(done("k"),)))
    shown = cache("rebuild", "--dry-run")
    assert (shown.code, "the journal has 2 entries" in shown.err) == (0, True)
    assert "30 attempts from before" in shown.err
    shown = cache("rebuild", "-o", "json")
    assert (shown.code, json.loads(shown.out)["result"]) == (6, "would be rebuilt")
    done_ = json.loads(cache("rebuild", "-y", "-o", "json").out)
    assert done_ == {"result": "rebuilt", "file": str(home / "tasks.db"), "entries": 2}
    rows = json.loads(cache("query", "SELECT key, state FROM tasks", "-o", "json").out)
    assert rows == [{"key": "k", "state": "complete"}]
    assert [each.name for each in home.glob("tasks.db*") if "new" in each.name] == []
    assert (home / "tasks.db.aside-1").exists()


def test_without_a_bus_nothing_is_made_anew(cache, filled, home):
    assert cache("rebuild", "-y").code == 3
    assert not list(home.glob("*aside*"))


def test_tables_are_brought_up_to_date_after_a_copy(cache, home, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:2])
        before.setattr(schema, "VERSION", 2)
        schema.open_writer(home / "tasks.db").close()
    told = cache("status")
    assert (told.code, "flowlord cache migrate" in told.err) == (1, True)
    shown = json.loads(cache("migrate", "--dry-run", "-o", "json").out)
    assert (shown["result"], shown["before"]) == ("would be migrated", 2)
    assert not (home / "tasks.db.version-2").exists()
    ended = cache("migrate")
    assert (ended.code, ended.out.strip()) == (0, str(VERSION))
    assert (home / "tasks.db.version-2").exists()
    assert cache("status").code == 0
    assert json.loads(cache("migrate", "-o", "json").out)["result"] == "up to date"


def test_no_verb_and_a_wrong_one_are_told(cache, home):
    assert cache().code == 2
    assert cache("statsu").code == 2


def test_a_history_that_is_switched_off_is_told(cache, filled, monkeypatch):
    monkeypatch.setenv("FLOWLORD_CACHE_ENABLED", "false")
    ended = cache("status")
    assert (ended.code, "no history is kept" in ended.err) == (2, True)


@pytest.mark.parametrize("unknown", ["nosuch", "20200101T000000Z-00000000"])
def test_a_backup_that_is_not_there_is_told_alike_whoever_looks_for_it(cache, filled, home, unknown):
    [name] = parsed("name", cache("backup", "--to", "backups", "-o", "name").out)
    told = cache("restore", unknown, "--from", "backups")
    asked = cache("verify", unknown, "--from", "backups")
    assert (asked.code, asked.out, asked.err) == (5, "", told.err)
    assert "flowlord cache restore --list" in asked.err
    (home / "backups" / name / "manifest.json").unlink()
    begun = cache("verify", name, "--from", "backups")
    assert (begun.code, "it has no manifest" in begun.out) == (1, True)
