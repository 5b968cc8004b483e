"""Redis and Valkey for tests: one server for all tests of a process, a cluster, a primary under sentinels, TLS.

    from support.redis_servers import Server, shared_server, fresh_namespace

`Server` is for a test that kills, pauses or configures its own; all others share one and take a fresh namespace.
"""

import atexit
import secrets
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Self

import redis
import trustme

from support.processes import until
from support.redis_programs import HOST, LIMIT_S, Engine, Missing, find_program, free_port, program
from support.redis_server import Certificates, Options, Running, Server

__all__ = [
    "HOST", "Certificates", "Cluster", "Engine", "Missing", "Options", "Sentinels", "Server",
    "cluster_of_two", "drop_namespace", "find_program", "free_port", "fresh_namespace", "make_certificates", "program",
    "sentinel_trio", "shared_cluster", "shared_server", "tls_server",
]  # fmt: skip

SLOTS = 16_384
DURABLE: Options = {"appendonly": "yes", "appendfsync": "everysec"}


# --- one for all tests of a process -------------------------------------------------------------------------------


def shared_server(engine: Engine = "redis") -> Server:
    """One server for all tests of this process, with an append-only file; a test takes a namespace of its own."""
    program(engine)  # skips or fails here, each time: what a cache holds is a server
    return _shared_server(engine)


@cache
def _shared_server(engine: Engine) -> Server:
    server = Server(engine, DURABLE).start()
    atexit.register(server.close)
    return server


def shared_cluster(engine: Engine = "redis") -> "Cluster":
    """One cluster of two for all tests of this process."""
    program(engine)
    return _shared_cluster(engine)


@cache
def _shared_cluster(engine: Engine) -> "Cluster":
    cluster = Cluster(engine).start()
    atexit.register(cluster.close)
    return cluster


def fresh_namespace() -> str:
    """A namespace that no other test has. Chance of its own: every test process seeds `random` alike."""
    return f"test-{secrets.token_hex(6)}"


def drop_namespace(namespace: str, servers: Sequence[Server]) -> None:
    """Delete every key of a namespace."""
    for server in servers:
        with server.client(decode_responses=False) as client:
            for key in client.scan_iter(match=f"{{{namespace}}}:*", count=1_000):
                client.unlink(key)


# --- cluster ------------------------------------------------------------------------------------------------------


class Cluster(Running):
    """Two primaries that share the slots; a context manager.

    `nodes[0]` has the lower half of the slots, `nodes[1]` the upper one.
    """

    def __init__(
        self, engine: Engine = "redis", folder: Path | None = None, options: Options | None = None
    ) -> None:
        self.nodes = [
            Server(
                engine,
                {
                    **DURABLE,
                    "cluster-enabled": "yes",
                    "cluster-config-file": "nodes.conf",
                    "cluster-port": free_port(),
                    "cluster-node-timeout": 15_000,  # on a busy machine a second passes unheard
                    **(options or {}),
                },
                folder=folder and folder / f"node-{number}",
            )
            for number in (1, 2)
        ]

    def start(self) -> Self:
        """Start both, share out the slots, and wait until each knows of all of them."""
        for node in self.nodes:
            node.start()
        one, two = self.nodes
        one.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS // 2 - 1)
        two.ask("CLUSTER", "ADDSLOTSRANGE", SLOTS // 2, SLOTS - 1)
        two.ask("CLUSTER", "SET-CONFIG-EPOCH", 2)  # or they first have to agree on who is newer
        one.ask("CLUSTER", "MEET", HOST, two.port, two.options["cluster-port"])
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait until both find the cluster whole."""
        for node in self.nodes:
            until(lambda node=node: self._is_whole(node), "a whole cluster", LIMIT_S)

    @staticmethod
    def _is_whole(node: Server) -> bool:
        told = node.ask("CLUSTER", "INFO").splitlines()
        return {"cluster_state:ok", "cluster_known_nodes:2", f"cluster_slots_ok:{SLOTS}"} <= set(told)

    def node_of(self, key: str) -> Server:
        """The node that holds a key."""
        slot = int(self.nodes[0].ask("CLUSTER", "KEYSLOT", key))
        return self.nodes[slot >= SLOTS // 2]

    @property
    def url(self) -> str:
        """The address of the first node."""
        return self.nodes[0].url

    def close(self) -> None:
        """End both."""
        for node in self.nodes:
            node.close()


def cluster_of_two(
    folder: Path | None = None, engine: Engine = "redis", options: Options | None = None
) -> Cluster:
    """A cluster of its own for one test: `with cluster_of_two(tmp_path) as cluster`."""
    return Cluster(engine, folder, options)


# --- sentinels ----------------------------------------------------------------------------------------------------


class Sentinels(Running):
    """A primary, its replica, and one or three sentinels that watch over them; a context manager.

    The primary is taken for dead after a second of silence.
    """

    NAME = "main"

    def __init__(
        self,
        engine: Engine = "redis",
        folder: Path | None = None,
        sentinels: int = 1,
        options: Options | None = None,
    ) -> None:
        store: dict[str, str | int | Sequence[str]] = {
            **DURABLE,
            "repl-diskless-sync-delay": 0,
            **(options or {}),
        }
        self.primary = Server(engine, store, folder=folder and folder / "primary")
        self.replica = Server(engine, store, folder=folder and folder / "replica")
        self.sentinels = [
            Server(engine, folder=folder and folder / f"sentinel-{number}", sentinel=True)
            for number in range(1, sentinels + 1)
        ]

    @property
    def servers(self) -> list[Server]:
        return [self.primary, self.replica, *self.sentinels]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each sentinel."""
        return [(HOST, sentinel.port) for sentinel in self.sentinels]

    def start(self) -> Self:
        """Start all, and wait until the replica is in step and every sentinel knows of everybody."""
        self.primary.start()
        self.replica.options["replicaof"] = f"{HOST} {self.primary.port}"
        self.replica.start()
        until(lambda: self._info(self.replica, "master_link_status") == "up", "the replica", LIMIT_S)
        quorum = len(self.sentinels) // 2 + 1
        for sentinel in self.sentinels:
            sentinel.options["sentinel"] = [
                f"monitor {self.NAME} {HOST} {self.primary.port} {quorum}",
                f"down-after-milliseconds {self.NAME} 1000",
                f"failover-timeout {self.NAME} 2000",
            ]
            sentinel.start()
            # By default they ask once in that time, so that a connection made anew passes for a death. Much more often
            # is wrong too: what they know of a replica is too old for a failover after five of these periods, and
            # once the primary is down they ask for it each second.
            sentinel.ask("SENTINEL", "DEBUG", "PING-PERIOD", 300, "INFO-PERIOD", 300, "PUBLISH-PERIOD", 300)
        for sentinel in self.sentinels:
            until(lambda sentinel=sentinel: self._knows_everybody(sentinel), "the sentinels", LIMIT_S)
        return self

    @staticmethod
    def _info(server: Server, name: str) -> str:
        with server.client() as client:
            return str(client.info("replication").get(name, ""))

    def _knows_everybody(self, sentinel: Server) -> bool:
        """Before it has heard from each, it would not know whom to promote, or with whom to agree."""
        replicas = sentinel.ask("SENTINEL", "REPLICAS", self.NAME)
        others = sentinel.ask("SENTINEL", "SENTINELS", self.NAME)
        return (
            [(told["flags"], told["master-link-status"]) for told in replicas] == [("slave", "ok")]
            and [told["flags"] for told in others] == ["sentinel"] * (len(self.sentinels) - 1)
            and all(told["runid"] for told in others)
        )

    def primary_port(self) -> int:
        """The port of whom the first living sentinel takes for the primary."""
        alive = next(sentinel for sentinel in self.sentinels if sentinel.is_alive)
        return int(alive.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME)[1])

    def wait_for_primary(self, server: Server) -> None:
        """Wait until the sentinels name this server and it takes writes, and the other one, when alive, follows it."""
        other = self.replica if server is self.primary else self.primary

        def is_settled() -> bool:
            try:
                return (
                    self.primary_port() == server.port
                    and self._info(server, "role") == "master"
                    and (not other.is_alive or self._info(other, "master_link_status") == "up")
                )
            except redis.RedisError:  # a server that changes its role drops its connections
                return False

        until(is_settled, "the failover", LIMIT_S)

    def close(self) -> None:
        """End all."""
        for server in reversed(self.servers):
            server.close()


def sentinel_trio(
    folder: Path | None = None,
    engine: Engine = "redis",
    *,
    sentinels: int = 1,
    options: Options | None = None,
) -> Sentinels:
    """A primary, a replica and their sentinels for one test: `with sentinel_trio(tmp_path) as trio`."""
    return Sentinels(engine, folder, sentinels, options)


# --- TLS ----------------------------------------------------------------------------------------------------------


def make_certificates(folder: Path) -> Certificates:
    """Make an authority of our own, and write its certificates below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(
        *(folder / f"{name}.pem" for name in ("ca", "server", "server-key", "client", "client-key"))
    )
    authority = trustme.CA()
    authority.cert_pem.write_to_path(made.ca)
    for leaf, cert, key in (
        (authority.issue_cert(HOST, "localhost"), made.cert, made.key),
        (authority.issue_cert("client@localhost"), made.client_cert, made.client_key),
    ):
        leaf.cert_chain_pems[0].write_to_path(cert)
        leaf.private_key_pem.write_to_path(key)
    return made


def tls_server(folder: Path, options: Options | None = None) -> Server:
    """A server that speaks TLS only, with the certificates in `server.tls`; Redis, for the wheel's Valkey has no TLS.

    A client's certificate is optional; `{"tls-auth-clients": "yes"}` asks for one (`server.client(ssl_certfile=...)`).
    """
    return Server("redis", options, folder=folder / "server", tls=make_certificates(folder / "certificates"))
