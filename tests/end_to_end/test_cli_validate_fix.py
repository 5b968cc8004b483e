"""`flowlord validate --fix`, `--diff`, `--watch` and `flowlord rule` as processes."""

import json
import os
import signal
import subprocess

import pytest

from support.processes import FLOWLORD, flowlord, ran, write

BAD = '# words\r\n[[phase]]\r\ntask = "a"   # more\r\nrule = "crn=@daily&until=2099-01-01"\r\n'
GOOD = BAD.replace("crn", "cron")


def raw(folder, name="a.toml") -> bytes:
    return (folder / name).read_bytes()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.toml").write_bytes(BAD.encode())
    return tmp_path


def test_fix_writes_the_file_in_one_step_with_its_mode_and_through_a_link(folder):
    os.rename(folder / "a.toml", folder / "real.txt")
    (folder / "a.toml").symlink_to("real.txt")
    (folder / "real.txt").chmod(0o640)
    before = (folder / "real.txt").stat().st_ino
    ended = flowlord("validate", "a.toml", "--fix", cwd=folder)
    assert (ended.code, ended.out) == (0, "")
    assert "mended 1 problem in 1 file" in ended.err
    assert raw(folder) == GOOD.encode()
    assert (folder / "a.toml").is_symlink()
    status = (folder / "real.txt").stat()
    assert status.st_mode & 0o777 == 0o640
    assert status.st_ino != before, "a new file took the place of the old one"
    assert sorted(each.name for each in folder.iterdir()) == ["a.toml", "real.txt"]
    again = flowlord("validate", "a.toml", "--fix", cwd=folder)
    assert "mended 0 problems in 0 files" in again.err


def test_diff_shows_the_change_which_patch_can_apply_and_changes_nothing(folder):
    ended = flowlord("validate", "a.toml", "--diff", cwd=folder)
    assert ended.code == 1
    assert "would mend 1 problem in 1 file" in ended.err
    assert raw(folder) == BAD.encode()
    shown = subprocess.run(
        [*FLOWLORD, "validate", "a.toml", "--diff"], cwd=folder, capture_output=True, check=False, timeout=40
    ).stdout
    assert shown.startswith(b"--- a.toml\n+++ a.toml\n@@ ")
    subprocess.run(["git", "apply", "-p0", "-"], cwd=folder, input=shown, check=True, timeout=40)
    assert raw(folder) == GOOD.encode()
    assert flowlord("validate", "a.toml", "--diff", cwd=folder).code == 0


def test_stdin_comes_back_mended_and_words_go_elsewhere(folder):
    text = '[[phase]]\ntask = "a"\nrule = "crn=@daily&colour=1"\n'
    ended = flowlord("validate", "-", "--fix", cwd=folder, stdin=text)
    assert (ended.code, ended.out) == (0, text.replace("crn", "cron"))
    assert "FL020" in ended.err


def test_what_changes_the_meaning_is_mended_only_when_asked(folder):
    text = '[[phase]]\ntask = "a"\nrule = "0 6 * * *"\n'
    write(folder, {"a.toml": text})
    assert flowlord("validate", "a.toml", "--fix", cwd=folder).code == 0
    assert raw(folder) == text.encode()
    assert flowlord("validate", "a.toml", "--fix", "--unsafe-fixes", cwd=folder).code == 0
    assert raw(folder) == text.replace("0 6", "cron=0 6").encode()


def test_only_the_selected_codes_are_mended(folder):
    write(folder, {"a.toml": '[[phase]]\ntask = "a"\nretry = "3"\nrule = "crn=@daily"\n'})
    assert flowlord("validate", "a.toml", "--fix", "--select", "FL010", cwd=folder).code == 0
    assert raw(folder) == b'[[phase]]\ntask = "a"\nretry = 3\nrule = "crn=@daily"\n'


@pytest.mark.parametrize("flag", ["--select", "--ignore"])
@pytest.mark.parametrize("value", ["FL999", "FL010,", "21", ""])
def test_a_code_that_is_none_does_not_pass_for_a_good_folder(folder, flag, value):
    write(folder, {"a.toml": '[[phase]]\ntask = "a"\nretry = "3"\nrule = "crn=@daily"\n'})
    ended = flowlord("validate", "a.toml", flag, value, cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert flag in ended.err


def test_several_codes_stand_in_one_flag_with_commas_and_in_any_case(folder):
    write(folder, {"a.toml": '[[phase]]\ntask = "a"\nretry = "3"\nrule = "crn=@daily"\n'})
    ended = flowlord("validate", "a.toml", "--select", "fl010, FL02", "-o", "jsonl", cwd=folder)
    assert ended.code == 1
    assert [json.loads(line)["code"] for line in ended.out.splitlines()] == ["FL010", "FL021"]
    assert flowlord("validate", "a.toml", "--ignore", "FL010,FL02", "-q", cwd=folder).out.count("FL0") == 0


def test_a_file_that_cannot_be_written_stays_as_it_was_and_is_told(folder):
    text = '[[phase]]\ntask = "a"\nrule = "crn=@daily"\n'
    write(folder, {"a.toml": text})
    limited = 'ulimit -f 0; exec "$@"'  # no file may grow, whoever asks
    ended = ran(["sh", "-c", limited, "sh", *FLOWLORD, "validate", "a.toml", "--fix"], cwd=folder)
    assert ended.code == 1
    assert "a.toml was not mended" in ended.err
    assert raw(folder) == text.encode()
    assert [path.name for path in folder.iterdir()] == ["a.toml"]


def test_watch_looks_again_when_a_file_changes_and_ends_by_interrupt(folder):
    process = subprocess.Popen(
        [*FLOWLORD, "validate", "a.toml", "--watch", "-o", "concise"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert "FL021" in process.stdout.readline()
        while "watching" not in process.stderr.readline():
            pass
        write(folder, {"a.toml": '[[phase]]\ntsk = "a"\n'})
        assert "FL011" in process.stdout.readline()
        assert "FL012" in process.stdout.readline()
        while "watching" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 130
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait(40)
        process.stdout.close()
        process.stderr.close()


def test_watch_and_stdin_do_not_go_together(folder):
    assert flowlord("validate", "-", "--watch", cwd=folder).code == 2


def test_meta_files_are_looked_at_unless_told_otherwise(folder):
    write(
        folder,
        {"a.toml": '[[phase]]\ntask = "a"\nrule = "cron=@daily&meta-file=rows.csv"\ntemplate = "{meta:x}"\n'},
    )
    assert "FL066" in flowlord("validate", "a.toml", cwd=folder).out
    assert flowlord("validate", "a.toml", "--no-file-checks", cwd=folder).out == ""
    write(folder, {"rows.csv": "y\n1\n"})
    assert "row 1 of rows.csv has no 'x'" in flowlord("validate", "a.toml", cwd=folder).out


def test_rule_explains_a_code_and_lists_all(folder):
    ended = flowlord("rule", "FL021", cwd=folder)
    assert ended.code == 0
    assert ended.out.startswith("FL021 error: a misspelt rule option\n")
    assert 'rule = "cron=@daily&ofset=-24h"\n                        ^^^^^\n' in ended.out
    assert "\nmended: flowlord validate --fix" in ended.out
    assert json.loads(flowlord("rule", "fl021", "-o", "json", cwd=folder).out)["fixable"] == "safe"
    listed = flowlord("rule", cwd=folder).out.splitlines()
    assert len(listed) == len(flowlord("rule", "-o", "json", cwd=folder).data) > 80
    assert all(len(line) <= 100 for line in listed)


def test_a_code_that_is_not_there_has_its_own_exit_code_and_the_nearest(folder):
    ended = flowlord("rule", "FL0021", cwd=folder)
    assert (ended.code, ended.out) == (5, "")
    assert "did you mean FL" in ended.err
