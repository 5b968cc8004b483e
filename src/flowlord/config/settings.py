"""Settings as the rooms get them, one frozen class for each; durations are whole nanoseconds."""

from __future__ import annotations

from typing import Final

import msgspec

from flowlord.model.channel import ChannelSpec, SecretRef
from flowlord.model.problem import Problem

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND


class BusSettings(msgspec.Struct, frozen=True):
    """Where tasks travel, and for how long a claim of one holds.

    `namespace` separates several buses on one server; `accept_loss` uses a server that is set up to lose tasks.
    """

    address: str = "sqlite:///.flowlord/bus.db"
    namespace: str = "flowlord"
    accept_loss: bool = False
    lease_ns: int = 60 * SECOND
    max_deliveries: int = 3


class CacheSettings(msgspec.Struct, frozen=True):
    """The history; an empty `backup_path` makes no backups, and `backup_keep` of them stay."""

    path: str = ".flowlord/tasks.db"
    enabled: bool = True
    retention_ns: int = 90 * DAY
    max_bytes: int = 20 * 10**9
    backup_path: str = ""
    backup_every_ns: int = 6 * 3_600 * SECOND
    backup_keep: int = 7


class TaskmasterSettings(msgspec.Struct, frozen=True):
    """What the daemon runs; an empty `failed_topic` sends dead letters nowhere, an empty `zone` is UTC."""

    workflows: str = "workflows"
    done_topic: str = "done"
    failed_topic: str = "retry-failed"
    reload_ns: int = 0  # 0: as often as fits where they lie
    grace_ns: int = 25 * SECOND
    zone: str = ""
    task_ttl_ns: int = 4 * 3_600 * SECOND


class StorageSettings(msgspec.Struct, frozen=True):
    """How buckets are reached; what is empty is left to the usual variables and the machine."""

    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = ""
    gcs_endpoint: str = ""
    gcs_credentials: str = ""

    def __repr__(self) -> str:
        """Without the key, for it may end in a log."""
        return f"StorageSettings({self.endpoint!r}, {self.region!r})"


class WatchSettings(msgspec.Struct, frozen=True):
    """How files are heard of; an empty `file_topic` hears no notices.

    `initial` is ignore or run: what becomes of files that lie there when a pattern is watched for the first time.
    `buckets` is poll, topic, or auto: listed unless notices are heard.
    """

    file_topic: str = ""
    initial: str = "ignore"
    poll_ns: int = 30 * SECOND
    buckets: str = "auto"


class WorkerSettings(msgspec.Struct, frozen=True):
    """How a worker ends."""

    grace_ns: int = 25 * SECOND


class LogSettings(msgspec.Struct, frozen=True):
    """What is logged, and how."""

    level: str = "info"
    format: str = "text"


class AlertSettings(msgspec.Struct, frozen=True):
    """What is told to people, where and how often.

    `channels` begins with the one of `[slack]`, if there is any; `default` is the one for what names none, empty where
    there is no channel. `max_frequency_ns` 0 is 16 times the least. `link` is the address of a dashboard,
    `routes` are patterns and channels, `quiet` two minutes of the day and a zone, empty for that of schedules.
    """

    channels: tuple[ChannelSpec, ...] = ()
    default: str = ""
    min_frequency_ns: int = 300 * SECOND
    max_frequency_ns: int = 0
    link: str = ""
    routes: tuple[tuple[str, str], ...] = ()
    quiet: tuple[int, int, str] | None = None
    heartbeat_url: SecretRef = SecretRef()
    heartbeat_every_ns: int = 60 * SECOND


class Entry(msgspec.Struct, frozen=True):
    """One setting as `flowlord config` shows it: its value as it was written, and who wrote it."""

    name: str
    value: str
    origin: str
    variable: str
    help: str


class Settings(msgspec.Struct, frozen=True):
    """All settings; `notes` tell what was read and is not honoured yet."""

    bus: BusSettings = msgspec.field(default_factory=BusSettings)
    cache: CacheSettings = msgspec.field(default_factory=CacheSettings)
    taskmaster: TaskmasterSettings = msgspec.field(default_factory=TaskmasterSettings)
    watch: WatchSettings = msgspec.field(default_factory=WatchSettings)
    worker: WorkerSettings = msgspec.field(default_factory=WorkerSettings)
    log: LogSettings = msgspec.field(default_factory=LogSettings)
    storage: StorageSettings = msgspec.field(default_factory=StorageSettings)
    alerts: AlertSettings = msgspec.field(default_factory=AlertSettings)
    entries: tuple[Entry, ...] = ()
    notes: tuple[Problem, ...] = ()
    file: str = ""
