"""The scripts of `lua/`, each with what it needs in front.

Redis looks at the flags of a script before it starts: without `allow-oom` a script is refused as a whole when memory
is full. So what begins work is refused then, and what ends work goes on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache

from flowlord.bus.redis_link import Script

ENDS_WORK = (
    "open",
    "beat",
    "claim",
    "take",
    "renew",
    "release",
    "reclaim",
    "adopt",
    "promote",
    "drop",
    "move",
    "wanted",
    "sweep",
    "tidy",
    "ack",
    "end",
)
ONLY_LOOKS = ("look", "topics", "seek", "later", "foreign", "arrived")
_MAKE_ROOM = {"ack": "commit", "end": "single"}
"""Names of those that land commits, for commits that acknowledge something: these must land when memory is full."""
_READ_STATE = ("single", "end")
"""What looks at the generation by itself, since it reads more of that hash."""
_NAMES = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)
_COMMENT = re.compile(r"--.*")


@cache
def scripts() -> Mapping[str, Script]:
    """Return all scripts by their names: those of their files, and those of `_MAKE_ROOM`.

    All are read at once, when the first bus is opened: were each read at its first use, a process that runs while
    another version is installed over it would send words of the one version to a script of the other.
    """
    folder = os.path.join(os.path.dirname(__file__), "lua")  # importlib.resources would take 10 ms to import
    names = [name.removesuffix(".lua") for name in os.listdir(folder) if name.endswith(".lua")]
    texts = {name: _read(f"{folder}/{name}.lua") for name in sorted(names)}
    head, check, *parts = texts.pop("common").split("\n\n")
    texts |= {name: texts[of] for name, of in _MAKE_ROOM.items()}
    return {
        name: _script(name, own, () if name == "open" else (head, check), parts)
        for name, own in texts.items()
    }


def _script(name: str, own: str, first: Sequence[str], parts: Sequence[str]) -> Script:
    flags = " flags=allow-oom" if name in ENDS_WORK else " flags=no-writes" if name in ONLY_LOOKS else ""
    before = first[:1] if name in _READ_STATE else first
    needed = _needed(parts, own) if first else []
    return Script(name, "\n\n".join((f"#!lua{flags}", *before, *needed, own)))


def _needed(parts: Sequence[str], own: str) -> list[str]:
    """Return the parts that a script uses, or what it uses does: to make a function that nobody calls takes time too.

    Each part uses only what stands before it, as Lua wants it anyway.
    """
    used = set(re.findall(r"\w+", _COMMENT.sub("", own)))
    needed: list[str] = []
    for part in reversed(parts):
        if not used.isdisjoint(re.findall(r"\w+", " ".join(_NAMES.findall(part)))):
            needed.insert(0, part)
            used.update(re.findall(r"\w+", _COMMENT.sub("", part)))
    return needed


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
