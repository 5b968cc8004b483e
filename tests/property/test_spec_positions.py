"""A planted fault is told exactly where it stands, in every kind of string of TOML and YAML."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from flowlord.spec.author.inspect import inspect

NOW = datetime(2026, 11, 27, tzinfo=UTC)
PAD = st.lists(
    st.sampled_from(["job=é", "job=𝄞𝄞", "by=day", "offset=-1h", "", "job=x"]), max_size=4, unique=True
)
FAULTS = st.sampled_from([("FL021", "ofset", "=1h"), ("FL050", "soon", ""), ("FL040", "{yyy}", "")])
KINDS = [
    ("toml", '"{}"'), ("toml", "'{}'"), ("toml", '"""{}"""'), ("toml", "'''{}'''"), ("toml", '"""\n{}"""'),
    ("toml", "'''\n{}'''"), ("toml", '"""\\\n   {}"""'), ("yaml", "{}"), ("yaml", '"{}"'), ("yaml", "'{}'"),
    ("yaml", ">-\n    {}"), ("yaml", "|-\n    {}"),
]  # fmt: skip


def written(language: str, key: str, value: str, before: int) -> str:
    """A file with one phase whose `key` is written as `value`, below some lines of comment."""
    above = "# 漢字 é\n" * before
    other = "rule" if key == "template" else "template"
    given = {"rule": "cron=@daily", "template": "x"}[other]
    if language == "toml":
        return f'{above}[[phase]]\ntask = "a"\n{other} = "{given}"\n{key} = {value}\n'
    return f'{above}phases:\n- task: a\n  {other}: "{given}"\n  {key}: {value}\n'


@given(FAULTS, PAD, st.sampled_from(KINDS), st.integers(0, 3), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_the_place_told_holds_exactly_the_planted_fault(fault, pad, kind, before, escaped, newline):
    code, word, rest = fault
    language, form = kind
    if code == "FL040":
        key, text = "template", f"?day={word}&é=𝄞{''.join(pad)}"
    elif code == "FL050":
        key, text = (
            "rule",
            "&".join(["cron=@daily", *(p for p in pad if "offset" not in p), f"offset={word}"]),
        )
    else:
        key, text = "rule", "&".join(["cron=@daily", *pad, word + rest, "retry_delay=1h"])
    if escaped and form.startswith(('"',)):
        text = text.replace("é", "\\u00e9").replace("daily", "d\\u0061ily").replace("𝄞", "\\U0001d11e")
    content = written(language, key, form.format(text), before).replace("\n", newline)
    found = [
        each for each in inspect(content.encode(), f"f.{language}", "f", NOW).problems if each.code == code
    ]
    assert len(found) == 1, content
    line = content.split("\n")[found[0].line - 1]
    assert line[found[0].column - 1 : found[0].end - 1] == word, content
