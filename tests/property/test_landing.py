"""What a commit writes: pieces of text put together are the values that they stand for."""

from binascii import a2b_base64
from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flowlord.bus.landing import Landing, Row, common_of, facts_of, prepare, rendered
from flowlord.bus.redis_commit import FORM, pack, token_of
from flowlord.bus.redis_entry import About, about_from, about_of
from flowlord.bus.redis_names import names_of
from flowlord.model.message import Delivery, Message, Report
from flowlord.model.plan import Commit, Fact, FactKind, Plan
from flowlord.model.task import Task

decode = msgspec.msgpack.Decoder().decode
NOW_US = 1_800_000_000_000_000
texts = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(['"', "\\", "\u2028", "é" * 500])
tasks = st.builds(Task, type=texts, info=texts, job=texts, id=texts, meta=texts, created=texts, msg=texts)
messages = st.builds(
    Message,
    topic=texts.filter(lambda topic: topic != "done"),
    task=tasks,
    key=texts,
    priority=st.integers(0, 10),
    due=st.none() | st.sampled_from([datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)]),
    timeout_ns=st.integers(0, (1 << 63) - 1),
    phase=texts,
    revision=texts,
    cause=texts,
    batch=texts,
    report=st.none() | st.builds(Report, worker=texts, deliveries=st.integers(0, 9), output=texts),
)


def told_of(message: Message, due_us: int) -> Fact:
    """What the journal is to tell of a message."""
    m = message
    return Fact(
        FactKind.PUBLISHED, m.key, m.topic, m.phase, m.revision, m.cause, m.batch, m.priority, due_us, task=m.task
    )  # fmt: skip


@given(st.lists(messages, max_size=4), st.lists(texts, max_size=2))
def test_what_a_commit_tells_is_what_it_publishes_and_what_was_decided(some, words):
    decided = tuple(Fact(FactKind.SKIPPED, text=each) for each in words)
    landing = prepare(Commit(Plan(publish=tuple(some), facts=decided)), NOW_US)
    told = [told_of(message, row.due_us) for message, row in zip(some, landing.rows, strict=True)]
    assert facts_of([landing.told] if landing.told else []) == [*decided, *told]


@given(messages)
def test_what_is_written_beside_a_task_is_read_again(message):
    m = message
    [row] = prepare(Commit(Plan(publish=(m,))), NOW_US).rows
    text = about_of(row, common_of(m.phase, m.revision, m.cause, m.batch, m.priority))
    about = About(m.phase, m.revision, m.cause, m.batch, "", m.priority, m.timeout_ns, m.report)
    assert about_from(names_of("load")[row.rank], text) == about


@given(messages)
def test_a_message_rendered_before_tells_the_same(message):
    message = replace(message, due=None)
    plan = Plan(publish=(message,))
    ahead, now = prepare(Commit(plan, rendered=rendered(message)), NOW_US), prepare(Commit(plan), NOW_US)
    assert (ahead.rows, ahead.commons, ahead.told) == (now.rows, now.commons, now.told)


names_of_streams = st.sampled_from(["a", "a/b", "a/1-1", "", "done", "done:high"])
held = st.builds(
    Delivery,
    topic=st.just("a"),
    entry=st.builds(lambda name, number: f"{name}/{number}-0", names_of_streams, st.integers(1, 12)),
    payload=st.just(b""),
    token=st.sampled_from(["t|s|me", "u|s|me"]),
    consumer=st.sampled_from(["me", "me", "me", "you"]),
)
rows = st.builds(
    Row,
    topic=st.sampled_from(["a", "b"]),
    rank=st.integers(1, 2),
    due_us=st.sampled_from([0, 0, 9]),
    at_us=st.just(1),
    payload=st.sampled_from([b"{}", b"[1]"]),
    key=texts,
    timeout_ns=st.sampled_from([0, 0, 0, 7]),
    origin=st.sampled_from(["", "", "", "o"]),
    report=st.sampled_from([None, None, None, b"{}"]),
)
COMMONS = (b"", b',"phase":"f"')
landings = st.builds(
    lambda acknowledged, some, told, outcomes, series: Landing(
        Commit(Plan(), tuple(acknowledged)),
        tuple(outcomes),
        some,
        [COMMONS[1] if series else bytes(bytearray(COMMONS[n % 2])) for n in range(len(some))],
        told,
    ),
    st.lists(held, max_size=3),
    st.lists(rows, max_size=3),
    st.sampled_from([b"", b'{"kind":"done"}']),
    st.lists(st.sampled_from([b"x" * 16, b"y" * 16]), max_size=2),
    st.booleans(),
)


@given(st.lists(landings, min_size=1, max_size=4))
def test_what_a_commit_is_packed_into_is_what_landed_part_by_part(some):
    packed, texts_, told, shapes = pack("id", "by", 1, some, {})
    form, _, _, _, _, apart, entries, runs, digests, marks, streams, keys, sizes, dues, *rest = decode(packed)
    deliveries = [each for landing in some for each in landing.commit.acknowledge]
    assert (form, marks, rest) == (FORM, [], [[], [], []])
    assert entries == [each.entry for each in deliveries]
    spread = [(name, end) for name, end, count in runs for _ in range(count)]
    assert spread == [(each.entry.rpartition("/")[0], token_of(each)) for each in deliveries]
    found = [one for landing in some for one in landing.digests]
    assert list(map(a2b_base64, digests)) == found
    assert apart is (len(set(entries)) == len(entries) and len(set(found)) == len(found))
    landed = [
        (row, common) for landing in some for row, common in zip(landing.rows, landing.commons, strict=True)
    ]
    assert keys == [row.key for row, _ in landed]
    assert [tuple(each[:3]) for each in streams for _ in range(each[3])] == [
        (names_of(row.topic)[row.rank], row.topic, row.rank) for row, _ in landed
    ]
    assert dues == [word for n, (row, _) in enumerate(landed, 1) if row.due_us for word in (n, row.due_us)]
    at, about = 0, b""
    for (row, common), size, length in zip(landed, sizes[::2], sizes[1::2], strict=True):
        assert texts_[at : at + size] == row.payload
        at += size
        if length >= 0:
            about = texts_[at : at + length]
            at += length
        assert about == about_of(row, common)
    assert at == len(texts_)
    assert told == b"[%b]" % b",".join(landing.told for landing in some if landing.told)
    assert decode(shapes) == [
        size
        for each in some
        for size in (len(each.commit.acknowledge), len(each.digests), 0, len(each.rows), len(each.told))
    ]
