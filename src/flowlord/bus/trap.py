"""FLOWLORD_CRASHPOINT=name[:n] kills this process, as a power cut would, when it passes that place the nth time."""

from __future__ import annotations

import os
from collections.abc import Mapping

from flowlord.model.crashpoint import arm
from flowlord.model.errors import FlowlordError

VARIABLE = "FLOWLORD_CRASHPOINT"


class Trap:
    """Counts the passages of one place and kills at the nth."""

    def __init__(self, name: str, passages: int) -> None:
        self.name = name
        self.left = passages

    def __call__(self, name: str) -> None:
        if name != self.name:
            return
        self.left -= 1
        if self.left <= 0:
            import signal

            os.kill(os.getpid(), signal.SIGKILL)


def arm_from(environment: Mapping[str, str]) -> None:
    """Arm what the environment names; without the variable nothing changes."""
    wanted = environment.get(VARIABLE, "")
    if not wanted:
        return
    name, _, passages = wanted.partition(":")
    if passages and not passages.isdecimal():
        raise FlowlordError(f"{VARIABLE}={wanted!r}: {passages!r} is no count", hint="write name or name:3")
    arm(Trap(name, int(passages or 1)))
