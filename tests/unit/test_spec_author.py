"""Checks for authors: what surprises is told, what is meant is left alone."""

import itertools
import random
from datetime import UTC, datetime

import pytest

from flowlord.model.problem import Problem, Severity
from flowlord.rules.globs import Glob, covers, share
from flowlord.spec.author import watch
from flowlord.spec.author.inspect import Inspected, inspect, reader, verdict
from flowlord.spec.load import load
from flowlord.spec.parse import parse
from flowlord.storage import address

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def told(text: str, name: str = "a.toml") -> list[Problem]:
    found = inspect(text.encode(), name, name, NOW)
    return verdict([found], found.problems)


def codes(text: str) -> list[str]:
    return [each.code for each in told(text)]


def phase(*lines: str, task: str = "load") -> str:
    return "\n".join(("[[phase]]", f'task = "{task}"', *lines)) + "\n"


def rule(text: str, *more: str, task: str = "load") -> str:
    return phase(f"rule = '{text}'", *more, task=task)


QUIET = {
    "steps that divide": rule("cron=0 */15 */6 * * *"),
    "a step in a range": rule("cron=0 8-18/3 * * *"),
    "a star for the weekday": rule("cron=0 6 1 * *"),
    "a question mark": rule("cron=0 6 ? * MON"),
    "every full hour while clocks change": rule("cron=0 * * * *&tz=Europe/Berlin"),
    "a fixed time in UTC": rule("cron=30 2 * * *"),
    "a zone without changes of the clocks": rule("cron=30 2 * * *&tz=Asia/Tokyo"),
    "a time that no clock skips": rule("cron=30 4 * * *&tz=Europe/Berlin"),
    "a skipped time on another weekday": rule("cron=30 2 * * MON&tz=Europe/Berlin"),
    "options of files with a schedule": rule(
        "cron=*/5 * * * *&files=/in/*&count=3&settle=1m", 'template = "{meta:file}"'
    ),
    "no_alert and retry": rule("cron=@daily&no_alert", "retry = 2"),
    "a limit in a batch": rule("cron=@daily&for=-2d&batch_limit=5"),
    "rows that repeat where another list tells them apart": rule(
        "cron=@daily&meta=a:1,1|b:1,2", 'template = "{meta:a}{meta:b}"'
    ),
    "jitter within the interval": rule("cron=*/5 * * * *&jitter=4m59s"),
    "an end that comes": rule("cron=@daily&until=2027-01-01"),
    "a child that waits for what it reads": rule("cron=@daily", task="a")
    + rule("require={meta:x}", 'dependsOn = "a"', 'template = "{meta:x}"'),
    "a child of a file": rule("files=/in/*", task="a") + phase('dependsOn = "a"', 'template = "{meta:filename}"'),
    "a child of rows": rule("cron=@daily&meta=k:1,2", 'template = "{meta:k}"', task="a")
    + phase('dependsOn = "a"', 'template = "{meta:k}"'),
    "a parent elsewhere": "# flowlord: ignore-file FL102\n" + phase('dependsOn = "b"', 'template = "{meta:x}{min}"'),
    "minutes of the schedule itself": rule("cron=*/5 * * * *", 'template = "{hh}:{min}"'),
    "minutes that are always 00": rule("cron=0 5 * * *", task="a") + phase('dependsOn = "a"', 'template = "{min}"'),
    "minutes of a batch at full hours": rule("cron=0 */2 * * *&for=-2h&by=hour&offset=-3h", 'template = "{hh}:{min}"'),
    "hours of a batch": rule("cron=30 5 * * *&meta=k:1,2", 'template = "{hh}{meta:k}"'),
    "a day": rule("cron=@daily", 'template = "?date={yyyy}-{mm}-{dd}"'),
    "a placeholder": rule("cron=@daily", 'template = "postgres://etl:{meta:cron}@db/x?token={meta:job}"'),
    "a port": rule("cron=@daily", 'template = "http://host:8080/path@x"'),
    "a pattern of a bucket": rule("files=s3://b//odd/*", 'template = "{meta:file}"'),
    "an escaped brace": rule("files=/in/\\{a,b}", 'template = "{meta:file}"'),
    "patterns apart": rule("files=/in/*.csv", task="a") + rule("files=/in/*.csv.gz", task="b"),
    "one phase with two patterns": rule("files=/in/*&files=/in/*.csv"),
    "the month in another part": rule("cron=@daily", 'template = "{yyyy}/{mm}/{dd}/{hh}/x?month={mm}"'),
    "a command that fills in the date": rule("cron=@daily", 'template = "backup $(date +%Y-%m-%d)"'),
    "an escape like one of strftime": rule("cron=@daily", 'template = "a%C3%mb%20?x={yyyy}"'),
    "braces of a template engine inside JSON": rule("cron=@daily", 'template = \'{"a": {"b": {{"c": 1}}}}\''),
    "an interval of whole seconds": rule("cron=@every 1h1s"),
    "a comma in a name": rule("files=/in/a,b.csv", 'template = "{meta:file}"'),
    "a folder named as a store": rule("files=s3/in/*.csv&files=gs/x", 'template = "{meta:file}"'),
    "a pattern of files by their address": rule("files=file:///in/*.csv", 'template = "{meta:file}"'),
    "a dollar in a name": rule("files=/in/a$1/*", 'template = "{meta:file}"'),
    "names that are passed on": rule("cron=@daily", task="a") + rule("pass=rows,row-count", 'dependsOn = "a"'),
    "a date in the path": rule("files=/in/2026/08/01/x.csv", 'template = "{yyyy}"'),
}  # fmt: skip


@pytest.mark.parametrize("name", QUIET)
def test_nothing_is_said_about(name):
    assert [str(each) for each in told(QUIET[name])] == []


LOUD = {
    "a step beyond the field": (rule("cron=*/90 * * * *"), "only 0 is left"),
    "a step of days": (rule("cron=0 0 */2 * *"), "begins again at the first of each month"),
    "a step from a number": (rule("cron=5/20 * * * *"), None),
    "a step behind a zone": (rule("cron=TZ=UTC */7 * * * *"), "0, 7, 14, … 56"),
    "the days of a step": (rule("cron=0 0 1 * */2"), "either of them is enough"),
    "the date of a skipped time": (
        rule("cron=30 2 * * *&tz=Europe/Berlin"),
        "02:30 Europe/Berlin does not exist on 2027-03-28; runs 03:00"),
    "a skipped time that follows real time": (rule("cron=*/30 2 * * *&tz=Europe/Berlin"), "nothing starts then"),
    "a zone in the schedule": (
        rule("cron=TZ=America/New_York 15 2 * * *"),
        "02:15 America/New_York does not exist on 2027-03-14"),
    "jitter of a beat": (rule("cron=@every 5m&jitter=5m"), "which comes after 5m"),
    "a retry_delay beyond max_delay": (
        rule("cron=@daily&retry_delay=1h&max_delay=5m", "retry = 1"),
        "ends every wait after 5m"),
    "the zone of no machine": (rule("cron=CRON_TZ=Local 0 6 * * *"), "'Local' does nothing"),
    "the zone of no machine beside one that counts": (
        rule("cron=TZ=Local 0 6 * * *&tz=Asia/Tokyo"),
        "the zone of this schedule is that of tz, 'Asia/Tokyo'"),
    "the offset of a file": (rule("files=/in/*.csv&offset=-24h"), "'offset' does nothing"),
    "a zone given twice": (rule("cron=TZ=Asia/Tokyo 0 6 * * *&tz=Europe/Berlin"), "'tz' does nothing"),
    "a job given twice": (rule("cron=@daily&job=b", task="load:a"), "the task names its job"),
    "a window that is not used": (rule("cron=@daily&catchup=none&catchup_window=2h"), "with catchup=none"),
    "a table": (phase('rule = {cron = "@daily", retry_delay = "3s"}'), "'retry_delay' does nothing"),
    "two rows alike": (rule("cron=@daily&meta=a:1,1", 'template = "{meta:a}"'), "two rows of 'meta' are alike"),
    "too many of lists and dates": (
        rule("cron=@daily&for=-9d&batch_limit=19&meta=a:1,2", 'template = "{meta:a}{dd}"'), "makes 20 tasks",
    ),
    "a beat of nothing": (rule("cron=@every 0s"), "@every 0s counts as @every 1s"),
    "a beat with a fraction": (rule("cron=TZ=UTC @every 90500ms"), "@every 90500ms counts as @every 1m30s"),
    "lists without items": (rule("cron=@daily&meta=a:|b:", 'template = "{meta:a}"'), "no start of this phase makes"),
    "a range of no length": (rule("cron=@daily&for=0"), "'for' of no length"),
    "a list that no token can name": (rule("cron=@daily&meta={a:1}"), "'meta' gives '{a'"),
    "lists behind a semicolon": (rule("cron=@daily&meta=a:1,2;b:3,4"), "differ in nothing"),
    "tokens that are passed on": (
        rule("cron=@daily", task="a") + rule("pass={meta:rows}", 'dependsOn = "a"'), "'pass' names '{meta:rows}'",
    ),
    "the month again": (rule("cron=@daily", 'template = "{yyyy}-{mm}-{dd}T{hh}:{mm}"'), "the minute is '{min}'"),
    "a value of another system": (rule("cron=@daily", 'template = "?d={{ ds }}"'), "how other systems write it"),
    "a date of strftime": (rule("cron=@daily", 'template = "?day=%Y-%m-%d"'), "'%Y-%m-%d' is how other systems"),
    "a bucket with one slash": (rule("files=s3:/b/*"), "'s3:/' names no bucket"),
    "a bucket without a colon": (rule("files=gs//b/*"), "'gs//' names no bucket"),
    "a bucket in capitals": (rule("files=S3://b/*"), "'S3://' names no bucket"),
    "a bucket alone": (rule("files=s3://b"), "names a bucket and no file"),
    "a page": (rule("files=https://x.org/*.csv"), "nobody watches 'https://'"),
    "a home": (rule("files=~/in/*.csv"), "'~' is not filled in"),
    "a variable": (rule("files=${DATA}/in/*.csv"), "'${DATA}' is not filled in"),
    "tokens in a pattern": (rule("files=/in/{yyyy}/*.csv"), "no token is filled in"),
    "patterns behind a comma": (rule("files=/in/*.csv,/in/*.txt"), "commas are no alternatives"),
    "names to be ignored behind a comma": (rule("files=/in/*&ignore=*.bak,*.tmp"), "commas are no alternatives"),
    "a pattern of a folder": (rule("files=/in/"), "ends in /"),
    "a key of a cloud": (rule("cron=@daily&x=AKIAIOSFODNN7EXAMPLE"), "an access key"),
    "a hook": (rule("cron=@daily", 'template = "https://hooks.slack.com/services/T0AA/B0BB/abcDEF"'), "a web hook"),
    "a token in a query": (rule("cron=@daily", 'template = "https://x.org/?token=deadbeef01"'), "a secret"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOUD)
def test_it_is_told(name):
    text, words = LOUD[name]
    found = [each.text for each in told(text) if each.severity is not Severity.NOTE and each.code != "FL020"]
    if words is None:
        assert found == []
    else:
        assert len(found) == (2 if "*/2" in text and "1 *" in text else 1), found
        assert words in found[0]


@pytest.mark.parametrize(
    ("text", "template", "token"),
    [
        ("CRON_TZ=Asia/Tokyo 30 5 * * *&for=-2h&by=hour", "{hh}:{min}", "{min}"),
        ("@every 5m&meta=k:1,2", "{ts}{meta:k}", "{ts}"),
        ("@hourly&offset=-30m&meta-file=rows.json", "{MIN}{meta:k}", "{MIN}"),
    ],
)
def test_the_minute_that_a_batch_cuts_off_is_noted(text, template, token):
    [problem] = told(rule(f"cron={text}", f'template = "{template}"'))
    assert (problem.code, problem.severity) == ("FL053", Severity.NOTE)
    assert problem.text.startswith(f"'{token}' shows minute 00: the tasks of a batch")


def test_the_stores_that_a_pattern_may_name_are_those_that_can_be_reached():
    assert [f"{each}://" for each in watch.REMOTE] == list(address.REMOTE)


@pytest.mark.parametrize("key", ["password", "aws_secret_access_key", "secret_key", "api_key", "sig"])
def test_a_secret_is_known_by_the_name_of_its_parameter(key):
    [problem] = told(rule("cron=@daily", f'template = "s3://b/k?{key}=wJalrXUtnFEMI"'))
    assert problem.code == "FL080"


def test_a_secret_is_told_also_where_its_parameter_comes_first():
    assert codes(rule("cron=@daily", 'template = "aws_secret_access_key=wJalrXUtnFEMI"')) == ["FL080"]
    assert codes(rule("cron=@daily", 'template = "design=wJalrXUtnFEMI&xtoken=abcdefghi"')) == []


@pytest.mark.parametrize(
    "text", ["url=s3://b/k?token=deadbeef01", "args=password=deadbeef01", "a=env=sig=deadbeef01"]
)
def test_a_secret_is_told_also_within_the_value_of_another_parameter(text):
    [problem] = told(rule("cron=@daily", f'template = "?{text}"'))
    assert problem.code == "FL080"
    assert problem.end - problem.column == len("deadbeef01")


def test_a_misspelt_option_beside_the_right_one_is_not_said_to_be_fixable():
    [problem] = told(rule("cron=@daily&offset=1h&ofset=2h"))
    assert (problem.code, problem.fix) == ("FL021", None)
    assert problem.hint == "'offset' is given, too: take one of them out"


def test_a_secret_is_not_repeated():
    [problem] = told(rule("cron=@daily", 'template = "postgres://etl:hunter2@db/users"'))
    assert problem.code == "FL080"
    assert "hunter2" not in problem.text + problem.hint
    assert (problem.column, problem.end) == (28, 35)


def test_patterns_of_several_files_are_compared(tmp_path):
    (tmp_path / "a.toml").write_text(rule("files=/in/**", task="a"), "utf-8")
    (tmp_path / "b.toml").write_text(rule("files=/out/*&files=/in/x/*.csv", task="b"), "utf-8")
    loaded = load(tmp_path, reader(NOW))
    [note] = verdict(loaded.parsed, loaded.problems)
    assert (note.code, note.path, note.column) == ("FL073", str(tmp_path / "b.toml"), 28)
    assert f"'a' ({tmp_path / 'a.toml'}:3)" in note.hint


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("/a/*", "/a/b", True), ("/a/*", "/a/b/c", False), ("/a/**", "/a/b/c", True), ("/a/?", "/a/[xyz]", True),
        ("/a/[a-c]", "/a/[d-f]", False), ("/a/[^x]", "/a/x", False), ("/a/*.csv", "/a/*.gz", False),
        ("/a/*.csv", "/a/x*", True), ("*", "/", False), ("**", "/", True), ("/a/\\*", "/a/b", False), ("", "*", True),
        ("/*/b", "/a/*", True), ("/a*b", "/ab", True), ("[^a]", "[^b]", True),
    ],
)  # fmt: skip
def test_two_patterns_share_a_path_or_do_not(one, other, together):
    assert share(one, other) is together
    assert share(other, one) is together


def test_a_pattern_that_covers_another_one_matches_all_that_it_matches():
    chance, covering = random.Random(7), 0
    pieces = ["a", "b", "/", "*", "**", "?", "[ab]", "[^a]", "[b-a]"]
    paths = ["".join(path) for size in range(5) for path in itertools.product("abc/", repeat=size)]
    for _ in range(2_000):
        one, other = ("".join(chance.choices(pieces, k=chance.randint(1, 4))) for _ in range(2))
        if covers(one, other):
            covering += 1
            wide, narrow = Glob.compile(one), Glob.compile(other)
            assert [path for path in paths if narrow.matches(path) and not wide.matches(path)] == [], (
                one,
                other,
            )
    assert covering > 100


def test_whatever_loading_tells_authors_are_told_as_well():
    text = rule("crn=@daily", 'tempalte = "x"') + phase('dependsOn = "laod"')
    assert set(parse(text.encode(), "a.toml")[1]) <= set(told(text))


def test_a_file_that_is_refused_is_still_looked_at_for_everything_else():
    assert codes(rule("cron=*/7 * * * *", 'retry = "3"')) == ["FL034", "FL010"]


def test_any_bytes_give_the_workflow_that_loading_gives():
    for data in (b"", b"\xff", b"[", b"[[phase]]\ntask = 'a'\nrule = 'cron=@daily'", b"\0", b"a: &a [*a]"):
        for name in ("a.toml", "a.yaml"):
            found = inspect(data, name, name, NOW)
            assert isinstance(found, Inspected)
            assert found.workflow == parse(data, name)[0]


@pytest.mark.parametrize(
    ("template", "code", "better"),
    [
        ("?time={YYYY}-{MM}-{DD}T{HH}:{mm}", "FL082", "{min}"),
        ("?time={yyyy}-{mm}-{dd}T{HH}{MM}", "FL082", "{min}"),
        ("?date={YYYY}-{MM}-{DD}T{HH}", "FL048", "hour"),
        ("?day={Yyyy}-{mm}-{Dd}t{hH}", "FL048", "hour"),
    ],
)
def test_a_slip_with_tokens_in_capitals_is_told_as_in_small_letters(template, code, better):
    [problem] = told(rule("cron=@daily", f'template = "{template}"'))
    assert problem.code == code
    assert better in problem.hint


@pytest.mark.parametrize(
    ("text", "template", "better"),
    [
        ("files=/in/*", "{file}", "meta:file"), ("files=/in/*", "{Filename}", "meta:filename"),
        ("files=/in/*", "{dir}", "meta:dir"), ("files=/in/*", "{count}", "meta:count"),
        ("files=/in/*", "{Meta:file}", "meta:file"), ("files=/in/*", "{meta:File}", "meta:file"),
        ("files=/in/*", "{meta:fil}", "meta:file"),
        ("cron=@daily&meta=region:eu", "{region}{meta:region}", "meta:region"),
        ("cron=@daily&meta=region:eu", "{meta:Region}{meta:region}", "meta:region"),
        ("cron=@daily", "{ Meta:job }", "meta:job"),
    ],
)  # fmt: skip
def test_the_token_that_a_misspelt_one_was_meant_for_is_named(text, template, better):
    [problem] = told(rule(text, f'template = "{template}"'))
    assert problem.code in ("FL040", "FL042")
    assert f"did you mean '{{{better}}}'?" in problem.hint


def test_a_name_that_no_token_has_is_not_said_to_be_mended_by_small_letters():
    [problem] = told(rule("cron=@daily", 'template = "{Meta:my-key}"'))
    assert problem.hint == "it is {meta:name}, with letters, digits and _"


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Europe/Berlim", "Europe/Berlin"), ("Europe/Berlinn", "Europe/Berlin"), ("europe/berln", "Europe/Berlin"),
        ("Amercia/New York", "America/New_York"), ("Berlim", "Europe/Berlin"), ("Middle/Earth", ""), ("XYZ", ""),
    ],
)  # fmt: skip
def test_the_zone_that_a_misspelt_one_was_meant_for_is_named(name, zone):
    [problem] = told(rule(f"cron=@daily&tz={name}"))
    assert problem.code == "FL031"
    assert problem.hint == (f"did you mean '{zone}'?" if zone else "")


def test_a_topic_is_the_nearest_parent_where_its_phases_have_jobs():
    [problem] = told(rule("cron=@daily", task="load:users") + phase('dependsOn = "laod"', task="b"))
    assert (problem.code, problem.hint) == ("FL102", "did you mean 'load' (line 1)?")
    [problem] = told(rule("cron=@daily", task="a") + phase('dependsOn = "laod"', task="load:users"))
    assert "did you mean" not in problem.hint  # itself


def test_a_bare_schedule_is_told_once():
    assert codes(phase('rule = "@daily"')) == ["FL026"]
    assert codes(phase('rule = "0 6 * * *"')) == ["FL026"]
    assert codes(phase('rule = "retry_delay=3s"')) == ["FL101", "FL029"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("PGPASSWORD=hunter22 psql", "hunter22"), ("x --password=hunter22", "hunter22"),
        ("db_password=hunter22", "hunter22"), ('{"password": "hunter22"}', "hunter22"),
        ("?access_key=abcdefgh1234", "abcdefgh1234"), ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("?token=550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        ("?PASSWORD=hunter", "hunter"), ("?a=1&api_token=x9x9x9x9", "x9x9x9x9"),
        ("curl -H x-api-key:x9x9x9x9", "x9x9x9x9"),
    ],
)  # fmt: skip
def test_a_secret_is_told_in_commands_headers_and_json(text, secret):
    [problem] = told(rule("cron=@daily", f"template = '{text}'"))
    assert problem.code == "FL080"
    assert problem.end - problem.column == len(secret)
    assert problem.column == len("template = '") + text.index(secret) + 1


def test_a_secret_is_told_in_the_rule_as_text_and_as_table():
    for written in (
        '"cron=@daily&password=hunter22"',
        '{cron="@daily", password="hunter22"}',
        '{cron="@daily", db-token="hunter22"}',
        '"cron=@daily&meta=password:hunter22"',
    ):
        assert codes(phase(f"rule = {written}")).count("FL080") == 1, written


@pytest.mark.parametrize(
    "text",
    [
        "?token=next-page", "?token=users_2026", "?password=env:PASSWORD1", "?password=vault:x1y2z3/y",
        "?password=file:/run/x1y2z3", "?password=arn:aws:secretsmanager:x1y2z3", "?password=${PW1234}",
        "?password={meta:cron}", '{"password": "required"}', "forgot_password=template", "?page_token=t1,t2,t3",
        "?monkey=abcdef12", "?design=abcdef12", "a bearer of news", "?x=secret:{meta:job}", "?tokens=abcdef12",
    ],
)  # fmt: skip
def test_what_only_names_a_secret_is_none(text):
    assert "FL080" not in codes(rule("cron=@daily", f"template = '{text}'"))
