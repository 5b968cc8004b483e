"""The threads of a worker: each claims or runs, so that whoever claimed a task may begin it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Job = Callable[[], None]


class Crew:
    """As many threads as there are slots, and one more that claims meanwhile.

    To hand a task from the thread that claimed it to another one takes a wakeup, and the interpreter's lock on top of
    it: as long as all that Redis does for a claim. So the claimer hands over the claiming instead.
    """

    def __init__(self, size: int) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._count = size
        self.threads = [
            threading.Thread(target=self._work, name=f"flowlord-slot-{number}", daemon=True)
            for number in range(1, size + 1)
        ]

    def start(self) -> None:
        """Let the threads wait for something to do."""
        for thread in self.threads:
            thread.start()

    def add(self) -> None:
        """Have one thread more, in place of one that may never come back."""
        self._count += 1
        thread = threading.Thread(target=self._work, name=f"flowlord-slot-{self._count}", daemon=True)
        self.threads = [*filter(threading.Thread.is_alive, self.threads), thread]
        thread.start()

    def drop(self) -> None:
        """Let one thread end: one came back for which another was added."""
        self._jobs.put(None)

    def begin(self, job: Job) -> None:
        """Have a thread that is free do this; there must be one."""
        self._jobs.put(job)

    def end(self) -> None:
        """Let each thread end when it has nothing more to do."""
        for _ in self.threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
