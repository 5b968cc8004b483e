"""The two digests of this room, without the library that `hashlib` looks through first: 5 ms of a reading command."""

try:
    from _blake2 import blake2b
    from _sha1 import sha1  # type: ignore[import-not-found]
except ImportError:  # an interpreter that was built without its own
    from hashlib import blake2b, sha1

__all__ = ["blake2b", "sha1"]
