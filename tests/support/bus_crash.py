"""Runs in a process of its own: kills a child at each named place of each verb of a SQLite bus and keeps what it left.

Arguments: a folder. For each verb and moment it makes `<verb>.<moment>/bus.db`, beside it `before.json` (the file's
rows before the verb), and prints `<verb> <moment> <status of the child>`. Moment `none` is the verb without a kill.
"""

import json
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from flowlord.bus.port import Move, Presence
from flowlord.bus.sqlite import SqliteBus
from flowlord.bus.trap import arm_from
from flowlord.model.message import Message
from flowlord.model.plan import Commit, Fact, FactKind, FrozenBatch, Mark, Plan, Quarantined
from flowlord.model.task import Task
from support.clock import VirtualClock

MOMENTS = ("before", "written", "after")
# Columns that hold chance: two runs of the same verb differ in nothing else.
CHANCE = {"leases": {"token"}, "commits": {"id"}, "journal": {"commit_id"}, "meta": {"value"}}


def message(topic: str, key: str, **more: object) -> Message:
    return Message(topic, Task(type=topic, info="x"), key, **more)


def furnish(bus: SqliteBus, clock: VirtualClock) -> None:
    """A bus on which every verb finds something to do."""
    bus.publish([message("work", f"w{n}") for n in range(6)])
    bus.publish([message("late", f"l{n}", due=clock.now() + timedelta(seconds=1 + n)) for n in range(3)])
    batch = FrozenBatch("b", tuple(message("bulk", f"f{n}") for n in range(4)))
    bus.commit(Plan(frozen=(batch,)), marks=[Mark("gone soon", None, "1", ttl_s=1)])
    bus.beat(Presence("old", "worker", "h", 1))


def commit(bus: SqliteBus, clock: VirtualClock, held: list) -> None:
    plan = Plan(
        publish=(message("load", "p"),),
        later=(message("load", "q", due=clock.now() + timedelta(seconds=9)),),
        frozen=(FrozenBatch("c", (message("bulk", "g"),)),),
        quarantine=(Quarantined("done", b"{", "no JSON"),),
        facts=(Fact(FactKind.DONE, "w0"),),
    )
    bus.commit_many([Commit(plan, (held[0],), (Mark("m", None, "1"),), ("o",)), Commit(Plan(), (held[1],))])


VERBS: dict[str, Callable[[SqliteBus, VirtualClock, list], object]] = {
    "commit": commit,
    "claim": lambda bus, clock, held: bus.claim(["work"], "b", 2),
    "renew": lambda bus, clock, held: bus.renew(held, lease_ns=99_000_000_000),
    "release": lambda bus, clock, held: bus.release(held),
    "reclaim": lambda bus, clock, held: (clock.advance(61), bus.reclaim("r", 9)),
    "promote": lambda bus, clock, held: (clock.advance(2), bus.promote()),
    "advance": lambda bus, clock, held: bus.advance(3),
    "cancel": lambda bus, clock, held: bus.cancel(["w4", "l1"], reason="no"),
    "move": lambda bus, clock, held: bus.move(
        [Move("work", each.entry, "load") for each in bus.peek("work", 9) if each.state != "running"]
    ),
    "purge": lambda bus, clock, held: bus.purge("work"),
    "beat": lambda bus, clock, held: bus.beat(Presence("new", "worker", "h", 2)),
    "leave": lambda bus, clock, held: bus.leave("old"),
    "sweep": lambda bus, clock, held: (clock.advance(5), bus.sweep()),
}


def rows(path: Path) -> dict[str, list]:
    """Everything in the file but chance; to be read when no bus of this process is in a transaction."""
    found = {}
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        [check] = db.execute("PRAGMA integrity_check").fetchone()
        assert check == "ok", check
        for (table,) in db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        ).fetchall():
            cursor = db.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description]
            kept = [n for n, name in enumerate(names) if name not in CHANCE.get(table, ())]
            found[table] = sorted(repr([row[n] for n in kept]) for row in cursor)
    return found


def child(folder: Path, verb: str, moment: str) -> None:
    clock = VirtualClock()
    if verb == "open":
        if moment != "none":
            arm_from({"FLOWLORD_CRASHPOINT": f"bus.open.{moment}"})
        SqliteBus(folder / "bus.db", clock=clock, boot_id="here")
        return
    bus = SqliteBus(folder / "bus.db", clock=clock, boot_id="here")
    furnish(bus, clock)
    held = bus.claim(["work"], "a", 2, lease_ns=60_000_000_000)
    (folder / "before.json").write_text(json.dumps(rows(folder / "bus.db")))
    if moment != "none":
        arm_from({"FLOWLORD_CRASHPOINT": f"bus.{verb}.{moment}"})
    VERBS[verb](bus, clock, held)


def main(target: Path) -> None:
    for verb in [*VERBS, "open"]:
        for moment in [*MOMENTS, "none"]:
            folder = target / f"{verb}.{moment}"
            folder.mkdir()
            pid = os.fork()  # one thread, no bus open: a child is as good as a process of its own, and quick
            if pid == 0:
                try:
                    child(folder, verb, moment)
                    os._exit(0)
                finally:
                    os._exit(70)
            _, status = os.waitpid(pid, 0)
            print(verb, moment, status, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
