"""Phase files from one format to the other and back, and crontabs as phases."""

import re
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import tomli_w
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlord.model.workflow import Workflow
from flowlord.rules.cron import Cron
from flowlord.spec.convert import Converted, convert, same, write
from flowlord.spec.crontab import read_crontab
from flowlord.spec.parse import parse
from flowlord.spec.source import Source
from vectors.cases import cases

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for folder in ("examples/phases", "examples/quickstart/workflows", "workflows")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".toml", ".yaml", ".yml")
)


def loaded(text: str | bytes, kind: str) -> Workflow:
    flow, problems = parse(text.encode() if isinstance(text, str) else text, f"x.{kind}")
    assert flow is not None, [str(each) for each in problems]
    return flow


def there_and_back(text: str | bytes, kind: str) -> tuple[str, str]:
    """Return the text in the other format, and again in its own; all three mean the same."""
    data = text.encode() if isinstance(text, str) else text
    other = "yaml" if kind == "toml" else "toml"
    there = convert(data, path="x", source=kind, to=other)
    assert there.text is not None, [str(each) for each in there.problems]
    back = convert(there.text.encode(), path="x", source=other, to=kind)
    assert back.text is not None, [str(each) for each in back.problems]
    assert same(loaded(data, kind), loaded(there.text, other))
    assert same(loaded(data, kind), loaded(back.text, kind))
    return there.text, back.text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_examples_go_there_and_back_with_all_their_comments(path):
    data = path.read_bytes()
    kind = "toml" if path.suffix == ".toml" else "yaml"
    for made in there_and_back(data, kind):
        for comment in re.findall(r"(?m)(?:^|\s)#\s?([^\n\"]+)$", data.decode()):
            assert comment.strip() in made


@pytest.mark.parametrize("case", cases("phase_parse"))
def test_every_good_file_of_the_vectors_goes_there_and_back(case):
    if case.get("op") != "phase_parse":
        return
    flow, _ = parse(case["input"].encode(), "x.toml")
    if flow is not None and flow.phases:
        there_and_back(case["input"], "toml")


COMMENTED = """# head one
# head two

# over alpha
[[phase]]  # beside the header
# over the task
task = "alpha"  # beside the task, with "quotes" and # marks
template = '''
text # not a comment
'''
# over the rule
[phase.rule]  # beside the rule
# over the schedule
cron = "@daily"  # beside the schedule
files = [
  # inside the list
  "a/*.csv",  # beside an item
]

#
# over beta
[[Phase]]
task = "beta"
dependsOn = "alpha"
# the end
"""


def test_each_comment_stays_with_its_key():
    yaml, toml = there_and_back(COMMENTED, "toml")
    assert (
        yaml
        == """# head one
# head two

phases:
  # over alpha
  # beside the header
  # over the task
  - task: alpha  # beside the task, with "quotes" and # marks
    template: "text # not a comment\\n"
    # over the rule
    rule:  # beside the rule
      # over the schedule
      cron: "@daily"  # beside the schedule
      # inside the list
      # beside an item
      files: ["a/*.csv"]

  #
  # over beta
  - task: beta
    dependsOn: alpha

# the end
"""
    )
    assert toml.count("#") == yaml.count("#")


def test_comments_of_yaml_are_told_from_words_with_a_mark():
    text = """# head

phases:  # beside the list
  # over a
  - task: "a # no comment"  # beside a
    template: |
      first # no comment
      # no comment either
    # over the rule
    rule: {cron: "@daily", ignore: ['#x']}  # beside the rule
  -   # an empty start
    task: b#no-comment
    retry: 3 # three
# end
"""
    toml, yaml = there_and_back(text, "yaml")
    comments = [
        "head", "beside the list", "over a", "beside a", "over the rule", "beside the rule", "an empty start", "three",
        "end",
    ]  # fmt: skip
    for made in (toml, yaml):
        for comment in comments:
            assert len(re.findall(rf"(?m)# {re.escape(comment)}$", made)) == 1, comment
        assert made.count("no comment") == 3


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
scalars = st.one_of(
    texts,
    st.integers(-(10**17), 10**17),
    st.booleans(),
    st.sampled_from(["no", "1e3", "0x1", "~", "- a", "a: b", "#", " x ", "1:30"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
rules = st.dictionaries(
    st.sampled_from(["job", "pass", "meta-file", "own", "x y", "ünd"]),
    texts | st.lists(texts, max_size=2),
    max_size=3,
)
phases = st.lists(
    st.fixed_dictionaries(
        {"task": texts.map(lambda text: "t" + text.replace(":", ""))},
        optional={
            "template": texts, "retry": st.integers(0, 9), "rule": rules | texts.map(lambda text: "job=" + text),
            "Own": values, "other key": scalars,
        },
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip


@given(phases, st.dictionaries(st.sampled_from(["title", "a b", "checksum"]), values, max_size=2))
@settings(max_examples=80)
def test_any_phases_go_there_and_back(made, others):
    data = tomli_w.dumps({**others, "phase": made}).encode()
    if parse(data, "x.toml")[0] is not None:
        there_and_back(data, "toml")


@given(st.lists(texts.map(lambda text: text.replace("\n", " ").replace("\r", " ")), min_size=6, max_size=6))
def test_any_comment_is_kept_or_made_printable(comments):
    kept = [re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "", each) for each in comments]
    a, b, c, d, e, f = (f"#{each}" for each in kept)
    data = f'{a}\n\n{b}\n[[phase]] {c}\ntask = "t" {d}\n{e}\nretry = 1\n{f}\n'
    yaml, toml = there_and_back(data, "toml")
    for each in kept:
        words = re.sub(r"[^\t\x20-\x7e]", " ", each).split()
        assert all(word in yaml and word in toml for word in words)


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from(["toml", "yaml"]),
)
def test_whatever_the_bytes_are_there_is_a_text_or_a_reason(data, kind):
    found = convert(data, path="x", source=kind, to="yaml" if kind == "toml" else "toml")
    assert isinstance(found, Converted)
    assert (found.text is None) == bool(found.problems)


def test_a_file_with_errors_is_not_converted():
    found = convert(b'[[phase]]\ntask = "a"\nretry = "x"\n', path="a.toml", source="toml", to="yaml")
    assert found.text is None
    assert [each.place for each in found.problems] == ["a.toml:3:9"]


def test_what_toml_cannot_write_is_told():
    found = convert(b"phases:\n  - {task: a, own: null, template: ~}\n", path="x", source="yaml", to="toml")
    assert found.text == '[[phase]]\ntask = "a"\n'
    assert [note.text for note in found.notes] == [
        "'own' has no value, which TOML cannot write", "'template' has no value, which TOML cannot write",
    ]  # fmt: skip


# --- crontabs ---------------------------------------------------------------------------------------------------------


def crontab(text: str, **more: Any) -> tuple[list[dict[str, str]], list[str]]:
    draft, notes = read_crontab(Source("crontab", text), **more)
    made = write(draft, "toml")
    if draft.phases:
        _, problems = parse(made.encode(), "x.toml")
        assert problems == (), made
    return [{str(entry.key): str(entry.value) for entry in phase.entries} for phase in draft.phases], [
        note.text for note in notes if note.lost
    ]


def test_an_entry_is_a_phase_with_its_command():
    found, lost = crontab(
        "15 2 * * 7\t/usr/local/bin/backup.sh --all \n@weekly nice python3 /srv/report.py\n",
        zone="Europe/Berlin",
    )
    assert lost == []
    assert found == [
        {
            "task": "cron:backup",
            "rule": "cron=15 2 * * 7&tz=Europe/Berlin&catchup=none",
            "template": "/usr/local/bin/backup.sh --all",
        },
        {
            "task": "cron:report",
            "rule": "cron=@weekly&tz=Europe/Berlin&catchup=none",
            "template": "nice python3 /srv/report.py",
        },
    ]


def test_variables_hold_for_what_stands_below_them():
    found, lost = crontab(
        '0 1 * * * a\nFOO = "it\'s"\nCRON_TZ=Asia/Tokyo\nRANDOM_DELAY=90\n0 2 * * * b\nSHELL=/bin/bash\n0 3 * * * c\n'
    )
    assert lost == []
    assert [each["template"] for each in found] == [
        "a",
        "export FOO='it'\\''s'; b",
        "exec '/bin/bash' -c 'export FOO='\\''it'\\''\\'\\'''\\''s'\\''; c'",
    ]
    assert [each["rule"] for each in found] == [
        "cron=0 1 * * *&catchup=none",
        "cron=0 2 * * *&tz=Asia/Tokyo&catchup=none&jitter=1h30m",
        "cron=0 3 * * *&tz=Asia/Tokyo&catchup=none&jitter=1h30m",
    ]


def test_percent_signs_are_what_cron_makes_of_them():
    found, _ = crontab("0 0 * * * date +\\%F\n0 0 * * * mail bob%Hi,%%it's late%\n0 0 * * * cat%\n")
    assert [each["template"] for each in found] == [
        "date +%F", "printf '%s\\n' 'Hi,' '' 'it'\\''s late' | (mail bob)", "printf '%s\\n'  | (cat)",
    ]  # fmt: skip


def test_users_of_a_system_crontab_become_topics():
    text = (
        "17 * * * * root cd / && run-parts /x\n1 1 * * * www-data true || job\n2 2 * * * root run-parts /x\n"
    )
    found, lost = crontab(text)
    assert [each["task"] for each in found] == [
        "cron-root:run-parts",
        "cron-www-data:job",
        "cron-root:run-parts-2",
    ]
    assert lost == []
    assert [each["task"] for each in crontab("1 1 * * * deploy thing\n", users=["deploy"])[0]] == [
        "cron-deploy:thing"
    ]
    assert [each["task"] for each in crontab("1 1 * * * deploy thing\n")[0]] == ["cron:deploy"]
    for headline in (
        "# m h dom mon dow user\tcommand",
        "# *  *  *  *  * user-name  command to be executed",
        "# *  *  *  *  * user command to be executed",
    ):
        found, _ = crontab(f"{headline}\n1 1 * * * deploy thing\n")
        assert [each["task"] for each in found] == ["cron-deploy:thing"]
    found, _ = crontab("# m h  dom mon dow   command\n1 1 * * * deploy thing\n")  # of a user
    assert [each["task"] for each in found] == ["cron:deploy"]


@pytest.mark.parametrize("command", ["python3 /srv/load.py --all", "/opt/load", "load.sh /srv", "./load"])
def test_a_headline_that_was_copied_into_the_crontab_of_a_user_takes_no_program_for_a_user(command):
    text = f"# *  *  *  *  * user-name  command to be executed\n1 1 * * * {command}\n"
    found, lost = crontab(text)
    assert [(each["task"].partition(":")[0], each["template"]) for each in found] == [("cron", command)]
    assert lost == []


def test_a_dash_in_front_of_an_entry_only_kept_it_out_of_a_log():
    found, lost = crontab("-*/5 * * * * /opt/quiet\n-@daily /opt/day\n")
    assert [each["rule"].partition("&")[0] for each in found] == ["cron=*/5 * * * *", "cron=@daily"]
    assert lost == []


def test_users_stand_in_front_of_commands_where_somebody_says_so():
    assert [each["task"] for each in crontab("1 1 * * * deploy thing\n", system=True)[0]] == [
        "cron-deploy:thing"
    ]


LOST = {
    "@reboot x": "nothing starts when a machine does",
    "@3600 x": "@3600 is no schedule",
    "0~30 * * * * x": "a random time",
    "0 0 */2 * 1 x": "cron wants day and weekday both",
    "0 0 1 * */2 x": "cron wants day and weekday both",
    "0 0 30 2 * x": "never comes",
    "61 * * * * x": "is no minute",
    "1 2 3 4 5": "neither a variable nor a schedule",
    "hello": "neither a variable nor a schedule",
    "0 0 * * * echo ${HOST}": "holds {HOST}",
    "0 0 * * * echo {meta:x}": "holds {meta:x}",
    "MAILTO=a@example.org": "MAILTO=a@example.org",
    "LOGNAME=root": "LOGNAME cannot be set",
    "RANDOM_DELAY=x\n0 0 * * * y": "RANDOM_DELAY=x is no number",
}


@pytest.mark.parametrize(("text", "told"), LOST.items(), ids=LOST)
def test_what_cannot_be_carried_over_is_told_and_kept_as_a_comment(text, told):
    found, [lost] = crontab(text + "\n1 1 * * * fine\n")
    assert told in lost
    assert found[-1]["task"] == "cron:fine"
    if "=" not in text:
        draft, _ = read_crontab(Source("crontab", text + "\n"))
        assert any(text.split()[-1] in comment for comment in draft.comments())


def test_comments_stay_with_their_entries():
    draft, _ = read_crontab(Source("crontab", "# about all\n\n# about x\n1 1 * * * x\n# 2 2 * * * off\n"))
    assert [phase.above for phase in draft.phases] == [[" about x"]]
    assert " about all" in draft.head
    assert draft.tail == [" 2 2 * * * off"]


def entry(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    # No range of one: with a step cronsim takes it for the whole field.
    span = st.tuples(st.integers(low, high - 1), number).map(
        lambda pair: f"{pair[0]}-{max(pair[1], pair[0] + 1)}"
    )
    item = number.map(str) | span | span.map("{}/2".format)
    return st.sampled_from(["*", "*/2", "*/5", "*/1"]) | st.lists(item, min_size=1, max_size=2).map(",".join)


@given(st.tuples(entry(0, 59), entry(0, 23), entry(1, 28), entry(1, 12), entry(0, 7)).map(" ".join),
       st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))  # fmt: skip
@settings(max_examples=120)
def test_a_schedule_that_is_carried_over_names_what_cron_names(schedule, after):
    found, _ = crontab(f"{schedule} x\n")
    if not found:
        return
    cron = dict(pair.split("=", 1) for pair in found[0]["rule"].split("&"))["cron"]
    try:
        wanted = list(islice(CronSim(schedule, after), 3))
    except CronSimError:
        return
    assert list(islice(Cron.parse(cron).upcoming(after), 3)) == wanted


@given(
    st.text(max_size=300)
    | st.lists(
        st.sampled_from(
            ["* * * * * ", "@daily ", "A=", "%", "\\%", "#", "x y", "\n", "\r", "'", '"', "{uuid}", "root "]
        ),
        max_size=30,
    ).map("".join)
)
def test_any_crontab_becomes_a_file_that_loads(text):
    for system in (None, True, False):
        draft, notes = read_crontab(Source("crontab", text), system=system)
        for kind in ("toml", "yaml"):
            made = write(draft, kind)
            flow, problems = parse(made.encode("utf-8", "replace"), f"x.{kind}")
            assert flow is not None, (made, [str(each) for each in problems])
            assert len(flow.phases) == len(draft.phases)
        assert all(note.text for note in notes)


BLANKS = " " * 16_000
SLOW = {
    "a variable of blanks": f"A={BLANKS}x\n" * 60,
    "blanks behind a schedule": f"1 2 3 4 5{BLANKS}\n" * 60,
    "four fields and blanks": f"1 2 3 4{BLANKS}\n" * 60,
    "a folder of blanks": f"1 2 3 4 * cd{BLANKS}x\n" * 60,
    "percent signs": "1 2 3 4 * " + "%" * 16_000 + "\n",
    "users": f"1 2 3 4 * root{BLANKS}\n" * 60,
    "many comments": "#\n" * 300_000,
}


@pytest.mark.parametrize("name", SLOW)
def test_no_crontab_takes_long(name):
    begin = process_time()
    draft, _ = read_crontab(Source("crontab", SLOW[name]))
    write(draft, "toml")
    assert process_time() - begin < 5.0  # what grows with the square takes minutes


@pytest.mark.parametrize("kind", ["toml", "yaml"])
def test_no_file_takes_long_for_its_comments(kind):
    start = '[[phase]]\ntask = "a"\n' if kind == "toml" else "phases:\n  - task: a\n"
    data = ("# x\n" * 30_000 + start + "# y\n" * 30_000).encode()
    begin = process_time()
    found = convert(data, path="x", source=kind, to="yaml" if kind == "toml" else "toml")
    assert process_time() - begin < 5.0
    assert found.text is not None
    assert found.text.count("# x") == found.text.count("# y") == 30_000
