"""A secret of a channel is in nothing that flowlord writes: logs, errors, settings, the bus, the history."""

from pathlib import Path

from support.processes import flowlord, running, write
from support.slack import standing_in, status

PLANTED = "planted-5b1c77"
WORKFLOW = """
[[phase]]
task = "load"
retry = 0
"""


def configuration(slack):
    return f"""
    [slack]
    url = "{slack.root}/services/T0/B0/{PLANTED}"
    format = "blocks"

    [alerts]
    heartbeat_url_file = "heartbeat.secret"
    heartbeat_every = "1s"

    [alerts.channels.bot]
    kind = "slack"
    token = "xoxb-{PLANTED}"
    channel = "#ops"
    api = "{slack.api}"

    [alerts.channels.web]
    kind = "webhook"
    url = "{slack.root}/in/{PLANTED}"
    secret_command = "cat web.secret"
    token_env = "WEB_TOKEN"

    [alerts.channels.mail]
    kind = "apprise"
    url = "nosuch://user:{PLANTED}@mail.invalid/x"
    """


def test_a_planted_secret_is_found_in_no_output_and_in_no_file(tmp_path):
    with standing_in() as slack:
        write(
            tmp_path,
            {
                "flowlord.toml": configuration(slack),
                "workflows/a.toml": WORKFLOW,
                "heartbeat.secret": f"{slack.root}/ping/{PLANTED}\n",
                "web.secret": f"{PLANTED}\n",
            },
        )
        env = {"WEB_TOKEN": PLANTED}
        said: dict[str, str] = {}

        def run(*words):
            ended = flowlord(*words, cwd=tmp_path, env=env)
            said[" ".join(words)] = ended.out + ended.err
            return ended

        # Every answer of the receiver repeats what it was sent to.
        slack.next(always=status(404, f"no {PLANTED} here"))
        with running("run", "workflows", "-v", "--worker", "load=false", cwd=tmp_path, env=env) as daemon:
            daemon.says("nobody hears the heartbeat")
            assert run("send", "load", "x", "--wait").code == 1
            assert run("notify", "test", "-o", "json").code == 1
            run("notify", "send", "-o", "json")
            run("notify", "preview")
            run("notify", "preview", "-o", "slack")
            run("tasks", "-o", "json")
            run("doctor", "-o", "json")
            slack.next()
            daemon.says("the heartbeat is heard again")
            assert any(each["path"] == f"/ping/{PLANTED}" for each in slack.received())
            assert daemon.end() == 0
            said["the log of the daemon"] = daemon.out + daemon.err
        for form in ("table", "json"):
            run("config", "-o", form)
        write(
            tmp_path, {"flowlord.toml": configuration(slack).replace("[slack]", "[slack]\n    urll = 1", 1)}
        )
        assert run("config").code == 2
        run("notify", "test", "--config", "flowlord.toml")
    assert "***" in said["config -o json"]
    assert {words: text for words, text in said.items() if PLANTED in text} == {}
    given = {"flowlord.toml", "heartbeat.secret", "web.secret"}
    files = [path for path in Path(tmp_path).rglob("*") if path.is_file() and path.name not in given]
    assert any(path.suffix == ".db" for path in files)
    assert [path for path in files if PLANTED.encode() in path.read_bytes()] == []


def test_the_daemon_calls_its_heartbeat_again_and_again(tmp_path):
    with standing_in() as slack:
        write(tmp_path, {"workflows/a.toml": WORKFLOW})
        env = {"FLOWLORD_HEARTBEAT_URL": f"{slack.root}/ping/x", "FLOWLORD_HEARTBEAT_EVERY": "1s"}
        with running("run", "workflows", cwd=tmp_path, env=env) as daemon:
            assert all(each["path"] == "/ping/x" for each in slack.received(atleast=2))
            assert daemon.end() == 0
