"""`flowlord convert`: a phase file in the other format, or a crontab as phases."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, WRONG_USE
from flowlord.cli.places import STDIN_PATH, from_stdin
from flowlord.cli.texts import some
from flowlord.model.errors import FlowlordError
from flowlord.model.problem import Problem
from flowlord.spec.convert import Converted, Format, Note, convert, write
from flowlord.spec.parse import parse
from flowlord.spec.source import MAX_BYTES, Refused, Source

FORMATS = ("toml", "yaml")
SOURCES = ("auto", "flowlord", "crontab")
Kind = Literal["toml", "yaml", "crontab"]
SYSTEM = ("/etc/crontab", "/etc/cron.d/", "/etc/anacrontab")


def run(
    path: str, *, to: str = "", source: str = "auto", check: bool = False, out: str = "", zone: str = ""
) -> int:
    """Print a file in another format; returns the exit code.

    Args:
        to: toml or yaml; empty is the other one, and toml for a crontab.
        check: print nothing, and fail when something could not be carried over.
        out: a file to write instead of stdout; one that is there already is left alone.
        zone: of the times of a crontab; empty is that of this machine.
    """
    if to not in ("", *FORMATS) or source not in SOURCES:
        wrong, known = (f"--to {to}", FORMATS) if to not in ("", *FORMATS) else (f"--from {source}", SOURCES)
        printer.error(f"{wrong} is no format", hint=f"write one of {', '.join(known)}")
        return WRONG_USE
    if out and os.path.lexists(out):
        printer.error(f"{out} is there already; nothing was written", hint="name another file with -o")
        return WRONG_USE
    data = _read(path)
    kind = _kind(path, data, source)
    path = STDIN_PATH if path == "-" else path
    target = _target(kind, to)
    found = (
        _crontab(data, path, target, zone)
        if kind == "crontab"
        else convert(data, path=path, source=kind, to=target)
    )
    if found.text is None:
        _refuse(found.problems, path)
        return ANSWER_IS_BAD
    _tell(path, found.notes)
    if check:
        return ANSWER_IS_BAD if any(note.lost for note in found.notes) else DONE
    if out:
        _write(out, found.text)
        printer.say(f"{out}: written")
        return DONE
    return printer.quietly(lambda: _print(found.text or ""))


def _read(path: str) -> bytes:
    if path == "-":
        return from_stdin(MAX_BYTES + 1)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise FlowlordError(
                    f"{path} is no regular file", hint="name one phase file, or one crontab; - is stdin"
                )
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise FlowlordError(f"{path or repr(path)}: {reason}") from error


def _kind(path: str, data: bytes, source: str) -> Kind:
    """Return what a file is: by its name, and where that says nothing by what is in it."""
    name = path.lower()
    if source == "crontab":
        return "crontab"
    if name.endswith((".yaml", ".yml")):
        return "yaml"
    if name.endswith(".toml"):
        return "toml"
    for kind in ("toml", "yaml"):
        flow, problems = parse(data, f"x.{kind}")
        if flow is not None and flow.phases:
            return "toml" if kind == "toml" else "yaml"
        if source == "flowlord" and kind == "toml" and not any(each.code == "FL005" for each in problems):
            return "toml"
    return "yaml" if source == "flowlord" else "crontab"


def _target(kind: Kind, to: str) -> Format:
    if to:
        return "toml" if to == "toml" else "yaml"
    return "yaml" if kind == "toml" else "toml"


def _crontab(data: bytes, path: str, to: Format, zone: str) -> Converted:
    from flowlord.rules.errors import Unreadable
    from flowlord.rules.zones import zone_of
    from flowlord.spec.crontab import read_crontab

    try:
        zone_of(zone)
    except Unreadable as error:
        raise FlowlordError(f"--tz: {error.text}") from error
    try:
        source = Source.decode(path, data)
    except Refused as error:
        return Converted(None, (error.problem,))
    system = True if os.path.abspath(path).startswith(SYSTEM) and path != STDIN_PATH else None
    draft, notes = read_crontab(source, zone=zone or _zone_of_machine(), system=system, users=_users())
    text = write(draft, to)
    flow, problems = parse(text.encode("utf-8", "replace"), f"x.{to}", path)
    if flow is None:  # too much for one file
        return Converted(None, problems)
    return Converted(text, (), tuple(notes))


def _users() -> list[str]:
    import pwd

    return [user.pw_name for user in pwd.getpwall()]


def _zone_of_machine() -> str:
    """Return the name of this machine's zone; UTC when it does not tell."""
    for told in (os.environ.get("TZ", "").lstrip(":"), _linked(), _written()):
        if not told:
            continue
        from flowlord.rules.errors import Unreadable
        from flowlord.rules.zones import zone_of

        try:
            zone_of(told)
            return told
        except Unreadable:
            continue
    return "UTC"


def _linked() -> str:
    try:
        return os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    except OSError:
        return ""


def _written() -> str:
    try:
        return Path("/etc/timezone").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _refuse(problems: Sequence[Problem], path: str) -> None:
    for problem in problems:
        printer.problem(problem)
    printer.error(f"{path} is not converted: what stands above has to be mended first")


def _tell(path: str, notes: Sequence[Note]) -> None:
    for note in notes:
        printer.say(f"{path}:{note.line}: {note.text}" if note.line else f"{path}: {note.text}")
    if notes:
        printer.say(f"{some(len(notes), 'thing')} to look at")


def _print(text: str) -> int:
    printer.lines(text.removesuffix("\n").split("\n"))
    return DONE


def _write(path: str, text: str) -> None:
    """Write a new file whole; one that came meanwhile is left alone."""
    try:
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise FlowlordError(f"{path} is there already; nothing was written") from error
    except OSError as error:
        raise FlowlordError(f"{path} cannot be written: {error.strerror}") from error
