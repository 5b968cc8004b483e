"""`make bench`: every figure beside its floor, as one table.

Parts are chosen by name (`chain pickup`, `redis`, `redis.publish`); `--write docs/benchmarks.md` keeps the page. Exit
code 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from server import Missing, Server, redis_server
from table import Row, table, write_page

EMBEDDED = (
    "chain",
    "pickup",
    "exec_worker",
    "startup",
    "load",
    "validate",
    "tasks",
    "history",
    "ahead",
    "same_second",
    "fire",
)
REDIS = (
    "publish",
    "worker",
    "taskmaster",
    "chain",
    "pickup",
    "startup",
    "flat",
    "same_second",
    "fire",
    "alerts",
)
ON_DISK = "chain.disk"
PARTS = (*EMBEDDED, *(f"redis.{part}" for part in (*REDIS, ON_DISK)))


def main() -> int:
    """Measure, print, keep; 0 when every goal is met."""
    asked = arguments()
    for name in [name for name in os.environ if name.startswith("FLOWLORD_")]:
        del os.environ[name]
    begin = time.monotonic()
    rows: list[Row] = []
    for part in asked.parts:
        print(f"measuring {part} ...", file=sys.stderr, flush=True)
        started = time.monotonic()
        found = list(measured(part, many=asked.million))
        took = f"({part} took {time.monotonic() - started:.0f} s)"
        print(
            table(found), took, sep="\n", file=sys.stderr, flush=True
        )  # so that an interruption loses nothing
        rows += found
    print(table(rows))
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}", file=sys.stderr)
    if asked.write:
        write_page(Path(asked.write), rows, time.monotonic() - begin)
    return int(any(row.met is False for row in rows))


def arguments() -> argparse.Namespace:
    """Read the command line; `redis` stands for all its parts, and nothing for everything."""
    parser = argparse.ArgumentParser(prog="run.py", description="Measure flowlord beside the floors.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"redis, or some of {', '.join(PARTS)}")
    parser.add_argument("--million", action="store_true", help="measure with a million waiting tasks too")
    parser.add_argument("--write", metavar="FILE", help="write the page of the docs")
    asked = parser.parse_args()
    chosen: list[str] = []
    for part in asked.parts or PARTS:
        some = [each for each in PARTS if each == part or each.startswith(f"{part}.")]
        if not some:
            parser.error(f"there is no part {part}; there are redis, {', '.join(PARTS)}")
        chosen += some
    asked.parts = list(dict.fromkeys(chosen))
    return asked


def measured(part: str, *, many: bool) -> Iterator[Row]:
    """Yield the rows of a part; those on Redis get a server of their own, and none when this machine has no Redis."""
    is_redis, name = part.startswith("redis."), part.removeprefix("redis.")
    if not is_redis:
        yield from importlib.import_module(name).rows()
        return
    try:
        with redis_server(keeps=name == ON_DISK) as server:
            yield from on_redis(name, server, many=many)
    except Missing as missing:
        print(f"{part} is left out: {missing}", file=sys.stderr)


def on_redis(name: str, server: Server, *, many: bool) -> list[Row]:
    """Return the rows of a part on this server."""
    module = importlib.import_module(name.partition(".")[0])
    match name:
        case "chain.disk":
            return list(
                module.redis_rows(server, "chain on Redis, appendfsync everysec", module.PARENTS // 2)
            )
        case "flat":
            return list(module.rows(server, many=many))
        case "publish" | "worker" | "taskmaster":
            return list(module.rows(server))
        case _:
            return list(module.redis_rows(server))


if __name__ == "__main__":
    sys.exit(main())
