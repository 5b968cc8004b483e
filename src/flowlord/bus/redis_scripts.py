"""The scripts of `lua/`, each with what it needs in front.

Redis looks at the flags of a script before it starts: without `allow-oom` a script is refused as a whole when memory
is full. So what begins work is refused then, and what ends work goes on.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

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
def script(name: str) -> Script:
    """Return a script by its name: that of its file, or `ack`."""
    folder = Path(__file__).with_name("lua")  # importlib.resources would take 10 ms to import
    own = (folder / f"{'commit' if name == _ACK else name}.lua").read_text("utf-8")
    common = "" if name == "open" else (folder / "common.lua").read_text("utf-8")
    flags = " flags=allow-oom" if name in ENDS_WORK else " flags=no-writes" if name in ONLY_LOOKS else ""
    return Script(name, f"#!lua{flags}\n{common}{own}")
