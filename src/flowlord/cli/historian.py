"""`python -m flowlord.cli.historian`: the process that writes the history of a daemon and tells its alerts.

Nobody types it. Its first line on stdin is a Charge as JSON; then it says on stdout how it goes
(`taskmaster.copying.State`), until the daemon asks it to finish or is gone.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec

import flowlord
from flowlord.bus.clock import SystemClock
from flowlord.bus.port import Bus
from flowlord.bus.trap import VARIABLE as TRAP
from flowlord.cache.backup import Place
from flowlord.cache.historian import Historian
from flowlord.cache.schema import Restore
from flowlord.cli.buses import bus_at, name_of
from flowlord.cli.lasting import rarely_look_for_garbage
from flowlord.cli.logs import set_up
from flowlord.cli.stores import storage_at
from flowlord.config.settings import AlertSettings, BusSettings, CacheSettings, Settings, StorageSettings
from flowlord.model.clock import Clock
from flowlord.model.plan import Fact, Plan
from flowlord.taskmaster.alerter import Alerter
from flowlord.taskmaster.alerting import follow, health_teller
from flowlord.taskmaster.backups import Backups, Restorer
from flowlord.taskmaster.chance import Chance
from flowlord.taskmaster.chronicle import END_S, Chronicle, Finishes
from flowlord.taskmaster.copying import FINISH, State, copy
from flowlord.taskmaster.follower import Follower
from flowlord.taskmaster.inspector import Inspector
from flowlord.taskmaster.overheard import Overheard
from flowlord.taskmaster.surroundings import Surroundings

BACKUP_S = 60.0
"""How long the last backup may take; killed in it, it is none, and the next daemon makes it."""
NICE = 10
_telling = threading.Lock()


class Charge(msgspec.Struct, frozen=True):
    """What the process needs to know; `by` is the daemon, whose log it shares."""

    bus: BusSettings
    cache: CacheSettings
    storage: StorageSettings
    alerts: AlertSettings
    zone: str
    by: str
    log_format: str
    log_level: str


def beside(settings: Settings, around: Surroundings, here: Finishes) -> Chronicle:
    """Return what starts this module as a process beside a daemon; `here` copies what the process leaves."""
    charge = Charge(
        settings.bus,
        settings.cache,
        settings.storage,
        settings.alerts,
        settings.taskmaster.zone,
        around.consumer,
        settings.log.format,
        logging.getLevelName(logging.getLogger("flowlord").getEffectiveLevel()),
    )
    # Modules from where this process has them, and none from the folder where it runs: a file there may have any name.
    command = (sys.executable, "-P", "-m", "flowlord.cli.historian")
    paths = filter(None, (os.environ.get("PYTHONPATH", ""), str(Path(flowlord.__file__).parents[1])))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if not environment.get(TRAP, "").startswith("backup."):
        environment.pop(TRAP, None)  # it is the daemon that is to die there
    told = msgspec.json.encode(charge)
    end_s = END_S + (BACKUP_S if settings.cache.backup_path else 0.0)
    return Chronicle(command, told, here, around.health, around.clock, environment=environment, end_s=end_s)


def follower_of(
    bus: Bus,
    where: BusSettings,
    clock: Clock,
    cache: CacheSettings,
    restore: Restore | None = None,
    at_end: Callable[[], object] | None = None,
    inspector: Inspector | None = None,
    overheard: Overheard | None = None,
) -> Follower:
    """Return what copies from that bus, which is at `where`, to that file; `restore` is asked for a missing one."""
    keep = timedelta(microseconds=cache.retention_ns // 1000)

    def opened() -> Historian:
        return Historian(cache.path, clock, restore=restore, of=name_of(where))

    return Follower(bus, clock, opened, keep, cache.max_bytes, at_end, inspector, overheard)


def place_of(cache: CacheSettings, storage: StorageSettings) -> Place | None:
    """Return where backups lie; None when there shall be none."""
    return Place(storage_at(storage), cache.backup_path) if cache.backup_path else None


def backups_of(
    place: Place,
    cache: CacheSettings,
    by: str,
    clock: Clock,
    tell: Callable[[State], None],
    fact: Callable[[Fact], object],
) -> Backups:
    """Return what backs that file up to that place."""
    chance = Chance()
    return Backups(
        Path(cache.path), place, clock, every_s=cache.backup_every_ns / 1e9, keep=cache.backup_keep, by=by,
        version=flowlord.__version__, token=lambda: chance.token()[:8], tell=tell, fact=fact,
    )  # fmt: skip


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
    rarely_look_for_garbage()
    clock = SystemClock()
    place = place_of(charge.cache, charge.storage) if charge.cache.enabled else None

    restore = Restorer(place, clock) if place else None
    inspector = Inspector(Path(charge.cache.path))

    def begin() -> Follower:
        bus = bus_at(charge.bus, by=charge.by)
        return follower_of(
            bus, charge.bus, clock, charge.cache, restore, inspector=inspector, overheard=overheard
        )

    overheard = Overheard() if charge.cache.enabled else None
    alerts = threading.Thread(target=_alert, args=(charge, clock, ending, overheard), name="flowlord-alerts")
    alerts.start()
    if not charge.cache.enabled:
        alerts.join()
        return 0
    threading.Thread(
        target=_inspect, args=(inspector, ending), name="flowlord-inspector", daemon=True
    ).start()
    if place is None:
        is_whole = copy(begin, _tell, ending)
        alerts.join()
        return 0 if is_whole else 1
    backups = backups_of(place, charge.cache, charge.by, clock, _tell, lambda fact: _commit(charge, fact))
    beside = threading.Thread(target=_back_up, args=(backups, ending), name="flowlord-backup")
    beside.start()
    is_whole = copy(begin, _tell, ending)
    beside.join()
    alerts.join()
    backups.finish()
    return 0 if is_whole else 1


def _alert(charge: Charge, clock: Clock, ending: threading.Event, overheard: Overheard | None) -> None:
    """Tell alerts, on a connection of its own; what the history has read of the journal is not read again."""
    from flowlord.cli.alerting import alerter_of

    owner = f"{charge.by}|{os.getpid()}"
    health = health_teller(_tell)

    def begin() -> Alerter:
        bus = bus_at(charge.bus, by=charge.by)
        return alerter_of(bus, clock, charge.alerts, charge.zone, owner, health, overheard)

    follow(begin, _tell, ending)


def _back_up(backups: Backups, ending: threading.Event) -> None:
    _go_last()
    backups.run(ending)


def _inspect(inspector: Inspector, ending: threading.Event) -> None:
    _go_last()
    inspector.run(ending)


def _go_last() -> None:
    """Let whoever writes the history, and works on tasks, go before this thread."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def _commit(charge: Charge, fact: Fact) -> None:
    """Put a fact into the journal."""
    bus = bus_at(charge.bus, by=charge.by)
    try:
        bus.commit(Plan(facts=(fact,)))
    finally:
        bus.close()


def _tell(state: State) -> None:
    with _telling:
        try:
            sys.stdout.buffer.write(msgspec.json.encode(state) + b"\n")
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os._exit(0)  # the daemon is gone, as the end of its words would tell in a moment


if __name__ == "__main__":
    sys.exit(main())
