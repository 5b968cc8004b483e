"""Settings: flag > FLOWLORD_* > alias variable > file > default, each with its origin."""

from flowlord.config.resolve import masked, resolve
from flowlord.config.settings import (
    AlertSettings,
    BusSettings,
    CacheSettings,
    Entry,
    LogSettings,
    Settings,
    StorageSettings,
    TaskmasterSettings,
    WatchSettings,
    WorkerSettings,
)

__all__ = [
    "AlertSettings",
    "BusSettings",
    "CacheSettings",
    "Entry",
    "LogSettings",
    "Settings",
    "StorageSettings",
    "TaskmasterSettings",
    "WatchSettings",
    "WorkerSettings",
    "masked",
    "resolve",
]
