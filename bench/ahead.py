"""`flowlord next`: a day ahead over 1,000 phases, as a whole process against a bare interpreter; CPU time."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from table import Row

PHASES = 1_000
GOAL_MS = 700
TIMES = 7
PROGRAM = [sys.executable, "-m", "flowlord"]


def rows() -> list[Row]:
    """Measure phases that start once a day, and phases that start each hour (24,000 starts), some with one schedule."""
    kinds: dict[str, Callable[[int], str]] = {
        "each once a day": lambda n: f"{n % 60} {n % 60} {n % 24} * * *",
        "each hour": lambda n: f"0 {n % 60} * * * *",
        "each hour, no two alike": lambda n: f"{n % 59} {n % 60} * * * *",
    }
    return [_row(name, schedule) for name, schedule in kinds.items()]


def _row(name: str, schedule: Callable[[int], str]) -> Row:
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        where = Path(folder)
        (where / "a.toml").write_text("\n".join(_phase(n, schedule(n)) for n in range(PHASES)), "utf-8")
        found = [
            (_took([*PROGRAM, "next", "a.toml"], where), _took([sys.executable, "-c", "pass"], where))
            for _ in range(TIMES)
        ]
    ours, floor = median(a for a, _ in found), median(b for _, b in found)
    ratio = median(a / b for a, b in found)
    name = f"flowlord next, 24 h of {PHASES:,} phases, {name}"
    goal = f"<= {GOAL_MS:,} ms"
    return Row(name, f"{ours:.0f} ms", f"{floor:.0f} ms", f"{ratio:.1f}", goal, ours <= GOAL_MS)


def _phase(n: int, cron: str) -> str:
    template = f"s3://lake/{{yyyy}}/{{mm}}/{{dd}}/{{hh}}/source{n}.json"
    return (
        f'[[phase]]\ntask = "extract:source{n}"\nrule = "cron={cron}&offset=-1h"\ntemplate = "{template}"\n'
    )


def _took(command: list[str], where: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=where, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


if __name__ == "__main__":
    for row in rows():
        print(row)
