"""How fast this machine is just now, beside the one that bounds in milliseconds were written for."""

import time

NOMINAL_S = 0.055  # for the loop below, of the process's own time


def pace() -> float:
    """Return by what bounds of processor time are multiplied here and now: 1 or more, for a slow or shared core."""
    best = 60.0
    for _ in range(3):
        begun = time.process_time()
        sum(number * number for number in range(1_000_000))
        best = min(best, time.process_time() - begun)
    return max(1.0, best / NOMINAL_S)
