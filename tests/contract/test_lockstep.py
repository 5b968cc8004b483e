"""Memory, SQLite and Redis side by side: whatever is done to all, in whatever order, all answer the same."""

import os
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from contract.given import LEASE
from flowlord.bus.memory import MemoryBus
from flowlord.bus.port import Move, Presence
from flowlord.bus.redis import RedisBus
from flowlord.bus.sqlite import SqliteBus
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.message import SAME, Message
from flowlord.model.plan import ANY, Commit, Committed, Fact, FactKind, FrozenBatch, Mark, Plan, Quarantined
from flowlord.model.task import Task
from support.clock import VirtualClock
from support.quick import quick_folder
from support.redis_servers import Missing, drop_namespace, find_program, fresh_namespace, shared_server

TOPICS = st.sampled_from(["extract", "load", "done"])
KEYS = st.sampled_from([f"k{n}" for n in range(12)])
VALUES = st.sampled_from(["1", "2", "3"])
LASTING = st.sampled_from([0, 30])
MARKS = st.one_of(
    st.builds(
        Mark, st.sampled_from(["m1", "m2"]), st.one_of(st.none(), st.just(ANY), VALUES),
        st.one_of(st.none(), VALUES), LASTING,
    ),
    # How far a frozen batch is, the bus alone writes down; others ask.
    st.builds(Mark, st.just("batch:b1"), st.one_of(st.none(), VALUES), st.none(), LASTING),
)  # fmt: skip
CREATED = "2026-08-01T05:00:00Z"
IDENTITIES = st.sampled_from(
    [Task(type="extract", info="", id=f"{n}", created=CREATED).identity for n in range(4)]
)
OUTCOMES = st.lists(st.one_of(st.sampled_from([f"o{n}" for n in range(6)]), IDENTITIES), max_size=2).map(
    tuple
)
GROUPS = ("g1", "g2")
HOLDS = st.sampled_from(["", "", *GROUPS, SAME])
SIZES = st.integers(0, 4)


@st.composite
def sent(draw, now):
    """A message, due now or some time around now."""
    due = draw(st.one_of(st.none(), st.integers(-10, 90).map(lambda s: now + timedelta(seconds=s))))
    topic = draw(TOPICS)
    info = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=4))
    task = Task(type=topic, info=info, id=draw(st.sampled_from(["", *"0123"])), created=CREATED)
    return Message(topic, task, draw(KEYS), draw(st.integers(0, 10)), due, holds=draw(HOLDS))


def plain(value):
    """An answer without what is chance (tokens, names of commits) and without the names of entries."""
    match value:
        case Refused():
            return ("refused", value.mark, value.found)
        case LeaseLost():
            return ("lost",)
        case Committed():
            return ("committed", value.duplicate)
        case list():
            return [plain(item) for item in value]
        case msgspec.Struct():
            chance = {"token", "commit", "entry"} & set(value.__struct_fields__)
            return msgspec.structs.replace(value, **dict.fromkeys(chance, ""))
    return value


def entries(value):
    """The names of the entries that an answer tells of, in its order."""
    if isinstance(value, list):
        return [entry for item in value for entry in entries(item)]
    return [value.entry] if hasattr(value, "entry") else []


def in_order(found):
    """What was found, by what it shows. Of those that look alike nobody knows which is which: they lose their names."""
    looks = [(msgspec.json.encode(plain(seen)), seen) for seen in found]
    times = Counter(look for look, _ in looks)
    return [
        seen if times[look] == 1 else plain(seen) for look, seen in sorted(looks, key=lambda pair: pair[0])
    ]


class SameEntries:
    """Holds an adapter to the names that another one gives: the same entry under each name, and one name at a time.

    A message may get a new name when it moves; a name never passes on to another message.
    """

    def __init__(self):
        self.other_name = {}

    def check(self, names, others):
        assert len(names) == len(others)
        pairs = {(name, other) for name, other in zip(names, others, strict=True) if name and other}
        assert len({name for name, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)
        for name, other in pairs:
            assert self.other_name.setdefault(name, other) == other


def here():
    """A server for this process: the machine's Redis, else the Valkey that comes with the tests."""
    try:
        find_program("redis")
    except Missing:
        return shared_server("valkey")
    return shared_server("redis")


class Lockstep(RuleBasedStateMachine):
    held = Bundle("held")

    @initialize()
    def open(self):
        self.clock = VirtualClock()
        self.ending = ExitStack()
        folder = self.ending.enter_context(quick_folder())
        server, namespace = here(), fresh_namespace()
        self.ending.callback(drop_namespace, namespace, [server])
        self.buses = [
            MemoryBus(self.clock, by="tester"),
            SqliteBus(folder / "bus.db", by="tester", clock=self.clock),
            RedisBus(server.url, by="tester", clock=self.clock, namespace=namespace),
        ]
        self.same = SameEntries()
        for bus in self.buses:
            self.ending.callback(bus.close)

    def teardown(self):
        self.ending.close()

    def everywhere(self, do):
        """Do it to all; what they answer must be the same. Memory and SQLite even give the same names to entries."""
        answers = [do(bus, place) for place, bus in enumerate(self.buses)]
        memory, sqlite, redis = answers
        assert plain(memory) == plain(sqlite) == plain(redis)
        assert entries(memory) == entries(sqlite)
        self.same.check(entries(redis), entries(memory))
        return answers

    @rule(data=st.data(), size=SIZES)
    def publish(self, data, size):
        messages = [data.draw(sent(self.clock.now())) for _ in range(size)]
        self.everywhere(lambda bus, _: bus.publish(messages))

    @rule(target=held, topics=st.lists(TOPICS, max_size=3), consumer=st.sampled_from("ab"), limit=SIZES)
    def claim(self, topics, consumer, limit):
        return multiple(
            *zip(
                *self.everywhere(lambda bus, _: bus.claim(topics, consumer, limit, lease_ns=LEASE)),
                strict=True,
            )
        )

    @rule(target=held, limit=SIZES)
    def reclaim(self, limit):
        return multiple(
            *zip(*self.everywhere(lambda bus, _: bus.reclaim("reaper", limit, lease_ns=LEASE)), strict=True)
        )

    @rule(
        data=st.data(),
        ended=st.lists(st.lists(held, max_size=2), min_size=1, max_size=3),
        marks=st.lists(MARKS, max_size=3),
        outcomes=OUTCOMES,
        extras=st.booleans(),
    )
    def commit(self, data, ended, marks, outcomes, extras):
        plans = []
        for _ in ended:
            messages = tuple(data.draw(st.lists(sent(self.clock.now()), max_size=2)))
            plan = Plan(publish=messages[:1], later=messages[1:])
            if extras:
                batch = FrozenBatch(data.draw(st.sampled_from(["b1", "b2"])), messages)
                bad = (Quarantined("done", b"\xff", "why"),)
                plan = Plan(dead=messages, frozen=(batch,), quarantine=bad, facts=(Fact(FactKind.DONE, "k"),))
            plans.append(plan)

        def land(bus, place):
            return bus.commit_many(
                [
                    Commit(
                        plan,
                        tuple(pair[place] for pair in pairs),
                        tuple(marks[n : n + 1]),
                        outcomes[n : n + 1],
                    )
                    for n, (plan, pairs) in enumerate(zip(plans, ended, strict=True))
                ]
            )

        self.everywhere(land)

    @rule(pairs=st.lists(held, max_size=3))
    def renew(self, pairs):
        self.everywhere(lambda bus, place: bus.renew([pair[place] for pair in pairs], lease_ns=LEASE))

    @rule(pair=consumes(held), delay_s=st.sampled_from([0, 0, 20]))
    def release(self, pair, delay_s):
        self.everywhere(lambda bus, place: bus.release([pair[place]], delay_ns=delay_s * 1_000_000_000))

    @rule(seconds=st.sampled_from([0.5, 20, 61, 700, 86_400 * 8]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-300, 300]))
    def the_wall_clock_jumps(self, seconds):
        self.clock.jump(seconds)

    @rule(limit=SIZES)
    def promote(self, limit):
        self.everywhere(lambda bus, _: bus.promote(limit))

    @rule(limit=SIZES)
    def advance(self, limit):
        self.everywhere(lambda bus, _: bus.advance(limit))

    @rule(keys=st.lists(KEYS, max_size=3))
    def cancel(self, keys):
        self.everywhere(lambda bus, _: bus.cancel(keys, reason="no"))

    @rule(topic=TOPICS, to=st.one_of(TOPICS, st.just("")), size=SIZES, newest=st.booleans())
    def move(self, topic, to, size, newest):
        def moved(bus, _):
            return bus.move(
                [Move(topic, each.entry, to) for each in bus.peek(topic, size, newest=newest)], reason="so"
            )

        self.everywhere(moved)

    @rule(topic=TOPICS)
    def purge(self, topic):
        self.everywhere(lambda bus, _: bus.purge(topic))

    @rule(name=st.sampled_from("xyz"), lease_s=st.sampled_from([1, 60]))
    def beat(self, name, lease_s):
        presence = Presence(name, "worker", "h", 1, lease_ns=lease_s * 1_000_000_000)
        self.everywhere(lambda bus, _: bus.beat(presence))

    @rule(name=st.sampled_from("xyz"))
    def leave(self, name):
        self.everywhere(lambda bus, _: bus.leave(name))

    @rule()
    def sweep(self):
        commits = []

        def swept(bus, _):
            found = dict(bus.sweep())
            commits.append(found.pop("commits"))
            return found

        self.everywhere(swept)
        assert commits[0] == commits[1]  # Redis also remembers its purges by name, so it has more to forget

    @rule(topic=TOPICS, limit=SIZES, newest=st.booleans())
    def peek(self, topic, limit, newest):
        self.everywhere(lambda bus, _: bus.peek(topic, limit, newest=newest))

    @rule(keys=st.lists(KEYS, max_size=3))
    def find(self, keys):
        self.everywhere(lambda bus, _: in_order(bus.find(keys)))

    @invariant()
    def all_show_the_same(self):
        if hasattr(self, "buses"):
            self.everywhere(lambda bus, _: bus.topics())
            self.everywhere(lambda bus, _: bus.next_due_us())
            self.everywhere(lambda bus, _: bus.marks_like(""))
            self.everywhere(lambda bus, _: bus.journal_bounds())
            self.everywhere(lambda bus, _: bus.open_counts([*GROUPS, SAME, ""]))

    @rule()
    def the_journals_are_the_same(self):
        self.everywhere(lambda bus, _: bus.journal(0, 1_000))
        self.everywhere(lambda bus, _: bus.presences())
        for group in GROUPS:
            self.everywhere(lambda bus, _, group=group: bus.open_tasks(group, 100))


TestLockstep = Lockstep.TestCase
TestLockstep.settings = settings(
    max_examples=int(os.environ.get("FLOWLORD_TEST_LOCKSTEP", "60")),
    stateful_step_count=40,
    # To explain what was found takes longer than a test may; the steps that lead to it say enough.
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
