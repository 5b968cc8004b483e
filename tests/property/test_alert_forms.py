"""Whatever a notice holds: every form of it is within the limits, acts on nothing and can be sent."""

import json

from hypothesis import given
from hypothesis import strategies as st

from flowlord.alert.plain import text_of
from flowlord.alert.port import Line, Notice, NoticeKind, Severity
from flowlord.alert.slack_message import attachments_of, blocks_of, escaped, only_text
from flowlord.alert.webhook import body_of
from support.slack_rules import calls_somebody, refusal

TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["<!channel>", "<@U1>", "a" * 5_000, "&" * 4_000, "`" * 90, "\x1b[2J", "\ud800", "@everyone", ""]
    ),
    st.lists(st.sampled_from(["<", "&", "!here", "*", "`", "\n", "|", ">", "@", "\x07", "\u202e", "x"])).map(
        "".join
    ),
)
NUMBERS = st.integers(0, 2**62)
LINES = st.builds(Line, TEXTS, TEXTS, TEXTS, NUMBERS, NUMBERS, TEXTS, NUMBERS, NUMBERS, TEXTS, TEXTS)
NOTICES = st.builds(
    Notice,
    id=TEXTS, kind=st.sampled_from(NoticeKind), severity=st.sampled_from(Severity), title=TEXTS, at_us=NUMBERS,
    lines=st.lists(LINES, max_size=4).map(tuple), more=NUMBERS, text=TEXTS,
    link=st.one_of(st.just("https://flowlord.test/x?a=1&b=2"), TEXTS), command=TEXTS,
)  # fmt: skip


@given(NOTICES, TEXTS)
def test_every_form_is_within_the_limits_and_calls_nobody(notice, prefix):
    for form in (blocks_of, attachments_of, only_text):
        payload = form(notice, prefix, prefix)
        json.dumps(payload).encode()
        assert refusal(payload) == ""
        assert calls_somebody(payload) == []


@given(NOTICES)
def test_plain_text_acts_on_no_terminal_and_the_webhook_can_be_written(notice):
    for line in text_of(notice).split("\n"):
        assert all(character.isprintable() or character.isspace() for character in line if character < "\x7f")
        assert "\x1b" not in line
    json.loads(body_of(notice))


@given(TEXTS, st.integers(1, 200))
def test_a_text_is_cut_between_entities(text, most):
    made = escaped(text, most)
    assert len(made) <= most
    assert "&" not in made.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
