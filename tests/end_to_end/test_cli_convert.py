"""`flowlord convert`: between TOML and YAML, and out of a crontab to tasks that run."""

import pytest

from support.processes import flowlord, write

TOML = '# a phase\n[[phase]]\ntask = "a"\nrule = "cron=@daily"\n'
YAML = 'phases:\n  # a phase\n  - task: a\n    rule: "cron=@daily"\n'


def test_a_file_goes_to_the_other_format_and_back(tmp_path):
    write(tmp_path, {"a.toml": TOML})
    there = flowlord("convert", "a.toml", "-o", "b.yaml", cwd=tmp_path)
    assert (there.code, there.out) == (0, "")
    assert (tmp_path / "b.yaml").read_text("utf-8") == YAML
    back = flowlord("convert", "b.yaml", cwd=tmp_path)
    assert back.out == '# a phase\n[[phase]]\ntask = "a"\nrule = "cron=@daily"\n'
    assert flowlord("convert", "b.yaml", "--to", "yaml", cwd=tmp_path).out == YAML


def test_stdin_is_told_by_what_is_in_it(tmp_path):
    assert flowlord("convert", "-", stdin=TOML, cwd=tmp_path).out == YAML
    assert flowlord("convert", "-", stdin=YAML, cwd=tmp_path).out.startswith("# a phase\n[[phase]]")
    found = flowlord("convert", "-", "--tz", "UTC", stdin="* * * * * thing\n", cwd=tmp_path)
    assert 'task     = "cron:thing"' in found.out


def test_nothing_is_overwritten_and_nothing_broken_is_converted(tmp_path):
    write(tmp_path, {"a.toml": TOML, "b.yaml": "mine", "bad.toml": '[[phase]]\ntask = "a"\nretry = "x"\n'})
    there = flowlord("convert", "a.toml", "-o", "b.yaml", cwd=tmp_path)
    assert there.code == 2
    assert (tmp_path / "b.yaml").read_text("utf-8") == "mine"
    bad = flowlord("convert", "bad.toml", "-o", "c.yaml", cwd=tmp_path)
    assert (bad.code, bad.out) == (1, "")
    assert "bad.toml:3:9" in bad.err
    assert not (tmp_path / "c.yaml").exists()


@pytest.mark.parametrize(
    "arguments",
    [["nowhere"], ["."], ["a.toml", "--to", "xml"], ["a.toml", "--from", "ini"], ["x", "--tz", "Mars"], []],
)
def test_wrong_use_is_told(arguments, tmp_path):
    write(tmp_path, {"a.toml": TOML, "x": "* * * * * y\n"})
    ended = flowlord("convert", *arguments, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err


def test_check_fails_only_when_something_is_lost(tmp_path):
    write(tmp_path, {"fine": "5 4 * * * thing\n", "lost": "@reboot thing\n5 4 * * * thing\n"})
    assert flowlord("convert", "fine", "--check", cwd=tmp_path).code == 0
    lost = flowlord("convert", "lost", "--check", cwd=tmp_path)
    assert (lost.code, lost.out) == (1, "")
    assert "lost:1: '@reboot thing' is not carried over" in lost.err


def test_what_a_crontab_becomes_runs_its_commands(tmp_path):
    text = (
        "SHELL=/bin/bash\nGREETING = it's\n"
        '0 5 * * * [[ $GREETING == it* ]] && echo "$GREETING 100\\% $0" > said\n'
        "0 6 * * * cat > given%one%%three\n"
    )
    write(tmp_path, {"crontab": text})
    (tmp_path / "workflows").mkdir()
    assert flowlord("convert", "crontab", "--tz", "UTC", "-o", "workflows/cron.toml", cwd=tmp_path).code == 0
    assert flowlord("validate", "--strict", "workflows", cwd=tmp_path).code == 0
    coming = flowlord("next", "workflows", "-o", "json", cwd=tmp_path).data
    for start in coming:
        assert flowlord("send", start["task"], start["info"], cwd=tmp_path).code == 0
    made = (tmp_path / "workflows" / "cron.toml").read_text("utf-8")
    worker = made.split("--worker '")[1].split("'\n")[0]
    assert flowlord("run", "workflows", "--once", "--worker", worker, cwd=tmp_path).code == 0
    assert (tmp_path / "said").read_text("utf-8") == "it's 100% /bin/bash\n"
    assert (tmp_path / "given").read_text("utf-8") == "one\n\nthree\n"
