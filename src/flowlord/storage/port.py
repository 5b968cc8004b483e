"""The port of this room: what is known of a file, and the ways in which reading and writing fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


class Unavailable(OSError):
    """A file that cannot be listed, read or written; the text names it and tells why."""


class Missing(Unavailable):
    """There is no such file, folder or bucket."""


class Changed(Unavailable):
    """The file is another one than it was: what was read before and what would follow do not belong together."""


class Conflict(Unavailable):
    """Nothing was written, for the file is there already, or has another version than expected."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as a listing or a look at it tells.

    `version` differs when the content does: the ETag in a bucket (without quotes; on Google the same in all listings,
    which know no generations), size and time of change locally. `modified_us` is microseconds since 1970 UTC, whole
    seconds or milliseconds in a bucket: never an order of events.
    """

    path: str
    size: int
    version: str
    modified_us: int


@dataclass(frozen=True, slots=True)
class Access:
    """How buckets are reached; empty fields leave it to the usual variables (`AWS_*`, `GOOGLE_*`) and the machine.

    `endpoint` is of S3 (`http://localhost:9000`), `gcs_endpoint` of Google's storage. `gcs_credentials` is the path of
    the file of a service account.
    """

    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    gcs_endpoint: str = ""
    gcs_credentials: str = ""


class Store(Protocol):
    """What an adapter does. Every method may raise Unavailable, and does so within bounded time. Thread-safe."""

    def list(self, pattern: str) -> Iterator[Listed]:
        """Yield files, in no order that may be relied on, while they are being listed; an empty place yields nothing.

        Args:
            pattern: with `*`, `?` or `[`, a pattern as of file rules (docs/reference.md, "File events"); with a slash
                at its end, everything below; else that one file, or everything below it when it is a folder.
        Raises:
            Missing: a bucket that is not there, or a plain path where there is neither a file nor anything below.
        """
        ...

    def stat(self, path: str) -> Listed:
        """Return what is known of one file; raises Missing."""
        ...

    def read(self, path: str, limit: int) -> tuple[bytes, str]:
        """Return the bytes of a file and the version that they are of; raises Unavailable beyond `limit` bytes."""
        ...

    def chunks(self, path: str, offset: int = 0, version: str = "") -> Iterator[bytes]:
        """Yield the bytes of a file from `offset` on, part by part, all of them of one version.

        Raises:
            Changed: it has another version than `version`, or gets one while it is read.
        """
        ...

    def write(self, path: str, data: bytes, *, if_absent: bool = False, if_version: str = "") -> str:
        """Write a file whole, so that nobody ever sees half of it; returns its version.

        Raises:
            Conflict: with `if_absent`, it is there already; with `if_version`, it has another version.
        """
        ...

    def delete(self, path: str) -> None:
        """Take a file away; one that is not there is no error."""
        ...
