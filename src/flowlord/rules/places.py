"""Where files of a pattern lie, and which names are never files that somebody wants to start on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

BUCKETS: Final = ("s3", "gs")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WILD: Final = re.compile(r"[*?\[\\]")
# What editors, downloads and copies write before they rename.
PASSING: Final = ("~", ".tmp", ".part", ".swp")
_BYTE: Final = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Place:
    """The part of a pattern in front of its first wildcard, up to and with its last slash.

    `scheme` is empty for folders of this machine, else `s3`, `gs` or another; `root` keeps the form of the pattern,
    so that a path below it is spelled as the pattern asks for.
    """

    scheme: str
    root: str


def place_of(pattern: str) -> Place:
    """Return where the files of a pattern lie."""
    found = _SCHEME.match(pattern)
    wild = _WILD.search(pattern)
    head = pattern[: wild.start()] if wild else pattern
    start = found.end() if found else 0
    slash = head.rfind("/", start)
    root = head[: slash + 1] if slash >= 0 else head[:start]
    return Place(found[1].lower() if found else "", root)


def is_passing(path: str, pattern: str) -> bool:
    """Tell whether `path` is hidden or temporary, by the name of the file or of a folder that a wildcard stands for.

    What the pattern itself names in that place is meant: `/in/.queue/*` and `*.tmp` are no accidents.
    """
    root = place_of(pattern).root
    asked = pattern[len(root) :].split("/")
    names = path[len(root) :].split("/")
    name, last = names[-1], asked[-1]
    if name.startswith(".") and not last.startswith("."):
        return True
    for end in PASSING:
        if name.endswith(end) and not last.endswith(end):
            return True
    plain = [each for each in asked[:-1] if each.startswith(".")]
    return any(each.startswith(".") and each not in (".", "..") for each in names[:-1]) and not plain


def as_text(path: str) -> str:
    """Return a path of this machine as text: bytes of a name that are no UTF-8 become `%FF`."""
    return path if path.isascii() else _BYTE.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", path)


def folder_of(path: str) -> str:
    """Return the path without its last element and the slash before it."""
    folder, slash, _ = path.rstrip("/").rpartition("/")
    return folder or slash or "."


def name_of(path: str) -> str:
    """Return the last element of a path."""
    return path.rstrip("/").rpartition("/")[2]
