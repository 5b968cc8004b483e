"""What the victims say of themselves in their logs: figures for people and for the floors, never for the judge."""

from __future__ import annotations

import json
from pathlib import Path

from fault.kill_size import Figures

OUTAGE = ("bus.lost", "bus", "drain.bus")
"""Said when the server is away, which it is whenever it was killed."""
VANISHED = "process.vanished"
"""Said of whoever was killed."""


def take_note(folder: Path, figures: Figures) -> None:
    """Count what was contested and taken over, and whether anything went wrong."""
    for path in sorted(folder.iterdir()):
        _, kind, place = path.stem.split("-")
        lines = path.read_text("utf-8", "replace").splitlines()
        for at, line in enumerate(lines):
            if line.startswith("Traceback"):
                last = next((each for each in lines[at + 1 :] if not each.startswith(" ")), "cut off")
                figures.faults.append(f"{path.name}: a traceback: {last[:160]}")
            if not line.startswith("{"):
                continue
            try:
                said = json.loads(line)
            except ValueError:
                continue  # cut off by a kill
            action = said.get("action", "")
            figures.actions[f"{kind}.{action}"] += 1
            if action == "lease.lapsed":
                figures.lapsed += int(said["message"].split()[0])
            if kind == "taskmaster" and action == "done":
                figures.decided[int(place)] += 1
            if action in OUTAGE:
                figures.outages += said.get("level") != "info"
            elif action != VANISHED and (said.get("error") or said.get("level") == "error"):
                figures.faults.append(f"{path.name}: {action}: {said.get('message', '')[:160]}")
