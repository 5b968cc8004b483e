"""The Python step: Kepler's third law for one planet. Found by `--app steps.orbit`."""

import json
import os
from pathlib import Path

from flowlord.worker import Context, task

EARTH_MKM, EARTH_DAYS = 149.6, 365.2
# A planned failure, so that you see what a retry looks like: this planet's first try never works.
FAILS_ONCE = "Mars"


@task("orbit")
def orbit(task: Context) -> str:
    """Write what follows from the distance and the period of one planet, in units of Earth's."""
    planet = task.meta["planet"]
    tries_before = int(task.meta.get("retry", "0"))  # flowlord counts them in the task's meta
    if planet == FAILS_ONCE and tries_before == 0:
        raise RuntimeError(f"{planet} is behind the sun (a planned failure, the next try works)")
    figures = {name: float(value) for name, value in task.params.items()}
    distance = figures["distance_mkm"] / EARTH_MKM
    period = figures["period_days"] / EARTH_DAYS
    found = {
        "planet": planet,
        "distance_au": distance,
        "period_years": period,
        "kepler": period**2 / distance**3,  # the same for every planet, says Kepler: 1 in these units
        "diameter_km": figures["diameter_km"],
        "tries": tries_before + 1,
    }
    write(Path(task.info.partition("?")[0]), json.dumps(found))
    return f"{planet}: T²/a³ = {found['kepler']:.3f}"


def write(path: Path, text: str) -> None:
    """Put the file there whole or not at all, so that running twice, or half, does no harm."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, "utf-8")
    part.replace(path)
