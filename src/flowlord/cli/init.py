"""`flowlord init`: a new project that validates and runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from flowlord.cli import printer
from flowlord.cli.exits import DONE, WRONG_USE
from flowlord.model.errors import FlowlordError
from flowlord.spec.convert import convert

TEMPLATES = ("minimal", "files", "batch", "etl")
CI = {
    "github": ("github.yml", ".github/workflows/flowlord.yml"),
    "gitlab": ("gitlab.yml", ".gitlab-ci.yml"),
    "pre-commit": ("pre-commit.yaml", ".pre-commit-config.yaml"),
}
SHOWN = 8


def run(folder: str = ".", *, template: str = "minimal", yaml: bool = False, ci: str = "") -> int:
    """Write a project into a folder, all of it or nothing; returns the exit code.

    Nothing that is there is touched: a file in the way is told, and nothing is written.
    """
    if template not in TEMPLATES:
        printer.error(f"there is no template {template}", hint=f"write one of {', '.join(TEMPLATES)}")
        return WRONG_USE
    if ci and ci not in CI:
        printer.error(f"there is nothing for {ci}", hint=f"write one of {', '.join(CI)}")
        return WRONG_USE
    project = contents(template, yaml=yaml, ci=ci)
    there = [name for name in project if os.path.lexists(os.path.join(folder, name))]
    if there:
        names = ", ".join(there[:SHOWN]) + (", …" if len(there) > SHOWN else "")
        printer.error(f"{folder} has {names} already; nothing was written", hint="name another folder")
        return WRONG_USE
    _write(folder, project)
    for name in project:
        printer.say(f"  {os.path.normpath(os.path.join(folder, name))}")
    target = os.path.join(".", folder) if folder.startswith("-") else folder
    where = "" if os.path.normpath(folder) == "." else f"cd {shlex.quote(target)} && "
    printer.say(f"{where}flowlord validate workflows/      README.md tells how to go on")
    return DONE


def contents(template: str, *, yaml: bool = False, ci: str = "") -> Mapping[str, str]:
    """Return the files of a project by their path in it."""
    starters = files("flowlord.cli") / "starters"
    found: dict[str, str] = {}
    _gather(starters / template, "", found)
    _gather(starters / "all", "", found)
    if yaml:
        for name in [name for name in found if name.startswith("workflows/")]:
            made = convert(found.pop(name).encode(), path=name, source="toml", to="yaml")
            assert made.text is not None  # a test converts every template
            found[name.removesuffix(".toml") + ".yaml"] = made.text
    if ci:
        source, target = CI[ci]
        found[target] = (starters / "ci" / source).read_text("utf-8")
    return dict(sorted(found.items()))


def _gather(folder: Traversable, before: str, found: dict[str, str]) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            _gather(entry, f"{before}{entry.name}/", found)
        else:
            # A module of a project is none of ours, and a hidden file would be overlooked: both lie there under
            # other names.
            name = ".gitignore" if entry.name == "gitignore" else entry.name.removesuffix(".txt")
            found[before + name] = entry.read_text("utf-8")


def _write(folder: str, project: Mapping[str, str]) -> None:
    """Write all files or none; takes back what was made when one cannot be written.

    Raises:
        FlowlordError: with the file and the reason.
    """
    made: list[str] = []
    folders: list[str] = []
    try:
        for name, text in project.items():
            path = os.path.join(folder, name)
            _make_folders(os.path.dirname(path) or ".", folders)
            with open(path, "x", encoding="utf-8", newline="\n") as file:
                made.append(path)
                file.write(text)
    except OSError as error:
        for path in made:
            os.unlink(path)
        for path in reversed(folders):
            os.rmdir(path)
        raise FlowlordError(
            f"{error.filename or folder} cannot be written: {error.strerror}; nothing was left behind"
        ) from error


def _make_folders(path: str, made: list[str]) -> None:
    """Make a folder and those above it, and note which ones are new."""
    if os.path.isdir(path):
        return
    _make_folders(os.path.dirname(path) or ".", made)
    os.mkdir(path)
    made.append(path)
