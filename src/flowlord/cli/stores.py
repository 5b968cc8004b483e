"""The storage that the settings name."""

from __future__ import annotations

from msgspec.structs import asdict

from flowlord.config import StorageSettings
from flowlord.storage.open import Storage
from flowlord.storage.port import Access


def storage_at(where: StorageSettings) -> Storage:
    """Return it; nothing is opened before the first path is asked for."""
    return Storage(Access(**asdict(where)))
