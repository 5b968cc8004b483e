"""The commit of a folder of workflows, read out of repositories as git itself makes them."""

import os
import subprocess

import pytest

from flowlord.model.workflow import Workflow
from flowlord.taskmaster.commit import Repository, at_commit

CLEAN = {
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
}  # fmt: skip


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Runs git in a repository with one commit of `flows/a.toml`; its folder is `git.home`."""
    for name, value in CLEAN.items():
        monkeypatch.setenv(name, value)
    home = tmp_path / "home"
    (home / "flows").mkdir(parents=True)

    def run(*words, cwd=home):
        done = subprocess.run(
            ["git", *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    run.home = home
    run("init", "-q", "-b", "main")
    (home / "flows/a.toml").write_text("one")
    run("add", ".")
    run("commit", "-q", "-m", "one")
    return run


def test_the_commit_is_that_which_git_tells_however_it_is_kept(git):
    repository = Repository(str(git.home / "flows"))
    assert repository.commit == git("rev-parse", "HEAD")[:7]
    git("pack-refs", "--all")
    assert not (git.home / ".git/refs/heads/main").exists()
    assert repository.commit == git("rev-parse", "HEAD")[:7]
    git("checkout", "-q", "--detach")
    assert repository.commit == git("rev-parse", "HEAD")[:7]
    git("checkout", "-q", "-b", "feature/x")
    git("commit", "-q", "--allow-empty", "-m", "two")
    assert repository.commit == git("rev-parse", "HEAD")[:7]


def test_a_worktree_and_a_single_file_have_theirs(git):
    git("worktree", "add", "-q", "-b", "side", str(git.home.parent / "side"))
    git("commit", "-q", "--allow-empty", "-m", "only here")
    side = Repository(str(git.home.parent / "side/flows/a.toml"))
    assert side.commit == git("rev-parse", "side")[:7]
    assert side.commit != Repository(str(git.home)).commit


def test_only_a_change_below_the_folder_makes_it_dirty(git):
    repository = Repository(str(git.home / "flows"))
    commit = repository.commit
    (git.home / "elsewhere").write_text("x")
    assert repository.described() == commit
    (git.home / "flows/b.toml").write_text("new")
    assert repository.described() == f"{commit}+dirty"
    git("add", ".")
    git("commit", "-q", "-m", "two")
    assert repository.described() == repository.commit != commit


def test_what_is_no_repository_has_none_and_one_without_git_is_never_called_clean(git, tmp_path, monkeypatch):
    (tmp_path / "plain").mkdir()
    (tmp_path / "odd/.git").mkdir(parents=True)
    (tmp_path / "odd/.git/HEAD").write_bytes(b"ref: \xff\x00../../x")
    (tmp_path / "pointer").mkdir()
    (tmp_path / "pointer/.git").write_text("gitdir: nowhere")
    for name in ("plain", "odd", "pointer", "gone/below"):
        repository = Repository(str(tmp_path / name))
        assert (repository.commit, repository.described()) == ("", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    repository = Repository(str(git.home))
    assert repository.described() == f"{repository.commit}+dirty"


def test_nothing_that_a_repository_configures_is_run(git, tmp_path):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    git("config", "core.fsmonitor", str(trap))
    Repository(str(git.home)).described()
    assert not (tmp_path / "sprung").exists()


def test_a_revision_keeps_its_digest_in_front_of_the_commit():
    flow = Workflow("a.toml", revision="0123456789abcdef")
    [stamped] = at_commit([flow], "abc1234+dirty").values()
    assert (stamped.revision, stamped.digest) == ("0123456789abcdef@abc1234+dirty", flow.revision)
    [again] = at_commit([stamped], "def5678").values()
    assert again.revision == "0123456789abcdef@def5678"
    assert at_commit([flow], "") == {"a.toml": flow}
