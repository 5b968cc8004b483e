"""How long after its planned instant a start has landed: one phase that starts each second, in a real daemon."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from chain import flowlord, running
from pickup import at
from table import Row

from flowlord.bus.open import open_bus

if TYPE_CHECKING:
    from server import Server

SAMPLES = 60
GOALS_MS = (None, 20.0)
FLOW = """
[[phase]]
task = "tick"
rule = "cron=* * * * * *"
template = "{ts}"
"""


def rows() -> list[Row]:
    """Measure on the embedded bus."""
    return _rows("a start after its planned instant", lateness(""))


def redis_rows(server: Server) -> list[Row]:
    """Measure on Redis."""
    from server import emptied

    with emptied(server.port):
        return _rows("a start after its planned instant, on Redis", lateness(server.url))


def _rows(name: str, found: list[float]) -> list[Row]:
    made = []
    for which, share, goal_ms in (("median", 0.5, GOALS_MS[0]), ("99 of 100", 0.99, GOALS_MS[1])):
        late = at(found, share)
        goal = f"<= {goal_ms:g} ms" if goal_ms else ""
        made.append(
            Row(f"{name}, {which}", f"{late:.1f} ms", goal=goal, met=late <= goal_ms if goal_ms else None)
        )
    return made


def lateness(address: str) -> list[float]:
    """Return milliseconds from the planned instant of each tick to its arrival on the bus, as the bus noted it."""
    with tempfile.TemporaryDirectory(prefix="flowlord-bench-") as folder:
        where = Path(folder)
        (where / "each.toml").write_text(FLOW, "utf-8")
        url = address or f"sqlite:///{where / 'bus.db'}"
        with running([flowlord("run", "each.toml", "--bus", url, "--no-cache", "-q")], where):
            end = time.monotonic() + SAMPLES + 10
            with closing(open_bus(url, by="bench", accept_loss=True)) as bus:
                while True:
                    found = bus.peek("tick", SAMPLES + 5)
                    if len(found) > SAMPLES or time.monotonic() > end:
                        break
                    time.sleep(1)
    # The first one comes while the daemon still starts.
    return [each.at_us / 1000 % 1000 for each in found[1:]]


if __name__ == "__main__":
    for row in rows():
        print(row)
