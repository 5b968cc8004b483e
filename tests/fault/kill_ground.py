"""What the victims stand on: the bus of a run, its server if it has one, and what can be said of it at the end."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path

from fault.kill_size import REDIS, Size

OF_TASKMASTERS = ("router.claimed", "router.decided", "router.landed")
OF_WORKERS = ("worker.ran", "worker.completed")
STOPS = {"taskmaster": ("router.decided", "router.claimed"), "worker": ("worker.ran",)}
POLICIES = ("everysec", "always")


class Ground(ABC):
    """One bus in the folder of a run.

    `traps` are the named places at which victims of each kind kill themselves; `foreign` begins the names of modules
    that no victim of this bus imports.
    """

    address = ""
    engine = ""
    has_server = False
    traps: dict[str, tuple[str, ...]]
    foreign = ""

    @abstractmethod
    def open(self) -> None:
        """Make what must be there before the first victim."""

    @abstractmethod
    def kill(self) -> str:
        """Kill the server, if it has one, and start it again on the same data; returns how that one kept them."""

    @abstractmethod
    def look_over(self) -> str:
        """Return `ok`, or what is wrong with the data once everybody has left."""

    @abstractmethod
    def close(self) -> None:
        """End what `open` has started."""


class SqliteGround(Ground):
    """A file."""

    foreign = "flowlord.bus.redis"

    def __init__(self, where: Path, size: Size) -> None:
        self._path = where / "bus.db"
        self.address = f"sqlite:///{self._path}"
        mode = size.journal or "the one that flowlord chooses for this engine"
        self.engine = f"SQLite {sqlite3.sqlite_version}, journal mode: {mode}"
        in_bus = ("bus.commit.written", "bus.commit.after", "bus.claim.written", "bus.claim.after")
        self.traps = {
            "taskmaster": (*OF_TASKMASTERS, *in_bus, "bus.promote.written", "bus.reclaim.after"),
            "worker": (*OF_WORKERS, *in_bus),
        }

    def open(self) -> None:
        """The first victim makes the file."""

    def kill(self) -> str:
        raise NotImplementedError("a file has no server")

    def close(self) -> None:
        """Nothing is open here."""

    def look_over(self) -> str:
        with closing(sqlite3.connect(self._path)) as db:
            return str(db.execute("PRAGMA integrity_check").fetchone()[0])


class RedisGround(Ground):
    """A server of its own with an append-only file; each kill changes how often it is synced, unless that is fixed."""

    has_server = True
    foreign = "flowlord.bus.sqlite"

    def __init__(self, where: Path, size: Size) -> None:
        from support.redis_server import Server

        self._fixed = size.aof
        self._policy = size.aof or POLICIES[0]
        # Small rewrites, so that kills hit them too and a start has little to load.
        options = {"appendonly": "yes", "auto-aof-rewrite-min-size": "4mb"}
        self._server = Server("redis", options, folder=where / "server")
        in_bus = ("bus.commit.before", "bus.commit.after", "bus.claim.before", "bus.claim.after")
        self.traps = {
            "taskmaster": (*OF_TASKMASTERS, *in_bus, "bus.promote.after", "bus.reclaim.after"),
            "worker": (*OF_WORKERS, *in_bus),
        }

    def open(self) -> None:
        from flowlord.bus.redis_scripts import scripts

        scripts()  # as with modules: victims find them read
        self._start()
        self.address = self._server.url
        version = self._server.client().info("server")["redis_version"]
        both = "everysec and always in turn, changed by each kill of the server"
        self.engine = f"Redis {version}, appendfsync {self._fixed or both}"

    def kill(self) -> str:
        died = self._policy
        self._server.kill()
        if not self._fixed:
            self._policy = POLICIES[1 - POLICIES.index(died)]
        self._start()
        return died

    def _start(self) -> None:
        self._server.options["appendfsync"] = self._policy
        self._server.start()

    def look_over(self) -> str:
        """Kill it once more: what it then reads from its file must be what it held, and nothing may be left over."""
        with self._server.client() as client:
            held = self._digest(client)
            self._server.kill()
            self._start()
            wrong = (
                [] if self._digest(client) == held else ["the file holds something else than the server held"]
            )
            leases = client.hgetall(
                "{flowlord}:lease"
            ).items()  # one without a name is no lease: it makes a table
            wrong += [f"{entry} is leased to nobody: {lease}" for entry, lease in leases if entry]
            for name, count in client.hgetall("{flowlord}:held").items():
                wrong += [f"{count} entries of {name} are counted as held"] * (count != "0")
            for key in client.scan_iter("{flowlord}:topic:*"):
                pending = sum(group["pending"] for group in client.xinfo_groups(key))
                wrong += [f"{pending} entries of {key} are pending"] * bool(pending)
        return "; ".join(wrong) or "ok"

    def _digest(self, client: object) -> object:
        return client.execute_command("DEBUG", "DIGEST")  # type: ignore[attr-defined]

    def close(self) -> None:
        self._server.close()


def ground(where: Path, size: Size) -> Ground:
    """Return the bus that a run of this size works on."""
    return (RedisGround if size.bus == REDIS else SqliteGround)(where, size)
