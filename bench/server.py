"""The Redis server that is measured: our own, on loopback, empty at the start of every measure."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from support.redis_programs import Missing, find_program
from support.redis_server import Server

IN_MEMORY = {"save": '""', "appendonly": "no"}
ON_DISK = {"save": '""', "appendonly": "yes", "appendfsync": "everysec"}
ACCEPT_LOSS = "FLOWLORD_ACCEPT_LOSS"


@contextmanager
def redis_server(*, keeps: bool = False) -> Iterator[Server]:
    """Run one; with `keeps` it writes an append-only file, synced every second.

    Processes of ours find in their environment that the loss of what is measured is accepted.

    Raises:
        Missing: this machine has none; the text says what to install.
    """
    find_program("redis")
    before = os.environ.get(ACCEPT_LOSS)
    os.environ[ACCEPT_LOSS] = "true"
    try:
        with Server("redis", ON_DISK if keeps else IN_MEMORY) as server:
            yield server
    finally:
        if before is None:
            del os.environ[ACCEPT_LOSS]
        else:
            os.environ[ACCEPT_LOSS] = before


@contextmanager
def emptied(port: int) -> Iterator[redis.Redis]:
    """Give a client of a server that holds nothing and remembers no statistics."""
    with redis.Redis(port=port) as client:
        client.flushall(asynchronous=False)
        client.config_resetstat()
        yield client


def version() -> str:
    """Return `Redis 7.0.15`, or nothing where there is none."""
    try:
        with redis_server() as server, redis.Redis(port=server.port) as client:
            return f"Redis {client.info('server')['redis_version']}"
    except Missing:
        return ""


__all__ = ["Missing", "Server", "emptied", "redis_server", "version"]
