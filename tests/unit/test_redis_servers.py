"""The servers that tests stand on: they start, keep what they must, and leave nobody behind."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import redis

from support.processes import ROOT, until
from support.redis_programs import Missing, find_program, lacking
from support.redis_servers import (
    Server,
    cluster_of_two,
    drop_namespace,
    fresh_namespace,
    sentinel_trio,
    shared_server,
    tls_server,
)

ENGINES = ["redis", "valkey"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_server_comes_back_with_its_data_on_the_same_port(engine, tmp_path):
    with Server(engine, {"appendonly": "yes", "appendfsync": "always"}, folder=tmp_path) as server:
        url, pid = server.url, server.pid
        server.ask("SET", "kept", "yes")
        server.kill()
        assert not server.is_alive
        server.start()
        assert (server.url, server.ask("GET", "kept")) == (url, "yes")
        assert server.pid != pid
        assert server.restart().ask("GET", "kept") == "yes"


def test_a_server_without_a_file_forgets_when_it_is_killed():
    with Server() as server:
        server.ask("SET", "lost", "yes")
        assert server.restart(kill=True).ask("GET", "lost") is None


def test_it_is_reached_with_a_password_over_a_socket_and_by_redis_cli():
    with Server(options={"requirepass": "secret"}, unix=True) as server:
        assert server.url == f"redis://:secret@127.0.0.1:{server.port}"
        with redis.Redis.from_url(server.unix_url) as client:
            assert client.set("a", "1")
        assert server.cli("GET", "a") == "1"
        with redis.Redis(port=server.port, retry=None) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("a")


def test_options_of_several_lines_are_written_as_such():
    users = ["default off", "ann on >secret ~* &* +@all"]
    with Server(options={"user": users}, user="ann", password="secret") as server:
        assert server.ask("ACL", "WHOAMI") == "ann"


def test_a_paused_server_answers_nothing_until_it_goes_on():
    with Server() as server, server.client(socket_timeout=1, retry=None) as client:
        client.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        server.wait_ready()


def test_a_server_that_cannot_start_tells_why():
    with pytest.raises(AssertionError, match="not-an-option"), Server(options={"not-an-option": "1"}):
        pass


def test_its_own_folder_goes_away_with_it():
    with Server() as server:
        assert server.folder.is_dir()
    assert not server.folder.exists()


@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_server_dies_with_the_process_that_started_it(state):
    code = f"""
        import signal
        from support.redis_servers import Server
        server = Server("valkey").start()
        if {state == "paused"}:
            server.pause()
        print(server.pid, server.folder, flush=True)
        signal.pause()
    """
    starter = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        assert starter.stdout
        pid, folder = starter.stdout.readline().split()
        assert is_there(int(pid))
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        until(lambda: not is_there(int(pid)), "the server's end")
        until(lambda: not Path(folder).exists(), "its folder to go")


def is_there(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def test_the_shared_server_is_one_and_a_namespace_is_dropped_alone():
    server = shared_server()
    assert shared_server() is server
    mine, other = fresh_namespace(), fresh_namespace()
    keys = [f"{{{mine}}}:topic:a", f"{{{other}}}:topic:a"]
    for key in keys:
        server.ask("SET", key, "1")
    drop_namespace(mine, [server])
    assert [server.ask("GET", key) for key in keys] == [None, "1"]
    drop_namespace(other, [server])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_cluster_is_whole_and_each_key_has_its_node(engine, tmp_path):
    with cluster_of_two(tmp_path, engine) as cluster:
        one, two = cluster.node_of("{a}"), cluster.node_of("{b}")
        assert {one, two} == set(cluster.nodes)
        assert one.ask("SET", "{a}:x", "1")
        with pytest.raises(redis.exceptions.MovedError):
            two.ask("GET", "{a}:x")
        with redis.RedisCluster.from_url(cluster.url, decode_responses=True) as client:
            assert client.set("{b}:x", "2")
        assert two.ask("GET", "{b}:x") == "2"


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_sentinels_make_the_replica_the_primary_and_take_the_old_one_back(count, tmp_path):
    with sentinel_trio(tmp_path, sentinels=count) as trio:
        assert trio.primary_port() == trio.primary.port
        trio.primary.kill()
        trio.wait_for_primary(trio.replica)
        assert trio.replica.ask("SET", "a", "1")
        trio.primary.start()
        trio.wait_for_primary(trio.replica)
        until(lambda: trio.primary.ask("GET", "a") == "1", "the replica")


def test_a_server_speaks_tls_to_those_who_trust_its_authority(tmp_path):
    with tls_server(tmp_path) as server:
        assert server.url.startswith("rediss://")
        assert server.ask("SET", "a", "1")
        assert server.cli("GET", "a") == "1"
        with (
            redis.Redis.from_url(server.url, retry=None) as stranger,
            pytest.raises(redis.ConnectionError, match="VERIFY"),
        ):
            stranger.ping()


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_server_skips_at_home_and_fails_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="install redis-server"):
        lacking("install redis-server")


def test_a_program_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Missing, match="Debian package redis-server"):
        find_program.__wrapped__("redis")
