"""Whose turn it is to write to a SQLite bus: one connection of all processes, by a lock on a file of our own beside it.

In WAL mode engines before 3.51.3 can lose committed pages (SQ-1, sqlite.org/wal.html#walresetbug): a checkpoint that
begins while another connection's commit starts the log anew counts pages as copied that are not. Both happen inside
of our transactions only, a checkpoint at the end of a COMMIT; who keeps the turn from before BEGIN until after that is
never beside another one. The engine itself sees to the one other checkpoint, when the last connection closes: it is
alone then.
"""

from __future__ import annotations

import errno
import fcntl
import os


class Turn:
    """The lock of the bus at `path`; one per connection, used by one thread at a time.

    It is the kernel's and ends with its holder, however that ends.
    """

    def __init__(self, path: str) -> None:
        self.path = f"{path}.lock"
        self._fd = -1
        self._held = False

    def take(self) -> bool:
        """Take the turn unless somebody has it; tell whether it is ours.

        Raises:
            OSError: the lock file cannot be made or locked.
        """
        while not self._held:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._held = self._is_there()
            if (
                not self._held
            ):  # removed by somebody who tidied up: others lock the file that has its name now
                self.close()
        return True

    def give(self) -> None:
        """Let others write, if the turn is ours."""
        if self._held:
            self._held = False
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give it and forget the file; in a forked child that takes nothing from the parent."""
        fd, self._fd, self._held = self._fd, -1, False
        if fd >= 0:
            os.close(fd)

    def _is_there(self) -> bool:
        try:
            found = os.stat(self.path)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return False
        return os.path.samestat(found, os.fstat(self._fd))
