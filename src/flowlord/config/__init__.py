"""Settings: flag > FLOWLORD_* > alias variable > file > default, each with its origin."""

from flowlord.config.resolve import masked, resolve
from flowlord.config.settings import (
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
