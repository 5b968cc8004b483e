"""Whether a Redis server is set up to keep what it accepts: from what it tells of itself to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from flowlord.bus.redis_facts import ServerFacts, facts_of
from flowlord.model.errors import BusUnusable
from flowlord.model.finding import Finding, Level

if TYPE_CHECKING:
    from flowlord.bus.redis_link import Reply

OLDEST: Final = (7, 0)
FULL: Final = 0.8
"""Share of memory or connections from which a limit is near."""
SKEW_S: Final = 5
BAD_SKEW_S: Final = 60


def inspect(
    call: Callable[..., Reply], *, accept_loss: bool = False, database: int = 0
) -> tuple[Finding, ...]:
    """Ask a server and return what is found; `call` as in `facts_of`."""
    return check(facts_of(call, database=database), accept_loss=accept_loss)


def check(facts: ServerFacts, *, accept_loss: bool) -> tuple[Finding, ...]:
    """Return one finding for each thing that matters, in the order in which to mend them.

    With `accept_loss` a server that may lose tasks is a warning: somebody said that they may be lost.
    """
    found = [
        *_seen(facts),
        _version(facts),
        _role(facts),
        _eviction(facts, accept_loss),
        _memory(facts),
        _durability(facts, accept_loss),
        *_writes(facts),
        *_replicas(facts),
        *_cluster(facts),
        *_clients(facts),
        *skew(facts.skew_us),
    ]
    return tuple(found)


def refuse(findings: Sequence[Finding], shown: str) -> None:
    """Raise when a server must not be used.

    Args:
        shown: its address without secrets.
    Raises:
        BusUnusable: with the reason, and what to do as its hint.
    """
    for found in findings:
        if found.level is Level.REFUSE:
            way_out = ["FLOWLORD_ACCEPT_LOSS=true   # use it as it is"] if found.name == "eviction" else []
            hint = "\n        ".join([*found.fix.split("\n"), *way_out])
            raise BusUnusable(f"the bus at {shown} is refused: {found.text}", hint=hint)


def refuse_crowd(facts: ServerFacts, hosts: int, shown: str) -> None:
    """Raise BusUnusable when an address names several servers that are no cluster: each would be a bus of its own."""
    if hosts > 1 and not facts.is_cluster and "info" not in facts.hidden:
        raise BusUnusable(
            f"the bus at {shown} is refused: several servers that are no cluster would be several buses",
            hint="name one of them, or their sentinels: redis+sentinel://host:26379/name",
        )


def durability(facts: ServerFacts) -> str:
    """Return in a few words how writes are kept.

    One of `aof always`, `aof everysec`, `aof no`, `aof`, `rdb`, `nothing on disk`, `unknown`.
    """
    if facts.has_aof:
        return f"aof {facts.fsync}".rstrip()
    if facts.has_aof is None or facts.saves is None:
        return "unknown"
    return "rdb" if facts.saves else "nothing on disk"


def described(facts: ServerFacts, *, accept_loss: bool) -> dict[str, str]:
    """Return what `Bus.describe` tells of a server; `note` is what is wrong with its settings, when anything is."""
    wrong = "; ".join(
        each.text for each in check(facts, accept_loss=accept_loss) if each.level is not Level.OK
    )
    told = {"engine": facts.name, "durability": durability(facts)}
    return told | ({"note": wrong} if wrong else {})


def skew(skew_us: int | None) -> Iterator[Finding]:
    """Tell how far the clocks of the server and of this machine are apart; None when that is not known."""
    if skew_us is None:
        return
    away_s = abs(skew_us) / 1e6
    if away_s <= SKEW_S:
        yield Finding("skew", Level.OK, f"the server's clock and the one here are {away_s:.1f} s apart")
        return
    text = f"the server's clock is {away_s:,.1f} s {'ahead of' if skew_us > 0 else 'behind'} the one here"
    cost = "cron starts go by the clock of the daemon, delays and retries by the server's"
    level = Level.FAULT if away_s > BAD_SKEW_S else Level.WARN
    yield Finding("skew", level, f"{text}: {cost}", "timedatectl set-ntp true   # on both machines")


def _setting(name: str, value: str) -> str:
    return f"redis-cli CONFIG SET {name} {value}\nredis.conf: {name} {value}"


def _seen(facts: ServerFacts) -> Iterator[Finding]:
    words = {
        "info": ("INFO", "version, memory, role and persistence", "+info"),
        "config": ("CONFIG GET", "how often AOF is synced, and whether snapshots are made", "+config|get"),
        "time": ("TIME", "how far its clock is off", "+time"),
    }
    for name in words:
        if name in facts.hidden:
            command, lost, rule = words[name]
            yield Finding(
                f"sight-{name}",
                Level.WARN,
                f"{command} is not allowed to this user, so {lost} cannot be seen",
                f"redis-cli ACL SETUSER NAME {rule}",
            )


def _version(facts: ServerFacts) -> Finding:
    if not facts.version:
        return Finding("version", Level.WARN, "the version cannot be seen; Redis 7.0 or any Valkey is needed")
    if facts.engine == "Redis" and facts.version[:2] < OLDEST:
        text = f"{facts.name} is too old: flowlord needs Redis 7.0 or later, or Valkey"
        return Finding("version", Level.REFUSE, text, "apt-get install redis-server   # Debian 12 has 7.0")
    return Finding("version", Level.OK, facts.name)


def _role(facts: ServerFacts) -> Finding:
    if facts.role == "master":
        return Finding("role", Level.OK, "primary")
    if facts.role == "slave":
        text = f"this server is a replica of {facts.primary}, which takes no writes"
        return Finding("role", Level.REFUSE, text, f"flowlord run --bus redis://{facts.primary}")
    text = f"this server is a {facts.role}, which holds no data"
    return Finding("role", Level.REFUSE, text, "flowlord run --bus redis+sentinel://HOST:26379/SERVICE")


def _eviction(facts: ServerFacts, accept_loss: bool) -> Finding:
    if not facts.policy:
        return Finding("eviction", Level.WARN, "whether tasks are evicted when memory is full cannot be seen")
    if facts.policy == "noeviction":
        return Finding(
            "eviction", Level.OK, "noeviction: when memory is full, new work is refused and none is lost"
        )
    fix = _setting("maxmemory-policy", "noeviction")
    if not facts.max_memory:
        text = (
            f"{facts.policy}: nothing is evicted as long as maxmemory is 0; with a limit, tasks would vanish"
        )
        return Finding("eviction", Level.WARN, text, fix)
    text = f"{facts.policy} with maxmemory {_size(facts.max_memory)}: when memory is full, tasks vanish without a word"
    return Finding("eviction", Level.WARN if accept_loss else Level.REFUSE, text, fix)


def _memory(facts: ServerFacts) -> Finding:
    limit = facts.max_memory or facts.system_memory
    of = "maxmemory" if facts.max_memory else "the machine's memory"
    if not limit:
        return Finding("memory", Level.OK, f"{_size(facts.used_memory)} used")
    text = f"{_size(facts.used_memory)} of {_size(limit)} ({of}) used"
    if facts.used_memory >= limit:
        text += ": full, so new work is refused; results are still taken"
        return Finding("memory", Level.FAULT, text, _setting("maxmemory", str(2 * limit)))
    if facts.used_memory > FULL * limit:
        text += ": when it is full, new work is refused"
        return Finding("memory", Level.WARN, text, "flowlord topics   # what waits, and where")
    return Finding("memory", Level.OK, text)


def _durability(facts: ServerFacts, accept_loss: bool) -> Finding:
    aof = "redis-cli CONFIG SET appendonly yes\nredis.conf: appendonly yes"
    match durability(facts):
        case "aof always":
            return Finding(
                "durability", Level.OK, "AOF, synced before each answer: nothing is lost at a power cut"
            )
        case "aof everysec":
            text = "AOF, synced every second: a power cut costs up to about 2 s of the newest writes"
            return Finding(
                "durability", Level.OK, text, "redis.conf: appendfsync always   # to lose nothing, slower"
            )
        case "aof no":
            text = "AOF, synced when the kernel likes to: a power cut costs 30 s of the newest writes or more"
            return Finding("durability", Level.WARN, text, _setting("appendfsync", "everysec"))
        case "aof":
            return Finding("durability", Level.WARN, "AOF is on; how often it is synced cannot be seen")
        case "rdb":
            text = f"snapshots only (save {facts.saves}): a crash costs everything since the last one"
            return Finding("durability", Level.WARN, text, aof)
        case "nothing on disk":
            text = "nothing is written to disk: a restart of the server loses every task"
            return Finding("durability", Level.WARN if accept_loss else Level.FAULT, text, aof)
        case _:
            off = " AOF is off, and" if facts.has_aof is False else ""
            return Finding("durability", Level.WARN, f"{off} what is written to disk cannot be seen".strip())


def _writes(facts: ServerFacts) -> Iterator[Finding]:
    if facts.is_loading:
        yield Finding("loading", Level.WARN, "the server still reads its data and answers when it is done")
    if not facts.aof_writes_ok:
        text = "the last write to the AOF failed: the server refuses writes (MISCONF)"
        yield Finding("writes", Level.FAULT, text, "df -h   # its disk; then its log")
    if not facts.snapshots_ok:
        level = Level.FAULT if facts.stops_writes and facts.saves != "" else Level.WARN
        cost = ": the server refuses writes (MISCONF)" if level is Level.FAULT else ""
        yield Finding(
            "snapshot",
            level,
            f"the last snapshot failed{cost}",
            "df -h   # its disk; then its log\nsysctl vm.overcommit_memory=1   # when it cannot fork\n"
            "redis-cli BGSAVE   # try again",
        )


def _replicas(facts: ServerFacts) -> Iterator[Finding]:
    if not facts.replicas or "config" in facts.hidden:
        return
    told = f"{facts.replicas} {'replica' if facts.replicas == 1 else 'replicas'}"
    if facts.replicas_to_write:
        text = f"{told}; writes need {facts.replicas_to_write} of them that keep up"
        yield Finding("replicas", Level.OK, text)
        return
    text = f"{told}, and writes wait for none: a failover may lose the newest, and a cut-off primary goes on alone"
    yield Finding("replicas", Level.WARN, text, _setting("min-replicas-to-write", "1"))


def _cluster(facts: ServerFacts) -> Iterator[Finding]:
    if not facts.is_cluster:
        return
    if facts.database:
        text = f"a cluster has database 0 only, not {facts.database}"
        yield Finding(
            "cluster", Level.REFUSE, text, "flowlord run --namespace NAME   # instead of a database"
        )
        return
    yield Finding("cluster", Level.OK, "cluster; a namespace lies on one of its nodes")


def _clients(facts: ServerFacts) -> Iterator[Finding]:
    if facts.max_clients and facts.clients > FULL * facts.max_clients:
        text = f"{facts.clients:,} of {facts.max_clients:,} connections (maxclients) are in use"
        yield Finding("clients", Level.WARN, text, _setting("maxclients", str(2 * facts.max_clients)))


def _size(size: int) -> str:
    """Return bytes as people say them: `512 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size //= 1024
    return f"{size:,.0f} GiB" if size < 1024 else f"{size / 1024:,.1f} TiB"
