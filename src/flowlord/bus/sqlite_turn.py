"""Whose turn it is to write to a SQLite bus: one connection of all processes, by a lock on a file of our own beside it.

In WAL mode engines before 3.51.3 can lose committed pages (SQ-1, sqlite.org/wal.html#walresetbug): a checkpoint that
begins while another connection's commit starts the log anew counts pages as copied that are not. Both happen inside
of our transactions only, a checkpoint at the end of a COMMIT; who keeps the turn from before BEGIN until after that is
never beside another one. The engine itself sees to the one other checkpoint, when the last connection closes: it is
alone then.
"""

from __future__ import annotations

import fcntl
import os
import stat


class Turn:
    """The lock of the bus at `path`; one per connection, used by one thread at a time.

    It is the kernel's and ends with its holder, however that ends. Whether it is held is not written down here: an
    exception of a signal comes between any two steps, and would leave that wrong.
    """

    def __init__(self, path: str) -> None:
        self.path = f"{path}.lock"
        self._of = path
        self._fd = -1

    def take(self) -> bool:
        """Take the turn unless somebody has it; tell whether it is ours.

        Raises:
            OSError: the lock file cannot be made or locked.
        """
        while True:
            if self._fd < 0:
                self._fd = self._open()
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if self._is_there():
                return True
            self.close()  # removed by somebody who tidied up: others lock the file that has its name now

    def give(self) -> None:
        """Let others write, if the turn is ours."""
        if self._fd >= 0:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give it and forget the file; in a forked child that takes nothing from the parent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _open(self) -> int:
        """Open the lock file; who makes it lets in whoever may write to the bus, as the engine does with its log."""
        try:
            return os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            pass
        of = os.stat(self._of)
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:  # by another process just now
            return os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.geteuid() == 0:  # else root's look would keep out those whose bus it is
                os.fchown(fd, of.st_uid, of.st_gid)
            os.fchmod(fd, stat.S_IMODE(of.st_mode) & 0o666)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _is_there(self) -> bool:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(self._fd))
