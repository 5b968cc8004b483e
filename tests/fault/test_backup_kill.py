"""`flowlord cache backup` killed in the middle: the backup before stays whole, and the next one is made as ever.

Where it is killed is told by what is there by then: its copy beside the history, a part in a folder, an upload that a
bucket holds back. Before a folder it may be through when it is stopped; then the next one is tried.
"""

import json
import secrets
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flowlord.bus.clock import SystemClock
from flowlord.cache.historian import Historian
from flowlord.cache.manifest import FILE
from flowlord.cache.snapshot import look
from flowlord.cli import cachekeep
from flowlord.cli.cachekeep import backup, backups, restore_one
from flowlord.config import resolve
from flowlord.storage.open import Storage
from support.clock import VirtualClock
from support.gcs_front import GcsFront
from support.journal import done, journal, published, task
from support.object_servers import bucket_on, shared_gcs
from support.processes import running, until
from support.redis_programs import HOST

LARGE = 4 << 20
"""Bytes of the history, which takes a while to be packed and written."""


class Kept:
    """A history of 20 attempts with its backups, and the commands that make, list and restore them."""

    def __init__(self, folder: Path, place: str, said: Callable[[], str]) -> None:
        self.folder, self.place, self._said = folder, place, said
        self.path = folder / "state" / "tasks.db"
        commits = [
            each for n in range(20) for each in (published(f"k{n}", task(n=n)), done(f"k{n}", task(n=n)))
        ]
        with closing(Historian(self.path, VirtualClock())) as historian:
            historian.follow(journal(commits))

    def lose_a_row(self, size: int = 0) -> None:
        """Make it another history than that of the last backup, and so large."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.execute("DELETE FROM tasks WHERE n = (SELECT min(n) FROM tasks)")
            db.execute("UPDATE tasks SET output = ? WHERE n = 20", (secrets.token_hex(size // 2),))

    def backup(self) -> str:
        """Make one, and return its name."""
        assert backup(self._settings(self.path), output="json", quiet=True) == 0
        return str(json.loads(self._said())["name"])

    def listed(self) -> list[tuple[str, str]]:
        assert backups(self._settings(self.path), output="json") == 0
        return [(each["name"], each["state"]) for each in json.loads(self._said())]

    def restored(self, name: str) -> tuple[str, int]:
        """Restore the newest to a place of that name; return which it was and how many attempts it holds."""
        path = self.folder / name / "tasks.db"
        done = restore_one(
            self._settings(path), "", force=False, yes=True, dry_run=False, quiet=True, output="json"
        )
        assert done == 0
        found = json.loads(self._said())
        return str(found["name"]), look(path, deep=True).rows["tasks"]

    def beside(self) -> list[str]:
        """What a backup that goes well does not leave beside the history."""
        return [each.name.partition("-")[0] for each in self.path.parent.glob("tasks.db.*")]

    def killed(self, is_begun: Callable[[], object], env: dict[str, str] | None = None) -> None:
        """Begin a backup, and kill it where `is_begun` holds."""
        variables = {"FLOWLORD_CACHE": str(self.path), "FLOWLORD_BACKUP_PATH": self.place} | (env or {})
        with running("cache", "backup", "--quiet", cwd=self.folder, env=variables) as process:
            until(lambda: is_begun() or process.is_gone, "the middle of a backup", every_s=0.001)
            process.tell(signal.SIGKILL)
            assert process.wait() in (0, -signal.SIGKILL), process.err

    def _settings(self, path: Path):
        return resolve({"cache": str(path), "backup_path": self.place}, None, self.folder)


@pytest.fixture
def said(capsys) -> Callable[[], str]:
    return lambda: str(capsys.readouterr().out)


@pytest.fixture
def at(monkeypatch) -> Callable[..., None]:
    """Let commands of this process believe that it is so much later; names of backups have only seconds."""

    def moved(**far: float) -> None:
        class Moved(SystemClock):
            def now(self) -> datetime:
                return super().now() + timedelta(**far)

        monkeypatch.setattr(cachekeep, "SystemClock", Moved)

    return moved


def copies(kept: Kept) -> bool:
    return kept.beside() == ["tasks.db.copy"]


def writes_parts(kept: Kept) -> bool:
    return bool(halves(kept))


def halves(kept: Kept) -> list[Path]:
    """The folders of backups that were begun and not ended."""
    return [
        each for each in Path(kept.place).iterdir() if list(each.iterdir()) and not (each / FILE).exists()
    ]


@pytest.mark.parametrize("is_begun", [copies, writes_parts])
def test_a_backup_to_a_folder_that_is_killed_leaves_the_one_before_whole(is_begun, tmp_path, said, at):
    kept = Kept(tmp_path, str(tmp_path / "backups"), said)
    at(hours=-1)
    first = kept.backup()
    kept.lose_a_row(LARGE)

    def is_killed_within() -> bool:
        kept.killed(lambda: is_begun(kept))
        through = [name for name, _ in kept.listed() if name != first]
        for name in through:
            shutil.rmtree(Path(kept.place, name))
        return not through and is_begun(kept)

    until(is_killed_within, "a backup that is killed within")
    goes_on(kept, first, at, Storage())
    assert halves(kept) == []


def goes_on(kept: Kept, first: str, at: Callable[..., None], storage: Storage) -> None:
    """See that the backup before is as it was, and that two days later the next one is made and leaves no halves."""
    assert kept.beside() == ["tasks.db.copy"]
    assert kept.listed() == [(first, "whole")]
    assert kept.restored("after") == (first, 20)
    at(days=2)
    newest = kept.backup()
    assert kept.beside() == []
    assert kept.listed() == [(newest, "whole"), (first, "whole")]
    assert kept.restored("last") == (newest, 19)
    there = {each.path.removeprefix(kept.place).split("/")[1] for each in storage.list(f"{kept.place}/")}
    assert there == {newest, first}


@contextmanager
def holding(name: str) -> Iterator[GcsFront]:
    """Another front of the server, which holds uploads of that name back."""
    front = GcsFront(shared_gcs().front.upstream, holds=name)
    try:
        yield front
    finally:
        front.shutdown()
        front.server_close()


@pytest.mark.parametrize("name", ["00001.gz", FILE])
def test_a_backup_to_a_bucket_that_is_killed_leaves_the_one_before_whole(
    name, tmp_path, said, at, monkeypatch
):
    server = shared_gcs()
    for variable, value in server.variables.items():
        monkeypatch.setenv(variable, value)
    with bucket_on(server) as root, holding(name) as slow:
        kept = Kept(tmp_path, f"{root}/history", said)
        at(hours=-1)
        first = kept.backup()
        kept.lose_a_row()
        kept.killed(slow.held.is_set, {"STORAGE_EMULATOR_HOST": f"http://{HOST}:{slow.port}"})
        goes_on(kept, first, at, server.storage())
