"""`make bench`: every figure beside its floor, as one table.

`--write docs/benchmarks.md` keeps it; `--only chain,pickup` is for trying.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from table import Row, table, write_page

PARTS = {"chain": "chain", "pickup": "pickup", "exec": "exec_worker", "startup": "startup", "load": "load"}


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
        rows += importlib.import_module(PARTS[part]).rows()
    print(table(rows))
    if asked.write:
        write_page(Path(asked.write), rows, time.monotonic() - begin)
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
