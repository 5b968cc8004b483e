"""Which room may import which, read from the imports themselves. The plan is told in docs/architecture.md."""

import pytest

from guard.source import PACKAGE, Module, modules, plant

BASE = {"model", "rules", "spec", "decide", "bus", "storage", "cache", "watch", "alert", "worker"}
MAY_IMPORT: dict[str, set[str]] = {
    "model": set(),
    "rules": {"model"},
    "spec": {"model", "rules"},
    "decide": {"model", "rules"},
    "bus": {"model"},
    "storage": {"model", "rules"},  # patterns are those of file rules
    "cache": {"model", "rules", "storage"},
    "watch": {"model", "rules", "storage"},
    "alert": {"model", "rules"},  # date ranges, durations
    "worker": {"model", "rules", "bus", "config"},
    "taskmaster": BASE | {"config"},
    "server": BASE | {"taskmaster"},
    "cli": BASE | {"taskmaster", "server", "config"},
    "config": {"model"},
    "__init__": set(),
    "__main__": {"cli"},
}
OPEN_TO_ALL = "flowlord.model.errors"
# In these rooms, modules whose name starts with one of these words implement the room's port and stand alone.
ADAPTERS = {"bus": {"memory", "redis", "sqlite"}, "storage": {"local", "remote"}}
# A library that only one room may know: exchanging it, or starting without it, stays one room's business.
LIBRARIES = {
    "apprise": {"alert"},
    "hiredis": {"bus"},
    "httpx": {"alert"},
    "obstore": {"storage"},
    "redis": {"bus"},
    "rich": {"cli"},
    "sqlite_utils": {"cache", "cli"},
    "tomli": {"spec", "config"},
    "typer": {"cli"},
    "watchdog": {"watch", "taskmaster"},
    "yaml": {"spec", "config", "cli"},
}


def adapter_of(module: tuple[str, ...]) -> str | None:
    """`("bus", "sqlite_schema")` -> "sqlite"; None for the port and what all adapters share."""
    if len(module) < 2:
        return None
    word = module[1].partition("_")[0]
    return word if word in ADAPTERS.get(module[0], ()) else None


def wrong_arrows(found: list[Module]) -> list[str]:
    """Tell every import that the plan of rooms does not allow."""
    wrong: list[str] = []
    for module in found:
        if module.room not in MAY_IMPORT:
            wrong.append(f"{module.path}:1: {module.room} is no room of the plan")
            continue
        for line, name in module.imports():
            library = name.partition(".")[0]
            if module.room not in LIBRARIES.get(library, {module.room}):
                wrong.append(f"{module.path}:{line}: {library} belongs to {sorted(LIBRARIES[library])}")
            if library != "flowlord" or name == "flowlord" or name.startswith(OPEN_TO_ALL):
                continue
            target = tuple(name.split(".")[1:])
            if target[0] not in MAY_IMPORT:
                if target[0].startswith(
                    "__"
                ):  # flowlord.__version__: the package itself, which imports nothing
                    continue
                wrong.append(f"{module.path}:{line}: {name} lies in no room of the plan")
            elif target[0] != module.room and target[0] not in MAY_IMPORT[module.room]:
                wrong.append(f"{module.path}:{line}: {module.room} may not import {target[0]} ({name})")
            elif target[0] == module.room:
                ours, theirs = adapter_of(module.parts), adapter_of(target)
                if ours and theirs and ours != theirs:
                    wrong.append(f"{module.path}:{line}: adapter {ours} imports adapter {theirs} ({name})")
    return wrong


def test_every_import_follows_the_plan_of_rooms():
    found = modules()
    assert len(found) > 10
    assert wrong_arrows(found) == []


def test_the_plan_itself_has_no_cycle():
    settled: set[str] = set()
    while open_rooms := {room for room in MAY_IMPORT if room not in settled}:
        now = {room for room in open_rooms if MAY_IMPORT[room] <= settled}
        assert now, f"a cycle among {sorted(open_rooms)}"
        settled |= now


def test_the_package_itself_imports_nothing():
    module = Module("__init__.py", PACKAGE / "__init__.py")
    assert list(module.imports()) == []


WRONG = {
    "a pure room knows the bus": ("decide/done.py", "from flowlord.bus.port import Bus"),
    "hidden in a function": (
        "rules/cron.py",
        "def f():\n    from flowlord.spec import load\n    return load",
    ),
    "by a plain import": ("model/task.py", "import flowlord.rules.duration"),
    "by the name of the room": ("spec/check.py", "from flowlord import bus"),
    "by a relative import": ("bus/port.py", "from ..worker import pool"),
    "by importlib": ("bus/port.py", "import importlib\nx = importlib.import_module('flowlord.cache.schema')"),
    "for types only": (
        "decide/tick.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from flowlord.cli import printer",
    ),
    "one adapter leans on another": ("bus/memory.py", "from flowlord.bus.sqlite_schema import TABLES"),
    "a package adapter leans on another": ("bus/redis/claim.py", "from flowlord.bus.memory import MemoryBus"),
    "settings read where they are not owned": ("decide/ask.py", "from flowlord.config import settings"),
    "a room that is not in the plan": ("helpers/misc.py", "x = 1"),
    "a name that lies in no room": ("cli/run.py", "from flowlord.helpers import x"),
    "a library out of its room": ("worker/claim.py", "import redis.asyncio"),
    "the daemon knows the command line": ("taskmaster/daemon.py", "from flowlord.cli.main import main"),
}


@pytest.mark.parametrize(("path", "text"), WRONG.values(), ids=WRONG)
def test_a_wrong_arrow_is_found(tmp_path, path, text):
    [told] = wrong_arrows(plant(tmp_path, {path: text}))
    assert told.startswith(path)


RIGHT = {
    "down the plan": (
        "decide/done.py",
        "from flowlord.rules.backoff import wait\nfrom flowlord.model.plan import Plan",
    ),
    "errors are open to all": ("bus/port.py", "from flowlord.model.errors import BusError"),
    "inside a room": (
        "bus/sqlite.py",
        "from flowlord.bus.port import Bus\nfrom flowlord.bus.sqlite_schema import T",
    ),
    "the version": ("cli/version.py", "from flowlord import __version__"),
    "a library at home": ("bus/redis_wire.py", "import hiredis"),
}


@pytest.mark.parametrize(("path", "text"), RIGHT.values(), ids=RIGHT)
def test_a_right_arrow_is_left_alone(tmp_path, path, text):
    assert wrong_arrows(plant(tmp_path, {path: text})) == []
