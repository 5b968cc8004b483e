"""Settings as the rooms get them, one frozen class for each; durations are whole nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from flowlord.model.problem import Problem

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class BusSettings:
    """Where tasks travel, and for how long a claim of one holds.

    `namespace` separates several buses on one server; `accept_loss` uses a server that is set up to lose tasks.
    """

    address: str = "sqlite:///.flowlord/bus.db"
    namespace: str = "flowlord"
    accept_loss: bool = False
    lease_ns: int = 60 * SECOND
    max_deliveries: int = 3


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The history."""

    path: str = ".flowlord/tasks.db"
    enabled: bool = True
    retention_ns: int = 90 * DAY


@dataclass(frozen=True, slots=True)
class TaskmasterSettings:
    """What the daemon runs; an empty `failed_topic` sends dead letters nowhere, an empty `zone` is UTC."""

    workflows: str = "workflows"
    done_topic: str = "done"
    failed_topic: str = "retry-failed"
    reload_ns: int = 0  # 0: as often as fits where they lie
    grace_ns: int = 25 * SECOND
    zone: str = ""


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """How buckets are reached; what is empty is left to the usual variables and the machine."""

    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    gcs_endpoint: str = ""
    gcs_credentials: str = ""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker ends."""

    grace_ns: int = 25 * SECOND


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how."""

    level: str = "info"
    format: str = "text"


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting as `flowlord config` shows it: its value as it was written, and who wrote it."""

    name: str
    value: str
    origin: str
    variable: str
    help: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; `notes` tell what was read and is not honoured yet."""

    bus: BusSettings = field(default_factory=BusSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    taskmaster: TaskmasterSettings = field(default_factory=TaskmasterSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    log: LogSettings = field(default_factory=LogSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    entries: tuple[Entry, ...] = ()
    notes: tuple[Problem, ...] = ()
    file: str = ""
