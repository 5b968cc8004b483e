"""How large a run of the kill test is, and what its driver saw: two values that every part of it shares."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

SQLITE, REDIS = "sqlite", "redis"
PACE_S = {SQLITE: 0.07, REDIS: 0.035}
LEASE_S = {SQLITE: 1.0, REDIS: 0.4}
STOPPED = {
    SQLITE: {"worker": 0.1, "taskmaster": 0.1},
    REDIS: {"worker": 0.2, "taskmaster": 0.3},
}
"""The share of victims that stand still at a named place. On SQLite they may have a lock on the file, and all wait."""
MORE = 2.5
STILL = {SQLITE: (1.5, 2.5), REDIS: (2.5, 5.0)}
"""For how many leases they do; on Redis somebody must first have watched their leases for so long."""
TASKMASTERS = {SQLITE: 2, REDIS: 3}


class Stuck(Exception):
    """The run did not get anywhere: neither a pass nor a proof of a bug."""


@dataclass(frozen=True, slots=True)
class Size:
    """Shares are in [0, 1]; `pace_s` is the mean time between two kills.

    `trapped` is the share of victims that kill themselves at a named place.
    """

    kills: int = 1000
    tasks: int = 15_000
    seed: int = 0
    bus: str = SQLITE
    plant: str = ""
    journal: str = ""
    aof: str = ""
    pace_s: float = PACE_S[SQLITE]
    workers: int = 4
    concurrency: int = 4
    trapped: float = 0.15
    chunk: int = 50

    @property
    def taskmasters(self) -> int:
        """How many are active at once."""
        return TASKMASTERS[self.bus]

    @property
    def stopped(self) -> dict[str, float]:
        """See STOPPED, by kind of victim. What only those that stood still can show is looked for in more of them."""
        share = MORE if self.plant == "no-fencing" else 1.0
        return {kind: share * each for kind, each in STOPPED[self.bus].items()}

    @property
    def still_s(self) -> tuple[float, float]:
        """How long a victim stands still, at least and at most."""
        least, most = STILL[self.bus]
        return least * self.lease_s, most * self.lease_s

    @property
    def lease_s(self) -> float:
        """The lease of workers and taskmasters."""
        return LEASE_S[self.bus]

    @property
    def spared_s(self) -> float:
        """How long one taskmaster at a time is left alone; 0 is never.

        On Redis only who watched a lease for its whole length may take it over. If every taskmaster died before, all
        work of the dead would wait for the end of the storm, and nothing would be taken over while others die.
        """
        return 4 * self.lease_s if self.bus == REDIS else 0.0

    @property
    def server_every(self) -> int:
        """Every how many kills the server of the bus is killed, if it has one."""
        return min(25, max(5, self.kills // 6))

    @property
    def cold(self) -> float:
        """The share of victims that start as `python -m flowlord`: a hundred in all, for each costs half a second."""
        return 0.0 if self.plant or self.journal else min(0.1, 100 / self.kills)

    @property
    def limit_s(self) -> float:
        """When a run that is not over is stuck."""
        return 240.0 + self.kills * 0.3  # five times what it takes on a quiet machine


@dataclass(slots=True)
class Figures:
    """What happened, as the driver saw it."""

    kills: Counter[str] = field(default_factory=Counter)
    server_kills: Counter[str] = field(default_factory=Counter)
    """Kills of the server by the policy under which it died."""
    cold: int = 0
    trapped: int = 0
    stopped: Counter[str] = field(default_factory=Counter)
    """Victims that stood still for longer than their leases and went on, by kind."""
    in_flight: int = 0
    restarts: int = 0
    resent: int = 0
    unborn: int = 0
    """Victims that found no server when they started, because it had just been killed."""
    storm_s: float = 0.0
    drain_s: float = 0.0
    spoilt: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    actions: Counter[str] = field(default_factory=Counter)
    lapsed: int = 0
    decided: Counter[int] = field(default_factory=Counter)
    outages: int = 0
    rows: int = 0
    """Attempts that the history tells of."""
    traced: int = 0
    """Runs that were drawn out of it."""
    faults: list[str] = field(default_factory=list)

    @property
    def random_kills(self) -> int:
        """Kills that the driver sent."""
        return self.kills.total() - self.trapped

    @property
    def contested(self) -> int:
        """Results that two taskmasters decided, of which one was told that it came too late."""
        return self.actions["taskmaster.done.lost"] + self.actions["taskmaster.done.duplicate"]

    @property
    def fenced(self) -> int:
        """Results of workers that were dropped because the task belonged to somebody else by then."""
        return self.actions["worker.fenced"] + self.actions["worker.lost"]
