"""A folder whose `flowlord` uses one namespace of a Redis server, and what a user sees there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.processes import flowlord, tasks, write

QUICK = """
[taskmaster]
reload = "200ms"
"""


def redis_home(folder: Path, url: str, namespace: str, files: Mapping[str, str]) -> Path:
    """Write the files and a configuration that names the bus."""
    settings = f'[bus]\naddress = "{url}"\nnamespace = "{namespace}"\nlease = "2s"\n{QUICK}'
    return write(folder, {"flowlord.toml": settings, **files})


def ended_as(home: Path, *arguments: str) -> dict[tuple[str, str], list[str]]:
    """The states of all attempts, in order of the attempts, by (topic, info)."""
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for row in tasks(home, *arguments):
        found.setdefault((row["topic"], row["info"]), []).append((row["attempt"], row["state"]))
    return {name: [state for _, state in sorted(states)] for name, states in found.items()}


def waiting(home: Path) -> dict[str, dict[str, Any]]:
    """`flowlord topics`, by name."""
    ended = flowlord("topics", "-o", "json", cwd=home)
    assert ended.code == 0, ended.err
    return {row["topic"]: row for row in ended.data}


def workers(home: Path) -> dict[str, dict[str, Any]]:
    """`flowlord workers`, by name."""
    ended = flowlord("workers", "-o", "json", cwd=home)
    assert ended.code == 0, ended.err
    return {row["consumer"]: row for row in ended.data}
