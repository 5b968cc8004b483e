"""Where a SQLite bus may lie, what it refuses to open, and that it notices when its file is taken away."""

import os
import sqlite3
import stat
from contextlib import closing

import pytest

from flowlord.bus.sqlite import SqliteBus
from flowlord.bus.sqlite_connection import fixed_engine
from flowlord.bus.sqlite_place import Mount, file_system, mount_points
from flowlord.bus.sqlite_schema import VERSION
from flowlord.model.errors import BusUnavailable, BusUnusable
from flowlord.model.message import Message
from flowlord.model.task import Task
from support.clock import VirtualClock

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /data rw - nfs4 server:/data rw,vers=4.2
31 30 254:1 / /data/local\\040disk rw - xfs /dev/vdb rw
32 22 0:26 / /mnt rw,relatime shared:7 - tmpfs tmpfs rw
33 22 0:27 / /mnt rw,relatime shared:8 master:1 - fuse.sshfs me@there:/ rw
"""


def message(key="k"):
    return Message("extract", Task(type="extract", info="x"), key)


# --- engine and file system


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ((3, 40, 1), False), ((3, 44, 5), False), ((3, 44, 6), True), ((3, 44, 9), True), ((3, 45, 0), False),
        ((3, 50, 6), False), ((3, 50, 7), True), ((3, 51, 0), False), ((3, 51, 2), False), ((3, 51, 3), True),
        ((3, 52, 0), True), ((4, 0, 0), True),
    ],
)  # fmt: skip
def test_engines_with_the_reset_bug_of_wal_are_known(version, fixed):
    assert fixed_engine(version) is fixed


@pytest.mark.parametrize("fixed", [True, False])
def test_the_journal_is_a_log_and_with_an_engine_that_has_the_reset_bug_that_is_said(
    tmp_path, monkeypatch, fixed
):
    monkeypatch.setattr("flowlord.bus.sqlite_opening.fixed_engine", lambda: fixed)
    with closing(SqliteBus(tmp_path / "bus.db")) as bus:
        told = bus.describe()
        assert told["journal_mode"] == "wal"
        assert ("write in turns" in told.get("note", "")) is not fixed
        with bus._connection.reading() as db:
            assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
            assert db.execute("PRAGMA busy_timeout").fetchone() == (10_000,)
            assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)  # incremental
            assert db.isolation_level is None


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"), ("/home/me", "ext4"), ("/data", "nfs4"), ("/data/x/y", "nfs4"), ("/database", "ext4"),
        ("/data/local disk", "xfs"), ("/data/local disk/x", "xfs"), ("/mnt/x", "fuse.sshfs"),
    ],
)  # fmt: skip
def test_the_file_system_of_a_folder_is_that_of_the_mount_that_holds_it(tmp_path, folder, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system(folder, mounts) == kind


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\x0c", "\r"])
def test_a_mount_may_have_a_name_that_looks_like_the_end_of_a_line(tmp_path, end):
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(f"22 1 8:1 / / rw - ext4 a rw\n23 22 0:9 / /mnt/a{end}b rw - fuse.x b rw\n".encode())
    assert mount_points(mounts) == [Mount("/", "ext4", 22), Mount(f"/mnt/a{end}b", "fuse.x", 23)]
    assert file_system("/mnt", mounts) == "ext4"


def test_where_the_system_tells_no_mounts_nothing_is_refused(tmp_path):
    assert file_system("/x", tmp_path / "none") == ""
    SqliteBus(tmp_path / "bus.db", mounts=tmp_path / "none").close()


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "fuse.sshfs", "fuseblk", "ceph", "virtiofs", "lustre"],
)
def test_a_network_file_system_is_refused(tmp_path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 254:0 / / rw - {kind} somewhere rw\n")
    with pytest.raises(BusUnusable, match="network file system") as refused:
        SqliteBus(tmp_path / "bus.db", mounts=mounts)
    assert kind in str(refused.value)
    assert "local disk" in refused.value.hint
    assert not (tmp_path / "bus.db").exists()


# --- files


def test_folder_and_files_are_their_owners_alone(tmp_path):
    path = tmp_path / "state" / "bus.db"
    old = os.umask(0)
    try:
        with closing(SqliteBus(path)) as bus:
            bus.publish([message()])
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert modes.pop("bus.db.bells") == 0o700
    assert modes
    assert set(modes.values()) == {0o600}


def test_a_folder_that_exists_keeps_its_rights(tmp_path):
    tmp_path.chmod(0o755)
    SqliteBus(tmp_path / "bus.db").close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_symbolic_link_is_followed_once_and_the_journal_lies_beside_the_file(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "real" / "bus.db")
    with closing(SqliteBus(tmp_path / "link.db")) as bus:
        bus.publish([message()])
        assert bus.address == f"sqlite:///{tmp_path}/real/bus.db"
    assert [p.name for p in tmp_path.iterdir() if "journal" in p.name or "bells" in p.name] == []


def test_a_file_with_two_names_is_refused(tmp_path):
    SqliteBus(tmp_path / "bus.db").close()
    os.link(tmp_path / "bus.db", tmp_path / "other.db")
    with pytest.raises(BusUnusable, match="hard links"):
        SqliteBus(tmp_path / "other.db")


def test_a_place_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BusUnusable, match="cannot be used as a bus"):
        SqliteBus(tmp_path / "file" / "bus.db")


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_file_that_is_taken_away_is_noticed_within_a_minute_and_for_ever(tmp_path, change):
    clock = VirtualClock()
    path = tmp_path / "bus.db"
    with closing(SqliteBus(path, clock=clock)) as bus:
        bus.publish([message()])
        path.rename(tmp_path / "gone.db")
        if change == "replaced":
            SqliteBus(tmp_path / "other.db").close()
            (tmp_path / "other.db").rename(path)
        clock.advance(61)
        with pytest.raises(BusUnusable, match=change):
            bus.topics()
        (tmp_path / "gone.db").replace(path)
        with pytest.raises(BusUnusable, match=change):
            bus.publish([message()])
    with closing(SqliteBus(path)) as again:
        assert len(again.find(["k"])) == 1


def test_a_file_whose_log_is_there_is_not_begun_anew(tmp_path):
    path = tmp_path / "bus.db"
    with closing(SqliteBus(path)) as bus:
        bus.publish([message()])
        path.rename(tmp_path / "gone.db")
        with pytest.raises(BusUnusable, match=r"bus\.db-wal, is there") as refused:
            SqliteBus(path)
        assert "put the file back" in refused.value.hint
        (tmp_path / "gone.db").rename(path)
    with closing(SqliteBus(path)) as again:
        assert len(again.find(["k"])) == 1


# --- what the file holds


def damage(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_a_newer_schema_is_refused_with_its_version(tmp_path):
    path = tmp_path / "bus.db"
    SqliteBus(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(BusUnusable, match=f"schema {VERSION + 1}") as refused:
        SqliteBus(path)
    assert str(VERSION + 1) in refused.value.hint


def test_another_programs_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "tasks.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE tasks(id)")
    before = path.read_bytes()
    with pytest.raises(BusUnusable, match="not a bus"):
        SqliteBus(path, journal_mode="truncate")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "data", [b"not a database, but a text that somebody wrote here" * 99, b"\x00" * 8192]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, data):
    path = tmp_path / "bus.db"
    path.write_bytes(data)
    with pytest.raises(BusUnusable, match="damaged"):
        SqliteBus(path)
    assert path.read_bytes() == data


def test_a_damaged_file_is_refused_with_the_way_to_recover_it(tmp_path):
    path = tmp_path / "bus.db"
    with closing(SqliteBus(path)) as bus:
        bus.publish([message(f"k{n}") for n in range(500)])
    damage(path, 4096, os.urandom(path.stat().st_size - 4096))
    before = path.read_bytes()
    with pytest.raises(BusUnusable, match="damaged") as refused:
        SqliteBus(path)
    assert ".recover" in refused.value.hint
    assert path.read_bytes() == before


def test_damage_is_looked_for_after_the_machine_was_started_anew(tmp_path):
    path = tmp_path / "bus.db"
    with closing(SqliteBus(path, journal_mode="truncate", boot_id="one")) as bus:
        bus.publish([message(f"k{n}") for n in range(2_000)])
    with closing(sqlite3.connect(path)) as db:
        [page] = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'messages_key'").fetchone()
    damage(path, (page - 1) * 4096, b"\xff" * 4096)
    with pytest.raises(BusUnusable, match="damaged"):
        SqliteBus(path, boot_id="two")


def test_damage_that_shows_while_working_stops_the_work(tmp_path):
    path = tmp_path / "bus.db"
    with closing(SqliteBus(path, journal_mode="truncate")) as bus:
        bus.publish([message(f"k{n}") for n in range(2_000)])
    with closing(SqliteBus(path, journal_mode="truncate")) as bus:
        damage(path, 3 * 4096, os.urandom(path.stat().st_size - 3 * 4096))
        for _ in range(2):
            with pytest.raises(BusUnusable, match="damaged"):
                bus.claim(["extract"], "a", 2_000)


def test_a_file_in_use_by_another_engine_in_another_mode_is_not_switched(tmp_path, monkeypatch):
    path = tmp_path / "bus.db"
    with closing(SqliteBus(path, journal_mode="wal")) as newer:
        newer.publish([message()])
        monkeypatch.setattr("flowlord.bus.sqlite_connection.BUSY_TIMEOUT_S", 0)
        with pytest.raises(BusUnavailable, match="locked"):
            SqliteBus(path, journal_mode="truncate", patience_s=0.05)
        newer.publish([message()])


def test_a_switch_of_the_journal_mode_under_us_is_noticed(tmp_path):
    clock = VirtualClock()
    path = tmp_path / "bus.db"
    with closing(SqliteBus(path, clock=clock, journal_mode="truncate")) as bus:
        bus.publish([message()])
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            clock.advance(61)
            with pytest.raises(BusUnusable, match="journal mode wal"):
                bus.topics()


def test_files_of_either_mode_are_taken_over_when_nobody_else_has_them_open(tmp_path):
    for mode in ("wal", "truncate", "wal"):
        with closing(SqliteBus(tmp_path / "bus.db", journal_mode=mode)) as bus:
            assert bus.describe()["journal_mode"] == mode
            bus.publish([message()])
    with closing(SqliteBus(tmp_path / "bus.db", journal_mode="truncate")) as bus:
        assert len(bus.find(["k"])) == 3


# --- boots


def test_after_a_boot_every_lease_has_lapsed_and_nobody_is_alive(tmp_path):
    from flowlord.bus.port import Presence

    clock = VirtualClock()
    with closing(SqliteBus(tmp_path / "bus.db", clock=clock, boot_id="one")) as bus:
        bus.publish([message()])
        bus.claim(["extract"], "a", 1)
        bus.beat(Presence("a", "worker", "h", 1))
    with closing(SqliteBus(tmp_path / "bus.db", clock=clock, boot_id="one")) as bus:
        assert bus.reclaim("r", 1) == []
        assert bus.presences()[0].alive
    early = VirtualClock()  # a machine that has just booted: its clock stands far before the lease
    with closing(SqliteBus(tmp_path / "bus.db", clock=early, boot_id="two")) as bus:
        assert not bus.presences()[0].alive
        [taken] = bus.reclaim("r", 1)
        assert taken.deliveries == 1


def test_two_machines_on_one_file_are_noticed(tmp_path):
    clock = VirtualClock()
    with closing(SqliteBus(tmp_path / "bus.db", clock=clock, boot_id="here")) as here:
        with closing(SqliteBus(tmp_path / "bus.db", boot_id="there")) as there:
            there.publish([message()])
        clock.advance(61)
        with pytest.raises(BusUnusable, match="another machine"):
            here.claim(["extract"], "a", 1)


# --- the same data for all


def test_two_buses_on_one_file_are_one_bus(tmp_path):
    with (
        closing(SqliteBus(tmp_path / "bus.db", by="one")) as one,
        closing(SqliteBus(tmp_path / "bus.db", by="two")) as two,
    ):
        assert one.generation() == two.generation()
        one.publish([message("a")])
        two.publish([message("b")])
        assert [d.key for d in one.claim(["extract"], "x", 1)] == ["a"]
        assert [d.key for d in two.claim(["extract"], "x", 9)] == ["b"]
        assert [(entry.seq, entry.by) for entry in one.journal(0, 9)] == [(1, "one"), (2, "two")]


def test_a_new_file_is_another_generation(tmp_path):
    with closing(SqliteBus(tmp_path / "one.db")) as one, closing(SqliteBus(tmp_path / "two.db")) as two:
        assert one.generation() != two.generation()


def test_a_lock_that_is_held_too_long_is_told(tmp_path):
    path = tmp_path / "bus.db"
    with closing(SqliteBus(path, journal_mode="truncate", patience_s=0.05)) as bus:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            with pytest.raises(BusUnavailable, match="locked by another process") as told:
                bus.publish([message()])
            assert "fuser" in told.value.hint
            db.execute("ROLLBACK")
        bus.publish([message()])
        assert len(bus.find(["k"])) == 1
