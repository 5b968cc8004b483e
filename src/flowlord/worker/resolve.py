"""What a worker does, read from its flags: commands, Python functions and built-in types, by the names of tasks."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from flowlord.worker.app import MARK
from flowlord.worker.builtin import NAMES, builtin
from flowlord.worker.command import Command
from flowlord.worker.handler import Handler
from flowlord.worker.python import Function
from flowlord.worker.refusal import refuse

BUILTIN = "builtin:"
_HOW = "--worker 'TYPE=COMMAND', --types TYPE --exec COMMAND, --app package.module, or --types noop"


def handlers(
    *,
    types: Sequence[str] = (),
    command: str = "",
    workers: Sequence[str] = (),
    apps: Sequence[str] = (),
) -> dict[str, Handler]:
    """Return the handlers by `type` or `type:job`.

    Args:
        types: what `command` does; without a command, which of the functions of `apps`, or built-in types.
        workers: texts `TYPE=COMMAND`, several types with commas; the command may be `builtin:noop`.
        apps: modules, or `module:attribute`.
    Raises:
        InvalidConfig: nothing to do, one name twice, or a setting that cannot be honoured.
    """
    found: dict[str, Handler] = {}
    for text in workers:
        names, given, line = text.partition("=")
        if not given:
            raise refuse(
                f"--worker {text!r}", "there is no '='", "write TYPE=COMMAND: --worker 'load=python load.py'"
            )
        given_command = _command(line, f"--worker {text!r}")
        for name in names.split(","):
            _add(found, name.strip(), given_command, f"--worker {text!r}")
    functions = {name: function for app in apps for name, function in load_app(app).items()}
    if command:
        if not types:
            raise refuse("--exec", "it is not said which tasks the command does", "add --types TYPE")
        shared = _command(command, "--exec")
        for name in types:
            _add(found, name, shared, "--types")
        types = ()
    for name, function in functions.items():
        if not types or name in types or name.partition(":")[0] in types:
            _add(found, name, Function(function), "--app")
    for name in types:
        if name in found or any(each.partition(":")[0] == name for each in found):
            continue
        known = builtin(name)
        if known is None:
            raise refuse("--types", f"nothing here does {name!r}", _near(name, (*functions, *NAMES)))
        _add(found, name, known, "--types")
    if not found:
        raise refuse("flowlord worker", "there is nothing to do", f"say what to run: {_HOW}")
    return found


def load_app(app: str) -> dict[str, Callable[..., object]]:
    """Import `module` or `module:attribute` and return its task functions by the names they were marked with.

    The current folder is looked in first. The attribute may be a function, a list of functions, or anything with
    functions as its attributes.
    """
    where = f"--app {app}"
    module_name, _, attribute = app.partition(":")
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    try:
        target: object = importlib.import_module(module_name)
    except Exception as error:
        told = f"{module_name} cannot be imported: {type(error).__name__}: {error}"
        hint = f"the current folder is {here}" if isinstance(error, ModuleNotFoundError) else ""
        raise refuse(where, told, hint) from error
    for part in attribute.split(".") if attribute else ():
        if not hasattr(target, part):
            raise refuse(where, f"{module_name} has no {attribute}", _near(part, vars(target)))
        target = getattr(target, part)
    marked: dict[str, Callable[..., object]] = {}
    for function in _candidates(target):
        for name in getattr(function, MARK, ()):
            if marked.setdefault(name, function) is not function:
                raise refuse(where, f"two functions do {name!r}", "one name, one function")
    if not marked:
        raise refuse(where, "there is no task function", 'mark one: @task("type") from flowlord.worker')
    return marked


def _candidates(target: object) -> Iterable[Callable[..., object]]:
    if hasattr(target, MARK) and callable(target):
        return [target]
    if isinstance(target, Mapping):
        values: Iterable[object] = target.values()
    elif isinstance(target, Iterable):
        values = target
    else:
        values = [getattr(target, name, None) for name in dir(target)]
    return [each for each in values if callable(each) and hasattr(each, MARK)]


def _command(text: str, where: str) -> Handler:
    text = text.strip()
    if text.startswith(BUILTIN):
        name = text.removeprefix(BUILTIN)
        if (known := builtin(name)) is None:
            raise refuse(where, f"there is no built-in type {name!r}", _near(name, NAMES))
        return known
    return Command(text, where=where)


def _add(found: dict[str, Handler], name: str, handler: Handler, where: str) -> None:
    topic = name.partition(":")[0]
    if not topic or not name.isprintable() or " " in name:
        raise refuse(
            where, f"{name!r} is no task type", "a type is one word: load, or load:hourly for one job"
        )
    if name in found:
        raise refuse(where, f"{name!r} is given twice", "one type, one command or function")
    found[name] = handler


def _near(name: str, names: Iterable[str]) -> str:
    import difflib

    names = [each for each in names if not each.startswith("_")]
    close = difflib.get_close_matches(name, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(names))}"
