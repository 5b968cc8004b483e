"""Counts instructions by callgrind, for a machine on which others work too: time differs there, counts hardly do.

    python bench/count.py [PART ...]

Prints thousands of instructions of user space for each result (of `taskmaster`, whose processes share the cores) or
each call (of `single`, on the server only). Needs valgrind. A part takes a minute or two; nothing is compared with a
goal. What the kernel does for sockets and files is not counted, nor what memory costs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import redis
from chain import FLOW
from given import BATCH, ENDED, WAITING, fill, message, result
from raw_redis import fill as fill_raw
from raw_redis import hand_over, opened_history, take
from server import ACCEPT_LOSS

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import open_bus
from flowlord.bus.port import DONE, Bus
from flowlord.cache.historian import Historian
from flowlord.cli.alerting import alerter_of
from flowlord.cli.lasting import rarely_look_for_garbage
from flowlord.config.settings import AlertSettings
from flowlord.model.message import Delivery, Message
from flowlord.model.plan import Plan
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.follower import Follower
from flowlord.taskmaster.overheard import Overheard
from flowlord.taskmaster.reload import Reloader
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.surroundings import Surroundings
from support.redis_programs import find_program, free_port

BATCHES = 4
RESULTS = BATCHES * BATCH
SINGLE, WARM = 100, 300
PATIENCE_S = 60
"""Under valgrind everything takes fifty times as long."""


def main() -> None:
    """Count what is asked for, or everything; as a child, be what is counted."""
    parser = argparse.ArgumentParser(prog="count.py", description="Count instructions by callgrind.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="some of taskmaster, single; all by default")
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "ADDRESS", "PID"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    os.environ[ACCEPT_LOSS] = "true"
    if asked.child:
        what, address, pid = asked.child
        CHILDREN[what](address, int(pid) or os.getpid())
        return
    for part in asked.parts or PARTS:
        if part not in PARTS:
            parser.error(f"there is no part {part}; there are {', '.join(PARTS)}")
    for part in asked.parts or PARTS:
        for name, what, is_server, times in PARTS[part]:
            print(f"{part}: {name:<40} {counted(what, is_server=is_server) / times / 1000:8.1f}", flush=True)


def counted(what: str, *, is_server: bool) -> int:
    """Return the instructions of the server, or of the process that does `what`, between its two signs."""
    with TemporaryDirectory(prefix="flowlord-bench-") as folder:
        out = Path(folder) / "callgrind.out"
        under = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "-q")
        with server(under if is_server else (), folder) as (address, pid):
            child = (sys.executable, __file__, "--child", what, address, str(pid if is_server else 0))
            subprocess.run(child if is_server else (*under, *child), check=True, stdout=subprocess.DEVNULL)
        [line] = [line for line in out.read_text().splitlines() if line.startswith("totals:")]
        return int(line.split()[1])


@contextmanager
def server(under: Sequence[str], folder: str) -> Iterator[tuple[str, int]]:
    """Run an empty Redis on a free port, maybe under another program; give its address and process."""
    port = free_port()
    program = (
        find_program("redis"),
        "--port",
        str(port),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        folder,
    )
    process = subprocess.Popen((*under, *program), stdout=subprocess.DEVNULL)
    try:
        until_s = time.monotonic() + PATIENCE_S
        with redis.Redis(port=port) as client:
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    if process.poll() is not None or time.monotonic() > until_s:
                        raise
                    time.sleep(0.1)
        yield f"redis://127.0.0.1:{port}/0?timeout={PATIENCE_S}&connect_timeout={PATIENCE_S}", process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


def between(pid: int, body: Callable[[], object]) -> None:
    """Have callgrind count what that process does meanwhile."""
    for sign in ("on", "off"):
        subprocess.run(("callgrind_control", "-i", sign, str(pid)), check=True, capture_output=True)
        if sign == "on":
            body()


# --- what is counted ----------------------------------------------------------------------------------------------


def raw(address: str, pid: int) -> None:
    """The floor: results are read, decoded, recorded in SQLite, and their children started, by redis-py."""
    with redis.Redis.from_url(address.partition("?")[0]) as client, opened_history() as db:
        fill_raw(client, "done", RESULTS + BATCH, ENDED)

        def loop(*serials: int) -> None:
            for serial in serials:
                hand_over(client, take(client, "done"), serial, lambda ended: True, db)

        loop(0)
        between(pid, lambda: loop(*range(BATCH, RESULTS + BATCH, BATCH)))


@contextmanager
def taskmaster(address: str) -> Iterator[tuple[Bus, Surroundings, Path]]:
    """Give a bus on which results of the chain wait, the surroundings of a router that has seen some, and a folder."""
    clock, chance = SystemClock(), Chance(1)
    with TemporaryDirectory(prefix="flowlord-bench-") as folder, closing(opened(address)) as bus:
        (Path(folder) / "chain.toml").write_text(FLOW, "utf-8")
        around = Surroundings(bus, clock, chance, Stamps(clock, chance.digit()), "bench")
        Reloader(around, folder).start()
        revision = around.workflows.by_name["chain.toml"].revision
        fill(bus, [result(number, revision) for number in range(BATCH)])
        Router(around).step(0.0)
        fill(bus, [result(number, revision) for number in range(BATCH, RESULTS + BATCH)])
        yield bus, around, Path(folder)


def decide_all(router: Router) -> None:
    """Decide what waits; a step ends after a second of it."""
    while router.step(0.0):
        pass


def route(address: str, pid: int) -> None:
    """Decide, and land what follows."""
    with taskmaster(address) as (_, around, _):
        router = Router(around)
        rarely_look_for_garbage()
        between(pid, lambda: decide_all(router))


def record(address: str, pid: int) -> None:
    """Write history: two facts for each result."""
    with taskmaster(address) as (bus, around, folder):
        historian = Historian(folder / "tasks.db", around.clock)
        follower = Follower(bus, around.clock, lambda: historian, timedelta(days=30))
        follower.step(0.0)
        decide_all(Router(around))
        last = bus.journal_bounds()[1]

        def follow() -> None:
            while historian.cursor() < last:
                follower.step(0.0)

        rarely_look_for_garbage()
        between(pid, follow)
        historian.close()


def alert(address: str, pid: int) -> None:
    """Look for what is to be told in what the history has read; there is nothing."""
    with taskmaster(address) as (bus, around, _):
        overheard = Overheard()
        alerter = alerter_of(
            bus, around.clock, AlertSettings(), "UTC", "bench|1", lambda text: None, overheard
        )
        while alerter.step(0.0):
            pass
        begin = bus.journal_bounds()[1]
        decide_all(Router(around))
        overheard.tell(bus.generation(), bus.journal(begin, RESULTS))
        between(pid, lambda: alerter.step(0.0))


def one_by_one(address: str, pid: int, which: str) -> None:
    """Publish, claim or complete one task after the other, on a bus that is in use."""
    with closing(opened(address)) as bus:
        messages = [message(number) for number in range(WARM + SINGLE)]
        for each in messages[:WARM]:
            bus.publish([each])
        held = [bus.claim(["load"], "bench", 1)[0] for _ in range(SINGLE)]

        def complete(delivery: Delivery) -> None:
            ended = Message(DONE, delivery.task(), delivery.key, phase=delivery.phase)
            bus.commit(Plan(publish=(ended,)), acknowledge=[delivery])

        match which:
            case "publish":
                between(pid, lambda: [bus.publish([each]) for each in messages[WARM:]])
            case "claim":
                between(pid, lambda: [bus.claim(["load"], "bench", 1) for _ in range(SINGLE)])
            case _:
                between(pid, lambda: [complete(each) for each in held])


def xadd(address: str, pid: int) -> None:
    """The floor of publishing: a stream and one field."""
    with redis.Redis.from_url(address.partition("?")[0]) as client:
        for _ in range(WARM):
            client.xadd("load", {"task": WAITING})
        between(pid, lambda: [client.xadd("load", {"task": WAITING}) for _ in range(SINGLE)])


def opened(address: str) -> Bus:
    """Open the bus at this address."""
    return open_bus(address, by="bench", accept_loss=True)


CHILDREN: dict[str, Callable[[str, int], None]] = {
    "raw": raw,
    "route": route,
    "record": record,
    "alert": alert,
    "xadd": xadd,
    "publish": lambda address, pid: one_by_one(address, pid, "publish"),
    "claim": lambda address, pid: one_by_one(address, pid, "claim"),
    "complete": lambda address, pid: one_by_one(address, pid, "complete"),
}
PARTS = {
    "taskmaster": (
        ("floor: loop and SQLite", "raw", False, RESULTS),
        ("floor: server", "raw", True, RESULTS),
        ("router", "route", False, RESULTS),
        ("server, for the router", "route", True, RESULTS),
        ("history", "record", False, RESULTS),
        ("alerts", "alert", False, RESULTS),
    ),
    "single": (
        ("floor: XADD", "xadd", True, SINGLE),
        ("publish", "publish", True, SINGLE),
        ("claim", "claim", True, SINGLE),
        ("complete", "complete", True, SINGLE),
    ),
}
"""By part: the name, who is to do it, whether the server is counted, and how often it is done."""


if __name__ == "__main__":
    main()
