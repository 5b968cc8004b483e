"""The scripts of `lua/`, each with what it needs in front.

Redis looks at the flags of a script before it starts: without `allow-oom` a script is refused as a whole when memory
is full. So what begins work is refused then, and what ends work goes on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from flowlord.bus.redis_link import Script

ENDS_WORK = (
    "open",
    "beat",
    "claim",
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
)
ONLY_LOOKS = ("look", "topics", "seek", "later", "foreign", "arrived")
_ACK = "ack"
"""`commit` for those that acknowledge something: it must land when memory is full, since it makes room."""


@cache
def scripts() -> Mapping[str, Script]:
    """Return all scripts by their names: those of their files, and `ack`.

    All are read at once, when the first bus is opened: were each read at its first use, a process that runs while
    another version is installed over it would send words of the one version to a script of the other.
    """
    folder = os.path.join(os.path.dirname(__file__), "lua")  # importlib.resources would take 10 ms to import
    names = [name.removesuffix(".lua") for name in os.listdir(folder) if name.endswith(".lua")]
    texts = {name: _read(f"{folder}/{name}.lua") for name in sorted(names)}
    common = texts.pop("common")
    texts[_ACK] = texts["commit"]
    return {name: _script(name, "" if name == "open" else common, own) for name, own in texts.items()}


def _script(name: str, common: str, own: str) -> Script:
    flags = " flags=allow-oom" if name in ENDS_WORK else " flags=no-writes" if name in ONLY_LOOKS else ""
    return Script(name, f"#!lua{flags}\n{common}{own}")


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
