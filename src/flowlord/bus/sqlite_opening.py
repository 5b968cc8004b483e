"""Making a file ready when it is opened: ours, of our schema, in the right journal mode, and of this boot."""

from __future__ import annotations

import sqlite3

from flowlord.bus.sqlite_claim import lapse_all
from flowlord.bus.sqlite_connection import Connection, damaged, fixed_engine
from flowlord.bus.sqlite_schema import VERSION, is_ours, migrate
from flowlord.model.errors import BusUnusable

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def prepare_file(connection: Connection, boot_id: str) -> str:
    """Bring the file to our schema, our journal mode and this boot; return its generation.

    Raises:
        BusUnusable: not ours, too new, or damaged.
        BusUnavailable: in use by others in a way that keeps us out.
    """
    path = connection.place.path
    with connection.reading() as db:
        version = is_ours(db, path)
        if version == 0:  # only an empty file can still be told to give back what it no longer uses
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.switch_journal()
    if version < VERSION:
        with connection.writing("open") as db:
            is_ours(db, path)  # another process may have been here first, and newer
            migrate(db)
    with connection.reading() as db:
        meta = dict(db.execute("SELECT name, value FROM meta"))
    if meta["boot"] != boot_id:
        # The machine was started anew: the one case in which a disk may have lost what it said it had written.
        with connection.writing("open") as db:
            [(found, *_), *_] = db.execute("PRAGMA quick_check(1)").fetchall()
            if found != "ok":
                raise damaged(path, str(found))
            lapse_all(db)
            db.execute("UPDATE meta SET value = ? WHERE name = 'boot'", (boot_id,))
    return str(meta["generation"])


def check_boot(connection: Connection, boot_id: str) -> None:
    """Raise BusUnusable, now and for ever, when a process of another boot has opened the file since.

    Leases are times of one machine's clock: two machines would steal each other's work.
    """
    with connection.reading() as db:
        [found] = db.execute("SELECT value FROM meta WHERE name = 'boot'").fetchone()
    if found != boot_id:
        raise connection.refuse(
            BusUnusable(
                f"{connection.place.path} is used by another machine as well",
                hint="a SQLite bus serves the processes of one machine; give each machine its own",
            )
        )


def this_boot() -> str:
    """Return the id of the boot of this machine."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:  # not Linux: leases then end by their time alone
        return "unknown"


def describe(connection: Connection) -> dict[str, str]:
    """Tell a person what this file and its engine promise."""
    told = {
        "engine": f"SQLite {sqlite3.sqlite_version}",
        "path": connection.place.path,
        "journal_mode": connection.journal_mode,
        "synchronous": "full",
        "durability": "nothing is lost when a process is killed or the power is cut",
        "schema": str(VERSION),
    }
    if not fixed_engine() and connection.journal_mode == "wal":
        told["note"] = (
            "this SQLite has the WAL-reset bug (sqlite.org/wal.html#walresetbug); flowlord's processes are safe from "
            "it, because they write in turns; let no other program write to the file"
        )
    return told
