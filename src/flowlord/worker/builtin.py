"""Task types that need no code of anybody: `noop` does nothing, `echo` answers with the task's info."""

from __future__ import annotations

from flowlord.worker.handler import Handler, Ran, Run
from flowlord.worker.text import one_line


class Noop:
    """Completes at once."""

    def __init__(self) -> None:
        self._done = Ran()

    def run(self, run: Run) -> Ran:
        """Return a plain completion."""
        return self._done


class Echo:
    """Completes with the task's info as its message."""

    def run(self, run: Run) -> Ran:
        """Return the info on one line."""
        return Ran(msg=one_line(run.task.info))


def builtin(name: str) -> Handler | None:
    """Return the handler of that name, None when there is none."""
    match name:
        case "noop":
            return Noop()
        case "echo":
            return Echo()
        case _:
            return None


NAMES = ("echo", "noop")
