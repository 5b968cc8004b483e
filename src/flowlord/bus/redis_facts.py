"""What a Redis server tells of itself: how it is asked, and how its answers are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from flowlord.bus.clock import SystemClock, micros
from flowlord.bus.redis_errors import ServerError
from flowlord.model.clock import Clock
from flowlord.model.errors import BusUnavailable, FlowlordError

if TYPE_CHECKING:
    from flowlord.bus.redis_link import Reply

ASKED: Final = (
    "appendfsync", "save", "stop-writes-on-bgsave-error", "min-replicas-to-write",
    "maxmemory", "maxmemory-policy",
)  # fmt: skip
"""Settings of the server that INFO does not tell, or not everywhere."""


class ServerFacts(msgspec.Struct, frozen=True):
    """A server at one moment; sizes in bytes.

    What could not be seen is named in `hidden` (`info`, `config`, `time`), and its fields have the values below.
    """

    engine: str = "Redis"  # or Valkey
    version: tuple[int, ...] = ()
    role: str = "master"
    primary: str = ""  # host:port, when this one is a replica
    replicas: int = 0
    is_cluster: bool = False
    database: int = 0
    policy: str = ""
    max_memory: int = 0  # 0: no limit
    used_memory: int = 0
    system_memory: int = 0
    has_aof: bool | None = None
    fsync: str = ""  # always, everysec, no
    saves: str | None = None  # seconds and changes after which a snapshot is made; empty: never
    aof_writes_ok: bool = True
    snapshots_ok: bool = True
    stops_writes: bool = True  # after a snapshot that failed
    is_loading: bool = False
    replicas_to_write: int = 0
    clients: int = 0
    max_clients: int = 0
    skew_us: int | None = None  # the server's clock minus ours
    hidden: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Engine and version, as people say it."""
        return f"{self.engine} {'.'.join(map(str, self.version))}".rstrip()


def facts_at(address: str, *, clock: Clock | None = None) -> ServerFacts:
    """Connect to the server at an address and return what it tells; raises as `facts_of`, with ways to go on."""
    from flowlord.bus.open import unreachable
    from flowlord.bus.redis_address import parse
    from flowlord.bus.redis_link import Link

    where = parse(address)
    link = Link(where, client_name="flowlord-doctor")
    try:
        return facts_of(link.call, clock=clock, database=where.db)
    except BusUnavailable as error:
        raise unreachable(where.shown, error) from error
    finally:
        link.close()


def facts_of(call: Callable[..., Reply], *, clock: Clock | None = None, database: int = 0) -> ServerFacts:
    """Ask a server, in three commands, and return what it tells.

    A user may lack the right to some of them, and hosted servers have no CONFIG: that is no error.

    Args:
        call: sends one command, returns its reply or raises a FlowlordError.
        clock: the one of this machine, to which the server's is compared.
        database: the one that is used.
    Raises:
        BusError: it does not answer.
    """
    clock = clock or SystemClock()
    hidden: set[str] = set()

    def asked(name: str, *words: str) -> Reply:
        try:
            return call(*words)
        except FlowlordError as error:
            if not (isinstance(error, ServerError) or "NOPERM" in str(error)):
                raise
            hidden.add(name)
            return None

    info = asked("info", "INFO")  # first: what it takes to connect must not pass for a skew
    before_us = micros(clock.now())
    time = asked("time", "TIME")
    after_us = micros(clock.now())
    config = asked("config", "CONFIG", "GET", *ASKED)
    skew_us = None
    if isinstance(time, list):
        seconds, us = (int(_text(part)) for part in time)
        skew_us = seconds * 1_000_000 + us - (before_us + after_us) // 2
    return read_facts(
        _lines(_text(info)), _pairs(config), skew_us, database=database, hidden=frozenset(hidden)
    )


def read_facts(
    info: Mapping[str, str],
    config: Mapping[str, str],
    skew_us: int | None,
    *,
    database: int = 0,
    hidden: frozenset[str] = frozenset(),
) -> ServerFacts:
    """Return the facts in the answers to INFO and CONFIG GET; what is missing there counts as harmless."""

    def number(name: str, otherwise: str = "") -> int:
        text = info.get(name) or config.get(otherwise, "")
        return int(text) if text.isdecimal() else 0

    is_valkey = info.get("server_name") == "valkey" or "valkey_version" in info
    version = info.get("valkey_version" if "valkey_version" in info else "redis_version", "")
    role = info.get("role", "master")
    return ServerFacts(
        engine="Valkey" if is_valkey else "Redis",
        version=tuple(int(part) for part in version.split(".") if part.isdecimal()),
        role=role,
        primary=f"{info.get('master_host', '')}:{info.get('master_port', '')}" if role != "master" else "",
        replicas=number("connected_slaves"),
        is_cluster=info.get("cluster_enabled") == "1",
        database=database,
        policy=info.get("maxmemory_policy") or config.get("maxmemory-policy", ""),
        max_memory=number("maxmemory", "maxmemory"),
        used_memory=number("used_memory"),
        system_memory=number("total_system_memory"),
        has_aof=info["aof_enabled"] == "1" if "aof_enabled" in info else None,
        fsync=config.get("appendfsync", ""),
        saves=config.get("save"),
        aof_writes_ok=info.get("aof_last_write_status", "ok") == "ok",
        snapshots_ok=info.get("rdb_last_bgsave_status", "ok") == "ok",
        stops_writes=config.get("stop-writes-on-bgsave-error", "yes") == "yes",
        is_loading=info.get("loading") == "1",
        replicas_to_write=int(config.get("min-replicas-to-write", "0")),
        clients=number("connected_clients"),
        max_clients=number("maxclients"),
        skew_us=skew_us,
        hidden=hidden,
    )


def _text(reply: Reply) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""


def _lines(text: str) -> dict[str, str]:
    """Read `name:value` lines; headers and blank lines between them say nothing."""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def _pairs(reply: Reply) -> dict[str, str]:
    words = [_text(word) for word in reply] if isinstance(reply, list) else []
    return dict(zip(words[::2], words[1::2], strict=False))
