"""`flowlord init`: every project that it writes validates and runs as its README says."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from flowlord.cli.init import CI, TEMPLATES, contents
from flowlord.spec.convert import same
from flowlord.spec.load import load
from support.processes import flowlord, ran, running, until, write

MADE = {
    "minimal": {"out/reply.txt": "hello world, and thank you\n"},
    "files": {"out/2026-08-01.csv.txt": "2026-08-01.csv: 2 rows\n"},
    "batch": {"out/score/17.txt": "de\n"},
    "etl": {"out/sales.loaded": "de 15\nfr 7\n", "out/sales-2026-08-01T05.sums": "de 15\nfr 7\n"},
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_the_readme_of_a_project_says_works(template, tmp_path):
    began = flowlord("init", "new", "--template", template, cwd=tmp_path)
    assert (began.code, began.out) == (0, "")
    project = tmp_path / "new"
    assert flowlord("validate", "--strict", "workflows", cwd=project).code == 0
    [block] = re.findall(r"```sh\n(.*?)```", (project / "README.md").read_text("utf-8"), re.DOTALL)
    script = f'flowlord() {{ "{sys.executable}" -m flowlord "$@"; }}\n{block}'
    ended = ran(["sh", "-e", "-c", script], cwd=project)
    assert ended.code == 0, ended.err
    for path, text in MADE[template].items():
        assert (project / path).read_text("utf-8") == text
    if template == "files":  # the sample is found once
        assert len(flowlord("tasks", "-o", "json", cwd=project).data) == 2
    failed = flowlord("tasks", "--failed", "-o", "json", cwd=project)
    assert (failed.code, failed.data) == (0, [])


def test_the_project_for_files_starts_on_a_file_that_arrives(tmp_path):
    assert flowlord("init", "--template", "files", cwd=tmp_path).code == 0
    with running("run", "--app", "steps", cwd=tmp_path) as daemon:
        daemon.says("files.before")  # it looks at the folder by now
        write(tmp_path, {"inbox/new.csv": "item,amount\nplums,1\n"})
        made = tmp_path / "out" / "new.csv.txt"
        until(made.exists, "the report of the new file")
        assert made.read_text("utf-8") == "new.csv: 1 rows\n"
        assert daemon.end() == 0


@pytest.mark.parametrize("template", TEMPLATES)
def test_in_yaml_it_means_the_same_and_keeps_its_comments(template, tmp_path):
    assert flowlord("init", "--template", template, "--yaml", "y", cwd=tmp_path).code == 0
    write(tmp_path / "t", dict(contents(template)))
    toml, made = load(tmp_path / "t" / "workflows"), load(tmp_path / "y" / "workflows")
    assert made.problems == toml.problems == ()
    [one], [other] = toml.workflows.by_name.values(), made.workflows.by_name.values()
    assert same(one, other)
    assert Path(other.path).suffix == ".yaml"
    assert Path(one.path).read_text("utf-8").count("#") == Path(other.path).read_text("utf-8").count("#")


@pytest.mark.parametrize("ci", CI)
def test_the_check_for_a_ci_is_yaml_that_calls_validate(ci, tmp_path):
    assert flowlord("init", "--ci", ci, cwd=tmp_path).code == 0
    text = (tmp_path / CI[ci][1]).read_text("utf-8")
    assert isinstance(yaml.safe_load(text), dict)
    for line in re.findall(r"flowlord (?:validate|next)[^\n]*", text):
        command = line.partition(" >")[0]
        words = (command.partition(":")[0] if "name:" in line else command).split()[1:]
        if "workflows/" in words:
            assert flowlord(*words, cwd=tmp_path).code == 0


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path):
    write(tmp_path, {"steps.py": "mine\n", "workflows/hello.toml": "mine\n"})
    ended = flowlord("init", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "steps.py, workflows/hello.toml already; nothing was written" in ended.err
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["hello.toml", "steps.py"]
    assert (tmp_path / "steps.py").read_text("utf-8") == "mine\n"
    write(tmp_path, {"p/workflows": "a file where a folder must be\n"})
    half = flowlord("init", "p", cwd=tmp_path)
    assert (half.code, half.out) == (2, "")
    assert "nothing was left behind" in half.err
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["workflows"]


def test_a_folder_that_holds_other_things_gets_a_project_beside_them(tmp_path):
    write(tmp_path, {"notes.md": "mine\n"})
    assert flowlord("init", "--template", "batch", cwd=tmp_path).code == 0
    assert (tmp_path / "notes.md").read_text("utf-8") == "mine\n"
    assert flowlord("validate", "--strict", cwd=tmp_path).code == 0  # flowlord.toml names the folder
    assert flowlord("init", "--template", "batch", cwd=tmp_path).code == 2


@pytest.mark.parametrize("arguments", [["--template", "big"], ["--ci", "jenkins"], ["a", "b"]])
def test_wrong_use_writes_nothing(arguments, tmp_path):
    ended = flowlord("init", *arguments, cwd=tmp_path)
    assert (ended.code, list(tmp_path.iterdir())) == (2, [])


def test_the_way_of_a_missing_folder_is_made_and_taken_back(tmp_path):
    write(tmp_path, {"file": "x"})
    assert flowlord("init", "a/b/c", cwd=tmp_path).code == 0
    assert (tmp_path / "a/b/c/workflows/hello.toml").is_file()
    ended = flowlord("init", "file/below", cwd=tmp_path)
    assert ended.code == 2
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("folder", "shown"), [("new", "cd new &&"), ("my new", "cd 'my new' &&"), ("-new", "cd ./-new &&")]
)
def test_the_way_on_can_be_pasted(folder, shown, tmp_path):
    assert shown in flowlord("init", "--", folder, cwd=tmp_path).err


def test_a_run_that_waits_for_workers_elsewhere_says_so(tmp_path):
    write(tmp_path, {"a.toml": '[[phase]]\ntask = "a"\nrule = "cron=0 0 29 2 *"\n'})
    once = ("run", "a.toml", "--once", "--bus", "memory:", "--no-cache")
    words = "workers    none in here: this ends when those elsewhere have done what starts"
    ended = flowlord(*once, cwd=tmp_path)
    assert (ended.code, words in ended.err) == (0, True)
    ended = flowlord(*once, "--worker", "a=true", cwd=tmp_path)
    assert (ended.code, words in ended.err) == (0, False)
