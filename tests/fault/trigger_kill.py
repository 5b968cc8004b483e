"""The kill test of triggers: `python tests/fault/trigger_kill.py --bus redis --kills 200`.

Exit codes: 0 nothing lost and nothing doubled, 1 something was, 2 the run proves nothing (too few kills hit work).
`--plant` puts a known bug into the taskmasters; then the exit code must be 1.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fault.kill_main import BROKEN, CLEAN, PROVES_NOTHING, SHOWN, scrub, staged
from fault.kill_run import say
from fault.kill_size import REDIS, SQLITE, Size, Stuck
from fault.trigger_check import FAULTS, Verdict
from fault.trigger_plants import BETWEEN, SPOILS, plant
from fault.trigger_run import TRAPS, Storm, at_places, offered_again

PACE_S = 0.3
LEASE_S = {SQLITE: 2.0, REDIS: 1.0}
"""Long enough for tasks that take seconds to be renewed on a machine that has much else to do."""
OPEN_ROWS = 12_000
"""Lines of a meta-file that are more than what is made at once: then the batch is a recipe on the bus."""


class LongLeases(Size):
    """A size whose leases are longer."""

    @property
    def lease_s(self) -> float:
        """The lease of workers and taskmasters."""
        return LEASE_S[self.bus]


def main(arguments: Sequence[str]) -> int:
    """Run once and judge."""
    parser = argparse.ArgumentParser(prog="trigger_kill.py", description="Kill those who start things.")
    parser.add_argument("--bus", choices=(SQLITE, REDIS), default=SQLITE)
    parser.add_argument("--kills", type=int, default=200, help="random kills")
    parser.add_argument("--rows", type=int, default=OPEN_ROWS, help="lines of the meta-file")
    parser.add_argument("--seed", type=int, help="of the driver's chance; drawn and printed when absent")
    parser.add_argument("--plant", choices=sorted(SPOILS), default="", help="a bug that must be found")
    asked = parser.parse_args(arguments)
    seed = secrets.randbelow(1 << 32) if asked.seed is None else asked.seed
    size = LongLeases(
        kills=asked.kills, seed=seed, bus=asked.bus, plant=asked.plant, pace_s=PACE_S, workers=2, concurrency=6,
        trapped=0.8 if asked.plant else 0.35,
    )  # fmt: skip
    again = f"python tests/fault/trigger_kill.py --bus {size.bus} --kills {size.kills} --rows {asked.rows}"
    say(f"again: {again} --seed {seed}" + f" --plant {asked.plant}" * bool(asked.plant))
    scrub()
    if asked.plant:
        plant(asked.plant)
    where, base = staged(size, "triggers")
    keep = True
    try:
        base.open()
        storm = Storm(size, where, base, asked.rows, (BETWEEN,) if asked.plant else TRAPS)
        try:
            verdict = storm.run()
        except Stuck as error:
            say(f"stuck: {error}")
            return PROVES_NOTHING
        integrity = base.look_over()
        for name, value in figures_of(storm, verdict, integrity):
            print(f"{name:<36} {value}")
        _tell(verdict)
        if not verdict.is_clean or integrity != "ok":
            return BROKEN
        short = shortfalls(storm, verdict)
        for line in short:
            say(f"below its floor: {line}")
        keep = bool(short)
        return PROVES_NOTHING if short else CLEAN
    finally:
        base.close()
        if keep and not asked.plant:
            say(f"kept: {where}")
        else:
            shutil.rmtree(where, ignore_errors=True)


def figures_of(storm: Storm, verdict: Verdict, integrity: str) -> list[tuple[str, object]]:
    """Return what is worth knowing, as name and value."""
    seen, asked = storm.figures, storm.asked
    found: list[tuple[str, object]] = [(name, len(getattr(verdict, name))) for name in FAULTS]
    found += [
        ("last look at the bus", integrity),
        ("tasks", f"{verdict.tasks:,}, run {verdict.executions:,} times"),
        ("files", f"{asked.files} and {asked.groups} groups of {3}, {asked.days} days"),
        ("random kills", f"{seen.random_kills} (signal 9)"),
        ("kills at named places", ", ".join(f"{n} {name}" for name, n in sorted(storm.died_at.items())) or 0),
        ("killed", ", ".join(f"{count} {kind}s" for kind, count in sorted(seen.kills.items()))),
        ("kills that hit work in hand", seen.in_flight),
        ("stood still beyond their leases", sum(seen.stopped.values())),
        ("tasks offered again", storm.log.redelivered),
        ("starts that stood in line", verdict.waited),
        ("backloads asked for again", seen.resent),
        ("time", f"{seen.storm_s:.0f} s of kills, {seen.drain_s:.0f} s until all was done"),
    ]
    found += [("!", line) for line in (*seen.spoilt[:10], *dict.fromkeys(seen.faults[:10]))]
    return found


def shortfalls(storm: Storm, verdict: Verdict) -> list[str]:
    """Tell what was too little for the run to prove anything, or went wrong beside the counting."""
    seen, size = storm.figures, storm.size
    floors = {
        "random kills": (seen.random_kills, size.kills),
        "kills of taskmasters": (seen.kills["taskmaster"], size.kills // 3),
        "kills at named places": (storm.died_at.total(), at_places(size.kills)),
        "named places": (len(storm.died_at), min(len(TRAPS), 1 + size.kills // 50)),
        "kills that hit work in hand": (seen.in_flight, size.kills // 25),
        "tasks offered again": (storm.log.redelivered, offered_again(size.kills)),
        "starts that stood in line": (verdict.waited, 1),
    }
    told = [f"{name}: {found}, floor {floor}" for name, (found, floor) in floors.items() if found < floor]
    return told + [f"exit: {line}" for line in seen.spoilt]


def _tell(verdict: Verdict) -> None:
    for name in FAULTS:
        found: list[str] = getattr(verdict, name)
        for line in found[:SHOWN]:
            say(f"{name}: {line}")
        if len(found) > SHOWN:
            say(f"{name}: and {len(found) - SHOWN} more")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
