"""What docs/redis.md says to type does what it says."""

import json
import re
import subprocess

import pytest

from docs.reference import ROOT
from support.processes import flowlord, running, tasks, until, write
from support.redis_server import Server

PAGE = (ROOT / "docs" / "redis.md").read_text("utf-8")
FLOW = """
[[phase]]
task = "load"
rule = "cron=@yearly"

[[phase]]
task = "mail"
dependsOn = "load"
"""


@pytest.fixture(scope="module")
def guarded():
    """A server on which flowlord has the rights of the page and no others."""
    [rule] = re.findall(r"(?m)^user (flowlord on >SECRET .+)$", PAGE)
    options = {"appendonly": "yes", "user": ["default off", rule]}
    with Server(options=options, user="flowlord", password="SECRET") as started:
        yield started


def test_the_rights_of_the_page_are_enough_and_no_more_than_that(guarded, tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    env = {"REDIS_URL": guarded.url}
    assert flowlord("send", "load", "a.csv", cwd=tmp_path, env=env).code == 0
    ran = flowlord(
        "run", "workflows", "--once", "--worker", "load=true", "--worker", "mail=true", cwd=tmp_path, env=env
    )
    assert ran.code == 0, ran.err
    for command in (["topics"], ["workers"], ["topics", "peek", "done"]):
        ended = flowlord(*command, cwd=tmp_path, env=env)
        assert ended.code == 0, ended.err
    doctor = flowlord("doctor", "redis", "clock", "cache", "--strict", cwd=tmp_path, env=env)
    assert doctor.code == 0, doctor.out
    for command in ("FLUSHALL", "KEYS *", "GET other", "SET {other}:topic:x 1", "CONFIG SET save 1"):
        with pytest.raises(Exception, match="permissions"):
            guarded.ask(*command.split(" "))


def test_a_program_without_flowlord_takes_and_reports_as_the_page_says(tmp_path):
    write(tmp_path, {"workflows/a.toml": FLOW})
    [block] = [each for each in re.findall(r"(?ms)^```sh\n(.*?)^```$", PAGE) if "XREADGROUP" in each]
    before, after = block.split("# shows the entry's id")
    with Server(options={"appendonly": "yes"}) as server:
        env = {"REDIS_URL": server.url, "PORT": str(server.port)}
        with running("run", "workflows", cwd=tmp_path, env=env) as daemon:
            daemon.says("history")
            said = shell(before, env)
            assert "a.csv" in said
            # What was read is pending; reading it again tells the same.
            [[_, [[entry, fields]]]] = server.ask(
                "XREADGROUP", "GROUP", "workers", "me", "STREAMS", "{flowlord}:topic:load", "0"
            )
            found = dict(zip(fields[::2], fields[1::2], strict=True)) if isinstance(fields, list) else fields
            result = json.loads(found["task"]) | {
                "result": "complete", "msg": "3 rows",
                "started": "2026-08-01T05:00:00Z", "ended": "2026-08-01T05:00:09Z",
            }  # fmt: skip
            about = {"id": entry, "key": found.get("key", ""), "result": json.dumps(result)}
            shell(f"load='{{flowlord}}:topic:load'\n{after.partition(chr(10))[2]}", env | about)

            def is_heard() -> bool:
                return [
                    row["state"] for row in tasks(tmp_path, "--redis", server.url, "--topic", "load")
                ] == ["complete"]

            until(is_heard, "the result")
        assert server.ask("XLEN", "{flowlord}:topic:load") == 0


def shell(text: str, env: dict[str, str]) -> str:
    """Run lines of the page in a shell, against the server on $PORT."""
    done = subprocess.run(
        ["sh", "-e", "-c", text.replace("redis-cli ", "redis-cli -p $PORT ")],
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", **env}, capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ERR" not in done.stdout
    return done.stdout
