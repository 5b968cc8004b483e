"""Wall clocks that a test sets: of real processes, each with a clock of its own, by a library that is loaded first."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

from support.processes import ROOT
from support.redis_programs import lacking
from support.redis_server import Server


def built(folder: Path) -> Path:
    """Compile the library into a folder; without a compiler the test skips at home and fails in CI."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        lacking("no C compiler: apt-get install gcc libc6-dev")
    library = folder / "skew.so"
    source = ROOT / "tests" / "support" / "skew.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True, timeout=60)
    return library


class SkewedClock:
    """The wall clock of the processes that run with `variables`; `ahead` is by how many seconds it is wrong."""

    def __init__(self, folder: Path, name: str = "skew", library: Path | None = None) -> None:
        self._file = folder / name
        self._file.write_bytes(struct.pack("q", 0))
        self.ahead = 0
        self.variables = {"LD_PRELOAD": str(library or built(folder)), "SKEW_FILE": str(self._file)}

    def jump(self, seconds: int) -> None:
        """Set the clock, between one moment and the next."""
        self.ahead += seconds
        with self._file.open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), struct.pack("q", self.ahead), 0)

    def rules(self, server: Server) -> Server:
        """Let a server that was not started yet go by this clock."""
        wrapper = server.folder / "skewed-server"
        said = " ".join(f"{name}='{value}'" for name, value in self.variables.items())
        wrapper.write_text(f'#!/bin/sh\n{said} exec {server.program} "$@"\n', "utf-8")
        wrapper.chmod(0o755)
        server.program = wrapper
        return server
