"""The text of a command worker: split once, its placeholders filled in only as whole arguments, never through a shell.

What producers put into a task is data (SEC-13): it cannot become a program, an option, or shell text.
"""

from __future__ import annotations

import os.path
import re
import shlex
import shutil
from dataclasses import dataclass

from flowlord.model.task import Task
from flowlord.rules.metastring import parse_meta
from flowlord.worker.refusal import refuse

_PLACEHOLDER = re.compile(r"(?<!\$)\{(type|job|info|id|meta|created|meta:([^{}]+))\}")
# Programs that take text of their own language as an argument, and the options after which it stands.
_LANGUAGES = {
    **dict.fromkeys(("sh", "ash", "bash", "dash", "ksh", "mksh", "zsh", "fish", "csh", "tcsh"), "c"),
    **dict.fromkeys(("python", "pypy", "su", "script", "flock", "psql"), "c"),
    **dict.fromkeys(("perl", "ruby", "lua", "node", "mysql"), "eEp"),
    "env": "S",
    "php": "r",
}
_LONG = {"--command", "--eval", "--execute", "--print", "--split-string", "--run"}
_WORDS_FIRST = {"su", "script", "flock", "psql", "mysql"}  # their options may stand behind other words
_REMOTE = {"ssh", "rsh", "watch", "parallel"}  # hand all their arguments to a shell


@dataclass(frozen=True, slots=True)
class Template:
    """A command, split into arguments that still hold their placeholders."""

    arguments: tuple[str, ...]

    @property
    def is_fixed(self) -> bool:
        """Whether the arguments are the same for every task."""
        return not any(_PLACEHOLDER.search(argument) for argument in self.arguments)

    def fill(self, task: Task) -> list[str]:
        """Return the arguments for a task.

        Raises:
            ValueError: a value would be read as an option; the text tells what to do about it.
        """
        meta = parse_meta(task.meta)
        filled: list[str] = []
        ended = False
        for argument in self.arguments:
            value = _PLACEHOLDER.sub(lambda found: _value(found, task, meta), argument)
            if value.startswith("-") and not argument.startswith("-") and not ended:
                raise ValueError(
                    f"the value of {argument} starts with '-' and would be read as an option: "
                    f"write -- before {argument} in the command, or read $FLOWLORD_TASK_INFO or stdin"
                )
            ended = ended or argument == "--"
            filled.append(value)
        return filled


def parse_command(text: str, *, where: str) -> Template:
    """Split the text of a command and check it; `where` names the flag it came from.

    Raises:
        InvalidConfig: not to be split, empty, no such program, or task data would become program text.
    """
    try:
        arguments = shlex.split(text)
    except ValueError as error:
        raise refuse(where, f"the command {text!r} cannot be split into arguments: {error}") from error
    if not arguments or not arguments[0]:
        raise refuse(
            where, "the command is empty", "write what to run: --worker 'load=python load.py {info}'"
        )
    if _PLACEHOLDER.search(arguments[0]):
        raise refuse(where, f"a task may not choose the program: {arguments[0]}", "name the program itself")
    for index, argument in enumerate(arguments):
        found = _PLACEHOLDER.search(argument)
        if found and (program := _is_program_text(arguments, index)):
            raise refuse(
                where,
                f"{found[0]} lies inside text that {program} runs as a program, where any task could put commands",
                'read "$FLOWLORD_TASK_INFO" there, or hand it over as an argument behind the text: '
                "sh -c 'wc -l -- \"$1\"' sh {info}",
            )
    path = shutil.which(arguments[0])
    if path is None:
        raise refuse(
            where, f"there is no program {arguments[0]!r}", "give its path, or put its folder on PATH"
        )
    return Template((path, *arguments[1:]))


def _value(found: re.Match[str], task: Task, meta: dict[str, list[str]]) -> str:
    if found[2] is not None:
        return (meta.get(found[2]) or [""])[0]
    value = getattr(task, found[1])
    assert isinstance(value, str)
    return value


def _is_program_text(arguments: list[str], index: int) -> str:
    """Return the name of the program that would run `arguments[index]` as text of its language, or nothing."""
    for at, argument in enumerate(arguments[:index]):
        name = re.sub(r"[0-9.]+$", "", os.path.basename(argument))
        if name in _REMOTE or (name in _LANGUAGES and _reads(name, arguments, at, index)):
            return name
    return ""


def _reads(name: str, arguments: list[str], at: int, index: int) -> bool:
    """Whether the program at `at` takes `arguments[index]` for its text. When in doubt it does."""
    letters = _LANGUAGES[name]
    asked = False
    for place in range(at + 1, index + 1):
        given = arguments[place]
        if given.startswith("-") and given != "-":
            long = given.partition("=")[0] in _LONG
            if place == index:
                return long or re.match(f"-[A-Za-z]*[{letters}]", given) is not None
            asked = asked or long or re.fullmatch(f"-[A-Za-z]*[{letters}][A-Za-z]*", given) is not None
        elif asked:
            return place == index
        elif name not in _WORDS_FIRST and not arguments[place - 1].startswith("-"):
            return False  # a script of its own: what follows are that script's arguments
    return False
