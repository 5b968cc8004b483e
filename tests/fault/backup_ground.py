"""A history with its backups, for tests that kill whoever makes one."""

import json
import secrets
import signal
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flowlord.bus.clock import SystemClock
from flowlord.bus.sqlite import SqliteBus
from flowlord.bus.trap import VARIABLE
from flowlord.cache.historian import Historian
from flowlord.cache.snapshot import look
from flowlord.cli import cachekeep
from flowlord.cli.cachekeep import backup, backups, restore_one
from flowlord.config import resolve
from flowlord.model.plan import Fact, FactKind, Plan
from support.clock import VirtualClock
from support.journal import done, journal, published, task
from support.processes import flowlord, running, until

LARGE = 4 << 20
"""Bytes of the history, which takes a while to be packed and written."""


class Kept:
    """A history of 20 attempts with its backups, and the commands that make, list and restore them."""

    def __init__(self, folder: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.place, self._capsys = folder, place, capsys
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

    def follow_a_bus(self) -> None:
        """Make a bus where a daemon in the folder looks for it, of which the history has everything."""
        with closing(SqliteBus(self.folder / ".flowlord" / "bus.db", by="test")) as bus:
            bus.commit(Plan(facts=(Fact(FactKind.BACKUP, text="a beginning"),)))
            with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
                db.execute(
                    "UPDATE cursor SET seq = ?, generation = ?", (bus.journal_bounds()[1], bus.generation())
                )

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

    def is_killed(self, is_begun: Callable[[], object], env: Mapping[str, str]) -> None:
        """Begin a backup, and kill it where `is_begun` holds."""
        with running("cache", "backup", "--quiet", cwd=self.folder, env={**self.variables, **env}) as process:
            until(lambda: is_begun() or process.is_gone, "the middle of a backup", every_s=0.001)
            process.tell(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, process.err

    def dies(self, point: str, env: Mapping[str, str]) -> None:
        """Begin a backup that dies at this point."""
        ended = flowlord("cache", "backup", cwd=self.folder, env={**self.variables, **env, VARIABLE: point})
        assert ended.code == -signal.SIGKILL, ended.err

    @property
    def variables(self) -> dict[str, str]:
        return {"FLOWLORD_CACHE": str(self.path), "FLOWLORD_BACKUP_PATH": self.place}

    def _said(self) -> str:
        return str(self._capsys.readouterr().out)

    def _settings(self, path: Path):
        return resolve({"cache": str(path), "backup_path": self.place}, None, self.folder)


def believe(monkeypatch: pytest.MonkeyPatch, **far: float) -> None:
    """Let commands of this process believe that it is so much later; names of backups have only seconds."""

    class Moved(SystemClock):
        def now(self) -> datetime:
            return super().now() + timedelta(**far)

    monkeypatch.setattr(cachekeep, "SystemClock", Moved)
