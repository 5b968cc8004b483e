"""Slips of authors who are new here: each is told at its character, in words that say what to write instead."""

import re
from datetime import UTC, datetime

import pytest

from flowlord.model.problem import Problem
from flowlord.spec.author.inspect import inspect, verdict
from flowlord.spec.author.mend import mend

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def told(data: bytes, name: str) -> list[Problem]:
    found = inspect(data, name, name, NOW)
    return verdict([found], found.problems, looked_at_files=False)


def first(text: str, name: str = "f.toml") -> tuple[str, str, str]:
    each = told(text.encode(), name)[0]
    return each.place.removeprefix(f"{name}:"), each.code, f"{each.text} | {each.hint}"


TOML = {
    '[[phase]\ntask = "a"\n': ("1:8", "FL005", "write [[phase]]"),
    'task: "a"\n': ("1:5", "FL005", "looks like YAML"),
    "phases:\n- task: a\n": ("1:7", "FL005", "looks like YAML"),
    '{"phase": []}\n': ("1:1", "FL005", "looks like JSON"),
    '// words\n[[phase]]\ntask = "a"\n': ("1:1", "FL005", "a comment begins with #"),
    "[[phase]]\ntask = 'a\"\n": ("2:8", "FL005", "closing quote"),
    "[[phase]]\nrule = '''a\n": ("2:8", "FL005", "closing quote"),
    '[[phase]]\ntask = "a", retry = 3\n': ("2:11", "FL005", "take the comma out"),
    '[[phase]]\ntask = "a" retry = 3\n': ("2:12", "FL005", "a line of its own"),
    '[[phase]]\ntask = "a"\ntask = "b"\n': ("3:1", "FL008", "line 2 has it already"),
    "[[phase]]\ntask = “a”\n": ("2:8", "FL005", "plain ones"),
    "[[phase]]\nretry = 03\n": ("2:10", "FL005", "does not begin with 0"),
    "[[phase]]\nretry = True\n": ("2:9", "FL005", "small letters"),
    "[[phase]]\ntask =\n": ("2:7", "FL005", "the value is missing"),
    '[[phase]]\ntask\xa0= "a"\n': ("2:5", "FL005", "does not show"),
    '[[phase]]\rtask = "a"\r': ("1:10", "FL005", "carriage return"),
    '[[phase]]\nrule = {cron = "@daily"\n tz = "UTC"}\n': ("3:2", "FL005", "or a comma"),
    "[a]\n# x\n[ a ]\n": ("3:3", "FL008", "the table 'a' is repeated | line 1 has it already"),
    "[[phase]]\n[phase.rule]\n[[phase]]\n[phase.rule]\n[phase.rule]\n": ("5:2", "FL008", "line 4 has it already"),
    "[[phase]]\na = {b = 1}\na.c = 2\n": ("3:1", "FL005", "'a' has a value, to which nothing can be added | line 2"),
    "a = 1\n[a.b]\n": ("2:2", "FL005", "line 1 has it: write this there"),
    "a = 1\n[a]\n": ("2:2", "FL008", "line 1 has it already"),
    "a.b = 1\na = [\n2]\n": ("2:1", "FL008", "line 1 has it already"),
    "a = '''\na = 2\n'''\na = 1\n": ("4:1", "FL008", "line 1 has it already"),
    "x = {a = 1, b = 2, a = 3}\n": ("1:20", "FL008", "the key 'a' is repeated"),
    "x = {a = {b = 1}, a.c = 3}\n": ("1:19", "FL005", "'a' has a value"),
    "[a.b]\n[a]\nb.c = 1\n": ("3:1", "FL005", "line 1"),
    "[phase]\n[phase]\n": ("2:2", "FL008", "line 1 has it already: write [[phase]] for each phase"),
    "[phase]\n[[phase]]\n": ("2:3", "FL005", "line 1 has it as the other: write [[phase]] for each phase"),
    "[[phase]]\n[phase]\n": ("2:2", "FL005", "line 1 has it as the other: write [[phase]] for each phase"),
    "[phase.rule]\n[[phase]]\n": ("2:3", "FL005", "line 1 makes it one: write [[phase]] above that"),
    "[[phase]]\nx = 1979-13-01\n": ("2:5", "FL005", "'1979-13-01' is no date or time | a date is YYYY-MM-DD"),
    "[[phase]]\nx = [1979-02-30]\n": ("2:6", "FL005", "'1979-02-30' is no date"),
    "[[phase]]\nx = [25:00:00]\n": ("2:6", "FL005", "'25:00:00' is no date or time"),
    "[[phase]]\nx = [1 10:00:00]\n": ("2:8", "FL005", "or a comma"),
    "[[phase]]\nretry = 3x\n": ("2:10", "FL005", "text stands in quotes"),
    '[[phase]]\nx = [1,\n2\n\n[[phase]]\ntask = "a"\n': ("2:5", "FL005", "the list is not closed"),
    '[[phase]]\nx = [1, # [\n"[",\n\n[[phase]]\ntask = "a"\n': ("2:5", "FL005", "closing bracket"),
    "[[phase]]\nx = [[1], [2,\n": ("2:11", "FL005", "the list is not closed"),
    '[[phase]]\nx = [1, 2\ntask = "a"\n': ("2:5", "FL005", "the list is not closed"),
    '[[phase]]\nrule = {cron = "x",\n[[phase]]\n': ("2:8", "FL005", "closing brace"),
    '[[phase]]\nrule = {cron = "x"\ntask = "a"\n': ("2:8", "FL005", "closing brace"),
    "[[phase]]\nx = [[1, 2],\n[3, 4]\n[5, 6]]\n": ("4:1", "FL005", "or a comma"),
}  # fmt: skip
YAML = {
    "phases:\n\t- task: a\n": ("2:1", "FL006", "a tab stands where"),
    "phases:\n- task: a\n\trule: x\n": ("3:1", "FL006", "a tab stands where"),
    "phases:\n- task: a\n   rule: x\n": ("3:8", "FL006", "look at the blanks in front"),
    "phases:\n- task: a\n rule: x\n": ("3:2", "FL006", "look at the blanks in front"),
    "phases:\n- task: a\n  rule: @daily\n": ("3:9", "FL006", "put it in quotes"),
    "phases:\n- task: a\n  rule: {cron: */5 * * * *}\n": ("3:16", "FL006", "put it in quotes"),
    "phases:\n- task: *x\n": ("2:9", "FL006", "stands in quotes"),
    "phases:\n- task: a\n  template: {yyyy}/x\n": ("3:19", "FL006", "the whole value in quotes"),
    "phases:\n- task: a\n  template: {yyyy}\n": ("3:13", "FL010", "put it in quotes"),
    "phases:\n- task: a: b\n": ("2:10", "FL006", "put the value in quotes"),
    'phases:\n- task: a\n  rule: "cron=@daily\n': ("3:9", "FL006", "closing quote"),
    'phases:\n- task: "a\n  rule: {cron: "0 * * * *"}\n': ("2:9", "FL006", "closing quote"),
    "phases:\n- task: 'a\n  rule: 'cron=@daily'\n": ("2:9", "FL006", "closing quote"),
    'phases:\n- task: a\n  rule: {cron: "0 * * * *, tz: UTC}\n- task: b\n  rule: "cron=@daily"\n': (
        "3:16",
        "FL006",
        "closing quote",
    ),
    'phases:\n- task: a # don"t\n  rule: "cron=@daily" x\n': ("3:23", "FL006", "whole value in quotes"),
    'phases:\n- task: "a\n    b" c\n  rule: "cron=@daily"\n': ("3:8", "FL006", "in quotes"),
    "phases: - task: a\n": ("1:9", "FL006", "below its key, not behind it | write '- ' on the next line"),
    "phases:\n- task: a\n  rule: - a\n": ("3:9", "FL006", "stands in quotes"),
    "phases: {a": ("1:9", "FL006", "the table in braces is not closed | its closing brace is missing"),
    "x: [a,\n b,\n\n": ("1:4", "FL006", "the list is not closed | its closing bracket is missing"),
    "[": ("1:1", "FL006", "the list is not closed"),
    "x: [a,\n b\n\nphases:\n- task: a\n": ("1:4", "FL006", "the list is not closed"),
    'phases:\n- {task: a, rule: {cron: "@daily"}\n- {task: b}\n': ("2:3", "FL006", "closing brace"),
    "phases:\n- task: a\n  x: [1,\n     2\n- task: b\n": ("3:6", "FL006", "closing bracket"),
    "x: {\n  a: b\n  c: d\n}\n": ("3:4", "FL006", "or a comma"),
    "x: {a: b c: d}\n": ("1:11", "FL006", "or a comma"),
    "base: &b\n  task: a\nphases:\n- <<: *b\n": ("4:3", "FL007", "write the fields out"),
    "phases:\n- task: !!set {a}\n": ("2:9", "FL007", "'!!set'"),
    '[[phase]]\ntask = "a"\n': ("2:1", "FL006", "looks like TOML"),
    "phases:\n  task: a\n": ("1:1", "FL010", "begin each phase with '- task:'"),
    "phases:\n- task: a\n  retry: yes\n": ("3:10", "FL010", "in digits"),
}
KEYS = {
    'cron = "@daily"': ("3:1", "FL013", 'rule = "cron=…"'),
    'schedule = "@daily"': ("3:1", "FL013", 'rule = "cron=…"'),
    'meta-file = "x"': ("3:1", "FL013", 'rule = "meta-file=…"'),
    'timezone = "UTC"': ("3:1", "FL013", 'rule = "tz=…"'),
    'job = "b"': ("3:1", "FL013", "TOPIC:JOB"),
    'rules = "cron=@daily"': ("3:1", "FL012", "did you mean 'rule'?"),
    'rule = {cron = "@daily", from = 2026-01-01}': ("3:33", "FL010", "put it in quotes"),
    "rule = 5": ("3:8", "FL010", "write rule ="),
    "retry = 3.0": ("3:9", "FL010", "in digits"),
}
RULES = {
    "cron=0 25 * * *": ("3:16", "FL030", "0 to 23"),
    "cron=0 0 * JAM *": ("3:20", "FL030", "JAN to DEC"),
    "cron=@dayly": ("3:14", "FL030", "did you mean '@daily'?"),
    "cron=0 0 L * *": ("3:18", "FL030", "L, W and #"),
    "cron=0 0 * * FRI#2": ("3:22", "FL030", "L, W and #"),
    "cron=H/5 * * * *": ("3:14", "FL030", "jitter="),
    "cron='0 6 * * *'": ("3:14", "FL030", "take the quotes out"),
    "cron=@daily, offset=1h": ("3:14", "FL030", "joined by '&'"),
    "cron=@daily;offset=1h": ("3:14", "FL030", "joined by '&'"),
    "cron=@daily & offset=1h": ("3:14", "FL030", "did you mean '@daily'?"),
    "cron=": ("3:14", "FL030", "is empty"),
    "cron:0 6 * * *": ("3:9", "FL020", "did you mean 'cron=0 6 * * *'?"),
    "schedule=0 6 * * *": ("3:9", "FL020", "did you mean 'cron'?"),
    "cron=@daily&timezone=UTC": ("3:21", "FL020", "did you mean 'tz'?"),
    "cron=@daily&retries=3": ("3:21", "FL020", "a field of the phase"),
    "cron=@daily offset=1h": ("3:14", "FL030", "joined by '&'"),
    "cron=0 6 * * * offset=1h": ("3:24", "FL030", "joined by '&'"),
    "cron=@daily|offset=1h": ("3:14", "FL030", "joined by '&'"),
    "cron=every 5m": ("3:14", "FL030", "did you mean '@every 5m'?"),
    "cron=daily": ("3:14", "FL030", "did you mean '@daily'?"),
    "every 5m": ("3:9", "FL026", "did you mean 'cron=@every 5m'?"),
    "daily": ("3:9", "FL026", "did you mean 'cron=@daily'?"),
    "cron=@daily&tz=berlin": ("3:24", "FL031", "did you mean 'Europe/Berlin'?"),
    "cron=@daily&tz=europe/berlin": ("3:24", "FL031", "did you mean 'Europe/Berlin'?"),
    "cron=@daily&tz=%2B02:00": ("3:24", "FL031", "an offset is no zone"),
    "cron=@daily&offset=1 day": ("3:29", "FL050", "unit"),
}
TOKENS = {
    "{date}": ("4:13", "{yyyy}-{mm}-{dd}"),
    "{ds}": ("4:13", "{yyyy}-{mm}-{dd}"),
    "{YYYY-MM-DD}": ("4:13", "{yyyy}-{mm}-{dd}"),
    "?x={meta.file}": ("4:16", "{meta:file}"),
    "{ yyyy }": ("4:13", "{yyyy}"),
    "{{yyyy}}": ("4:13", "{yyyy}"),
    "a/${yyyy}": ("4:15", "{yyyy}"),
    "{yyyy-{mm}": ("4:13", "{yyyy}"),
    "{hour}": ("4:13", "{hh}"),
}


@pytest.mark.parametrize("text", TOML)
def test_a_slip_in_toml_is_told_with_what_to_write(text):
    place, code, words = TOML[text]
    assert first(text)[:2] == (place, code)
    assert words in first(text)[2]


@pytest.mark.parametrize("text", YAML)
def test_a_slip_in_yaml_is_told_with_what_to_write(text):
    place, code, words = YAML[text]
    assert first(text, "f.yaml")[:2] == (place, code)
    assert words in first(text, "f.yaml")[2]


@pytest.mark.parametrize("line", KEYS)
def test_a_word_in_the_wrong_place_is_told_where_it_belongs(line):
    place, code, words = KEYS[line]
    text = f'[[phase]]\ntask = "a"\n{line}\n'
    [found] = [each for each in told(text.encode(), "f.toml") if each.code != "FL101"]
    assert (found.place, found.code) == (f"f.toml:{place}", code)
    assert words in found.text + found.hint


@pytest.mark.parametrize("rule", RULES)
def test_a_slip_in_a_rule_is_told_with_what_to_write(rule):
    place, code, words = RULES[rule]
    text = f'[[phase]]\ntask = "a"\nrule = "{rule}"\n'
    found = next(each for each in told(text.encode(), "f.toml") if each.code != "FL101")
    assert (found.place, found.code) == (f"f.toml:{place}", code)
    assert words in found.text + found.hint


@pytest.mark.parametrize("template", TOKENS)
def test_a_slip_in_a_token_is_told_and_mended(template):
    place, better = TOKENS[template]
    text = f'[[phase]]\ntask = "a"\nrule = "cron=@daily&meta=file:a"\ntemplate = "{template}"\n'.encode()
    found = [each for each in told(text, "f.toml") if each.code == "FL040"]
    assert [each.place for each in found] == [f"f.toml:{place}"]
    assert better in found[0].hint
    mended = mend(text, "f.toml", "f.toml", NOW, told=found, wanted=lambda _: True).data
    assert better in mended.decode()
    assert not [each for each in told(mended, "f.toml") if each.code == "FL040"]


@pytest.mark.parametrize("template", [
    '{"day": "{yyyy}-{mm}-{dd}", "x": {"y": {"z": {hh}}}}', "{a}{0}{}", "echo ${HOME_DIR} {yyyy}", "{host-name}x",
    '{"mm": 3}', "{min_rows}", "{meta:file}{meta:file}",
])  # fmt: skip
def test_other_texts_in_braces_are_no_slips(template):
    text = f"[[phase]]\ntask = 'a'\nrule = 'cron=@daily&meta=file:a'\ntemplate = '{template}'\n"
    assert not [
        each for each in told(text.encode(), "f.toml") if "braces" in each.text or "never closed" in each.text
    ]


@pytest.mark.parametrize("data, words", [
    ('[[phase]]\ntask = "a"\n'.encode("utf-16"), "UTF-16"),
    ('[[phase]]\ntask = "a"\n'.encode("utf-16-le"), "UTF-16"),
    ('[[phase]]\ntask = "a"\n'.encode("utf-16-be"), "UTF-16"),
    (b"\x1f\x8b\x08\x00", "gzip"),
    (b"[[phase]]\ntask = \"\xe9\"\n", "byte 0xe9"),
])  # fmt: skip
def test_other_encodings_are_told_by_their_names(data, words):
    [found] = told(data, "f.toml")
    assert found.code == "FL002"
    assert words in found.text
    assert found.hint == "save the file as UTF-8"


@pytest.mark.parametrize(
    ("marked", "words"),
    [
        ('task = "«\\q»"', "write \\\\"), ('task = "abc«\\y»def"', "write \\\\"), ("'a' = \"«\\q»\"", "write \\\\"),
        ('task = "a«\\uD800»x"', "no character"), ('task = "a«\\U00110000»x"', "no character"),
        ('task = "a«\\x1»"', "\\x takes two"), ('task = "«\\u12»"', "\\u four"), ('task = "«\\U0001»', "\\U eight"),
        ('task = "C:«\\u»sers"', "\\\\ is a backslash"), ('task = """\n  b«\\q»"""', "write \\\\"),
        ('task = """\nb«\\»   q"""', "write \\\\"), ('task = "a«\\»\nb"', "write \\\\"),
        ('task = "a«\\»', "write \\\\"),
    ],
)  # fmt: skip
def test_an_escape_that_is_none_is_marked_from_its_backslash_on(marked, words):
    before, escape, after = re.split("[«»]", f"[[phase]]\n{marked}")
    [each] = told(f"{before}{escape}{after}".encode(), "f.toml")
    column = len(before) - before.rfind("\n")
    assert (each.code, each.line, each.column) == ("FL005", before.count("\n") + 1, column)
    assert each.end == column + len(escape)
    assert words in f"{each.text} | {each.hint}"


@pytest.mark.parametrize(
    "marked",
    [
        "cron=0 «22-2» * * *", "cron=«22-2» * * * *", "cron=«5-1»/2 * * * *", "cron=«*-5» * * * *",
        "cron=«,» * * * *", "cron=«*/0» * * * *", "cron=0 1,«*/0»,5 * * *&tz=UTC", "cron=0+«22-2»+*+*+*",
        "cron=TZ=«Mars» 0 0 * * *", "cron=0 0 «30 2» *", "retry=1h&cron=«* * * *»&tz=UTC",
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_schedule_is_marked_and_nothing_beside_it(marked):
    start, end = 9 + marked.index("«"), 8 + marked.index("»")
    text = f'[[phase]]\ntask = "a"\nrule = "{marked.replace("«", "").replace("»", "")}"\n'
    [each] = [each for each in told(text.encode(), "f.toml") if each.code == "FL030"]
    assert (each.line, each.column, each.end) == (3, start, end)


def test_a_block_of_yaml_ends_its_rule_without_the_end_of_the_line():
    text = "phases:\n- task: a\n  rule: >\n    cron=@daily&\n    offset=-6h\n"
    assert told(text.encode(), "f.yaml") == []


@pytest.mark.parametrize("text", [
    '[[phase]]\ntask = "a"\ncron = "0 6 * * *"\n',
    '[[phase]]\ntask = "a"\ndepends-on = "b"\n',
])  # fmt: skip
def test_one_slip_is_told_once(text):
    assert len(told(text.encode(), "f.toml")) == 1


@pytest.mark.parametrize(
    "marked",
    [
        'dependsOn: &q «"aa"»', "dependsOn: !!str &q\n    «aa»", "dependsOn: >-\n\n    «aa»\n\n",
        "dependsOn: &q |\n    «aa»",
        "retry: !!str «x»", 'retry: &q «"3"»', "retry: «&q»", "dependsOn: «&q # why»\n    aa", "dependsOn: «aa»",
    ],
)  # fmt: skip
def test_a_value_of_yaml_is_marked_without_its_anchor_its_tag_and_its_header(marked):
    before, value, after = re.split("[«»]", f"phases:\n- task: a\n  rule: cron=@daily\n- task: b\n  {marked}")
    [each] = [
        each
        for each in told(f"{before}{value}{after}\n".encode(), "f.yaml")
        if each.code in ("FL010", "FL102")
    ]
    column = len(before) - before.rfind("\n")
    assert (each.line, each.column, each.end) == (before.count("\n") + 1, column, column + len(value))


def test_a_slip_behind_an_alias_is_told_once_where_it_stands():
    text = "phases:\n- task: a\n  rule: &r {cron: '@dayly'}\n- task: b\n  rule: *r\n"
    assert [each.place for each in told(text.encode(), "f.yaml")] == ["f.yaml:3:20"]


@pytest.mark.parametrize("rule, told_at", [
    ("files=/in/*.csv&ignore=in/old/*.csv", 32), ("files=in/*.csv&ignore=/in/old/*", 31),
    ("files=s3://b/x/*&ignore=/x/y", 33), ("files=./in/*.csv&ignore=in/old/*", 33),
])  # fmt: skip
def test_an_ignored_pattern_that_is_spelled_otherwise_than_the_files_is_told(rule, told_at):
    assert first(f'[[phase]]\ntask = "a"\nrule = "{rule}"\n')[:2] == (f"3:{told_at}", "FL072")


@pytest.mark.parametrize("rule", [
    "files=/in/*&ignore=**/x/*", "files=/in/*&ignore=*.tmp", "files=**/*.csv&ignore=in/x", "files=/in/*&ignore=/in/x",
])  # fmt: skip
def test_an_ignored_pattern_that_may_match_is_not(rule):
    assert told(f'[[phase]]\ntask = "a"\nrule = "{rule}"\n'.encode(), "f.toml") == []


@pytest.mark.parametrize("files", [
    "./in/*/*/*.csv", "../in/*.csv", "./folder/*.txt", "in/./x/*.csv", "/data/../in/*.csv", "./x.csv", "/in//*.csv",
])  # fmt: skip
def test_a_folder_that_is_spelled_with_dots_in_front_of_all_wildcards_is_as_good_as_any(files):
    assert told(f'[[phase]]\ntask = "a"\nrule = "files={files}"\n'.encode(), "f.toml") == []


@pytest.mark.parametrize("files, told_at", [
    ("/in/*/../x.csv", 21), ("./in/*/./x.csv", 22), ("./in/..", 20), ("in/**//x", 20),
])  # fmt: skip
def test_dots_behind_a_wildcard_are_told_since_no_path_that_is_found_holds_them(files, told_at):
    assert first(f'[[phase]]\ntask = "a"\nrule = "files={files}"\n')[:2] == (f"3:{told_at}", "FL072")


def test_a_step_of_hours_is_measured_by_the_day():
    assert "the step 5 does not divide the day" in str(
        told(b'[[phase]]\ntask = "a"\nrule = "cron=0 */5 * * *"\n', "f.toml")[0]
    )


def of_rule(rule: str) -> list[Problem]:
    text = f"[[phase]]\ntask = 'a'\nrule = '''{rule}'''\ntemplate = '{{meta:a}}'\n"
    return [each for each in told(text.encode(), "f.toml") if each.code != "FL042"]


@pytest.mark.parametrize("meta, column", [
    ("meta=a:1|a:2", 32), ("meta=a:1&meta=b:2|a:3", 41), ("meta=a:1|b:2|a:1", 36), ("meta=a:x:1|a=2", 34),
])  # fmt: skip
def test_a_list_of_meta_that_takes_the_place_of_another_one_is_told(meta, column):
    found = next(each for each in of_rule(f"cron=@daily&{meta}") if each.code == "FL024")
    assert (found.column, found.text) == (column, "the list 'a' is given again; the last one counts")


def test_lists_of_meta_of_different_names_are_not_told():
    assert of_rule("cron=@daily&meta=a:1,2|b:a,a&meta=c:1,2") == []


@pytest.mark.parametrize("zone, bounds", [
    ("Asia/Tokyo", "from=0001-01-01&until=0001-01-02"), ("Asia/Tokyo", "from=0001-01-01"),
    ("America/New_York", "from=2027-01-01&until=9999-12-31T23:00"),
])  # fmt: skip
def test_a_bound_that_is_no_time_in_the_zone_of_the_rule_is_told(zone, bounds):
    [found] = of_rule(f"cron=@daily&tz={zone}&{bounds}")
    assert (found.code, found.text.rpartition('"')[2]) == ("FL032", " is no time that exists")


@pytest.mark.parametrize("rule, begin, end, mended", [
    ("files=/a/[z-a]", 20, 25, "files=/a/[a-z]"),
    ("files=/a/[9-0z-y]", 20, 28, ""),
    ("files=/a/*&ignore=/a/[9-0]*", 32, 37, "files=/a/*&ignore=/a/[0-9]*"),
    ('files="/a/*.csv"', 17, 27, "files=/a/*.csv"),
    ("files='/a/*.csv'", 17, 27, "files=/a/*.csv"),
    ('files="/a/%2525"', 17, 27, ""),
    ("files= /a/*.csv", 17, 18, "files=/a/*.csv"),
    ("files=/a/*.csv ", 25, 26, "files=/a/*.csv"),
    ("files=/a/*.csv%20 ", 25, 29, "files=/a/*.csv"),
    ("files=/a/*&ignore= *.tmp", 29, 30, "files=/a/*&ignore=*.tmp"),
])  # fmt: skip
def test_what_belongs_to_a_pattern_by_mistake_is_told_and_mended(rule, begin, end, mended):
    [found] = of_rule(rule)
    assert (found.code, found.column, found.end) == ("FL072", begin, end)
    assert (found.fix is not None) is bool(mended)
    if mended:
        text = f"[[phase]]\ntask = 'a'\nrule = '''{rule}'''\n".encode()
        changed = mend(text, "f.toml", "f.toml", NOW, told=told(text, "f.toml"), wanted=lambda _: True).data
        assert changed == text.replace(rule.encode(), mended.encode())


@pytest.mark.parametrize(
    "files", ["/a/[a-z]", "/a/[^z-a]", "/a/[z-ab]", r"/a/\[z-a]", "/z-a/[0-9]", "/a/it's", "/a b/*"]
)
def test_a_pattern_that_may_match_is_not(files):
    assert of_rule(f"files={files}") == []


def test_a_bucket_without_a_name_is_asked_for_one():
    [found] = of_rule("files=s3://")
    assert (found.text, found.hint) == ("'s3://' names no bucket: it matches nothing", "write s3://BUCKET/**")


@pytest.mark.parametrize("rule, column", [
    ("files=/a/*.csv&ignore=/a/*", 33), ("files=/a/*.csv&ignore=*.c?v", 33), ("files=/a/**b.csv&ignore=*.csv", 35),
    ("files=/a/x.csv&files=/b/y.csv&ignore=*.csv", 48), ("files=/a/**/x&ignore=/a/**", 32),
])  # fmt: skip
def test_an_ignore_that_is_wider_than_the_files_is_told(rule, column):
    [found] = of_rule(rule)
    assert (found.code, found.column) == ("FL074", column)


@pytest.mark.parametrize("rule", [
    "files=/a/*.csv&ignore=/a/*x*", "files=/a/**.csv&ignore=*b.csv", "files=/a/**&ignore=/a/*", "files=/a/*&ignore=*.c",
    "files=/a/x.csv&files=/b/y.txt&ignore=*.csv", "files=/a/[a-z].csv&ignore=[a-y].csv",
])  # fmt: skip
def test_an_ignore_that_leaves_some_files_is_not(rule):
    assert of_rule(rule) == []


@pytest.mark.parametrize(
    "rule", ["files=/in/[a/b].csv&ignore=*].csv", "files=b**&ignore=b**", "files=/[ab]**b&ignore=[ab]**b"]
)
def test_what_may_not_be_left_out_is_not_told_as_left_out(rule):
    text = f'[[phase]]\ntask = "a"\nrule = "{rule}"\n'
    assert "FL074" not in {each.code for each in inspect(text.encode(), "f.toml", "f.toml", NOW).problems}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("phases:\n- task: a\n  rule: “cron=@daily”\n", "FL021"),  # one of two quotes would be left
        ("phases:\n- task: a\n  dependsOn:\n    - b\n", "FL016"),  # the dash would be left
    ],
)
def test_what_would_be_mended_by_half_is_not_offered(text, code):
    problems = inspect(text.encode(), "a.yaml", "a.yaml", NOW).problems
    [found] = [each for each in problems if each.code == code]
    assert found.fix is None
