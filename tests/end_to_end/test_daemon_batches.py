"""A large batch with `run --once`: it ends when all is through, and a bad row ends it with an alert and exit code 1."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.processes import flowlord, write

ROWS = 10_600  # more than are made at once
FILES = {
    "workflows/f.toml": """
        [[phase]]
        task = "root"
        rule = "cron=@yearly"

        [[phase]]
        task = "leaf"
        dependsOn = "root"
        rule = "meta-file=rows.json"
        template = "{meta:n}"
    """
}


@pytest.mark.parametrize(("bad", "code", "done"), [(0, 0, ROWS), (10_401, 1, 10_400)])
def test_once_waits_until_an_open_batch_is_through(tmp_path: Path, bad: int, code: int, done: int) -> None:
    home = write(tmp_path, FILES)
    lines = ["oops\n" if n == bad else f'{{"n": {n}, "retry": 7}}\n' for n in range(1, ROWS + 1)]
    (home / "rows.json").write_text("".join(lines))
    assert flowlord("send", "root", cwd=home).code == 0
    workers = ("--worker", "root=builtin:noop", "--worker", "leaf=builtin:noop", "--quiet")
    ended = flowlord("run", "--once", *workers, cwd=home, limit_s=100)
    assert ended.code == code, ended.err
    assert ("rows.json: line 10401" in ended.err) == bool(bad)
    count = flowlord("tasks", "--topic", "leaf", "--state", "complete", "--count", cwd=home)
    assert int(count.out) == done
    [batch] = flowlord("backload", "list", "-o", "json", cwd=home).data or [{"state": "", "sent": ROWS}]
    assert (batch["state"], batch["sent"]) == ("stopped" if bad else "", done)
