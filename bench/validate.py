"""`flowlord validate`: all checks over 1,000 phases in this process, over the files of 64 KiB that cost most, and the
command over 100,000 phases in 1,000 files.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from load import PAIRS, phases, text, timed
from table import Row, alternately, medians

from flowlord.spec.author.inspect import inspect, verdict
from flowlord.spec.parse import parse
from unit.test_spec_dense import DENSE, spent_on

NOW = datetime(2026, 11, 27, tzinfo=UTC)
GOAL_MS = 60
FILES = 1_000
GOAL_S = 8
TIMES = 3
DENSE_GOAL_MS = 50
DENSEST = 5  # that are shown


def rows() -> list[Row]:
    """Return what is measured here; the floor of the first line is loading alone."""
    return [in_process(), *densest(), whole()]


def in_process() -> Row:
    """Load and check 1,000 phases, every one different."""
    data = text().encode()

    def checked() -> None:
        found = inspect(data, "bench.toml", "bench.toml", NOW)
        verdict([found], found.problems)

    found = alternately(timed(checked), timed(lambda: parse(data, "bench.toml")), PAIRS)
    ours, floor, ratio = medians(found)
    met = ours <= GOAL_MS
    return Row(
        "validate 1,000 phases", f"{ours:.1f} ms", f"{floor:.1f} ms", f"{ratio:.2f}", f"<= {GOAL_MS} ms", met
    )


def densest() -> list[Row]:
    """Check 64 KiB of whatever costs most; the floor is splitting the same text into words, in processor time."""
    found = []
    for name, dense in DENSE.items():
        spent = min(spent_on(name) for _ in range(PAIRS)) * 1000
        begun = time.process_time()
        for _ in range(PAIRS):
            dense.split()
        found.append((spent, (time.process_time() - begun) * 1000 / PAIRS, name))
    return [
        Row(
            f"validate 64 KiB: {name}", f"{ours:.0f} ms", f"{floor:.1f} ms", f"{ours / max(floor, 0.001):.0f}",
            f"<= {DENSE_GOAL_MS} ms", ours <= DENSE_GOAL_MS,
        )
        for ours, floor, name in sorted(found, reverse=True)[:DENSEST]
    ]  # fmt: skip


def whole() -> Row:
    """Run the command over 1,000 files of 100 phases; the floor is reading their bytes in a bare interpreter."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        write(Path(folder))
        command = [sys.executable, "-m", "flowlord", "validate", folder]
        read = "import sys, pathlib; [p.read_bytes() for p in pathlib.Path(sys.argv[1]).iterdir()]"
        floor = [sys.executable, "-c", read, folder]
        found = [(took(command), took(floor)) for _ in range(TIMES)]
    ours, bare = (median(each[n][0] for each in found) for n in (0, 1))
    memory = max(each[0][1] for each in found)
    name = f"flowlord validate, 100,000 phases in 1,000 files, {memory:.0f} MiB"
    return Row(name, f"{ours:.1f} s", f"{bare:.2f} s", f"{ours / bare:.0f}", f"<= {GOAL_S} s", ours <= GOAL_S)


def write(folder: Path) -> None:
    """Write the files: the phases of the bench of loading, a hundred in each, with names of their own."""
    every = re.split(r"(?=^\[\[phase\]\])", text(), flags=re.MULTILINE)[1:]
    assert len(list(phases())) > len(every) == 1_000
    for number in range(FILES):
        first = number % 10 * 100
        part = "".join(every[first : first + 100]).replace("source", f"f{number}source")
        (folder / f"flow{number:04}.toml").write_text(part, "utf-8")


def took(command: list[str]) -> tuple[float, float]:
    """Return seconds and MiB of one run of a command that finds nothing wrong."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert isinstance(usage, resource.struct_rusage)
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


if __name__ == "__main__":
    for row in rows():
        print(row)
