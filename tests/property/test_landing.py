"""What a commit writes: pieces of text put together are the values that they stand for."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flowlord.bus.landing import common_of, facts_of, prepare, rendered
from flowlord.bus.redis_entry import About, about_from, about_of
from flowlord.bus.redis_names import names_of
from flowlord.model.message import Message, Report
from flowlord.model.plan import Commit, Fact, FactKind, Plan
from flowlord.model.task import Task

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
