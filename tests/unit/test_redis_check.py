"""What a Redis server tells of itself, and what is found in it; the texts were recorded from real servers."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowlord.bus.redis_check import check, durability, inspect, refuse
from flowlord.bus.redis_errors import NotSent, ServerError
from flowlord.bus.redis_facts import ASKED, ServerFacts, facts_of, read_facts
from flowlord.model.errors import BusUnusable
from flowlord.model.finding import Level
from support.clock import VirtualClock

RECORDED = Path(__file__).parent / "recorded"
OK, WARN, FAULT, REFUSE = Level.OK, Level.WARN, Level.FAULT, Level.REFUSE


def told(engine: str, what: str) -> dict[str, str]:
    sign = ":" if what == "info" else " "
    lines = (RECORDED / f"{engine}-{what}.txt").read_text("utf-8").splitlines()
    return dict(line.partition(sign)[::2] for line in lines if line and not line.startswith("#"))


def facts(engine="redis", *, skew_us=0, database=0, hidden=(), **changed: str) -> ServerFacts:
    """What a server told, with some of it changed; `_` stands for `-` in names of CONFIG."""
    info, config = told(engine, "info"), told(engine, "config")
    for name, value in changed.items():
        setting = name.replace("_", "-")
        if setting in config:
            config[setting] = value
        else:
            assert name in info or name.startswith("master_"), name
            info[name] = value
        if name == "maxmemory_policy":
            info[name] = value
        if name == "maxmemory":
            info[name] = value
    if "info" in hidden:
        info = {}
    if "config" in hidden:
        config = {}
    return read_facts(info, config, skew_us, database=database, hidden=frozenset(hidden))


def found(name: str, *, accept_loss=False, **changed):
    """The one finding of this name."""
    [one] = [each for each in check(facts(**changed), accept_loss=accept_loss) if each.name == name]
    return one


def names(**changed) -> set[str]:
    return {each.name for each in check(facts(**changed), accept_loss=False)}


@pytest.mark.parametrize(("engine", "name"), [("redis", "Redis 7.0.15"), ("valkey", "Valkey 9.1.2")])
def test_a_server_set_up_well_has_nothing_to_mend(engine, name):
    all_found = check(facts(engine), accept_loss=False)
    assert {each.level for each in all_found} == {OK}
    assert found("version", engine=engine).text == name
    refuse(all_found, "redis://h")


def test_the_facts_of_a_recorded_server():
    seen = facts("valkey", maxmemory="1048576", connected_slaves="2", save="3600 1")
    assert (seen.engine, seen.version) == ("Valkey", (9, 1, 2))
    assert (seen.role, seen.replicas, seen.is_cluster) == ("master", 2, False)
    assert (seen.policy, seen.max_memory, seen.used_memory) == ("noeviction", 1 << 20, seen.used_memory)
    assert (seen.has_aof, seen.fsync, seen.saves) == (True, "everysec", "3600 1")
    assert seen.used_memory > 0
    assert seen.max_clients == 10_000


@pytest.mark.parametrize("version", ["6.2.14", "5.0.7", "6.9.9"])
def test_a_redis_before_7_is_refused(version):
    one = found("version", redis_version=version)
    assert one.level is REFUSE
    assert version in one.text
    with pytest.raises(BusUnusable, match="too old") as refused:
        refuse([one], "redis://h:1")
    assert "redis://h:1" in str(refused.value)


@pytest.mark.parametrize("version", ["7.0.0", "7.4.1", "8.2.0", "10.0.0"])
def test_later_ones_are_taken(version):
    assert found("version", redis_version=version).level is OK


def test_any_valkey_is_taken_whatever_redis_it_passes_for():
    assert found("version", engine="valkey", valkey_version="7.2.5", redis_version="6.0.0").level is OK


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_a_policy_that_evicts_is_refused_unless_loss_is_accepted(policy):
    evicts = {"maxmemory_policy": policy, "maxmemory": "104857600"}
    one = found("eviction", **evicts)
    assert one.level is REFUSE
    assert policy in one.text
    assert "100 MiB" in one.text
    assert "redis-cli CONFIG SET maxmemory-policy noeviction" in one.fix
    assert "redis.conf: maxmemory-policy noeviction" in one.fix
    with pytest.raises(BusUnusable) as refused:
        refuse([one], "redis://h")
    assert "FLOWLORD_ACCEPT_LOSS=true" in refused.value.hint
    assert found("eviction", accept_loss=True, **evicts).level is WARN
    assert found("eviction", maxmemory_policy=policy, maxmemory="0").level is WARN
    assert found("eviction", maxmemory="104857600").level is OK


@pytest.mark.parametrize(
    ("changed", "row", "level", "words"),
    [
        ({"appendfsync": "always"}, "aof always", OK, "nothing is lost"),
        ({"appendfsync": "everysec"}, "aof everysec", OK, "2 s"),
        ({"appendfsync": "no"}, "aof no", WARN, "kernel"),
        ({"aof_enabled": "0", "save": "3600 1 300 100"}, "rdb", WARN, "3600 1 300 100"),
        ({"aof_enabled": "0", "save": ""}, "nothing on disk", FAULT, "loses every task"),
        ({"aof_enabled": "0", "hidden": ("config",)}, "unknown", WARN, "AOF is off"),
        ({"hidden": ("config",)}, "aof", WARN, "how often"),
        ({"hidden": ("info", "config")}, "unknown", WARN, "cannot be seen"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_on_disk_is_told_row_by_row(changed, row, level, words):
    assert durability(facts(**changed)) == row
    one = found("durability", **changed)
    assert one.level is level
    assert words in one.text
    assert not one.text.startswith(" ")


def test_a_bare_redis_is_loud_and_not_refused_and_quieter_when_loss_is_accepted():
    bare = {"aof_enabled": "0", "save": ""}
    refuse(check(facts(**bare), accept_loss=False), "redis://h")
    one = found("durability", **bare)
    assert one.level.is_bad
    assert "redis-cli CONFIG SET appendonly yes" in one.fix
    assert found("durability", accept_loss=True, **bare).level is WARN


def test_writes_that_failed_are_faults():
    assert found("writes", aof_last_write_status="err").level is FAULT
    assert found("snapshot", rdb_last_bgsave_status="err", save="60 1").level is FAULT
    # Redis goes on writing when no snapshots were asked for, or when it was told to.
    assert found("snapshot", rdb_last_bgsave_status="err", save="").level is WARN
    going_on = {"save": "60 1", "stop_writes_on_bgsave_error": "no"}
    assert found("snapshot", rdb_last_bgsave_status="err", **going_on).level is WARN
    assert {"writes", "snapshot", "loading"}.isdisjoint(names())
    assert found("loading", loading="1").level is WARN


@pytest.mark.parametrize(
    ("used", "limit", "level"),
    [("50", "100", OK), ("80", "100", OK), ("81", "100", WARN), ("100", "100", FAULT), ("130", "100", FAULT)],
)
def test_memory_is_compared_to_its_limit(used, limit, level):
    assert found("memory", used_memory=used, maxmemory=limit).level is level


def test_without_a_limit_memory_is_compared_to_the_machine():
    assert found("memory", used_memory="90", total_system_memory="100").level is WARN
    assert "machine" in found("memory").text
    assert found("memory", hidden=("info",)).level is OK


def test_a_replica_is_refused_and_names_its_primary():
    one = found("role", role="slave", master_host="10.0.0.7", master_port="6380")
    assert one.level is REFUSE
    assert "10.0.0.7:6380" in one.text
    assert found("role", role="sentinel").level is REFUSE


def test_replicas_without_a_floor_get_a_hint():
    assert "replicas" not in names()
    one = found("replicas", connected_slaves="1")
    assert one.level is WARN
    assert "min-replicas-to-write 1" in one.fix
    assert found("replicas", connected_slaves="2", min_replicas_to_write="1").level is OK


def test_a_cluster_has_no_other_database():
    assert "cluster" not in names()
    assert found("cluster", cluster_enabled="1").level is OK
    assert found("cluster", cluster_enabled="1", database=2).level is REFUSE


def test_connections_that_run_out_are_told():
    assert "clients" not in names(connected_clients="8000")
    assert found("clients", connected_clients="8001").level is WARN


@pytest.mark.parametrize(
    ("skew_s", "level"), [(0, OK), (5, OK), (-5, OK), (6, WARN), (-59, WARN), (61, FAULT), (-3600, FAULT)]
)
def test_clocks_that_are_apart_are_told_the_louder_the_further(skew_s, level):
    one = found("skew", skew_us=skew_s * 1_000_000)
    assert one.level is level
    if level is not OK:
        assert ("ahead of" if skew_s > 0 else "behind") in one.text


def test_what_is_hidden_is_told_with_the_rule_that_shows_it():
    for name, rule in (("info", "+info"), ("config", "+config|get"), ("time", "+time")):
        one = found(f"sight-{name}", hidden=(name,), skew_us=None if name == "time" else 0)
        assert one.level is WARN
        assert rule in one.fix
    nothing = check(facts(hidden=("info", "config")), accept_loss=False)
    assert {
        each.level for each in nothing if not each.name.startswith(("sight", "memory", "role", "skew"))
    } == {WARN}
    refuse(nothing, "redis://h")


class Answers:
    """A server that answers from what was recorded; the commands in `denied` raise `error`."""

    def __init__(self, clock, *, denied=(), error=None, ahead_s=0.0):
        self.clock, self.denied, self.error, self.ahead_s = clock, denied, error, ahead_s
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *words):
        self.asked.append(words)
        self.clock.advance(0.2)
        if words[0] in self.denied:
            raise self.error
        match words[0]:
            case "INFO":
                return (RECORDED / "redis-info.txt").read_bytes().replace(b"\n", b"\r\n")
            case "TIME":
                us = round((self.clock.now().timestamp() - 0.1 + self.ahead_s) * 1e6)
                return [str(us // 1_000_000).encode(), str(us % 1_000_000).encode()]
            case "CONFIG":
                assert words[1:] == ("GET", *ASKED)
                return [word.encode() for pair in told("redis", "config").items() for word in pair]
        raise AssertionError(words)


@pytest.fixture
def clock():
    return VirtualClock(datetime(2026, 8, 1, tzinfo=UTC))


def test_three_commands_tell_everything(clock):
    server = Answers(clock, ahead_s=7.5)
    seen = facts_of(server, clock=clock)
    assert len(server.asked) == 3
    assert seen == facts(skew_us=7_500_000)


@pytest.mark.parametrize("denied", [("INFO",), ("CONFIG",), ("CONFIG", "TIME"), ("INFO", "CONFIG", "TIME")])
@pytest.mark.parametrize(
    "error", [NotSent("this user may not do that (NOPERM ...)"), ServerError("ERR unknown command 'CONFIG'")]
)
def test_a_command_that_is_not_allowed_is_no_error(clock, denied, error):
    seen = facts_of(Answers(clock, denied=denied, error=error), clock=clock)
    assert seen.hidden == {word.lower() for word in denied}


def test_a_server_that_does_not_answer_is_an_error_at_once(clock):
    server = Answers(clock, denied=("INFO",), error=NotSent("connection refused"))
    with pytest.raises(NotSent, match="refused"):
        facts_of(server, clock=clock)
    assert len(server.asked) == 1


def test_inspect_asks_and_judges(clock):
    assert {each.name for each in inspect(Answers(clock))} >= {"version", "eviction", "durability"}
