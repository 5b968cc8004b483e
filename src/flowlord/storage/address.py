"""Addresses of files: which kind of storage, which bucket, which key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from flowlord.storage.port import Unavailable

REMOTE: Final = ("s3://", "s3a://", "gs://", "gcs://", "mc://", "mcs://")
LOCAL: Final = "file://"
WILD: Final = re.compile(r"[*?\[]")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_remote(path: str) -> bool:
    """Tell whether a path lies in a bucket."""
    return path.lower().startswith(REMOTE)


def is_wild(path: str) -> bool:
    """Tell whether a path is a pattern."""
    return WILD.search(path) is not None


def fixed_part(pattern: str) -> str:
    """Return the folder below which all lies that a pattern can match: up to the last slash before its first star.

    A backslash counts as a star: what it escapes is text that only a pattern spells so.
    """
    found = re.search(r"[*?\[\\]", pattern)
    return pattern[: pattern.rfind("/", 0, found.start()) + 1] if found else pattern


def local_path(path: str) -> str:
    """Return a path of this machine, without `file://`.

    Raises:
        Unavailable: a scheme that is none of ours.
    """
    plain = path[len(LOCAL) :] if path.lower().startswith(LOCAL) else path
    if found := _SCHEME.match(plain):
        known = ", ".join((LOCAL, *REMOTE))
        raise Unavailable(f"{path}: {found[0]} is no storage that is known here; there are {known}")
    return plain


@dataclass(frozen=True, slots=True)
class Address:
    """A place in a bucket. `kind` is `s3` or `gs`; `base` is what stands before the key in the path as it was written.

    `endpoint` is set where the path itself names the server: `mc://HOST/BUCKET/KEY`, `mcs://` with TLS.
    """

    kind: str
    bucket: str
    key: str
    base: str
    endpoint: str = ""

    @classmethod
    def parse(cls, path: str) -> Address:
        """Return the address that a path spells.

        Raises:
            Unavailable: it names no bucket, or a key that no client can ask for.
        """
        scheme, _, rest = path.partition("://")
        kind = scheme.lower()
        endpoint = host = ""
        if kind in ("mc", "mcs"):
            host, _, rest = rest.partition("/")
            endpoint = f"http{'s' * (kind == 'mcs')}://{host}"
        bucket, _, key = rest.partition("/")
        if not bucket or (endpoint and not host):
            form = "HOST/BUCKET/KEY" if endpoint else "BUCKET/KEY"
            raise Unavailable(f"{path} names no bucket: write {scheme}://{form}")
        if is_wild(bucket) or "@" in bucket or "@" in host:
            raise Unavailable(f"{scheme}://…: a bucket has a plain name, without stars, users and passwords")
        if key.startswith("/") or "//" in key or {".", ".."} & set(key.split("/")):
            raise Unavailable(
                f"{path} has an empty part, or one of dots, in its key; no client can ask for that"
            )
        base = f"{scheme}://{host}/{bucket}/" if host else f"{scheme}://{bucket}/"
        return cls("gs" if kind in ("gs", "gcs") else "s3", bucket, key, base, endpoint)
