"""Several processes of one program that start at the same moment, on a barrier."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from support.processes import ROOT


@contextmanager
def racers(program: str, arguments: Sequence[Sequence[str]]) -> Iterator[list[subprocess.Popen[str]]]:
    """One process of `tests/support/<program>` for each list of arguments; each says `ready` and waits for a line."""
    command = [sys.executable, str(ROOT / "tests" / "support" / program)]
    found = [
        subprocess.Popen(
            [*command, *each], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin"},
        )
        for each in arguments
    ]  # fmt: skip
    try:
        for racer in found:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in found:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        yield found
    finally:
        for racer in found:
            racer.kill()
            with racer:  # closes its pipes and waits
                pass
