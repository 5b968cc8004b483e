"""Settings of alerts: the keys of the Go program, a table of channels, secrets that are shown nowhere."""

import pytest

from flowlord.config import resolve
from flowlord.config.schema import config_schema
from flowlord.model.channel import SLACK_API, ChannelKind, SecretRef
from flowlord.model.errors import InvalidConfig

HOOK = "https://hooks.slack.com/services/T0/B0/planted"


def read(folder, text, variables=None, name="flowlord.toml"):
    (folder / name).write_text(text, "utf-8")
    return resolve({}, variables or {}, folder)


def refused(folder, text, variables=None, name="flowlord.toml"):
    with pytest.raises(InvalidConfig) as caught:
        read(folder, text, variables, name)
    return [str(each).removeprefix(f"{folder}/") for each in caught.value.problems]


def test_the_keys_of_the_go_program_work_unchanged(tmp_path):
    settings = read(
        tmp_path,
        f'[slack]\nUrl = "{HOOK}"\nChannel = "#data"\nPrefix = "PROD"\nTitle = "pipelines"\n'
        'MinFrequency = "10m0s"\nmax_frequency = 3600000000000\n',
    ).alerts
    [slack] = settings.channels
    assert (slack.name, slack.kind, slack.url.value) == ("slack", ChannelKind.SLACK, HOOK)
    assert (slack.channel, slack.prefix, slack.title) == ("#data", "PROD", "pipelines")
    assert (settings.min_frequency_ns, settings.max_frequency_ns) == (600 * 10**9, 3600 * 10**9)
    assert settings.default == "slack"
    assert slack.api == SLACK_API


def test_a_ceiling_that_is_none_is_the_usual_one(tmp_path):
    settings = read(tmp_path, '[slack]\nmin_frequency = "10m"\nmax_frequency = "10m"\n').alerts
    assert (settings.min_frequency_ns, settings.max_frequency_ns) == (600 * 10**9, 0)


def test_empty_keys_as_the_go_program_writes_them_are_no_channel(tmp_path):
    settings = read(tmp_path, '[slack]\nUrl = ""\nChannel = ""\nPrefix = ""\nTitle = ""\n').alerts
    assert (settings.channels, settings.default) == ((), "")


TOML = """
[slack]
token_file = "/run/secrets/slack"
channel = "#data-alerts"

[alerts]
default = "ops"
heartbeat_url = "https://hc.example/planted"
heartbeat_every = "30s"

[alerts.channels.ops]
kind = "webhook"
url = "https://ops.example/in"
secret_env = "OPS_SECRET"
timeout = "3s"

[alerts.channels.mail]
kind = "apprise"
url_command = "pass show 'alert mail'"
"""
YAML = """
slack:
  token_file: /run/secrets/slack
  channel: "#data-alerts"
alerts:
  default: ops
  heartbeat_url: https://hc.example/planted
  heartbeat_every: 30s
  channels:
    ops:
      kind: webhook
      url: https://ops.example/in
      secret_env: OPS_SECRET
      timeout: 3s
    mail: {kind: apprise, url_command: "pass show 'alert mail'"}
"""


@pytest.mark.parametrize(("text", "name"), [(TOML, "flowlord.toml"), (YAML, "flowlord.yaml")])
def test_a_table_of_channels_is_read_from_toml_and_from_yaml(tmp_path, text, name):
    settings = read(tmp_path, text, name=name).alerts
    slack, ops, mail = settings.channels
    assert settings.default == "ops"
    assert (slack.token.file, slack.channel) == ("/run/secrets/slack", "#data-alerts")
    assert (ops.name, ops.kind, ops.url.value, ops.secret.variable, ops.limit_ns) == (
        "ops", ChannelKind.WEBHOOK, "https://ops.example/in", "OPS_SECRET", 3 * 10**9,
    )  # fmt: skip
    assert (mail.kind, mail.url.command) == (ChannelKind.APPRISE, ("pass", "show", "alert mail"))
    assert settings.heartbeat_url.value == "https://hc.example/planted"
    assert settings.heartbeat_every_ns == 30 * 10**9
    line = 1 + text.splitlines().index(next(each for each in text.splitlines() if "webhook" in each))
    assert ops.place == f"{tmp_path}/{name}:{line}"


def test_variables_give_secrets_and_no_secret_is_shown(tmp_path):
    settings = read(
        tmp_path,
        TOML.replace("token_file", "# ").replace('channel = "#', 'channel = "#'),
        {"FLOWLORD_SLACK_URL": HOOK},
    )
    assert settings.alerts.channels[0].url.value == HOOK
    shown = {entry.name: (entry.value, entry.origin) for entry in settings.entries}
    assert shown["slack.url"] == ("***", "FLOWLORD_SLACK_URL")
    assert shown["alerts.heartbeat_url"] == ("***", f"{tmp_path}/flowlord.toml:8")
    assert shown["alerts.channels.ops.url"] == ("***", f"{tmp_path}/flowlord.toml:13")
    assert shown["alerts.channels.ops.kind"][0] == "webhook"
    assert shown["alerts.channels.ops.secret_env"][0] == "OPS_SECRET"
    told = repr(settings) + str(settings)
    assert "planted" not in told
    assert "ops.example" not in told


# What stands below [alerts.channels.ops], where it is wrong, and how that is told after the name of the channel.
WRONG = {
    "kindless": ('url = "https://x/"', "2:7", " has no kind"),
    "unknown kind": ('kind = "slak"', "2:8", ".kind: 'slak' is none of slack"),
    "misspelt": ('kind = "webhook"\nulr = "https://x/"', "3:7", ".ulr'"),
    "no way": ('kind = "webhook"', "2:8", " has no url"),
    "two ways": (
        'kind = "webhook"\nurl = "https://x/"\nurl_env = "X"',
        "4:11",
        ": url and url_env are given",
    ),
    "half a bot": ('kind = "slack"\ntoken = "xoxb-planted"', "2:8", " has a token and no channel"),
    "two slacks": (
        'kind = "slack"\ntoken = "planted"\nurl = "https://x/planted"',
        "2:8",
        " has a url and a token",
    ),
    "no address": ('kind = "slack"\nurl = "planted"', "2:8", " has a url that is no address of HTTP"),
    "no text": ('kind = "webhook"\nurl = 7', "3:7", ".url: *** is no text"),
    "not its own": (
        'kind = "apprise"\nurl = "json://x"\nsecret = "planted"',
        "4:10",
        ".secret means nothing",
    ),
    "no variable": ('kind = "webhook"\nurl_env = "a b"', "3:11", ".url_env: 'a b' is no name of a variable"),
    "no command": ('kind = "webhook"\nurl_command = "a \'b"', "3:15", '.url_command: "a \'b" is no command'),
}


@pytest.mark.parametrize(("text", "place", "words"), WRONG.values(), ids=WRONG)
def test_a_channel_that_cannot_be_is_told_with_its_place_and_without_its_secret(tmp_path, text, place, words):
    [told] = refused(tmp_path, f"[alerts.channels.ops]\n{text}\n")
    assert told.startswith(f"flowlord.toml:{place}: FL20")
    assert f"alerts.channels.ops{words}" in told
    assert "planted" not in told


def test_a_channel_that_is_no_table_and_one_with_a_strange_name_are_refused(tmp_path):
    for text in (
        "[alerts.channels]\nops = 7\n",
        '[alerts.channels."a b"]\nkind = "slack"\n',
        "[alerts.channels.ops]\n",
    ):
        [told] = refused(tmp_path, text)
        assert "a channel is a table with a name of letters" in told
    [told] = refused(tmp_path, "[alerts]\nchannels = 7\n")
    assert told.startswith("flowlord.toml:2:12: FL202 error: alerts.channels")


def test_the_default_names_a_channel_that_is_there(tmp_path):
    [told] = refused(tmp_path, TOML.replace('default = "ops"', 'default = "opps"'))
    assert told.startswith("flowlord.toml:7: FL202 error: alerts.default names 'opps', which is no channel")
    [told] = refused(tmp_path, '[alerts.channels.slack]\nkind = "webhook"\nurl = "https://x/"\n')
    assert "is the channel that [slack] makes" in told


def test_a_secret_of_slack_that_is_no_address_is_not_repeated(tmp_path):
    [told] = refused(tmp_path, '[slack]\nurl = "hooks.slack.com/planted"\n')
    assert told.startswith("flowlord.toml:2:7: FL202 error: slack.url: '***' is no address of HTTP")


def test_a_reference_to_a_secret_is_true_and_silent():
    assert not SecretRef("x")
    assert SecretRef("x", command=("true",))
    assert repr(SecretRef("slack.url", "planted")) == "SecretRef('slack.url')"


def test_the_schema_knows_channels():
    channels = config_schema()["properties"]["alerts"]["properties"]["channels"]
    one = channels["additionalProperties"]
    assert one["properties"]["kind"]["anyOf"][0] == {"enum": ["slack", "webhook", "apprise"]}
    assert {"url", "url_env", "url_file", "url_command", "secret"} <= set(one["properties"])
