"""The doctor tries the place of backups: what it finds, what helps, and that it leaves nothing there."""

import threading
from pathlib import Path

import pytest

from flowlord.cache.backup import Place
from flowlord.cli import backupcheck
from flowlord.cli.backupcheck import backups, tried
from flowlord.config import CacheSettings, Settings, StorageSettings
from flowlord.model.finding import Level
from flowlord.storage.open import Storage
from flowlord.storage.port import Access, Unavailable
from support.object_servers import bucket_on, shared_gcs, shared_s3


def found_at(where: object):
    settings = Settings(cache=CacheSettings(backup_path=str(where)), storage=StorageSettings())
    return list(backups(settings, lambda: "0123abcd"))


def test_without_a_place_nothing_is_tried():
    assert found_at("") == []


def test_a_folder_that_takes_files_is_well_and_left_as_it_was(tmp_path):
    (tmp_path / "20260801T020000Z-1f2e3d4c").mkdir()
    (tmp_path / "20260801T020000Z-1f2e3d4c" / "manifest.json").write_text("{}")
    [found] = found_at(tmp_path)
    assert found.level is Level.OK, found
    assert "1 backup there" in found.text
    assert [each.name for each in tmp_path.iterdir()] == ["20260801T020000Z-1f2e3d4c"]


def test_a_folder_that_is_not_there_is_not_made_by_looking(tmp_path):
    [found] = found_at(tmp_path / "deep" / "deeper")
    assert (found.level, "is made by the first backup" in found.text) == (Level.OK, True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_is_to_be_is_a_fault(tmp_path):
    (tmp_path / "file").write_text("")
    [found] = found_at(tmp_path / "file" / "deeper")
    assert found.level is Level.FAULT
    assert f"{tmp_path}/file is no folder" in found.text
    assert found.fix == f"ls -ld {tmp_path}/file"


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_a_bucket_that_takes_files_is_well_and_one_that_is_not_there_is_a_fault(kind):
    server = shared_s3() if kind == "s3" else shared_gcs()
    with bucket_on(server) as root:
        found = tried(Place(server.storage(), f"{root}/history"), "t")
        assert found.level is Level.OK, found
        assert list(server.storage().list(f"{root}/")) == []
    found = tried(Place(server.storage(), f"{server.scheme}://no-such-bucket-0/history"), "t")
    assert found.level is Level.FAULT
    assert "no bucket 'no-such-bucket-0'" in found.text
    assert ("s3:PutObject" if kind == "s3" else "storage.objects") in found.fix


def test_a_key_that_is_wrong_is_told_with_the_rights_that_are_needed():
    server = shared_s3()
    access = server.storage()._access
    wrong = Access(access.endpoint, access.region, "nobody", "nothing")
    with bucket_on(server) as root:
        found = tried(Place(Storage(wrong), f"{root}/history"), "t")
    assert found.level is Level.FAULT
    assert "does not accept the credentials" in found.text
    assert "nothing" not in found.text


class Refusing(Storage):
    """A storage that does not do one thing."""

    def __init__(self, verb: str, within: Storage) -> None:
        super().__init__()
        self._verb, self._within = verb, within
        for name in ("list", "write", "read", "delete"):
            setattr(self, name, self._refused if name == verb else getattr(within, name))

    def _refused(self, *_: object, **__: object):
        raise Unavailable(f"no right to {self._verb}")


@pytest.mark.parametrize(
    ("verb", "said", "stays"),
    [
        ("list", "listed", False),
        ("write", "written", False),
        ("read", "read", True),
        ("delete", "taken away", True),
    ],
)
def test_each_right_that_lacks_is_told_by_name(verb, said, stays, tmp_path):
    found = tried(Place(Refusing(verb, Storage()), str(tmp_path)), "t")
    assert found.level is Level.FAULT
    assert f"backups cannot be {said}: " in found.text
    assert f"no right to {verb}" in found.text
    assert ("stays there" in found.text) == stays == bool(list(Path(tmp_path).iterdir()))


def test_a_place_that_never_answers_is_waited_for_within_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(backupcheck, "LIMIT_S", 0.05)
    never = threading.Event()
    storage = Storage()
    monkeypatch.setattr(storage, "write", lambda *_, **__: never.wait())
    found = tried(Place(storage, str(tmp_path)), "t")
    never.set()
    assert found.level is Level.FAULT
    assert "backups cannot be written: no answer within 0.05 s" in found.text
