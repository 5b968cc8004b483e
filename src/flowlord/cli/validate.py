"""`flowlord validate`: every problem in workflow files, where it is and how to mend it."""

from __future__ import annotations

import gc
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import structs

from flowlord.cli import clock, printer, problems
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, WRONG_USE
from flowlord.cli.places import STDIN_PATH, from_stdin, place_at, unreadable
from flowlord.cli.problems import COUNTED, OUTPUTS
from flowlord.cli.texts import some
from flowlord.model.problem import Problem, Severity
from flowlord.spec.author.inspect import Inspected, inspect, reader, verdict
from flowlord.spec.load import Read, load, stamp
from flowlord.spec.source import MAX_BYTES
from flowlord.storage.address import is_remote, local_path

STDIN = "stdin.toml"
NO_FILE = "- is stdin: flowlord validate - < FILE"
SHOWN_IGNORED = 3
_YAML = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|#[^\n]*\n)*+(?:---\s|(?i:phases?)[ \t]*:)")  # how no TOML begins
LOOK_S = 0.5  # between two looks at the files with --watch


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done with what is found.

    `strict` lets warnings fail too; `select` and `ignore` are beginnings of codes, `select` empty is all; `fix` is
    nothing, `fix` or `diff`; `unsafe` mends also what a file means; `look_at_files` looks at the meta-files that
    phases name. `config` is the file that tells how buckets are reached.
    `stdin_name` tells the format of stdin by its ending; as it is here, stdin is TOML, or YAML when it
    is no TOML.
    """

    output: str = "text"
    strict: bool = False
    exit_zero: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    quiet: bool = False
    statistics: bool = False
    fix: str = ""
    unsafe: bool = False
    look_at_files: bool = True
    stdin_name: str = STDIN
    config: str = ""

    def takes(self, problem: Problem) -> bool:
        """Return whether a problem is to be told."""
        code = problem.code
        return (not self.select or code.startswith(self.select)) and not code.startswith(
            self.ignore or ("-",)
        )

    def mends(self, problem: Problem) -> bool:
        """Return whether a problem is to be mended."""
        return problem.fix is not None and (problem.fix.safe or self.unsafe) and self.takes(problem)


@dataclass(slots=True)
class _Found:
    """What was looked at and what was found there; `names` has the workflow name of each path that was read."""

    problems: list[Problem] = field(default_factory=list)
    files: int = 0
    phases: int = 0
    ignored: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)  # of files that cannot be read again
    code: int = DONE  # another one when a path cannot be read at all, which was told then

    def count(self, severity: Severity) -> int:
        return sum(problem.severity is severity for problem in self.problems)


def run(
    paths: Sequence[str], wanted: Wanted | None = None, *, color: str = "auto", now: datetime | None = None
) -> int:
    """Tell every problem in the files and folders at `paths` (`-` is stdin); returns the exit code."""
    wanted = wanted or Wanted()
    if wanted.output not in OUTPUTS:
        hint = f"write one of {', '.join(OUTPUTS)}"
        printer.error(f"-o {wanted.output!r} is no form of output", hint=hint)
        return WRONG_USE
    if wanted.statistics and wanted.output not in COUNTED:
        hint = f"leave one of them out, or write one of {', '.join(COUNTED)}"
        printer.error(
            f"-o {wanted.output} tells problems one by one, and --statistics counts them", hint=hint
        )
        return WRONG_USE
    look = printer.Look(color=color)  # refuses an unknown word
    paths = paths or ("workflows",)
    if wanted.fix and any(map(is_remote, paths)):
        printer.error(
            "files in buckets are not mended where they lie", hint="mend a copy, and put that there"
        )
        return WRONG_USE
    found = _gathered(paths, wanted, now or clock.now())
    if found.code and (wanted.fix or not found.files):
        return found.code
    changed = 0
    if wanted.fix:
        changed = _mend(found, wanted, now or clock.now())
        if wanted.fix == "fix":
            again = _gathered(paths, wanted, now or clock.now(), found.texts)
            found = found if again.code else again
    shows_text = wanted.fix and found.texts  # stdout holds the mended text, so words go elsewhere
    if wanted.statistics:
        problems.count(found.problems, wanted.output)
    elif wanted.fix != "diff" and not shows_text:
        problems.show(found.problems, wanted.output, look, found.texts)
    elif shows_text:
        for each in found.problems:
            printer.problem(each)
    if not wanted.quiet:
        _sum_up(found, paths, wanted)
    if found.code:
        return found.code
    failed = (
        found.count(Severity.ERROR) or (wanted.strict and found.count(Severity.WARNING)) or not found.files
    )
    failed = failed or (wanted.fix == "diff" and changed)
    return ANSWER_IS_BAD if failed and not wanted.exit_zero else DONE


def watch(paths: Sequence[str], wanted: Wanted, *, color: str = "auto") -> int:
    """Do what `run` does, again whenever a file changes, until Ctrl-C; returns the exit code."""
    if "-" in paths or wanted.fix:
        printer.error("--watch looks at files, again and again; it mends nothing and reads no stdin")
        return WRONG_USE

    def body() -> int:
        from threading import Event

        never, seen = Event(), None
        was_there = False
        while True:
            now = [_stamps(path, wanted.config) for path in paths]
            if now != seen:
                seen = now
                if printer.on_terminal():
                    printer.lines(["\x1b[2J\x1b[H"])
                code = run(paths, wanted, color=color)
                sys.stdout.flush()
                was_there |= any(now)  # what vanishes may come back: editors and git put files away and anew
                if code == WRONG_USE and not was_there:
                    return code
                printer.say("watching; Ctrl-C ends")
            never.wait(LOOK_S)

    return printer.quietly(body)


def _stamps(path: str, config: str) -> object:
    try:
        return stamp(place_at(path, config=config))
    except OSError:
        return None


def _gathered(
    paths: Sequence[str], wanted: Wanted, now: datetime, texts: dict[str, bytes] | None = None
) -> _Found:
    """Read everything that can be read; the rest was told."""
    found = _Found()
    read = reader(now)
    gc.disable()  # all that is made stays until it is told: looking for garbage meanwhile costs a seventh of the time
    try:
        return _gather(found, paths, wanted, read, now, texts)
    finally:
        gc.enable()


def _gather(
    found: _Found,
    paths: Sequence[str],
    wanted: Wanted,
    read: Read,
    now: datetime,
    texts: dict[str, bytes] | None,
) -> _Found:
    for path in paths:
        if path == "-":
            data = texts[STDIN_PATH] if texts else from_stdin(MAX_BYTES + 1)
            inspected = _of_stdin(found, data, wanted.stdin_name, now)
            _conclude(found, [inspected], inspected.problems, wanted)
            found.files += 1
            found.phases += inspected.phases
            continue
        try:
            loaded = load(place_at(path, config=wanted.config), read)
        except OSError as error:
            found.code = max(found.code, unreadable(path, error, "validate"))
            continue
        told = loaded.problems
        if _is_stream(path):
            told = tuple(
                structs.replace(each, hint=NO_FILE) if each.code == "FL001" else each for each in told
            )
        _conclude(found, [each for each in loaded.parsed if isinstance(each, Inspected)], told, wanted)
        found.names |= loaded.paths
        found.files += len(loaded.files)
        found.phases += loaded.phases
        found.ignored += loaded.ignored
    return found


def _is_stream(path: str) -> bool:
    """Tell whether a path of this machine is that of a pipe, a terminal or the like, as /dev/stdin and <(…) are."""
    if is_remote(path):
        return False
    try:
        mode = os.stat(local_path(path)).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def _of_stdin(found: _Found, data: bytes, name: str, now: datetime) -> Inspected:
    inspected = inspect(data, name or STDIN, STDIN_PATH, now)
    if name in ("", STDIN) and any(problem.code == "FL005" for problem in inspected.problems):
        yaml = inspect(data, "stdin.yaml", STDIN_PATH, now)
        if yaml.phases or _YAML.match(data):
            inspected, name = yaml, "stdin.yaml"
    found.texts[STDIN_PATH] = data
    found.names[STDIN_PATH] = name or STDIN
    return inspected


def _conclude(found: _Found, inspected: Sequence[Inspected], told: Iterable[Problem], wanted: Wanted) -> None:
    rows = [row for each in inspected for row in each.rows]
    more: list[Problem] = []
    if rows and wanted.look_at_files:
        from flowlord.cli.rowfiles import problems_of

        more += problems_of(rows)
    all_ = verdict(inspected, [*told, *more], looked_at_files=wanted.look_at_files)
    found.problems += [each for each in all_ if wanted.takes(each)]


def _mend(found: _Found, wanted: Wanted, now: datetime) -> int:
    """Mend the files, or show what would be mended; returns how many files change."""
    from flowlord.cli.rewrite import Rewrite, difference, replace
    from flowlord.spec.author.mend import mend

    by_path: dict[str, list[Problem]] = {}
    for each in found.problems:
        by_path.setdefault(each.path, []).append(each)
    mended, changed = 0, 0
    for path, told in by_path.items():
        name = found.names.get(path)
        if name is None or not any(map(wanted.mends, told)):
            continue
        before = found.texts[path] if path in found.texts else _bytes_of(path)
        result = mend(before, name, path, now, told=told, wanted=wanted.mends)
        if result.data == before:
            continue
        rewrite = Rewrite(path, before, result.data, result.fixed)
        if wanted.fix == "diff":
            lines = difference(rewrite)
            printer.lines(map(printer.printable, lines) if printer.on_terminal() else lines)
        elif path in found.texts:
            found.texts[path] = result.data
        else:
            try:
                replace(rewrite)
            except OSError as error:
                printer.error(f"{path} was not mended: {error.strerror or error}")
                continue
        mended += len(result.fixed)
        changed += 1
    if wanted.fix == "fix":
        for data in found.texts.values():
            printer.as_they_are(data)
    if not wanted.quiet:
        verb = "would mend" if wanted.fix == "diff" else "mended"
        printer.say(f"{verb} {some(mended, 'problem')} in {some(changed, 'file')}")
    return changed


def _bytes_of(path: str) -> bytes:
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        return file.read(MAX_BYTES + 1)


def _sum_up(found: _Found, paths: Sequence[str], wanted: Wanted) -> None:
    if found.ignored:
        more = ", …" if len(found.ignored) > SHOWN_IGNORED else ""
        names = ", ".join(found.ignored[:SHOWN_IGNORED]) + more
        printer.say(f"{some(len(found.ignored), 'file')} ignored, no workflows: {names}")
    if not found.files:
        printer.say(f"no workflow files (.toml, .yaml, .yml) in {', '.join(paths)}")
        return
    counts: list[tuple[int, Callable[[int], str]]] = [
        (found.count(Severity.ERROR), lambda n: some(n, "error")),
        (found.count(Severity.WARNING), lambda n: some(n, "warning")),
        (found.count(Severity.NOTE), lambda n: some(n, "note")),
    ]
    told = ", ".join(words(number) for number, words in counts if number) or "ok"
    printer.say(
        f"{some(found.files, 'file')}, {some(found.phases, 'phase')}: {told}{_fixable(found, wanted)}"
    )


def _fixable(found: _Found, wanted: Wanted) -> str:
    safe = sum(each.fix is not None and each.fix.safe for each in found.problems)
    unsafe = sum(each.fix is not None and not each.fix.safe for each in found.problems)
    if wanted.fix or not safe + unsafe:
        return ""
    parts = [f"{safe} fixable with --fix"] if safe else []
    parts += [f"{unsafe} with --fix --unsafe-fixes"] if unsafe else []
    return f" ({', '.join(parts)})"
