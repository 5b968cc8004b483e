"""Backups of the history: whole or none, whatever cuts them; the newest whole one comes back."""

import gzip
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from flowlord.cache import backup
from flowlord.cache.alone import alone
from flowlord.cache.backup import Place
from flowlord.cache.historian import Historian
from flowlord.cache.manifest import FILE, Damaged, Manifest
from flowlord.cache.restore import restore, restore_newest
from flowlord.cache.schema import VERSION, CacheUnusable
from flowlord.cache.snapshot import copied, look
from flowlord.storage.open import Storage
from flowlord.storage.port import Unavailable
from support.clock import VirtualClock
from support.journal import done, journal, published, task
from support.object_servers import bucket_on, shared_gcs, shared_s3

NOW = datetime(2026, 8, 1, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(backup, "PART_BYTES", 40_000)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "state" / "tasks.db"
    historian = Historian(path, VirtualClock())
    commits = [each for n in range(150) for each in (published(f"k{n}", task(n=n)), done(f"k{n}", task(n=n)))]
    historian.follow(journal(commits))
    historian.close()
    return path


@pytest.fixture
def place(tmp_path):
    return Place(Storage(), str(tmp_path / "backups"))


def made(place: Place, path: Path, at: datetime = NOW, token: str = "0123abcd") -> tuple[str, Manifest]:
    with alone(path, wait=True), copied(path) as (copy, check):
        return place.write(copy, check, at, token, "host-1", "0.1.0")


def rows(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        [found] = connection.execute("SELECT count(*) FROM tasks").fetchone()
    connection.close()
    return found


def test_a_backup_comes_back_as_it_was(path, place, tmp_path):
    name, manifest = made(place, path)
    assert (name, manifest.rows["tasks"], manifest.seq) == ("20260801T020000Z-0123abcd", 150, 300)
    assert len(manifest.parts) > 2
    back = tmp_path / "elsewhere" / "tasks.db"
    assert restore_newest(place, back) == (name, manifest)
    assert look(back, deep=True).rows == look_at(path)
    assert [each.name for each in back.parent.iterdir()] == ["tasks.db"]


def look_at(path: Path) -> dict[str, int]:
    with copied(path) as (_, check):
        return check().rows


def test_the_parts_are_one_gzip_file_that_restores_by_hand(path, place, tmp_path):
    name, manifest = made(place, path)
    parts = sorted(Path(place.path, name).glob("*.gz"))
    whole = gzip.decompress(b"".join(part.read_bytes() for part in parts))
    (tmp_path / "by-hand.db").write_bytes(whole)
    assert look(tmp_path / "by-hand.db").rows == manifest.rows


WRITER = """
import sys
from flowlord.cache.historian import Historian
from flowlord.bus.clock import SystemClock
from support.journal import journal, published, task
historian = Historian(sys.argv[1], SystemClock())
seq = historian.cursor()
print("begun", flush=True)
while True:
    seq += 1
    historian.follow(journal([published(f"w{seq}", task(n=seq))], first=seq))
"""


def test_a_backup_is_of_one_moment_while_another_process_writes(path, place, tmp_path):
    tests = Path(__file__).resolve().parents[1]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=tests,
        env={"PYTHONPATH": f"{tests}:{tests.parent / 'src'}"},
    )  # fmt: skip
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"begun\n"
        made_ones = [made(place, path, NOW + timedelta(hours=n)) for n in range(5)]
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()
    for name, manifest in made_ones:
        back = tmp_path / name
        restore(place, name, back)
        # Rows and cursor are of one transaction: each entry behind the first 300 made one row.
        assert rows(back) == manifest.rows["tasks"] == 150 + manifest.seq - 300
    seen = [manifest.seq for _, manifest in made_ones]
    assert seen == sorted(seen)
    assert len(set(seen)) > 1


class Cut(Storage):
    """A storage whose writes stop at the nth, before or after it has landed."""

    def __init__(self, within: Storage, at: int, *, landed: bool) -> None:
        super().__init__()
        self._within, self.at, self._landed = within, at, landed
        self.writes = count(1)

    def write(self, path: str, data: bytes, *, if_absent: bool = False, if_version: str = "") -> str:
        is_last = next(self.writes) == self.at
        if is_last and not self._landed:
            raise Unavailable(f"{path} cannot be written: cut")
        version = self._within.write(path, data, if_absent=if_absent, if_version=if_version)
        if is_last:
            raise Unavailable(f"{path} cannot be written: cut")
        return version

    def read(self, path: str, limit: int = 1 << 26) -> tuple[bytes, str]:
        return self._within.read(path, limit)

    def list(self, pattern: str):
        return self._within.list(pattern)

    def delete(self, path: str) -> None:
        self._within.delete(path)


@pytest.mark.parametrize("kind", ["local", "s3", "gs"])
def test_an_upload_that_is_cut_anywhere_is_no_backup_and_the_one_before_comes_back(
    kind, path, place, tmp_path
):
    if kind == "local":
        _cut_everywhere(place, path, tmp_path)
        return
    server = shared_s3() if kind == "s3" else shared_gcs()
    with bucket_on(server) as root:
        _cut_everywhere(Place(server.storage(), f"{root}/history/tasks.db"), path, tmp_path)


def _cut_everywhere(place: Place, path: Path, tmp_path: Path) -> None:
    before = made(place, path)
    whole = place.storage
    writes = len(before[1].parts) + 1
    for at in range(1, writes + 1):
        for landed in (False, True):
            cut = Place(Cut(whole, at, landed=landed), place.path)
            token = f"{at:04x}{landed:04x}"
            with pytest.raises(CacheUnusable, match="cut"):
                made(cut, path, NOW + timedelta(hours=at), token)
            # Only an answer that is lost behind the manifest leaves a backup, and that one is whole.
            expected = [before[0]] if at < writes or not landed else None
            names = [each.name for each in place.generations()]
            assert expected is None or names == expected
            back = tmp_path / f"{at}-{landed}.db"
            found = restore_newest(place, back)
            assert found is not None
            assert found[0] == names[0]
            assert rows(back) == 150
    gone = place.keep(1, NOW + timedelta(days=9))
    assert [each.name for each in place.generations()] == [names[0]]
    assert len(gone) == 2 * writes  # each half, and the first
    assert {listed.path.split("/")[-2] for listed in whole.list(f"{place.path}/")} == {names[0]}


class Doubled(Cut):
    """A storage whose client sends the last request twice, since the first answer was lost."""

    def write(self, path: str, data: bytes, *, if_absent: bool = False, if_version: str = "") -> str:
        if if_absent:
            self._within.write(path, data, if_absent=True)
        return self._within.write(path, data, if_absent=if_absent, if_version=if_version)


def test_a_manifest_whose_answer_was_lost_is_found_to_be_ones_own(path, place):
    doubled = Place(Doubled(place.storage, 0, landed=True), place.path)
    name, _ = made(doubled, path)
    assert [each.name for each in place.generations()] == [name]
    with pytest.raises(CacheUnusable, match="there already"):  # and that of somebody else is not
        made(place, path, NOW + timedelta(milliseconds=1), name[-8:])


def damage_part(folder: Path) -> None:
    part = folder / "00002.gz"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)


def damage_manifest(folder: Path) -> None:
    (folder / FILE).write_text("{")


def shorten_part(folder: Path) -> None:
    part = folder / "00001.gz"
    part.write_bytes(part.read_bytes()[:-9])


def lengthen_part(folder: Path) -> None:
    part = folder / "00001.gz"
    part.write_bytes(part.read_bytes() + b"more")


def lose_part(folder: Path) -> None:
    (folder / "00001.gz").unlink()


def change_manifest(**what: object):
    def change(folder: Path) -> None:
        told = json.loads((folder / FILE).read_text())
        (folder / FILE).write_text(json.dumps(told | what))

    return change


def change_text(folder: Path) -> None:
    """Change one letter of one text, as a bad disk does, and pack it as if that were what was written."""
    told = json.loads((folder / FILE).read_text())
    for part in told["parts"]:
        plain = gzip.decompress((folder / part["name"]).read_bytes())
        changed = plain.replace(b"s3://in/", b"s3://im/", 1)
        if changed != plain:
            data = gzip.compress(changed)
            (folder / part["name"]).write_bytes(data)
            part |= {"packed": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            break
    told["packed"] = sum(part["packed"] for part in told["parts"])
    (folder / FILE).write_text(json.dumps(told))


def bomb(folder: Path) -> None:
    told = json.loads((folder / FILE).read_text())
    data = gzip.compress(b"\0" * 50_000_000)
    (folder / "00001.gz").write_bytes(data)
    told["parts"][0] |= {"packed": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / FILE).write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_part, "00002.gz is not what was written"),
        (damage_manifest, "manifest cannot be read"),
        (shorten_part, "00001.gz is not what was written"),
        (lengthen_part, "00001.gz is longer than it was"),
        (lose_part, "00001.gz is missing"),
        (bomb, "has another length unpacked"),
        (change_text, "together they are another file"),
        (change_manifest(tables=VERSION + 1), "this flowlord knows"),
        (change_manifest(format=2), "has format 2"),
        (change_manifest(size=-1), "contradicts itself"),
        (change_manifest(rows={"tasks": 1}), "rows are not those"),
        (change_manifest(sha256="0"), "together they are another file"),
    ],
)  # fmt: skip
def test_a_damaged_backup_is_told_and_the_one_before_it_comes_back(
    damage, said, path, place, tmp_path, caplog
):
    good, _ = made(place, path)
    bad, _ = made(place, path, NOW + timedelta(hours=1))
    damage(Path(place.path, bad))
    back = tmp_path / "back.db"
    found = restore_newest(place, back)
    assert found is not None
    assert found[0] == good
    assert rows(back) == 150
    assert said in caplog.text
    assert bad in caplog.text


def test_a_part_cannot_be_fetched_from_elsewhere(path, place):
    name, manifest = made(place, path)
    told = json.loads(manifest.encode())
    told["parts"][0]["name"] = "../../../etc/passwd"
    Path(place.path, name, FILE).write_text(json.dumps(told))
    with pytest.raises(Damaged, match="lie elsewhere"):
        place.manifest(name)


def test_only_the_newest_are_kept_and_strangers_are_left_alone(path, place):
    for n in range(5):
        made(place, path, NOW + timedelta(hours=n))
    stranger = Path(place.path, "notes", "read.me")
    stranger.parent.mkdir()
    stranger.write_text("mine")
    gone = place.keep(2, NOW)
    assert len(gone) == 3
    assert [each.name[:11] for each in place.generations()] == ["20260801T06", "20260801T05"]
    assert stranger.read_text() == "mine"
    assert sorted(each.name for each in Path(place.path).iterdir())[-1] == "notes"
    assert len(list(Path(place.path).iterdir())) == 3


def test_a_backup_that_cannot_be_read_takes_no_place_among_those_that_are_kept(path, place):
    names = [made(place, path, NOW + timedelta(hours=n))[0] for n in range(5)]
    for bad in (names[4], names[1]):
        damage_manifest(Path(place.path, bad))
    assert place.keep(2, NOW) == [names[1], names[0]]
    assert [each.name for each in place.generations()] == [names[4], names[3], names[2]]
    damage_manifest(Path(place.path, names[3]))
    assert place.keep(2, NOW) == [], "one that is whole is left, and stays"


def test_a_history_that_is_damaged_is_not_backed_up(path, place):
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 40_000)
    with pytest.raises(CacheUnusable, match=r"damaged|malformed"):
        made(place, path)
    assert place.generations() == []
    assert not list(path.parent.glob("*.copy-*"))
    assert not list(
        Path(place.path).glob("2026*")
    )  # parts that were written before it was seen are taken away


def test_what_a_killed_backup_left_beside_the_history_goes_with_the_next_one(path, place):
    left = path.with_name("tasks.db.copy-1")
    left.write_bytes(b"x" * 100)
    made(place, path)
    assert not left.exists()


def test_one_backup_at_a_time(path):
    with alone(path, wait=False) as first, alone(path, wait=False) as second:
        assert (first, second) == (True, False)


def test_a_disk_without_room_for_the_copy_says_how_much_it_needs(path, place, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1_000_000))
    with pytest.raises(CacheUnusable, match="1 MB are free"):
        made(place, path)


def test_a_restored_history_is_not_mixed_with_what_lay_beside_the_one_that_has_gone(path, place):
    made(place, path)
    writer = Historian(path, VirtualClock())
    writer.follow(journal([published("late", task(n=9_999))], first=301))
    wal = path.with_name("tasks.db-wal").read_bytes()
    writer.close()
    path.unlink()
    path.with_name("tasks.db-wal").write_bytes(wal)
    assert restore_newest(place, path) is not None
    assert rows(path) == 150


def test_there_is_no_restoring_over_a_history_that_is_there(path, place):
    name, _ = made(place, path)
    with pytest.raises(CacheUnusable, match="there is a history"):
        restore(place, name, path)
    assert rows(path) == 150
