"""Where the keys are: the nodes of a cluster, and the primary that sentinels name."""

import pytest

from flowlord.bus.redis_link import NotSent
from support.redis_links import ECHO, linked, served
from support.redis_servers import (
    HOST,
    Server,
    cluster_of_two,
    free_port,
    fresh_namespace,
    sentinel_trio,
    shared_cluster,
    shared_server,
)

# --- cluster


def test_a_cluster_is_entered_through_any_node_and_the_link_stays_where_the_keys_are():
    cluster = shared_cluster()
    key = f"{{{fresh_namespace()}}}:a"
    owner = cluster.node_of(key)
    for node in cluster.nodes:
        with linked(node.url) as link:
            assert link.calls([("SET", key, 1, "EX", 60), ("GET", key)]) == [b"OK", b"1"]
            assert link.script(ECHO, [key], [2]) == [key.encode(), b"2"]
            turn = link.turn
            assert turn == (node is not owner)
            link.call("GET", key)
            assert link.turn == turn, "it was sent on again"


def test_a_cluster_whose_first_seed_is_down_is_entered_through_another():
    cluster = shared_cluster()
    key = f"{{{fresh_namespace()}}}:a"
    nodes = ",".join(f"{HOST}:{port}" for port in (free_port(), cluster.nodes[0].port))
    with linked(f"redis://{nodes}") as link:
        assert link.call("SET", key, 1, "EX", 60) == b"OK"


def test_a_cluster_has_one_database():
    with (
        linked(f"{shared_cluster().url}/1") as link,
        pytest.raises(NotSent, match="database 0 only"),
    ):
        link.call("PING")


def test_keys_on_their_way_to_another_node_are_found_on_both_sides(tmp_path):
    with cluster_of_two(tmp_path) as cluster:
        source, target = cluster.nodes
        key = key_at(cluster, source)
        slot = source.ask("CLUSTER", "KEYSLOT", key)
        names = {node: str(node.ask("CLUSTER", "MYID")) for node in cluster.nodes}
        with linked(source.url) as link:
            link.call("SET", key, 1)
            target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
            source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
            assert link.call("GET", key) == b"1"
            source.ask("MIGRATE", HOST, target.port, key, 0, 5_000)
            assert link.calls([("GET", key), ("INCR", key)]) == [b"1", 2]  # ASK, and nothing was learnt
            assert {wire.place[1] for wire in link._idle} == {source.port}
            for node in (target, source):
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", names[target])
            assert link.call("INCR", key) == 3  # MOVED
            source.kill()  # nobody needs it any more
            assert link.call("INCR", key) == 4


def test_a_node_that_is_down_is_told_and_found_again(tmp_path):
    with cluster_of_two(tmp_path) as cluster:
        key = key_at(cluster, cluster.nodes[0])
        with linked(cluster.nodes[1].url) as link:
            assert link.call("INCR", key) == 1
            cluster.nodes[0].kill()
            with pytest.raises(NotSent):
                link.call("INCR", key)
            cluster.nodes[0].start()
            cluster.wait_ready()
            assert link.call("INCR", key) == 2


def key_at(cluster, node):
    """A key that a node holds."""
    return next(key for key in map(str, range(1_000)) if cluster.node_of(key) is node)


# --- sentinels


def test_after_a_failover_the_link_finds_the_new_primary(tmp_path):
    with sentinel_trio(tmp_path) as trio:
        hosts = ",".join(f"{host}:{port}" for host, port in [(HOST, free_port()), *trio.addresses])
        with linked(f"redis+sentinel://{hosts}/{trio.NAME}") as link:
            assert link.call("SET", "a", 1) == b"OK"
            turn = link.turn
            trio.primary.kill()
            with pytest.raises(NotSent):
                link.call("SET", "a", 2)
            trio.wait_for_primary(trio.replica)
            assert link.call("SET", "a", 3) == b"OK"
            assert trio.replica.ask("GET", "a") == "3"
            assert link.turn > turn


def test_a_failover_that_nobody_saw_still_counts_as_another_server(tmp_path):
    with sentinel_trio(tmp_path) as trio:
        hosts = ",".join(f"{host}:{port}" for host, port in [(HOST, free_port()), *trio.addresses])
        with linked(f"redis+sentinel://{hosts}/{trio.NAME}") as link:
            assert link.call("SET", "a", 1) == b"OK"
            assert link._dialer._sentinels[0] == trio.addresses[0], "ask first whoever knew"
            since, turn = link.steady_since_ns, link.turn
            trio.primary.kill()
            trio.wait_for_primary(trio.replica)
            assert link.call("SET", "a", 2) == b"OK"
            assert link.turn == turn + 1
            assert link.steady_since_ns > since


def test_a_primary_by_name_only_is_not_believed():
    with Server() as replica:
        replica.ask("REPLICAOF", HOST, free_port())
        port = str(replica.port).encode()
        named = b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n" % (len(port), port)
        with (
            served(named) as url,
            linked(f"{url.replace('redis:', 'redis+sentinel:')}/main") as link,
            pytest.raises(NotSent, match="named as primary, but is a replica"),
        ):
            link.call("GET", "a")


def test_a_primary_that_was_made_a_replica_takes_nothing_and_is_left(tmp_path):
    with sentinel_trio(tmp_path) as trio:
        [(host, port)] = trio.addresses
        with linked(f"redis+sentinel://{host}:{port}/{trio.NAME}") as link:
            link.call("SET", "a", 1)
            trio.sentinels[0].ask("SENTINEL", "FAILOVER", trio.NAME)
            trio.wait_for_primary(trio.replica)
            try:
                link.call("SET", "a", 2)
            except NotSent:  # READONLY, unless the failover has cut the connection already
                link.call("SET", "a", 2)
            assert trio.replica.ask("GET", "a") == "2"


def test_sentinels_that_do_not_know_the_service_say_so(tmp_path):
    with (
        sentinel_trio(tmp_path) as trio,
        linked(f"redis+sentinel://{HOST}:{trio.sentinels[0].port}/other") as link,
        pytest.raises(NotSent, match="no service 'other'"),
    ):
        link.call("PING")
    with (
        linked(f"redis+sentinel://{HOST}:{shared_server().port}/main") as link,
        pytest.raises(NotSent, match="no sentinel led to the primary") as caught,
    ):
        link.call("PING")
    assert caught.value.hint == "address the sentinels, not the servers"
