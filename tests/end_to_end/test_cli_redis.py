"""The command line on a real Redis: how it is chosen, what `flowlord doctor` sees, and what is never shown."""

import re
from collections.abc import Mapping

import pytest

from support.processes import Ended, flowlord, running, until, write
from support.redis_server import Server
from support.redis_servers import free_port, fresh_namespace, shared_server

FLOW = {"workflows/a.toml": '[[phase]]\ntask = "load"\nrule = "cron=@yearly"\n'}
CANARY = "canary-7f3a"


@pytest.fixture(params=["redis", "valkey"])
def server(request):
    return shared_server(request.param)


@pytest.fixture(scope="module")
def bare():
    """A server as it comes up when nobody configured it: nothing on disk."""
    with Server() as started:
        yield started


@pytest.fixture(scope="module")
def locked():
    """A server with a password, and with a user who may not see how it is configured."""
    users = [
        f"user default on >{CANARY} ~* &* +@all",
        f"user dim on >{CANARY} ~* &* +@all -config -info -acl",
    ]
    options = {"appendonly": "yes", "user": [each.removeprefix("user ") for each in users]}
    with Server(options=options, password=CANARY) as started:
        yield started


def found(ended: Ended) -> Mapping[tuple[str, str], Mapping[str, str]]:
    return {(row["part"], row["name"]): row for row in ended.data}


def test_the_doctor_finds_nothing_wrong_with_a_durable_server(server, tmp_path):
    env = {"REDIS_URL": f"127.0.0.1:{server.port}", "FLOWLORD_NAMESPACE": fresh_namespace()}
    ended = flowlord("doctor", "redis", "clock", "--strict", "-o", "json", cwd=tmp_path, env=env)
    assert ended.code == 0, ended.out + ended.err
    assert ended.err == ""
    rows = found(ended)
    assert {"version", "role", "eviction", "memory", "durability", "bus"} <= {name for _, name in rows}
    assert rows["redis", "version"]["text"].lower().startswith(server.engine)
    assert env["FLOWLORD_NAMESPACE"] in rows["redis", "bus"]["text"]


def test_the_doctor_is_loud_about_a_server_that_keeps_nothing(bare, tmp_path):
    ended = flowlord("doctor", "redis", "--redis", bare.url, cwd=tmp_path)
    assert ended.code == 1
    assert "\nfault  redis    durability   nothing is written to disk" in ended.out
    assert "redis-cli CONFIG SET appendonly yes" in ended.out
    accepted = flowlord(
        "doctor", "redis", "--redis", bare.url, cwd=tmp_path, env={"FLOWLORD_ACCEPT_LOSS": "true"}
    )
    assert accepted.code == 0


def test_a_server_that_would_evict_tasks_is_refused_until_loss_is_accepted(tmp_path):
    write(tmp_path, FLOW)
    with Server(
        options={"appendonly": "yes", "maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}
    ) as evicts:
        for command in (["run", "workflows", "--once"], ["send", "load"], ["worker", "--types", "noop"]):
            ended = flowlord(*command, "--redis", evicts.url, cwd=tmp_path)
            assert ended.code == 3, ended.err
            assert "maxmemory-policy noeviction" in ended.err
            assert "FLOWLORD_ACCEPT_LOSS" in ended.err
            assert "Traceback" not in ended.err
        assert flowlord("topics", "--redis", evicts.url, cwd=tmp_path).code == 0
        taken = flowlord("run", "workflows", "--once", "--accept-loss", "--redis", evicts.url, cwd=tmp_path)
        assert taken.code == 0, taken.err
        doctor = flowlord("doctor", "redis", "--redis", evicts.url, "-o", "json", cwd=tmp_path)
        assert (doctor.code, found(doctor)["redis", "eviction"]["level"]) == (1, "fault")
        # What the doctor says to do is done as it says.
        [typed, *_] = found(doctor)["redis", "eviction"]["fix"].split("\n")
        evicts.cli(*typed.split()[1:])
        assert flowlord("doctor", "redis", "--redis", evicts.url, cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    "command",
    [
        ["run", "workflows"],
        ["worker", "--types", "noop"],
        ["send", "load"],
        ["tasks"],
        ["topics"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_a_server_that_is_not_there_exits_with_three_and_ways_to_go_on(command, tmp_path):
    write(tmp_path, FLOW)
    ended = flowlord(*command, "--redis", f"redis://me:{CANARY}@127.0.0.1:{free_port()}", cwd=tmp_path)
    assert ended.code == 3, ended.out + ended.err
    said = ended.err + ended.out
    assert "127.0.0.1" in said
    assert "refused" in said
    assert "redis-server" in said
    assert "Traceback" not in said
    assert CANARY not in said
    if command != ["doctor"]:
        assert "flowlord doctor redis" in said


def test_no_command_shows_a_password(locked, tmp_path):
    write(tmp_path, FLOW)
    env = {"REDIS_URL": locked.url, "FLOWLORD_NAMESPACE": fresh_namespace()}
    said = ""
    for command in (
        ["config", "-o", "table"],
        ["config", "-o", "json"],
        ["doctor"],
        ["doctor", "-o", "json"],
        ["run", "workflows", "--once", "-v"],
        ["send", "load"],
        ["topics", "-o", "json"],
    ):
        ended = flowlord(*command, cwd=tmp_path, env=env)
        assert ended.code == 0, ended.err
        said += ended.out + ended.err
    wrong = flowlord("topics", "--redis", locked.url.replace(CANARY, f"{CANARY}-wrong"), cwd=tmp_path)
    assert wrong.code == 3
    said += wrong.out + wrong.err
    assert "***" in said
    assert CANARY not in said


def test_a_user_who_may_not_see_the_settings_is_told_which_rule_is_missing(locked, tmp_path):
    url = locked.url.replace("//:", "//dim:").replace("//default:", "//dim:")
    ended = flowlord(
        "doctor", "redis", "--redis", url, "--namespace", fresh_namespace(), "-o", "json", cwd=tmp_path
    )
    assert ended.code == 0, ended.err
    rows = found(ended)
    assert "+config|get" in rows["redis", "sight-config"]["fix"]
    assert "+info" in rows["redis", "sight-info"]["fix"]
    assert rows["redis", "durability"]["level"] == "warn"


def test_namespaces_on_one_server_do_not_see_each_other(tmp_path):
    server = shared_server("valkey")
    one, two = fresh_namespace(), fresh_namespace()
    write(tmp_path, FLOW)
    sent = flowlord("send", "load", "a", "--redis", server.url, "--namespace", one, cwd=tmp_path)
    assert sent.code == 0, sent.err

    def names(namespace: str) -> list[str]:
        ended = flowlord(
            "topics", "-o", "name", "--redis", server.url, "--namespace", namespace, cwd=tmp_path
        )
        assert ended.code == 0, ended.err
        return ended.out.split()

    assert names(one) == ["load"]
    assert names(two) == []
    wrong = flowlord("topics", "--redis", server.url, "--namespace", "{x}", cwd=tmp_path)
    assert (wrong.code, "is no namespace" in wrong.err) == (2, True)


def test_two_daemons_with_different_files_are_told_apart(tmp_path):
    server = shared_server("redis")
    env = {"FLOWLORD_REDIS_URL": server.url, "FLOWLORD_NAMESPACE": fresh_namespace()}
    write(tmp_path, {**FLOW, "other/b.toml": '[[phase]]\ntask = "mail"\nrule = "cron=@yearly"\n'})
    with (
        running("run", "workflows", "--no-cache", cwd=tmp_path, env=env) as one,
        running("run", "other", "--no-cache", cwd=tmp_path, env=env) as two,
    ):
        one.says("history    off")
        two.says("history    off")

        def alive() -> Ended | None:
            ended = flowlord("workers", "-o", "json", cwd=tmp_path, env=env)
            assert ended.code == 0, ended.err
            return ended if len(ended.data) == 2 else None

        ended = until(alive, "two taskmasters")
        assert {row["kind"] for row in ended.data} == {"taskmaster"}
        assert len({row["revision"] for row in ended.data}) == 2
        assert "different workflow files" in ended.err
        rows = found(flowlord("doctor", "workers", "-o", "json", cwd=tmp_path, env=env))
        assert rows["workers", "revisions"]["level"] == "warn"
        assert rows["workers", "taskmasters"]["level"] == "ok"


def test_a_file_that_was_sent_in_part_says_how_much_and_goes_on_under_its_key(tmp_path):
    """The second part does not fit: what was accepted is said, and sent again under the key it is not sent twice."""
    (tmp_path / "rows").write_text("".join(f"{n}-{'x' * 2_000}\n" for n in range(4_000)))
    with Server(options={"appendonly": "yes"}) as small:
        send = ["send", "load", "--from-file", "rows", "--key", "k", "--redis", small.url]
        used = int(small.client().info("memory")["used_memory"])
        small.ask("CONFIG", "SET", "maxmemory", used + 9_000_000)
        ended = flowlord(*send, cwd=tmp_path)
        assert ended.code == 3, ended.err
        sent = int(re.search(r"only (\d+) of 4000 tasks were sent", ended.err)[1])
        assert 0 < sent < 4_000
        small.ask("CONFIG", "SET", "maxmemory", 0)
        ended = flowlord(*send, cwd=tmp_path)
        assert ended.code == 0, ended.err
        assert int(small.ask("XLEN", "{flowlord}:topic:load")) == 4_000
