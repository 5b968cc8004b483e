"""Finding the server where everything at once is in the way: TLS, passwords, a cluster or sentinels, and a failover."""

from contextlib import ExitStack, closing

import pytest

from flowlord.bus.open import open_bus
from flowlord.bus.redis_link import NotSent
from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Message
from flowlord.model.task import Task
from support.processes import until
from support.redis_links import linked
from support.redis_servers import (
    DURABLE,
    HOST,
    LIMIT_S,
    Cluster,
    Sentinels,
    Server,
    cluster_of_two,
    free_port,
    fresh_namespace,
    make_certificates,
)

SECRET, WATCHWORD = "hunter2store", "hunter2watch"


class LockedCluster(Cluster):
    """A cluster of two that speaks TLS only, to us and within, and wants a password."""

    def __init__(self, folder):
        super().__init__(folder=folder)
        tls = make_certificates(folder / "certificates")
        for number, node in enumerate(self.nodes, 1):
            options = node.options | {"requirepass": SECRET, "masterauth": SECRET, "tls-cluster": "yes"}
            self.nodes[number - 1] = Server("redis", options, folder=folder / f"locked-{number}", tls=tls)


class LockedSentinels(Sentinels):
    """A primary, its replica and a sentinel, all over TLS; the sentinel has a password of its own."""

    def __init__(self, folder):
        super().__init__(folder=folder)
        tls = make_certificates(folder / "certificates")
        store = DURABLE | {
            "repl-diskless-sync-delay": 0, "requirepass": SECRET, "masterauth": SECRET, "tls-replication": "yes",
        }  # fmt: skip
        self.primary = Server("redis", store, folder=folder / "one", tls=tls)
        self.replica = Server("redis", store, folder=folder / "two", tls=tls)
        watch = {"requirepass": WATCHWORD, "tls-replication": "yes"}
        self.sentinels = [Server("redis", watch, folder=folder / "watch", sentinel=True, tls=tls)]

    def start(self):
        """Start all three; the sentinel is told the password of those that it watches."""
        self.primary.start()
        self.replica.options["replicaof"] = f"{HOST} {self.primary.port}"
        self.replica.start()
        until(lambda: self._info(self.replica, "master_link_status") == "up", "the replica", LIMIT_S)
        [watch] = self.sentinels
        watch.options["sentinel"] = [
            f"monitor {self.NAME} {HOST} {self.primary.port} 1",
            f"auth-pass {self.NAME} {SECRET}",
            f"down-after-milliseconds {self.NAME} 1000",
            f"failover-timeout {self.NAME} 2000",
        ]
        watch.start()
        watch.ask("SENTINEL", "DEBUG", "PING-PERIOD", 300, "INFO-PERIOD", 300, "PUBLISH-PERIOD", 300)
        until(lambda: self._knows_everybody(watch), "the sentinel", LIMIT_S)
        return self


def message(n):
    return Message("load", Task(type="load", info=f"{n}", id=f"{n}"), key=f"k{n}")


def test_a_bus_on_a_cluster_behind_tls_and_a_password_works_from_whichever_node_is_named(tmp_path):
    with LockedCluster(tmp_path) as cluster:
        namespace, infos = fresh_namespace(), []
        for n, node in enumerate(cluster.nodes):
            address = f"rediss://:{SECRET}@{HOST}:{node.port}?ssl_ca_certs={node.tls.ca}"
            with closing(open_bus(address, by="t", namespace=namespace, accept_loss=True)) as bus:
                bus.publish([message(n)])
                infos += [each.task().info for each in bus.claim(["load"], "a", 5)]
                assert SECRET not in bus.address
        assert infos == ["0", "1"]
        for wrong in (
            f"rediss://{HOST}:{node.port}?ssl_ca_certs={node.tls.ca}",
            node.url.replace("rediss", "redis"),
        ):
            with pytest.raises(BusUnavailable) as caught:
                open_bus(wrong.replace(f"{SECRET}@", f"{SECRET}-wrong@"), by="t", namespace=namespace)
            assert SECRET not in f"{caught.value} {caught.value.hint}"


def test_a_replica_that_takes_over_within_a_cluster_is_found(tmp_path):
    with ExitStack() as stack:
        cluster = stack.enter_context(cluster_of_two(tmp_path))
        home, other = cluster.nodes
        third = stack.enter_context(
            Server("redis", home.options | {"cluster-port": free_port()}, folder=tmp_path / "third")
        )
        third.ask("CLUSTER", "MEET", HOST, home.port, home.options["cluster-port"])
        names = {node: str(node.ask("CLUSTER", "MYID")) for node in cluster.nodes}

        def follows() -> bool:
            if names[home] not in third.ask("CLUSTER", "NODES"):
                return False
            if "slave" not in str(third.ask("ROLE")):
                third.ask("CLUSTER", "REPLICATE", names[home])
            with third.client() as client:
                return client.info("replication").get("master_link_status") == "up"

        until(follows, "a replica in step", LIMIT_S)
        until(lambda: f":{third.port}@" in other.ask("CLUSTER", "NODES"), "all to know of it", LIMIT_S)
        key = next(key for key in map(str, range(1_000)) if cluster.node_of(key) is home)
        seeds = ",".join(f"{HOST}:{node.port}" for node in cluster.nodes)
        with linked(f"redis://{seeds}") as link:
            assert link.call("INCR", key) == 1
            until(lambda: third.ask("DBSIZE") == 1, "what it is to keep", LIMIT_S)
            home.kill()
            with pytest.raises(NotSent):
                link.call("INCR", key)
            third.ask("CLUSTER", "FAILOVER", "TAKEOVER")
            until(lambda: f":{third.port}@" in _primaries(other), "word of it", LIMIT_S)
            until(lambda: _tried(link, key) == 2, "the new home", LIMIT_S)
            assert third.ask("CLUSTER", "COUNTKEYSINSLOT", third.ask("CLUSTER", "KEYSLOT", key)) == 1


def _primaries(node):
    lines = str(node.ask("CLUSTER", "NODES")).splitlines()
    return "\n".join(line for line in lines if "master" in line and "fail" not in line)


def _tried(link, key):
    """Count on, once; nothing while nobody takes it. What was not sent was not counted."""
    try:
        return link.call("INCR", key)
    except NotSent:
        return None


def test_sentinels_with_a_password_of_their_own_lead_over_tls_to_who_was_promoted(tmp_path):
    with LockedSentinels(tmp_path) as trio:
        [watch] = trio.sentinels
        where = f"{HOST}:{watch.port}/{trio.NAME}?ssl_ca_certs={watch.tls.ca}"
        with linked(f"rediss+sentinel://:{SECRET}@{where}", sentinel_password=WATCHWORD) as link:
            assert link.call("SET", "a", 1) == b"OK"
            trio.primary.kill()
            with pytest.raises(NotSent):
                link.call("SET", "a", 2)
            trio.wait_for_primary(trio.replica)
            assert link.call("SET", "a", 3) == b"OK"
            assert trio.replica.ask("GET", "a") == "3"
        with (
            linked(f"rediss+sentinel://:{SECRET}@{where}", sentinel_password="wrong") as link,
            pytest.raises(NotSent) as caught,
        ):
            link.call("GET", "a")
        assert "password" in str(caught.value)
        assert "hunter2" not in f"{caught.value} {caught.value.hint}"
