"""How long commands take, as whole processes, against a bare interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from chain import chain, flowlord
from table import Row

if TYPE_CHECKING:
    from server import Server

TIMES = 15
ROWS = 10_000
LOAD = 1_000
PROGRAM = [str(Path(sys.executable).with_name("flowlord"))]


def rows() -> list[Row]:
    """Measure `--help`, `--version` and `tasks` with a history of 10,000 rows."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        where = Path(folder)
        chain(ROWS // 2, split=False, keep=where)
        places = ["--bus", f"sqlite:///{where / 'bus.db'}", "--cache", str(where / "tasks.db")]
        return [
            _row("flowlord --version", ["--version"], where, 40),
            _row("flowlord --help", ["--help"], where, 150),
            _row(f"flowlord tasks --limit 50 of {ROWS:,}", ["tasks", "--limit", "50", *places], where, 100),
            _row("flowlord tasks --failed", ["tasks", "--failed", *places], where, 100),
            _row("flowlord task @last", ["task", "@last", *places], where, 100),
        ]


def redis_rows(server: Server) -> list[Row]:
    """Measure `topics`, which must ask the server, and `tasks`, which finds all it tells in the history."""
    from server import emptied

    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder, emptied(server.port):
        where = Path(folder)
        chain(LOAD, split=False, keep=where, address=server.url)
        places = ["--bus", server.url, "--cache", str(where / "tasks.db")]
        return [
            _row("flowlord topics, asks Redis", ["topics", *places], where, 350),
            _row("flowlord tasks --limit 50 beside Redis", ["tasks", "--limit", "50", *places], where, 100),
        ]


def _row(name: str, arguments: list[str], where: Path, goal_ms: float) -> Row:
    program = PROGRAM if Path(PROGRAM[0]).exists() else flowlord()
    found = [
        (_took([*program, *arguments], where), _took([sys.executable, "-c", "pass"], where))
        for _ in range(TIMES)
    ]
    ours, floor = median(a for a, _ in found), median(b for _, b in found)
    ratio = median(a / b for a, b in found)
    return Row(
        name, f"{ours:.0f} ms", f"{floor:.0f} ms", f"{ratio:.1f}", f"<= {goal_ms:g} ms", ours <= goal_ms
    )


def _took(command: list[str], where: Path) -> float:
    """Time one process; Python may keep bytecode, as it does for what was installed."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    subprocess.run(
        command, cwd=where, check=True, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return (time.perf_counter() - begin) * 1000


if __name__ == "__main__":
    for row in rows():
        print(row)
