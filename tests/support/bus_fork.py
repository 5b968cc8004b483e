"""Runs in a process of its own: forks with a SQLite bus open, in the middle of a transaction. Argument: bus path.

Prints what the children found; the parent's transaction must land whole.
"""

import os
import sys

from flowlord.bus.sqlite import SqliteBus
from flowlord.model.errors import BusUnusable
from flowlord.model.message import Message
from flowlord.model.plan import Mark, Plan
from flowlord.model.task import Task


def message(key: str) -> Message:
    return Message("extract", Task(type="extract", info="x"), key)


def child(bus: SqliteBus) -> None:
    for use in (
        lambda: bus.publish([message("child")]),
        lambda: bus.claim(["extract"], "child", 1, wait_s=9),
        bus.topics,
        bus.generation,
    ):
        try:
            use()
        except BusUnusable as error:
            print(type(error).__name__, error.hint, flush=True)
    bus.close()  # touches nothing
    sys.exit(0)  # as a process ends: the interpreter frees what it holds


def main(path: str) -> None:
    bus = SqliteBus(path, by="parent")
    bus.publish([message("first")])
    with bus._connection.writing("commit") as db:  # also the lock is held now, as by another thread
        db.execute("INSERT INTO marks VALUES ('half', '1', 0)")
        pid = os.fork()
        if pid == 0:
            child(bus)
        _, status = os.waitpid(pid, 0)
        print("child ended with", status, flush=True)
        db.execute("INSERT INTO marks VALUES ('whole', '1', 0)")
    bus.commit(Plan(publish=(message("second"),)), marks=[Mark("whole", "1", "2")])
    own = SqliteBus(path, by="again")
    print(sorted(own.marks_like("").items()), [d.key for d in own.claim(["extract"], "a", 9)], flush=True)
    with own._connection.reading() as db:
        print(*db.execute("PRAGMA integrity_check").fetchone(), flush=True)
    own.close()
    bus.close()


if __name__ == "__main__":
    main(sys.argv[1])
