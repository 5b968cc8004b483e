"""redis-py is not used: it retries, reconnects and checks on its own. hiredis, its parser, has one door."""

import pytest

from guard.source import Module, modules, plant

DOOR = "bus/redis_wire.py"


def imports_of_redis(found: list[Module]) -> list[str]:
    """Tell every import of redis-py, and of hiredis outside of its door."""
    return [
        f"{module.path}:{line}: {name}"
        for module in found
        if "redis" in module.text
        for line, name in module.imports()
        if (package := name.partition(".")[0]) == "redis" or (package == "hiredis" and module.path != DOOR)
    ]


def test_one_module_imports_the_parser():
    found = modules()
    door = [name for module in found if module.path == DOOR for _, name in module.imports()]
    assert "hiredis.Reader" in door or "hiredis" in door
    assert imports_of_redis(found) == []


@pytest.mark.parametrize(
    "text",
    [
        "import redis",
        "from redis.client import Pipeline",
        "def f():\n    from redis import Redis\n    return Redis",
        "import importlib\nx = importlib.import_module('redis')",
        "import hiredis",
    ],
)
def test_an_import_beside_the_door_is_found(tmp_path, text):
    assert len(imports_of_redis(plant(tmp_path, {"bus/redis_link.py": text}))) == 1
