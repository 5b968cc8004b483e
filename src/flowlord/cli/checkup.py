"""The parts of `flowlord doctor`: each looks at one thing and yields what it finds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from flowlord.cli.sources import Sources
from flowlord.cli.times import to_us
from flowlord.model.clock import Clock
from flowlord.model.errors import BusError, BusUnavailable
from flowlord.model.finding import Finding, Level

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.bus.redis_facts import ServerFacts
    from flowlord.config import Settings

_T = TypeVar("_T")
BEHIND: Final = 1_000
"""Entries that the history may be behind a busy bus."""
FILES: Final = 1_024
ROOM: Final = 256 << 20
"""Bytes of free disk below which it is full soon."""


class Visit:
    """One visit to a bus: it is opened once, and what keeps it from answering is told once.

    `is_out_of_reach` tells afterwards whether there was no answer.
    """

    def __init__(self, settings: Settings, sources: Sources, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.is_out_of_reach = False
        self._sources = sources
        self._error: BusError | None = None
        self._facts: ServerFacts | None = None

    def bus(self) -> Bus | None:
        """Return the bus; None when it was never made.

        Raises:
            BusError: it does not answer, or cannot be used.
        """
        return self._once(lambda: self._sources.bus(tell=False))

    @property
    def missing(self) -> str:
        """What is to be said of a bus that was never made."""
        return self._sources.missing

    def facts(self) -> ServerFacts:
        """Return what the Redis server tells of itself; raises BusError."""
        return self._once(self._asked)

    def _once(self, question: Callable[[], _T]) -> _T:
        if self._error is not None:
            raise self._error
        try:
            return question()
        except BusError as error:
            if isinstance(error, BusUnavailable):
                self._error, self.is_out_of_reach = error, True
            raise

    def _asked(self) -> ServerFacts:
        if self._facts is None:
            from flowlord.bus.redis_facts import facts_at

            self._facts = facts_at(self.settings.bus.address, clock=self.clock)
        return self._facts


def redis(visit: Visit) -> Iterator[Finding]:
    """Whether the bus answers, and whether it is set up to keep what it accepts."""
    from flowlord.bus.open import is_redis

    settings = visit.settings.bus
    on_redis = is_redis(settings.address)
    if on_redis:
        from flowlord.bus.redis_check import check

        found = check(visit.facts(), accept_loss=settings.accept_loss)
        yield from (each for each in found if each.name != "skew")
    bus = visit.bus()
    if bus is None:
        yield Finding("bus", Level.OK, f"{visit.missing}; flowlord run makes it")
        return
    told = dict(bus.describe())
    note = told.pop("note", "")
    if note and not on_redis:  # there, it repeats what was found
        yield Finding("note", Level.OK, note)
    words = ", ".join(f"{name} {value}" for name, value in told.items() if value)
    yield Finding("bus", Level.OK, f"{bus.address}: {words}")


def clock(visit: Visit) -> Iterator[Finding]:
    """Whether clocks agree, and whether time zones are known."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from flowlord.bus.open import is_redis

    name = visit.settings.taskmaster.zone or "Europe/Berlin"
    try:
        ZoneInfo(name)
        yield Finding("zones", Level.OK, "time zones are known")
    except ZoneInfoNotFoundError:
        text = f"the time zone {name} is unknown here: schedules in zones cannot be computed"
        yield Finding("zones", Level.FAULT, text, "pip install tzdata")
    if not is_redis(visit.settings.bus.address):
        yield Finding("skew", Level.OK, "everybody on the embedded bus goes by this machine's clock")
        return
    from flowlord.bus.redis_check import skew

    yield from skew(visit.facts().skew_us)


def workers(visit: Visit) -> Iterator[Finding]:
    """Who is alive, what nobody does, and where living processes differ that should be alike."""
    from flowlord.cli.fleet import at_work, held_by

    bus = visit.bus()
    held = held_by(bus) if bus is not None else {}
    presences, topics = (bus.presences(), bus.topics()) if bus is not None else ([], [])
    failed_topic = visit.settings.taskmaster.failed_topic
    yield from at_work(presences, topics, failed_topic, to_us(visit.clock.now()), bus, held)
    if bus is not None:
        yield from _paused(bus, visit.clock.now())


def _paused(bus: Bus, now: datetime) -> Iterator[Finding]:
    """Tell what people hold up."""
    import shlex

    from flowlord.bus.pauses import pauses_on
    from flowlord.model.paused import TOPIC

    for each in pauses_on(bus).on(now):
        until = f", until {each.until:%Y-%m-%dT%H:%M:%SZ}" if each.until else ""
        target = shlex.quote(each.target.removeprefix(TOPIC))
        yield Finding("paused", Level.WARN, f"{each.words}{until}", f"flowlord resume {target}")


def cache(visit: Visit) -> Iterator[Finding]:
    """Whether the history can be backed up and read, and how far it follows the bus."""
    from flowlord.cache.queries import History
    from flowlord.cache.schema import VERSION, CacheUnusable

    settings = visit.settings.cache
    if not settings.enabled:
        yield Finding("history", Level.OK, "none is kept: cache.enabled is false")
        return
    yield from _backups(visit.settings)
    from flowlord.cli.historyplace import damage_in, lies

    yield from lies(settings.path)
    try:
        history = History.open(settings.path)
    except CacheUnusable as error:
        yield Finding(
            "history", Level.WARN, str(error), "flowlord run workflows/   # makes it from the journal"
        )
        return
    try:
        seq, generation = history.cursor()
    finally:
        history.close()
    if damage := damage_in(settings.path):
        fix = "flowlord run workflows/   # sets it aside once it meets that; at once: flowlord cache restore --force"
        yield Finding("history", Level.FAULT, f"{settings.path} is damaged: {damage}", fix)
    else:
        yield Finding("history", Level.OK, f"{settings.path} can be read, form {VERSION}")
    bus = visit.bus()
    if bus is None:
        return
    first, last = bus.journal_bounds()
    if generation and generation != bus.generation():
        text = "the history is of another bus, or of this one before it was reset: flowlord run begins anew with it"
        yield Finding("behind", Level.WARN, text, "flowlord run --cache FILE   # one file for each bus")
    elif seq + 1 < first:
        text = f"entries {seq + 1:,} to {first - 1:,} of the journal went before the history had them"
        yield Finding(
            "behind", Level.WARN, text, "flowlord run workflows/   # let it run; the journal keeps 7 days"
        )
    elif last - seq > BEHIND:
        text = f"the history is {last - seq:,} entries behind the bus"
        yield Finding(
            "behind", Level.WARN, text, "flowlord workers   # is a taskmaster with a history alive?"
        )
    else:
        behind = max(last - seq, 0)
        told = (
            f"{behind:,} {'entry' if behind == 1 else 'entries'} behind the bus" if behind else "up to date"
        )
        yield Finding("behind", Level.OK, told)


def _backups(settings: Settings) -> Iterator[Finding]:
    if not settings.cache.backup_path:  # usual: what writes backups need not be loaded
        yield Finding("backups", Level.OK, "none are made: cache.backup_path names no place")
        return
    from flowlord.cli.backupcheck import backups
    from flowlord.taskmaster.chance import Chance

    yield from backups(settings, Chance().token)


def alerts(visit: Visit) -> Iterator[Finding]:
    """Whether people would hear of it when something fails."""
    alerts = visit.settings.alerts
    if not alerts.channels:
        text = "no channel is configured: nobody is told of anything"
        yield Finding(
            "channels", Level.WARN, text, "flowlord notify --help   # what a channel is, and how it is tried"
        )
    if alerts.channels or alerts.heartbeat_url:  # without, what asks channels need not be loaded
        from flowlord.alert.probe import probe

        yield from probe(alerts.channels, alerts.heartbeat_url)
    bus = visit.bus()
    if bus is not None:
        from flowlord.cli.alertcheck import outgoing

        yield from outgoing(bus)


def files(visit: Visit) -> Iterator[Finding]:
    """Whether this machine lets us write what we keep."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FILES:
        told = "any number of" if soft == resource.RLIM_INFINITY else f"{soft:,}"
        yield Finding("limit", Level.OK, f"{told} open files are allowed")
    else:
        text = f"only {soft:,} open files are allowed: many commands at a time need more"
        yield Finding("limit", Level.WARN, text, f"ulimit -n {FILES}   # at most {hard}")
    for folder in _folders(visit.settings):
        yield from _room(folder)


PARTS: Final[Mapping[str, Callable[[Visit], Iterator[Finding]]]] = {
    "redis": redis,
    "clock": clock,
    "workers": workers,
    "cache": cache,
    "alerts": alerts,
    "files": files,
}
"""What can be asked for, in the order in which it is told."""
ALIASES: Final = {"bus": "redis"}
"""Other words for parts: the embedded bus is told as `bus`, so it may be asked for as that, whichever bus it is."""


def _folders(settings: Settings) -> list[str]:
    """Return the folders in which we keep files, or the nearest ones above that are there."""
    paths = [settings.cache.path] if settings.cache.enabled else []
    if settings.bus.address.startswith("sqlite:///"):
        paths.insert(0, settings.bus.address.removeprefix("sqlite:///"))
    folders = []
    for path in paths:
        folder = os.path.dirname(os.path.abspath(path))
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        folders.append(folder)
    return list(dict.fromkeys(folders))


def _room(folder: str) -> Iterator[Finding]:
    from shutil import disk_usage

    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("folder", Level.FAULT, f"{folder} cannot be written by this user", f"ls -ld {folder}")
        return
    free = disk_usage(folder).free
    text = f"{folder} can be written, {free / (1 << 30):,.1f} GiB free"
    if free < ROOM:
        yield Finding("folder", Level.WARN, f"{text}: no work is taken when it is full", f"df -h {folder}")
    else:
        yield Finding("folder", Level.OK, text)
