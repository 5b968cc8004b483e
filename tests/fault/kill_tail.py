"""What the tasks of a storm write into their common log, taken as it grows."""

from __future__ import annotations

from pathlib import Path


class Tail:
    """The log of executions below a folder; made empty when it is not there."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "executions.log"
        self._offset = 0
        self.path.touch()

    def more(self) -> str:
        """Return what was written since it was asked last; the last line may be whole only next time."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        return data.decode()
