"""What every command goes through: reading its words, and how errors become text and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from flowlord.cli import (
    exits,
    lean,  # noqa: F401 - first of all that loads msgspec
)
from flowlord.cli.catalogue import COMMANDS
from flowlord.cli.flags import Commands, read
from flowlord.model.errors import BusError, FlowlordError, InvalidConfig, InvalidWorkflow, Stuck


def enter() -> None:
    """Run the command line; turns errors into text and exit codes."""
    try:
        code = _run(sys.argv[1], sys.argv[2:])
    except FlowlordError as error:
        sys.exit(_told(error))
    except BrokenPipeError:
        sys.exit(exits.DONE)
    except KeyboardInterrupt:
        sys.exit(exits.INTERRUPTED)
    sys.exit(code)


def end_at_once(code: object) -> None:
    """End the process of a command whose words were usual ones; returns where an end in order is needed.

    To take apart what was loaded is a fifth of the time of such a command, and the system frees it anyway.
    """
    if "typer" in sys.modules or "coverage" in sys.modules or not isinstance(code, int | None):
        return
    if "threading" in sys.modules and sys.modules["threading"].active_count() > 1:
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # the reader went away, or a disk is full: as it is always told
        return
    import atexit

    atexit._run_exitfuncs()
    os._exit(code or exits.DONE)


def _run(word: str, words: Sequence[str]) -> int:
    """Run a command: at once when its words are usual ones, else by the library, which also helps and corrects."""
    app: object = import_module(f"flowlord.cli.{COMMANDS[word]}").app
    if isinstance(app, Commands):
        body, rest = app.usual(word, words)
        values = read(body, rest) if body else None
        if body and values is not None:
            body(**values)
            return exits.DONE
    from flowlord.cli.program import program

    code = program(word)(standalone_mode=True, prog_name="flowlord")
    return code if isinstance(code, int) else exits.DONE


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
            return exits.ANSWER_IS_BAD if isinstance(error, Stuck) else exits.WRONG_USE
