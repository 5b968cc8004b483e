"""The command line as a whole: its commands, and how errors become text and exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import typer

from flowlord.cli import exits
from flowlord.model.errors import BusError, FlowlordError, InvalidConfig, InvalidWorkflow

PARTS = {
    "act": ("run", "send", "worker"),
    "author": ("validate", "next", "config", "version"),
    "look": ("tasks", "task", "topics", "workers", "doctor"),
}
"""Which module has which commands: a command loads the flags of its own module only, since each flag costs time."""


def program(word: str = "") -> typer.Typer:
    """Return the command line with the commands of the module that has `word`, or with all when none has it."""
    app = typer.Typer(
        name="flowlord",
        help="Schedules, chains and retries tasks of data pipelines; never loses or doubles one.",
        epilog="Start: flowlord run workflows/   Check: flowlord validate workflows/   Look: flowlord tasks --failed",
        rich_markup_mode=None,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    chosen = [name for name, commands in PARTS.items() if word in commands]
    for name in chosen or PARTS:
        app.add_typer(import_module(f"flowlord.cli.{name}").app)
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
