"""Files that come in every way in which programs put files somewhere, and which of them must start something."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path


class Torrent:
    """Writes numbered files below `folder`; `due` are the paths that must start, each once.

    Args:
        folder: what is watched, with `*.csv` at any depth.
        aside: a folder on the same disk that nobody watches.
    """

    def __init__(self, folder: Path, aside: Path, seed: int) -> None:
        self.folder, self.aside = folder, aside
        self.due: set[str] = set()
        self._chance = random.Random(seed)
        self._ways: list[Callable[[Path, int], None]] = [
            self._at_once, self._in_parts, self._renamed, self._moved_in, self._linked, self._dated,
        ]  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        aside.mkdir(parents=True, exist_ok=True)
        (folder / "loop").symlink_to(folder)
        (folder / "up").symlink_to(folder.parent)

    def pour(self, count: int, start: int = 0) -> Iterator[int]:
        """Write `count` files, and as many things beside them that are none; yields after each."""
        for n in range(start, start + count):
            place = self.folder / self._chance.choice(["", "a", "a/b", f"new-{n % 97}", f"deep-{n}/x/y"])
            place.mkdir(parents=True, exist_ok=True)
            path = place / f"{n}.csv"
            self._chance.choice(self._ways)(path, n)
            self.due.add(str(path))
            if n % 50 == 0:
                (place / f".{n}.csv").write_bytes(b"hidden")
                (place / f"{n}.csv.tmp").write_bytes(b"passing")
                (place / f"link-{n}.csv").symlink_to(self.aside / "outside.csv")
                gone = place / f"gone-{n}.part"
                gone.write_bytes(b"x")
                gone.unlink()
            if n % 211 == 0:
                self._folder_moved_in(n)
            yield n

    def _at_once(self, path: Path, n: int) -> None:
        path.write_bytes(b"x" * (n % 7))

    def _in_parts(self, path: Path, n: int) -> None:
        with path.open("wb", buffering=0) as out:
            for _ in range(3):
                out.write(b"part ")

    def _renamed(self, path: Path, n: int) -> None:
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(b"whole")
        part.rename(path)

    def _moved_in(self, path: Path, n: int) -> None:
        other = self.aside / path.name
        other.write_bytes(b"from elsewhere")
        other.rename(path)

    def _linked(self, path: Path, n: int) -> None:
        other = self.aside / f"{n}.origin"
        other.write_bytes(b"linked")
        path.hardlink_to(other)

    def _dated(self, path: Path, n: int) -> None:
        path.write_bytes(b"from another time")
        os.utime(path, (4_000_000_000 + n, n - 1_000))

    def _folder_moved_in(self, n: int) -> None:
        made = self.aside / f"tree-{n}" / "sub"
        made.mkdir(parents=True)
        (made / f"tree-{n}.csv").write_bytes(b"x")
        made.parent.rename(self.folder / f"tree-{n}")
        self.due.add(str(self.folder / f"tree-{n}" / "sub" / f"tree-{n}.csv"))
