"""What files were called before somebody renamed them, as far as they were seen under both names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from flowlord.watch.sighting import Look

MOST: Final = 100_000
"""Files whose names are remembered, those seen last."""


class Names:
    """Remembers by which name each file was seen last; used by one thread."""

    def __init__(self) -> None:
        # By inode: name, version, and the name before it. Ordered, since the first of a plain dict is searched for
        # behind all that were taken out before it.
        self._seen: OrderedDict[int, tuple[str, str, str]] = OrderedDict()

    def of(self, path: str, look: Look, is_there: Callable[[str], bool]) -> str:
        """Take in how a file is called now; returns what it was called before, empty when that is not known.

        It is the same file when inode, size and time of change are, and nothing has its old name any more: one that
        still has it is a second name of it, or another file that got its number.
        """
        if not look.inode:
            return ""
        name, version, before = self._seen.pop(look.inode, ("", "", ""))
        if version != look.version or (name != path and is_there(name)):
            before = ""
        elif name != path:
            before = name
        self._seen[look.inode] = path, look.version, before
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)
        return before
