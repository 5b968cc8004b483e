"""flowlord as real processes: commands that end, daemons that run until told to stop, and waiting with a limit.

Most are forks of a process that has loaded flowlord, see support/forks.py.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from flowlord.bus.clock import SystemClock
from flowlord.bus.sqlite_turn import Turn
from support.forks import Fork, can_fork, fork

ROOT = Path(__file__).resolve().parents[2]
FLOWLORD = (sys.executable, "-m", "flowlord")
STANDARD = ("stdin", "stdout", "stderr")
LIMIT_S = 40.0
_numbers = count(1)


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code, and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """stdout as one JSON document."""
        return json.loads(self.out)


def flowlord(
    *arguments: str,
    cwd: Path,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    limit_s: float = LIMIT_S,
) -> Ended:
    """Run a command to its end, in a pipe."""
    return ran([*FLOWLORD, *arguments], cwd=cwd, stdin=stdin, env=env, limit_s=limit_s)


def ran(
    command: list[str],
    *,
    cwd: Path,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    limit_s: float = LIMIT_S,
) -> Ended:
    """Run any command to its end."""
    whole = os.environ | dict(env or {})
    if can_fork(command, whole):
        return _ran_as_fork(command, cwd, stdin, whole, limit_s)
    done = subprocess.run(
        command, cwd=cwd, input=stdin, env=whole, capture_output=True, text=True, timeout=limit_s, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr)


def _ran_as_fork(command: list[str], cwd: Path, stdin: str, env: Mapping[str, str], limit_s: float) -> Ended:
    with ExitStack() as files:
        given, out, err = (files.enter_context(open(os.memfd_create(name), "w+")) for name in STANDARD)
        given.write(stdin)
        given.seek(0)
        process = fork(command, cwd=cwd, env=env, standard=[file.fileno() for file in (given, out, err)])
        try:
            code = process.wait(limit_s)
        finally:
            process.kill()
        for file in (out, err):
            file.seek(0)
        return Ended(code, out.read(), err.read())


class Running:
    """A process that goes on; what it writes to stdout and stderr lies in files."""

    def __init__(self, command: list[str], cwd: Path, env: Mapping[str, str]) -> None:
        number = next(_numbers)
        self._out, self._err = cwd / f".stdout-{number}", cwd / f".stderr-{number}"
        whole = os.environ | dict(env)
        self.process: subprocess.Popen[bytes] | Fork
        with self._out.open("wb") as out, self._err.open("wb") as err, open(os.devnull, "rb") as null:
            if can_fork(command, whole):
                standard = [file.fileno() for file in (null, out, err)]
                self.process = fork(command, cwd=cwd, env=whole, standard=standard)
            else:
                self.process = subprocess.Popen(
                    command, cwd=cwd, env=whole, stdin=null, stdout=out, stderr=err
                )

    @property
    def out(self) -> str:
        return self._out.read_text("utf-8", "replace")

    @property
    def err(self) -> str:
        return self._err.read_text("utf-8", "replace")

    @property
    def is_gone(self) -> bool:
        return self.process.poll() is not None

    def says(self, text: str, times: int = 1) -> None:
        """Wait until its stderr holds `text`; a process that ends before has not said it."""
        until(lambda: self.err.count(text) >= times or self.is_gone, f"the words {text!r}\n{self.err}")
        assert self.err.count(text) >= times, f"it ended with {self.process.returncode}\n{self.err}"

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stand_still(self, bus: Path) -> None:
        """SIGSTOP while it holds no lock of this embedded bus: stopped within a step, it would stop everybody."""
        state = Path(f"/proc/{self.process.pid}/stat")

        def stands_still() -> bool:
            self.tell(signal.SIGSTOP)
            until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "it to stand still")
            turn = Turn(str(bus))
            try:
                if turn.take():  # before it begins and after it has committed it holds nothing else
                    with closing(sqlite3.connect(bus, isolation_level=None, timeout=1.0)) as db:
                        db.execute("BEGIN EXCLUSIVE")
                    return True
            except sqlite3.OperationalError:
                pass
            finally:
                turn.close()
            self.tell(signal.SIGCONT)
            return False

        until(stands_still, "a moment between two steps")

    def end(self, number: signal.Signals = signal.SIGTERM, limit_s: float = LIMIT_S) -> int:
        """Tell it to stop, and return its exit code."""
        self.tell(number)
        return self.wait(limit_s)

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Return its exit code once it has ended."""
        return self.process.wait(limit_s)


@contextmanager
def running(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """`flowlord` with these arguments, as long as the block lasts."""
    with started([*FLOWLORD, *arguments], cwd=cwd, env=env) as process:
        yield process


@contextmanager
def started(command: list[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Any command, as long as the block lasts."""
    process = Running(command, cwd, env or {})
    try:
        yield process
    finally:
        if not process.is_gone:
            process.process.kill()
        process.wait()


def until(claim: Callable[[], Any], what: str = "", limit_s: float = LIMIT_S, every_s: float = 0.02) -> Any:
    """Wait until `claim` holds and return what it gave; fails when it does not within the limit."""
    clock, step = SystemClock(), threading.Event()
    end_ns = clock.monotonic_ns() + int(limit_s * 1e9)
    while not (found := claim()):
        assert clock.monotonic_ns() < end_ns, f"waited in vain for {what or claim}"
        step.wait(every_s)
    return found


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files below a folder, their texts dedented; each is put there whole, as an editor does."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_text(textwrap.dedent(text).lstrip("\n"), "utf-8")
        part.replace(path)
    return folder


def tasks(cwd: Path, *arguments: str) -> list[dict[str, Any]]:
    """What `flowlord tasks -o json` tells, without a limit."""
    ended = flowlord("tasks", "--limit", "0", *arguments, "-o", "json", cwd=cwd)
    assert ended.code == 0, ended.err
    found: list[dict[str, Any]] = ended.data
    return found


def slip_in(bus: Path, topic: str, payload: bytes) -> None:
    """Put raw bytes on a topic of an embedded bus, as a program that is no friend of ours may do.

    A proper message is published on another topic first; then its bytes and its topic are changed in one step.
    """
    from flowlord.bus.sqlite import SqliteBus
    from flowlord.model.message import Message
    from flowlord.model.task import Task

    aside = f"aside-{next(_numbers)}"
    own = SqliteBus(str(bus), by="test")
    try:
        own.publish([Message(topic=aside, task=Task(type="x", info=""), key=f"{aside}-{os.getpid()}")])
    finally:
        own.close()
    with closing(sqlite3.connect(bus, isolation_level=None, timeout=LIMIT_S)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE messages SET payload = ?, topic = ? WHERE topic = ?", (payload, topic, aside))
        db.execute("UPDATE waiting SET topic = ? WHERE topic = ?", (topic, aside))
        db.execute("COMMIT")
