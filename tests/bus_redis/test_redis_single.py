"""A commit of one message has a script of its own, which must leave behind what the one for many would."""

import os
from contextlib import closing, suppress
from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.given import LEASE, LEASE_S
from flowlord.bus import redis_single
from flowlord.bus.redis import RedisBus
from flowlord.bus.redis_errors import ServerError
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.message import Message, Report
from flowlord.model.plan import Commit, Fact, FactKind, Mark, Plan
from flowlord.model.task import Task
from support.clock import VirtualClock
from support.redis_servers import drop_namespace, fresh_namespace, shared_server

TOPICS = ["load", "load:late", "done", "a/b", "é"]
texts = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(['"', "\\", "\n", "\u2028", "%b"])
EXAMPLES = int(os.environ.get("FLOWLORD_TEST_SINGLE", "12"))


@st.composite
def messages(draw):
    topic = draw(st.sampled_from(TOPICS))
    task = Task(type=topic, info=draw(texts), meta=draw(texts))
    return Message(
        topic,
        task,
        draw(texts),
        draw(st.sampled_from([5, 5, 5, 0, 7, 10])),
        draw(st.sampled_from([None] * 5 + [VirtualClock().now() + timedelta(seconds=99)])),
        draw(st.sampled_from([0, 0, 7])),
        draw(texts),
        "r",
        draw(texts),
        draw(st.sampled_from(["", "b"])),
        draw(st.sampled_from([None, None, Report("w", 2, output='"é')])),
        draw(st.sampled_from([""] * 5 + ["g"])),
    )


@st.composite
def commits(draw):
    """Nearly always of one message: whose script it is must not show."""
    found = tuple(draw(st.lists(messages(), min_size=1, max_size=draw(st.sampled_from([1, 1, 1, 2])))))
    facts = draw(st.sampled_from([(), (), (Fact(FactKind.DONE, "k", text='"é'),)]))
    marks = draw(st.sampled_from([()] * 5 + [(Mark("m", None, "1", 30),)]))
    outcomes = draw(st.sampled_from([()] * 5 + [("o",)]))
    return Commit(Plan(publish=found, facts=facts), (), marks, outcomes)


STEPS = st.one_of(
    commits(),
    st.tuples(st.sampled_from(["end", "end", "end again"]), commits(), st.integers(0, 3)),
    st.tuples(st.just("claim"), st.lists(st.sampled_from(TOPICS), min_size=1, max_size=2, unique=True)),
    st.tuples(st.just("release"), st.integers(0, 3), st.sampled_from([0, 20_000_000_000])),
    st.tuples(st.sampled_from(["time", "reclaim", "promote", "sweep", "no stream", "last id", "foreign"])),
)


START = Commit(Plan(publish=(Message("load", Task(type="load", info="x"), "k"),)))
BEGINS = st.sampled_from(
    [
        (),
        (START, ("claim", ["load"])),
        (START, ("claim", ["load"]), ("reclaim",), ("time",), ("reclaim",)),
        (
            START,
            ("claim", ["load"]),
            ("reclaim",),
            ("time",),
            ("reclaim",),
            ("release", 0, 0),
            ("claim", ["load"]),
        ),
    ]
)


class One:
    """A bus of its own, on which steps are done; `answers` are without what is chance."""

    def __init__(self, server, namespace):
        self.clock, self.namespace = VirtualClock(), namespace
        self.bus = RedisBus(server.url, by="tester", clock=self.clock, namespace=namespace)
        self.bus._core._self = "same"  # names commits and leases
        look = self.bus._sightings.look  # a machine that stands still for a while is no break here
        self.bus._sightings.look = lambda *args, **_: look(*args, steady_since_ns=0)
        self.held, self.ended, self.answers = [], [], []

    def do(self, step):
        self.answers.append(self._do(step))

    def _do(self, step):
        bus, topic = self.bus, f"{{{self.namespace}}}:topic:load"
        match step:
            case Commit():
                return self._land(step)
            case ("end" | "end again" as how, commit, n):
                some = self.held if how == "end" else self.ended
                if not some:
                    return None
                held = some.pop(n % len(some))
                self.ended.append(held)
                return self._land(msgspec.structs.replace(commit, acknowledge=(held,)))
            case ("claim", topics):
                found = bus.claim(topics, "me", 2, lease_ns=LEASE)
                self.held += found
                return found
            case ("release", n, delay_ns):
                if self.held:
                    bus.release([self.held.pop(n % len(self.held))], delay_ns=delay_ns)
            case ("time",):
                self.clock.advance(LEASE_S + 1)
            case ("reclaim",):
                found = bus.reclaim("reaper", 1, lease_ns=LEASE)
                self.held += found
                return found
            case ("promote",):
                return bus.promote()
            case ("sweep",):
                bus.sweep()
            case ("no stream",):
                self._call("SET", topic, "x", "NX")
            case ("last id",):
                last = f"{(1 << 64) - 1}-{(1 << 64) - 1}"
                self._call("XADD", topic, last, "task", '{"type":"load","info":"f"}')
            case ("foreign",):
                # Another band, of which nobody told us.
                self._call("XADD", f"{topic}:high", "5-5", "x", "1")
        return None

    def _call(self, *words):
        """Do what somebody else does; whether it works depends on what is there."""
        with suppress(ServerError):
            self.bus._link.call(*words)

    def _land(self, commit):
        try:
            [answer] = self.bus.commit_many([commit])
        except (LeaseLost, Refused) as error:
            answer = error
        return f"{type(answer).__name__}: {answer}"

    def everything(self):
        """All that is on the server, but for the answers to commits, which single ones do without."""
        link, start = self.bus._link, len(self.bus._core.prefix)
        found = {}
        for key in sorted(link.call("KEYS", self.bus._core.prefix + "*")):
            name = key.decode()[start:]
            read = {
                b"string": ("GET", key),
                b"hash": ("HGETALL", key),
                b"set": ("SMEMBERS", key),
                b"zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
                b"list": ("LRANGE", key, 0, -1),
                b"stream": ("XRANGE", key, "-", "+"),
            }[link.call("TYPE", key)]
            value = link.call(*read)
            if read[0] == "HGETALL":
                value = dict(zip(value[::2], value[1::2], strict=True))
            if name == "state":
                del value[b"generation"]
            if name not in ("commits", "bell"):
                found[name] = sorted(value) if read[0] == "SMEMBERS" else value
        return found


@given(BEGINS, st.lists(STEPS, min_size=2, max_size=12))
@settings(max_examples=EXAMPLES)
def test_one_message_lands_as_if_it_were_one_of_many(begin, steps):
    server, names = shared_server("redis"), (fresh_namespace(), fresh_namespace())
    real = redis_single.pack
    alone, among = (One(server, name) for name in names)
    try:
        with closing(alone.bus), closing(among.bus):
            for step in (*begin, *steps):
                alone.do(step)
                redis_single.pack = lambda *args: []
                try:
                    among.do(step)
                finally:
                    redis_single.pack = real
                assert alone.answers == among.answers
            assert alone.everything() == among.everything()
    finally:
        for name in names:
            drop_namespace(name, [server])
