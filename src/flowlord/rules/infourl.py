"""The path of an info, when the info reads as a URL by the rules of Go's `net/url`, which wrote the first infos."""

from __future__ import annotations

import re
from typing import Final

from flowlord.rules.metastring import unescape_path

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:", re.ASCII)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_USER: Final = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*", re.ASCII)
_PORT: Final = re.compile(r"(?::[0-9]*)?", re.ASCII)
# In a host only escapes of bytes from %80 on, and no character of ASCII that must be escaped.
_HOST: Final = re.compile(
    r"""(?:[A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>"]|[^\x00-\x7f]|%[89A-Fa-f][0-9A-Fa-f]|%25)*"""
)


def path_of(info: str) -> str | None:
    """Return the decoded path of `info`, or None when it does not read as a URL.

    Source:
        Go's net/url, with which existing workers read infos: a bad `%` in the path, control characters, a colon in
        the first segment, a bad host or port make an info none.
    """
    text, _, fragment = info.partition("#")
    if _CONTROL.search(text) or text.startswith(":") or _BAD_ESCAPE.search(fragment):
        return None
    scheme = _SCHEME.match(text)
    rest = (text[scheme.end() :] if scheme else text).partition("?")[0]
    if not rest.startswith("/"):
        if scheme:
            return ""  # like mailto:someone
        if ":" in rest.partition("/")[0]:
            return None
    elif rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, rest = rest[2:].partition("/")
        if not _is_authority(authority):
            return None
        rest = slash + rest
    return None if _BAD_ESCAPE.search(rest) else unescape_path(rest)


def _is_authority(text: str) -> bool:
    user, at, host = text.rpartition("@")
    if at and (not _USER.fullmatch(user) or _BAD_ESCAPE.search(user)):
        return False
    if host.startswith("["):
        _, bracket, port = host.rpartition("]")
        return bool(bracket) and _PORT.fullmatch(port) is not None
    _, colon, port = host.rpartition(":")
    return _PORT.fullmatch(colon + port if colon else "") is not None and _HOST.fullmatch(host) is not None
