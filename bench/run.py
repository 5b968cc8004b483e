"""`make bench`: every figure beside its floor, as one table.

`--write docs/benchmarks.md` keeps it; `--only chain,pickup` is for trying. Exit code 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from table import Row, table, write_page

PARTS = ("chain", "pickup", "exec_worker", "startup", "load", "tasks")


def main() -> int:
    """Measure, print, keep; 0 when every goal is met."""
    parser = argparse.ArgumentParser(prog="run.py", description="Measure flowlord beside the floors.")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--write", metavar="FILE", help="write the page of the docs")
    asked = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("FLOWLORD_")]:
        del os.environ[name]
    begin = time.monotonic()
    rows: list[Row] = []
    for part in asked.only.split(","):
        print(f"measuring {part} ...", file=sys.stderr, flush=True)
        found = importlib.import_module(part).rows()
        print(table(found), file=sys.stderr, flush=True)  # so that an interruption loses nothing
        rows += found
    print(table(rows))
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}", file=sys.stderr)
    if asked.write:
        write_page(Path(asked.write), rows, time.monotonic() - begin)
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
