"""A loop that watches folders of a test, on a bus in memory and a clock that the test moves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowlord.model.plan import FactKind, Seen
from flowlord.taskmaster.files import FileLoop, Watching
from support.farm import Farm
from support.flows import flows_of


def put(path: Path, text: str = "x", *, ns: int = 0) -> Path:
    """Write a file, whole; `ns` is the time that it tells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    if ns:
        os.utime(path, ns=(ns, ns))
    return path


class Watcher:
    """One daemon's loop over rules; what is started lies on the topics `t0`, `t1`, ... of the rules.

    Folders are only listed, so that nothing depends on when the kernel tells something.
    """

    def __init__(
        self,
        *rules: str,
        farm: Farm | None = None,
        name: str = "d1",
        initial: str = "ignore",
        once: bool = False,
        **more: Any,
    ) -> None:
        self.farm = farm or Farm()
        self.around = self.farm.daemon(flows_of({"f.toml": phases(*rules)}), name, len(name))
        self.loop = FileLoop(
            self.around,
            Watching(initial=initial, poll_ns=1_000_000_000, events=False),
            once=once,
            **({"kind_of": lambda _: "ext4"} | more),
        )

    def pass_time(self, seconds: float = 3.0) -> int:
        """Look, let time pass, and look again; returns how many files were decided."""
        decided = self.loop.look()
        self.farm.clock.advance(seconds)
        return decided + self.loop.look()

    def settle(self) -> None:
        """Let what is there now be listed and stand still."""
        for _ in range(3):
            self.pass_time()

    def started(self, topic: str = "t0") -> list[str]:
        """Take what lies on a topic; returns the infos, sorted."""
        return sorted(delivery.task().info for delivery in self.farm.bus.claim([topic], "w", 100_000))

    def told(self) -> list[Seen]:
        """Return what was recorded of files."""
        entries = self.farm.bus.journal(0, 100_000)
        return [
            fact.file for entry in entries for fact in entry.facts if fact.kind is FactKind.FILE and fact.file
        ]


def phases(*rules: str) -> list[Mapping[str, Any]]:
    """Return a phase for each rule."""
    return [{"task": f"t{n}", "rule": rule, "template": "{meta:file}"} for n, rule in enumerate(rules)]
