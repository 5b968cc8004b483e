"""The command line of the library, made from the modules with flags: for help, mistakes and unusual words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, get_origin

import typer
from typer.main import get_command_name

from flowlord.cli.catalogue import COMMANDS, PURPOSE
from flowlord.cli.flags import Body, Commands, flags_of

if TYPE_CHECKING:
    from typer.models import CommandInfo


def program(word: str = "") -> typer.Typer:
    """Return the command line with the command `word` alone, since the flags of each cost time; else with all."""
    app = typer.Typer(
        name="flowlord",
        help=PURPOSE,
        rich_markup_mode=None,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback(help=PURPOSE)(_nothing)  # with one command alone, typer would make it the whole program
    for each in [word] if word in COMMANDS else COMMANDS:
        part = part_of(COMMANDS[each])
        app.registered_commands += [one for one in part.registered_commands if word_of(one) == each]
        app.registered_groups += [one for one in part.registered_groups if one.name == each]
    return app


def part_of(module: str) -> typer.Typer:
    """Return the commands of one module, as the library wants them."""
    found: object = import_module(f"flowlord.cli.{module}").app
    if isinstance(found, Commands):
        return _made(found)
    assert isinstance(found, typer.Typer)
    _translate(found)
    return found


def word_of(command: CommandInfo) -> str:
    """Return the word that a command is called by."""
    name = getattr(command.callback, "__name__", "")
    return command.name or get_command_name(name)


def _made(commands: Commands) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    if commands.alone:
        app.callback(invoke_without_command=True)(_unless_more(commands.alone))
    for word, body in commands.bodies.items():
        app.command(word)(_command(body))
    for word, group in commands.groups.items():
        app.add_typer(_made(group), name=word)
    return app


def _translate(app: typer.Typer) -> None:
    """Give all commands of a module, which may share flags that are values, those of the library."""
    callbacks = [command.callback for command in app.registered_commands]
    if app.registered_callback:
        callbacks.append(app.registered_callback.callback)
    for callback in callbacks:
        if callback is not None:
            callback.__annotations__ = _hints(callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _translate(group.typer_instance)


def _hints(body: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a command's function with flags of the library."""
    hints: dict[str, Any] = {"return": None}
    for name, (kind, flag) in flags_of(body).items():
        if flag is None:
            hints[name] = kind
        else:
            made = typer.Option(*flag.names, **flag.told) if flag.names else typer.Argument(**flag.told)
            hints[name] = Annotated[kind, made]
    return hints


def _command(body: Body) -> Callable[..., None]:
    def command(**flags: Any) -> None:
        body(**flags)

    return _dressed(command, body, {})


def _unless_more(body: Body) -> Callable[..., None]:
    """Return what a group does by itself: nothing when one of its commands was named."""

    def alone(context: typer.Context, **flags: Any) -> None:
        if not context.invoked_subcommand:
            body(**flags)

    return _dressed(alone, body, {"context": typer.Context})


def _dressed(callback: Any, body: Body, more: dict[str, Any]) -> Callable[..., None]:
    """Give a callback, whose own parameters are `more`, those of a command's function and its text."""
    hints = more | _hints(body)
    given = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in more]
    parameters = [*given, *_parameters(body)]
    callback.__annotations__ = hints
    callback.__signature__ = inspect.Signature(
        [each.replace(annotation=hints[each.name]) for each in parameters]
    )
    callback.__doc__ = body.__doc__
    return callback  # type: ignore[no-any-return]


def _default_of(kind: Any) -> Any:
    """Return what a flag of a group is when it was not given."""
    if kind is bool or kind is str:
        return kind()
    return [] if get_origin(kind) is list else None


def _parameters(body: Body) -> list[inspect.Parameter]:
    """Return the parameters of a command's function, with those of its groups in place, in the order of `flags_of`."""
    known = inspect.signature(body).parameters
    by_keyword = inspect.Parameter.KEYWORD_ONLY
    return [
        known[name].replace(kind=by_keyword)
        if name in known
        else inspect.Parameter(name, by_keyword, default=_default_of(kind))
        for name, (kind, _) in flags_of(body).items()
    ]


def _nothing() -> None:
    """Stand at the head of the program."""
