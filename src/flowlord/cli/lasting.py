"""What a process of ours does that lasts."""

from __future__ import annotations

import gc
from typing import Final

SOME: Final = 20_000
"""Objects that may come beyond those that went before Python looks for cycles among them; 700 by itself."""


def rarely_look_for_garbage() -> None:
    """Let Python look for garbage in cycles seldom, and never through what is there by now.

    Messages come by hundreds and go as their last user lets go of them; looking through them, and through all that was
    loaded, took a fortieth of the time. Not where functions of users run: theirs may hold much in cycles.
    """
    gc.freeze()
    gc.set_threshold(SOME, 20, 50)
