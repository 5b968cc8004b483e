"""Bugs for the test of clock jumps to find: `python -m fault.jump_plants BUG ARGUMENTS` is `flowlord ARGUMENTS` with
one of them.

starts-again    a clock that goes back starts what it started before
misses-silently what lies before the catch-up window is stepped over without a word
wall-leases     leases look at the wall clock
"""

from __future__ import annotations

import sys
from datetime import timedelta

from flowlord.bus.clock import SystemClock, micros
from flowlord.model.plan import Plan


def starts_again() -> None:
    import flowlord.taskmaster.scheduler as scheduler

    real = scheduler.look

    def look(phase, table, watermark, now, **more):
        forgotten = watermark is not None and watermark > now
        return real(phase, table, now - timedelta(seconds=2) if forgotten else watermark, now, **more)

    scheduler.look = look  # type: ignore[assignment]


def misses_silently() -> None:
    import flowlord.taskmaster.ticks as ticks

    ticks.on_missed = lambda *_: Plan()


def wall_leases() -> None:
    import flowlord.bus.sqlite as adapter

    class WallClock(SystemClock):
        def boottime_ns(self) -> int:
            return micros(self.now()) * 1_000

    adapter.SystemClock = WallClock  # type: ignore[misc]


PLANTS = {"starts-again": starts_again, "misses-silently": misses_silently, "wall-leases": wall_leases}

if __name__ == "__main__":
    from flowlord.cli.main import main

    PLANTS[sys.argv[1]]()
    sys.argv = ["flowlord", *sys.argv[2:]]
    main()
