"""The command line of the kill test, and what it prints."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fault.kill_check import Verdict
from fault.kill_plants import PLANTS, plant
from fault.kill_proof import Proof, figures_of, shortfalls, write_page
from fault.kill_run import PACE_S, Size, Storm, Stuck, say
from fault.kill_victims import warm_up

CLEAN, BROKEN, PROVES_NOTHING = 0, 1, 2
SHOWN = 10


def main(arguments: Sequence[str]) -> int:
    """Run once and judge."""
    asked = _parser().parse_args(arguments)
    seed = secrets.randbelow(1 << 32) if asked.seed is None else asked.seed
    tasks = asked.tasks or 15 * asked.kills
    size = Size(
        kills=asked.kills, tasks=tasks, seed=seed, plant=asked.plant, journal=asked.journal, pace_s=asked.pace
    )
    again = f"python tests/fault/kill.py --kills {size.kills} --tasks {size.tasks} --seed {size.seed}"
    again += f" --plant {size.plant}" * bool(size.plant) + f" --journal {size.journal}" * bool(size.journal)
    say(f"again: {again}")
    _scrub()
    if size.plant:
        plant(size.plant)
    if size.journal:
        _choose_journal(size.journal)
    warm_up()
    where = Path(tempfile.mkdtemp(prefix="flowlord-kill-"))
    keep = True
    try:
        storm = Storm(size, where)
        try:
            verdict = storm.run()
        except Stuck as error:
            say(f"stuck: {error}")
            say(f"kept: {where}")
            return PROVES_NOTHING
        proof = Proof(size, verdict, storm.figures, _integrity(where / "bus.db"), again)
        for name, value in figures_of(proof):
            print(f"{name:<34} {value}")
        short = shortfalls(proof)
        _tell(verdict, proof, short)
        keep = bool(short) or not verdict.is_clean
        if not verdict.is_clean or proof.integrity != "ok":
            return BROKEN
        if short:
            return PROVES_NOTHING
        if asked.write:
            write_page(Path(asked.write), proof)
        return CLEAN
    finally:
        if keep and not size.plant:
            say(f"kept: {where}")
        else:
            shutil.rmtree(where, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kill.py", description="Kill workers and taskmasters, count what is lost."
    )
    parser.add_argument("--kills", type=int, default=1000, help="random kills")
    parser.add_argument(
        "--tasks", type=int, default=0, help="tasks, children and retries included (15 a kill)"
    )
    parser.add_argument("--seed", type=int, help="of the driver's chance; drawn and printed when absent")
    parser.add_argument("--plant", choices=sorted(PLANTS), default="", help="a bug that must be found")
    parser.add_argument("--journal", choices=("truncate", "wal"), default="", help="journal mode of SQLite")
    parser.add_argument("--pace", type=float, default=PACE_S, help="mean seconds between kills")
    parser.add_argument("--write", metavar="FILE", help="write the figures down, when the run is clean")
    return parser


def _scrub() -> None:
    """Nothing that a developer's shell sets may change what the victims do."""
    for name in [name for name in os.environ if name.startswith(("FLOWLORD_", "TASKFLOW_"))]:
        del os.environ[name]
    os.environ["XDG_CONFIG_HOME"] = os.devnull


def _choose_journal(mode: str) -> None:
    """Let every victim use this journal mode, whatever its engine would choose."""
    import flowlord.bus.sqlite as adapter

    adapter.best_journal_mode = lambda *_: mode


def _integrity(path: Path) -> str:
    """What the engine says about the file, once everybody has left."""
    with sqlite3.connect(path) as db:
        return str(db.execute("PRAGMA integrity_check").fetchone()[0])


def _tell(verdict: Verdict, proof: Proof, short: Sequence[str]) -> None:
    for name in ("lost", "doubled", "strange", "early", "torn"):
        found: list[str] = getattr(verdict, name)
        for line in found[:SHOWN]:
            say(f"{name}: {line}")
        if len(found) > SHOWN:
            say(f"{name}: and {len(found) - SHOWN} more")
    for line in short:
        say(f"below its floor: {line}")
    sys.stderr.flush()
