"""The command line as a whole: its commands, and how errors become text and exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import typer
from typer.main import get_command_name

from flowlord.cli import exits
from flowlord.cli.catalogue import COMMANDS, PURPOSE
from flowlord.model.errors import BusError, FlowlordError, InvalidConfig, InvalidWorkflow

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
        part: typer.Typer = import_module(f"flowlord.cli.{COMMANDS[each]}").app
        app.registered_commands += [one for one in part.registered_commands if word_of(one) == each]
        app.registered_groups += [one for one in part.registered_groups if one.name == each]
    return app


def enter() -> None:
    """Run the command line; turns errors into text and exit codes."""
    app = program(sys.argv[1] if len(sys.argv) > 1 else "")
    try:
        code = app(standalone_mode=True, prog_name="flowlord")
    except FlowlordError as error:
        sys.exit(_told(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(exits.DONE)
    except KeyboardInterrupt:
        sys.exit(exits.INTERRUPTED)
    sys.exit(code if isinstance(code, int) else exits.DONE)


def _nothing() -> None:
    """Stand at the head of the program."""


def word_of(command: CommandInfo) -> str:
    """Return the word that a command is called by."""
    name = getattr(command.callback, "__name__", "")
    return command.name or get_command_name(name)


def _told(error: FlowlordError) -> int:
    """Say what failed and how to go on; returns the exit code."""
    from flowlord.cli import printer

    match error:
        case InvalidConfig() | InvalidWorkflow():
            for problem in error.problems:
                printer.problem(problem)
            return exits.WRONG_USE if isinstance(error, InvalidConfig) else exits.ANSWER_IS_BAD
        case BusError():
            printer.error(str(error), hint=error.hint)
            return exits.UNREACHABLE
        case _:
            printer.error(str(error), hint=error.hint)
            return exits.WRONG_USE
