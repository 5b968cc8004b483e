"""Which versions of a file a phase knows: what the mark of phase and path holds."""

from __future__ import annotations

VERSIONS = 16
"""Versions of one path that are remembered: an old one that comes back, or a late notice of one, starts nothing."""


def is_known(seen: str, version: str, as_listed: str = "") -> bool:
    """Tell whether a mark holds the version of a file.

    What a notice told lies there as `version~listed`: a listing knows it by the second. What only a listing told
    lies there by that alone, and a notice is of the same when that is what it would be listed as.
    """
    if not version:
        return False
    for each in seen.split(","):
        if each and each in (version, as_listed):
            return True
        own, apart, listed = each.partition("~")
        if apart and version in (own, listed):
            return True
    return False


def with_version(seen: str | None, version: str, as_listed: str = "") -> str:
    """Return what a mark holds with one more version, the oldest of too many left out."""
    version = f"{version}~{as_listed}" if version and as_listed else version
    kept = [each for each in (seen or "").split(",") if each and each != version]
    return ",".join([*kept, version or "-"][-VERSIONS:])
