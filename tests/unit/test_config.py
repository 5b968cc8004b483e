"""Settings: who wins, what is refused, and where each value comes from."""

import pytest

from flowlord.config import Settings, masked, resolve
from flowlord.model.errors import InvalidConfig


def given(folder, text, name="flowlord.toml"):
    (folder / name).write_text(text, "utf-8")
    return folder


def origin(settings: Settings, name: str) -> tuple[str, str]:
    [entry] = [entry for entry in settings.entries if entry.name == name]
    return entry.value, entry.origin


def refused(*arguments, **named) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        resolve(*arguments, **named)
    return [str(problem) for problem in caught.value.problems]


def test_the_defaults_are_those_of_the_classes(tmp_path):
    settings = resolve({}, {}, tmp_path)
    plain = Settings()
    assert (settings.bus, settings.cache, settings.taskmaster) == (plain.bus, plain.cache, plain.taskmaster)
    assert (settings.worker, settings.log) == (plain.worker, plain.log)
    assert {entry.origin for entry in settings.entries} == {"default"}
    assert settings.notes == ()


def test_every_default_as_it_is_shown_reads_as_the_default(tmp_path):
    shown = resolve({}, {}, tmp_path).entries
    again = resolve({}, {entry.variable: entry.value for entry in shown}, tmp_path)
    assert (again.bus, again.cache, again.taskmaster, again.worker, again.log) == (
        Settings().bus, Settings().cache, Settings().taskmaster, Settings().worker, Settings().log,
    )  # fmt: skip


def test_flag_beats_variable_beats_alias_beats_file_beats_default(tmp_path):
    given(tmp_path, 'done_topic = "file"\n')
    steps = [
        ({}, {}, "file", f"{tmp_path}/flowlord.toml:1"),
        ({}, {"DONE_TOPIC": "alias"}, "alias", "DONE_TOPIC"),
        ({}, {"DONE_TOPIC": "alias", "FLOWLORD_DONE_TOPIC": "own"}, "own", "FLOWLORD_DONE_TOPIC"),
        ({"done_topic": "flag"}, {"FLOWLORD_DONE_TOPIC": "own"}, "flag", "--done-topic"),
    ]
    for flags, environment, value, source in steps:
        settings = resolve(flags, environment, tmp_path)
        assert settings.taskmaster.done_topic == value
        assert origin(settings, "taskmaster.done_topic") == (value, source)


def test_keys_of_the_go_program_and_its_readme_are_read(tmp_path):
    given(
        tmp_path,
        'workflow = "flows"\nRefresh = "15m"\nfailed_topic = "-"\nfile_topic = "files"\n'
        '[slack]\nUrl = "https://x"\n[sqlite]\nLocalPath = "a.db"\nBackupPath = "gs://b"\ntask-ttl = "5h"\n',
    )
    settings = resolve({}, {}, tmp_path)
    assert (settings.taskmaster.workflows, settings.taskmaster.reload_ns) == ("flows", 900 * 10**9)
    assert (settings.taskmaster.failed_topic, settings.cache.path) == ("", "a.db")
    assert settings.watch.file_topic == "files"
    assert settings.alerts.channels[0].url.value == "https://x"
    assert settings.notes == ()
    assert settings.taskmaster.task_ttl_ns == 5 * 3600 * 10**9
    given(tmp_path, '[cache]\nlocal_path = "b.db"\nretention = "30d"\ntask_ttl = "4h"\n')
    assert resolve({}, {}, tmp_path).cache.retention_ns == 30 * 86_400 * 10**9


def test_generic_variables_are_not_read(tmp_path):
    settings = resolve({}, {"HOST": "x", "PORT": "1", "REFRESH": "1s", "NAMESPACE": "x"}, tmp_path)
    assert {entry.origin for entry in settings.entries} == {"default"}


def test_the_variables_of_redis_choose_the_bus_and_ours_goes_first(tmp_path):
    given(tmp_path, '[bus]\nurl = "sqlite:///file.db"\n')
    environment: dict[str, str] = {}
    steps = [
        ("", "sqlite:///file.db", f"{tmp_path}/flowlord.toml:2"),
        ("REDIS_URL", "redis://one:1", "REDIS_URL"),
        ("FLOWLORD_REDIS_URL", "redis://two:2", "FLOWLORD_REDIS_URL"),
        ("FLOWLORD_BUS", "redis://three:3", "FLOWLORD_BUS"),
    ]
    for name, address, source in steps:
        if name:
            environment[name] = address
        settings = resolve({}, environment, tmp_path)
        assert settings.bus.address == address
        assert origin(settings, "bus.address") == (address, source)
        assert settings.notes == ()
    assert resolve({"bus": "memory:"}, environment, tmp_path).bus.address == "memory:"
    assert resolve({}, {"REDIS_URL": ""}, tmp_path).bus.address == "sqlite:///file.db"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis:6379", "redis://redis:6379"),
        ("10.0.0.7:6380", "redis://10.0.0.7:6380"),
        ("[::1]:6379", "redis://[::1]:6379"),
        ("a:6379,b:6379", "redis://a:6379,b:6379"),
        (" redis://h ", "redis://h"),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("memory:", "memory:"),
        ("bus.db", "bus.db"),
    ],
)
def test_a_host_with_its_port_is_an_address_of_redis(tmp_path, text, address):
    assert resolve({}, {"REDIS_URL": text}, tmp_path).bus.address == address


def test_a_namespace_is_taken_from_flag_variable_and_file(tmp_path):
    given(tmp_path, 'namespace = "file"\naccept_loss = true\n')
    assert resolve({}, {}, tmp_path).bus.namespace == "file"
    assert resolve({}, {}, tmp_path).bus.accept_loss is True
    environment = {"FLOWLORD_NAMESPACE": "variable", "FLOWLORD_ACCEPT_LOSS": "no"}
    settings = resolve({}, environment, tmp_path)
    assert (settings.bus.namespace, settings.bus.accept_loss) == ("variable", False)
    settings = resolve({"namespace": "flag", "accept_loss": True}, environment, tmp_path)
    assert (settings.bus.namespace, settings.bus.accept_loss) == ("flag", True)
    assert origin(settings, "bus.accept_loss") == ("true", "--accept-loss")


@pytest.mark.parametrize("name", ["{a}", "a:b", "a b", "", "x" * 65, "*", "ü", "a\n"])
def test_a_namespace_that_would_break_keys_is_refused(tmp_path, name):
    [told] = refused({"namespace": name}, {}, tmp_path)
    assert told.startswith("--namespace: FL202 error: bus.namespace: ")
    assert "is no namespace" in told


def test_an_alias_is_noted_and_a_misspelt_variable_too(tmp_path):
    settings = resolve(
        {}, {"TASKFLOW_LOCK_TTL": "7s", "FLOWLORD_LEESE": "1s", "FLOWLORD_TASK_ID": "x"}, tmp_path
    )
    assert settings.bus.lease_ns == 7 * 10**9
    assert [(note.path, note.text, note.hint) for note in settings.notes] == [
        ("TASKFLOW_LOCK_TTL", "is read as FLOWLORD_LEASE", ""),
        ("FLOWLORD_LEESE", "nobody reads the variable FLOWLORD_LEESE", "did you mean FLOWLORD_LEASE?"),
    ]


def test_everything_wrong_is_told_at_once_with_its_place(tmp_path):
    path = given(tmp_path, 'failed_topik = "x"\n\n[bus]\nlease = 5\n  adress = "x"\n') / "flowlord.toml"
    told = refused({"grace": "5"}, {"FLOWLORD_LOG_LEVEL": "loud"}, tmp_path)
    assert told == [
        "--grace: FL202 error: taskmaster.grace: '5' is no duration: write it with its unit, such as 5s",
        f"{path}:1:16: FL201 error: unknown setting 'failed_topik'",
        f"{path}:4:9: FL202 error: bus.lease: '5' is no duration: write it with its unit, such as 5s",
        f"{path}:5:12: FL201 error: unknown setting 'bus.adress'",
        "FLOWLORD_LOG_LEVEL: FL202 error: log.level: 'loud' is none of debug, info, warning, error",
    ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("flowlord.toml", "lease = \n", ":1:9: FL200 error: no valid TOML"),
        ("flowlord.yaml", "lease: [\n", ":2:1: FL200 error: no valid YAML"),
        ("flowlord.yaml", "lease: 5s\nlease: 6s\n", ":2:1: FL200 error: the key 'lease' is repeated"),
        ("flowlord.yaml", "- lease\n", ":1:1: FL200 error: the file is no table"),
        ("flowlord.toml", "#" * 70_000, "FL200 error: has more than 65,536 bytes"),
        ("flowlord.toml", "a = " + "[" * 40_000, "FL200 error: cannot be read"),
        ("flowlord.yaml", "cache: false\n", ":1:8: FL202 error: cache.path: 'false' is no path"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path, name, text, words):
    [told] = refused({}, {}, given(tmp_path, text, name))
    assert told.startswith(f"{tmp_path}/{name}")
    assert words in told


def test_yaml_says_what_toml_says(tmp_path):
    given(
        tmp_path,
        "workflow: flows\nbus:\n  lease: 5s\n  max_deliveries: 4\ncache: {enabled: no}\nhttp:\n  to: [a, {b: c}]\n",
        "flowlord.yaml",
    )
    settings = resolve({}, {}, tmp_path)
    assert (settings.taskmaster.workflows, settings.bus.lease_ns, settings.bus.max_deliveries) == (
        "flows",
        5 * 10**9,
        4,
    )
    assert not settings.cache.enabled
    assert origin(settings, "bus.lease")[1] == f"{tmp_path}/flowlord.yaml:3"


def test_the_file_is_found_by_flag_variable_folder_and_home(tmp_path):
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    (home / "flowlord").mkdir(parents=True)
    given(home / "flowlord", 'done_topic = "home"', "flowlord.toml")
    environment = {"XDG_CONFIG_HOME": str(home)}
    assert resolve({}, environment, here).taskmaster.done_topic == "home"
    given(here, 'done_topic = "here"')
    assert resolve({}, environment, here).taskmaster.done_topic == "here"
    given(tmp_path, 'done_topic = "variable"', "v.toml")
    environment["FLOWLORD_CONFIG"] = str(tmp_path / "v.toml")
    assert resolve({}, environment, here).taskmaster.done_topic == "variable"
    given(tmp_path, "done_topic: flag", "f.yaml")
    assert resolve({"config": str(tmp_path / "f.yaml")}, environment, here).taskmaster.done_topic == "flag"
    assert refused({"config": "nowhere.toml"}, {}, here) == [
        "nowhere.toml: FL200 error: --config names a file that is not there"
    ]


def test_two_files_beside_each_other_are_refused(tmp_path):
    given(tmp_path, "")
    given(tmp_path, "", "flowlord.yaml")
    [told] = refused({}, {}, tmp_path)
    assert "flowlord.yaml beside it" in told


def test_no_cache_beats_everything(tmp_path):
    settings = resolve({"no_cache": True}, {"FLOWLORD_CACHE_ENABLED": "true"}, tmp_path)
    assert not settings.cache.enabled
    assert origin(settings, "cache.enabled") == ("false", "--no-cache")


@pytest.mark.parametrize(
    ("text", "ns"),
    [("1h30m", 5400 * 10**9), ("1.5s", 1_500_000_000), ("250ms", 250_000_000), ("2w", 14 * 86_400 * 10**9)],
)
def test_durations_are_written_as_in_go(tmp_path, text, ns):
    assert resolve({"lease": text}, {}, tmp_path).bus.lease_ns == ns


@pytest.mark.parametrize("text", ["0", "0s", "-5s", "5", "s", "5 s", "1e3s", "9999999999w"])
def test_other_durations_are_refused(tmp_path, text):
    assert len(refused({"lease": text}, {}, tmp_path)) == 1


def test_a_password_is_never_shown(tmp_path):
    settings = resolve({"bus": "redis://me:canary@host:1/0"}, {}, tmp_path)
    assert settings.bus.address == "redis://me:canary@host:1/0"
    assert all("canary" not in f"{entry}" for entry in settings.entries)
    assert masked("redis://:canary@h rediss://u:canary@h") == "redis://:***@h rediss://u:***@h"
    assert masked("sqlite:///a@b.db") == "sqlite:///a@b.db"
    told = refused({"failed_topic": "x://u:canary@h"}, {}, tmp_path)
    assert "canary" not in told[0]


@pytest.mark.parametrize(
    "address",
    [
        "redis://u:ca/na?ry@h:1/0",
        "redis://:ca@na@ry@h",
        "redis://:ca na ry@h",
        "u:canary@h:6379",
        ":canary@h",
        "redis://h/0?password=canary&db=1",
        "redis+sentinel://h1:1,h2:2/name?sentinel_password=canary",
        f"redis://:canary{'x' * 80}@h",
    ],
)
def test_a_password_is_hidden_however_wrongly_it_is_written(tmp_path, address):
    for name in ("REDIS_URL", "FLOWLORD_BUS", "FLOWLORD_NAMESPACE"):
        try:
            told = str(resolve({}, {name: address}, tmp_path).entries)
        except InvalidConfig as error:
            told = str(error)
        assert "***" in told
        assert not [part for part in ("canary", "ca/na", "na@ry", "na ry") if part in told]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'failed_topic = "done"',
            ":1:16: FL202 error: taskmaster.failed_topic: 'done' is taken: it is where results",
        ),
        ('failed_topic = "quarantine"', ":1:16: FL202 error: taskmaster.failed_topic: 'quarantine' is taken"),
        ('done_topic = "quarantine"', ":1:14: FL202 error: taskmaster.done_topic: 'quarantine' is taken"),
        (
            'done_topic = "x"\nfailed_topic = "x"',
            ":2: FL202 error: taskmaster.failed_topic and taskmaster.done_topic",
        ),
        (
            'done_topic = "x"\nfailed_topic = "done"',
            ":2:16: FL202 error: taskmaster.failed_topic: 'done' is taken",
        ),
        (
            'done_topic = "retry-failed"',
            ":1: FL202 error: taskmaster.failed_topic and taskmaster.done_topic are both",
        ),
    ],
)
def test_a_topic_with_another_use_is_refused(tmp_path, text, words):
    [told] = refused({}, {}, given(tmp_path, text + "\n"))
    assert words in told


def test_a_topic_of_its_own_for_each_is_taken(tmp_path):
    given(tmp_path, 'done_topic = "retry-failed"\nfailed_topic = "-"\n')
    found = resolve({}, {}, tmp_path).taskmaster
    assert (found.done_topic, found.failed_topic) == ("retry-failed", "")


def test_what_is_no_unicode_in_a_path_is_written_out(tmp_path):
    [told] = refused({"config": f"{tmp_path}/\udcff.toml"}, {}, tmp_path)
    assert "/\\udcff.toml: FL200" in told
    settings = resolve({}, {"FLOWLORD_CACHE": "a\udcff.db"}, tmp_path)
    assert origin(settings, "cache.path") == ("a\\udcff.db", "FLOWLORD_CACHE")
    assert settings.cache.path == "a\udcff.db", "the path itself stays as it is"


def test_keys_of_buckets_come_in_pairs_and_the_secret_is_shown_nowhere(tmp_path):
    given(tmp_path, '[file]\naccess_key = "key"\nsecret_key = "hush-hush"\n')
    settings = resolve({}, {}, tmp_path)
    assert (settings.storage.access_key, settings.storage.secret_key) == ("key", "hush-hush")
    assert origin(settings, "storage.secret_key") == ("***", f"{tmp_path}/flowlord.toml:3")
    assert "hush-hush" not in repr(settings)
    given(tmp_path, '[storage]\nsecret_key = "hush-hush"\n')
    [told] = refused({}, {}, tmp_path)
    assert "belong together" in told
    given(tmp_path, "[storage]\naccess_key = 'a'\nsecret_key = ['hush-hush']\n")
    assert "hush-hush" not in " ".join(refused({}, {}, tmp_path))


def test_addresses_of_object_storage_are_taken_as_their_own_tools_take_them(tmp_path):
    environment = {"AWS_ENDPOINT_URL": "http://localhost:9000/", "STORAGE_EMULATOR_HOST": "localhost:4443"}
    storage = resolve({}, environment, tmp_path).storage
    assert (storage.endpoint, storage.gcs_endpoint) == ("http://localhost:9000", "http://localhost:4443")
    for wrong in ("http://user:hush-hush@host", "ftp://host", "http://host/path"):
        [told] = refused({}, {"FLOWLORD_STORAGE_ENDPOINT": wrong}, tmp_path)
        assert "is no address of a server" in told
        assert "hush-hush" not in told


def test_each_namespace_has_a_history_of_its_own_unless_a_file_is_named(tmp_path):
    of_flag = resolve({"namespace": "staging"}, {}, tmp_path)
    assert of_flag.cache.path == ".flowlord/tasks-staging.db"
    assert origin(of_flag, "cache.path") == (".flowlord/tasks-staging.db", "--namespace")
    assert resolve({}, {"FLOWLORD_NAMESPACE": "a"}, tmp_path).cache.path == ".flowlord/tasks-a.db"
    assert resolve({"namespace": "flowlord"}, {}, tmp_path).cache == Settings().cache
    named = resolve({"namespace": "staging"}, {"FLOWLORD_CACHE": "mine.db"}, tmp_path)
    assert named.cache.path == "mine.db"


def test_each_namespace_has_backups_of_its_own_unless_the_command_line_names_a_place(tmp_path):
    for place, below in (
        ("gs://acme/flowlord/", "gs://acme/flowlord/staging"),
        ("/backups/of.all", "/backups/of.all/staging"),
        ("/backups/tasks.db", "/backups/tasks-staging.db"),
    ):
        variables = {"FLOWLORD_BACKUP_PATH": place, "FLOWLORD_CACHE": "mine.db"}
        assert resolve({"namespace": "staging"}, variables, tmp_path).cache.backup_path == below
        assert resolve({}, variables, tmp_path).cache.backup_path == place
    flags = {"namespace": "staging", "backup_path": "/backups"}
    assert resolve(flags, {}, tmp_path).cache.backup_path == "/backups"


GO = """
workflow = "./flows"
refresh = "15m"
task-ttl = "5h"
db-path = "./tasks.db"
done_topic = "done"
file_topic = "files"
failed_topic = "-"
status_port = 8080
host = "localhost"
[slack]
url = "https://hooks.slack.com/services/x"
MinFrequency = "6m"
[bus]
bus = "pubsub"
pubsub_id = "p"
nsqd_hosts = ["localhost:4150"]
[file]
access_key = "a"
secret_key = "b"
use_file_buf = true
"""


def test_a_configuration_of_the_go_program_is_taken_and_each_key_without_an_equal_is_told(tmp_path):
    settings = resolve({}, {}, given(tmp_path, GO))
    assert settings.taskmaster.workflows == "./flows"
    assert settings.taskmaster.task_ttl_ns == 5 * 3600 * 10**9
    assert (settings.cache.path, settings.taskmaster.failed_topic) == ("./tasks.db", "")
    told = {note.line: note for note in settings.notes}
    assert told[5].text == "db-path is read as cache.path"
    assert [line for line in told if line != 5] == [9, 10, 15, 16, 17, 21]
    assert all("redis://HOST:6379" in told[line].hint for line in (15, 16, 17))
    assert "web page" in told[9].text
    assert settings.bus == Settings().bus


@pytest.mark.parametrize(
    "text", ["cache:\n  path: mine.db\ndb_path: go.db\n", "cache: {path: mine.db}\ndb_path: ''\n"]
)
def test_a_history_that_is_named_as_we_do_goes_before_the_key_of_the_go_program(tmp_path, text):
    (tmp_path / "flowlord.yaml").write_text(text)
    settings = resolve({}, {}, tmp_path)
    assert settings.cache.path == "mine.db"
    assert [note.text.partition(" ")[0] for note in settings.notes] == ["db_path"]
