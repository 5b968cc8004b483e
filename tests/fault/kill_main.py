"""The command line of the kill test, and what it prints."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fault.kill_check import FAULTS, Verdict
from fault.kill_ground import POLICIES, Ground, ground
from fault.kill_page import write_page
from fault.kill_plants import NAMES, plant
from fault.kill_proof import Proof, figures_of, shortfalls
from fault.kill_run import Storm, say
from fault.kill_size import PACE_S, REDIS, SQLITE, Size, Stuck
from fault.kill_victims import warm_up
from support.quick import SHARED_MEMORY

CLEAN, BROKEN, PROVES_NOTHING = 0, 1, 2
SHOWN = 10


def main(arguments: Sequence[str]) -> int:
    """Run once and judge."""
    asked = _parser().parse_args(arguments)
    size = Size(
        kills=asked.kills,
        tasks=asked.tasks or 15 * asked.kills,
        seed=secrets.randbelow(1 << 32) if asked.seed is None else asked.seed,
        bus=asked.bus,
        plant=asked.plant,
        journal=asked.journal,
        aof=asked.aof,
        pace_s=asked.pace or PACE_S[asked.bus],
    )
    again = f"python tests/fault/kill.py --bus {size.bus} --kills {size.kills} --tasks {size.tasks}"
    again += f" --seed {size.seed}"
    for name in ("plant", "journal", "aof"):
        again += f" --{name} {getattr(size, name)}" * bool(getattr(size, name))
    say(f"again: {again}")
    scrub()
    if size.plant:
        plant(size.plant)
    if size.journal:
        _choose_journal(size.journal)
    where, base = staged(size, "kill")
    keep = True
    try:
        base.open()
        storm = Storm(size, where, base)
        try:
            verdict = storm.run()
        except Stuck as error:
            say(f"stuck: {error}")
            return PROVES_NOTHING
        proof = Proof(size, verdict, storm.figures, base.engine, base.look_over(), again)
        for name, value in figures_of(proof):
            print(f"{name:<36} {value}")
        short = shortfalls(proof)
        _tell(verdict, short)
        keep = bool(short) or not verdict.is_clean or proof.integrity != "ok"
        if not verdict.is_clean or proof.integrity != "ok":
            return BROKEN
        if short:
            return PROVES_NOTHING
        if asked.write:
            write_page(Path(asked.write), proof)
        return CLEAN
    finally:
        base.close()
        if keep and not size.plant:
            say(f"kept: {where}")
        else:
            shutil.rmtree(where, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kill.py", description="Kill workers, taskmasters and the bus, count what is lost."
    )
    parser.add_argument("--bus", choices=(SQLITE, REDIS), default=SQLITE, help="which bus they work on")
    parser.add_argument("--kills", type=int, default=1000, help="random kills")
    parser.add_argument(
        "--tasks", type=int, default=0, help="tasks, children and retries included (15 a kill)"
    )
    parser.add_argument("--seed", type=int, help="of the driver's chance; drawn and printed when absent")
    parser.add_argument("--plant", choices=NAMES, default="", help="a bug that must be found")
    parser.add_argument(
        "--journal", choices=("persist", "truncate", "wal"), default="", help="journal mode of SQLite"
    )
    parser.add_argument(
        "--aof", choices=POLICIES, default="", help="appendfsync of Redis; without it both, in turn"
    )
    parser.add_argument("--pace", type=float, default=0.0, help="mean seconds between kills")
    parser.add_argument("--write", metavar="FILE", help="write the figures down, when the run is clean")
    return parser


def _folder(size: Size) -> str | None:
    """Where a run works: its server in memory, if that can be.

    With `everysec` Redis answers before it has written as long as a sync of the second before is under way: what a
    kill takes away then is what the policy allows, and the disk of the machine would decide how often that happens.
    """
    return SHARED_MEMORY if size.bus == REDIS and os.access(SHARED_MEMORY, os.W_OK) else None


def staged(size: Size, name: str) -> tuple[Path, Ground]:
    """Make the folder of one run and the bus in it, and have ready whatever starts processes."""
    where = Path(tempfile.mkdtemp(prefix=f"flowlord-{name}-", dir=_folder(size)))
    base = ground(where, size)
    warm_up(without=base.foreign)
    return where, base


def scrub() -> None:
    """Nothing that a developer's shell sets may change what the victims do."""
    for name in [name for name in os.environ if name.startswith(("FLOWLORD_", "TASKFLOW_", "REDIS_"))]:
        del os.environ[name]
    os.environ["XDG_CONFIG_HOME"] = os.devnull


def _choose_journal(mode: str) -> None:
    """Let every victim use this journal mode."""
    import flowlord.bus.sqlite as adapter

    adapter.JOURNAL_MODE = mode


def _tell(verdict: Verdict, short: Sequence[str]) -> None:
    for name in FAULTS:
        found: list[str] = getattr(verdict, name)
        for line in found[:SHOWN]:
            say(f"{name}: {line}")
        if len(found) > SHOWN:
            say(f"{name}: and {len(found) - SHOWN} more")
    for line in short:
        say(f"below its floor: {line}")
    sys.stderr.flush()
