"""What a run of the kill test proves: its figures, and the floors below which it proves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fault.kill_check import Verdict
from fault.kill_ground import POLICIES
from fault.kill_size import REDIS, Figures, Size

SMALL = 200
"""A run of fewer kills leaves to chance how often it hit what it was to hit."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One finished run."""

    size: Size
    verdict: Verdict
    figures: Figures
    engine: str
    integrity: str
    again: str


def figures_of(proof: Proof) -> Iterator[tuple[str, str]]:
    """Yield what is worth knowing, as name and value."""
    verdict, seen, size = proof.verdict, proof.figures, proof.size
    of_workers = max(1, seen.kills["worker"])
    yield "lost", f"{len(verdict.lost)}"
    yield "children or retries doubled", f"{len(verdict.doubled)}"
    yield "results accepted without a lease", f"{len(verdict.unleased)}"
    yield "tasks that should not be", f"{len(verdict.strange) + len(verdict.torn)}"
    yield "begun before their parent had ended", f"{len(verdict.early)}"
    yield "told otherwise by the history", f"{len(verdict.history)}"
    yield "last look at the bus", proof.integrity
    yield "tasks", f"{verdict.tasks:,} from {verdict.roots:,} roots, {verdict.retries:,} of them retries"
    yield "seconds of a clock that started one each", f"{verdict.ticks:,}"
    yield "attempts in the history", f"{seen.rows:,}, {seen.traced} runs drawn"
    yield "random kills", f"{seen.random_kills:,} (signal 9)"
    yield "kills at named places", f"{seen.trapped:,}"
    yield "killed", ", ".join(f"{count:,} {kind}s" for kind, count in sorted(seen.kills.items()))
    if size.bus == REDIS:
        policies = ", ".join(
            f"{count:,} with {policy}" for policy, count in sorted(seen.server_kills.items())
        )
        yield "of them the Redis server", policies or "0"
        yield "outages that the others told of", f"{seen.outages:,}"
    yield "of them cold `python -m flowlord`", f"{seen.cold:,}"
    yield "worker kills that hit work in hand", f"{seen.in_flight:,} ({seen.in_flight / of_workers:.0%})"
    stopped = ", ".join(f"{count:,} {kind}s" for kind, count in sorted(seen.stopped.items()))
    yield "stood still beyond their leases", stopped or "0"
    yield "leases taken over", f"{seen.lapsed:,}"
    yield "tasks run again after a crash", f"{verdict.again:,} ({verdict.again / max(1, verdict.tasks):.1%})"
    yield "sends killed and repeated", f"{seen.resent:,}"
    yield "results decided by two taskmasters", f"{seen.contested:,}"
    yield "results dropped by fencing", f"{seen.fenced:,}"
    yield (
        "results whose attempt is known",
        f"{verdict.traced:,}, {verdict.outlived:,} of them with several attempts",
    )
    yield "results decided by each taskmaster", " / ".join(f"{count:,}" for count in _shares(proof))
    yield "left on the bus", f"{sum(seen.left.values())}"
    yield "time", f"{seen.storm_s:.0f} s of kills, {seen.drain_s:.1f} s until all was done"
    yield (
        "rate of kills",
        f"{seen.kills.total() / max(seen.storm_s, 0.1):.1f}/s, {size.workers} workers, {size.taskmasters} taskmasters",
    )
    for line in (*seen.spoilt[:10], *dict.fromkeys(seen.faults[:10])):
        yield "!", line


def shortfalls(proof: Proof) -> list[str]:
    """Tell what was too little for the run to prove anything, or went wrong beside the counting."""
    seen, size, verdict = proof.figures, proof.size, proof.verdict

    def part(of: int, share: int) -> int:
        """One of so many; of a small run, which leaves more to chance, one at all."""
        return of // share if size.kills >= SMALL else min(1, of // share)

    floors = {
        "random kills": (seen.random_kills, size.kills),
        "kills of workers": (seen.kills["worker"], size.kills // 3),
        "kills of taskmasters": (seen.kills["taskmaster"], size.kills // 5),
        "restarts": (
            seen.restarts,
            size.kills * 3 // 4,
        ),  # servers have no successor, nor have the last victims
        "worker kills that hit work in hand": (seen.in_flight, part(seen.kills["worker"], 10)),
        "leases taken over": (seen.lapsed, part(size.kills, 20)),
        "tasks run again": (verdict.again, part(size.kills, 20)),
        "kills at named places": (seen.trapped, size.kills // 50),
        "cold victims": (seen.cold, int(size.kills * size.cold) // 5),
        "results decided by the lesser taskmaster": (min(_shares(proof)), part(sum(_shares(proof)), 20)),
        "workers that stood still": (seen.stopped["worker"], size.kills // 100),
        "taskmasters that stood still": (seen.stopped["taskmaster"], size.kills // 200),
        "results dropped by fencing": (seen.fenced, size.kills // 100),  # a small run leaves that to chance
        "results decided by two taskmasters": (seen.contested, size.kills // 200),
        "results with several attempts": (verdict.outlived, part(size.kills, 20)),
    }
    if size.bus == REDIS:
        for policy in [size.aof] if size.aof else POLICIES:
            name = f"kills of the server with {policy}"
            floors[name] = (
                seen.server_kills[policy],
                size.kills // size.server_every // (1 if size.aof else 2) - 1,
            )
    told = [f"{name}: {found}, floor {floor}" for name, (found, floor) in floors.items() if found < floor]
    told += [f"exit: {line}" for line in seen.spoilt]
    if not verdict.lost and any(seen.left.values()):
        told.append(f"left on the bus: {seen.left}")
    return told


def _shares(proof: Proof) -> list[int]:
    return [proof.figures.decided[place] for place in range(proof.size.taskmasters)]
