"""`python -m flowlord.cli.historian`: the process that writes the history of a daemon. Nobody types it.

Its first line on stdin is a Charge as JSON; then it says on stdout how it goes (`taskmaster.copying.State`), until the
daemon asks it to finish or is gone.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from datetime import timedelta
from pathlib import Path

import msgspec

import flowlord
from flowlord.bus.clock import SystemClock
from flowlord.bus.trap import VARIABLE as TRAP
from flowlord.cache.historian import Historian
from flowlord.cli.buses import bus_at
from flowlord.cli.logs import set_up
from flowlord.config.settings import BusSettings, CacheSettings, Settings
from flowlord.taskmaster.chronicle import Chronicle
from flowlord.taskmaster.copying import FINISH, State, copy
from flowlord.taskmaster.follower import Follower
from flowlord.taskmaster.surroundings import Surroundings


class Charge(msgspec.Struct, frozen=True):
    """What the process needs to know; `by` is the daemon, whose log it shares."""

    bus: BusSettings
    cache: CacheSettings
    by: str
    log_format: str
    log_level: str


def beside(settings: Settings, around: Surroundings, here: Follower) -> Chronicle:
    """Return what starts this module as a process beside a daemon; `here` copies what the process leaves."""
    charge = Charge(
        settings.bus,
        settings.cache,
        around.consumer,
        settings.log.format,
        logging.getLevelName(logging.getLogger("flowlord").getEffectiveLevel()),
    )
    # Modules from where this process has them, and none from the folder where it runs: a file there may have any name.
    command = (sys.executable, "-P", "-m", "flowlord.cli.historian")
    paths = filter(None, (os.environ.get("PYTHONPATH", ""), str(Path(flowlord.__file__).parents[1])))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop(TRAP, None)  # it is the daemon that is to die there
    told = msgspec.json.encode(charge)
    return Chronicle(command, told, here, around.health, around.clock, environment=environment)


def follower_of(charge: Charge) -> Follower:
    """Return what copies from that bus to that file; raises as `open_bus`."""
    clock = SystemClock()
    bus = bus_at(charge.bus, by=charge.by)
    keep = timedelta(microseconds=charge.cache.retention_ns // 1000)
    return Follower(bus, clock, lambda: Historian(charge.cache.path, clock), keep)


def main() -> int:
    """Copy until told to end; 0 when nothing is left."""
    told = sys.stdin.buffer.readline()
    if not told.endswith(b"\n"):
        return 0  # the daemon was killed before it had said what to do
    charge = msgspec.json.decode(told, type=Charge)
    set_up(charge.log_format, charge.log_level)
    # The daemon has a bus of its own and the same stderr: what it says of the bus need not be said twice.
    logging.getLogger("flowlord.bus").disabled = True
    ending = threading.Event()

    def heed() -> None:
        if sys.stdin.buffer.readline().strip() != FINISH:
            os._exit(0)  # the daemon is gone; the file is whole between any two instructions
        ending.set()

    threading.Thread(target=heed, name="flowlord-ending", daemon=True).start()
    gc.freeze()
    return 0 if copy(lambda: follower_of(charge), _tell, ending) else 1


def _tell(state: State) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(state) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
