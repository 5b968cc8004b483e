"""Commands that answer questions: why, trace, gaps, recap, workflows."""

from __future__ import annotations

from typing import Annotated

from flowlord.cli.flags import Commands, argument, option
from flowlord.cli.options import (
    Ascii,
    BusAddress,
    Cache,
    Color,
    Config,
    Namespace,
    NoHeaders,
    Output,
    Workflows,
    leave,
    settings_of,
)

app = Commands()
Wide = Annotated[bool, option("--wide", help="Cut nothing to the width of the terminal.")]
OneWorkflow = Annotated[
    str, option("--workflow", metavar="FILE", help="Of this workflow.", show_default=False)
]
Topic = Annotated[str, option("--topic", metavar="T", help="Of this topic, or T:JOB.", show_default=False)]


@app.command()
def why(
    what: Annotated[
        str,
        argument(
            metavar="WHAT",
            help="A task, 'TYPE:JOB MOMENT', a phase, a slot, a backload or a file.",
            show_default=False,
        ),
    ],
    output: Output = "",
    no_headers: NoHeaders = False,
    workflows: Workflows = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Tell why a task is as it is, or why something did not start; and what to type.

    \b
      flowlord why 9f3
      flowlord why "report:daily 2026-08-01"
      flowlord why gs://acme/in/2026/08/01/users.csv.gz

    See also: trace, gaps, task.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache, workflows=workflows)
    from flowlord.cli.printer import Look
    from flowlord.cli.why import run as body

    leave(body(settings, what, Look(output, no_headers)))


@app.command()
def trace(
    what: Annotated[
        str,
        argument(
            metavar="ID|FILE", help="A task (@last, @failed), a backload, or a file.", show_default=False
        ),
    ],
    up: Annotated[bool, option("--up", help="Only what led to it.")] = False,
    down: Annotated[bool, option("--down", help="Only what followed from it.")] = False,
    output: Annotated[
        str,
        option(
            "-o", "--output", metavar="FORM", help="tree, json, dot, jsonl, csv, tsv.", show_default=False
        ),
    ] = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Draw what started a task and what followed from it; or all of a file or a batch.

    \b
      flowlord trace 9f3
      flowlord trace gs://acme/in/2026/08/01/users.csv --down
      flowlord trace @failed --up -o dot

    See also: why, task, files.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache)
    from flowlord.cli.printer import Look
    from flowlord.cli.trace import run as body

    leave(body(settings, what, output, Look("", no_headers, ascii_), up=up, down=down))


@app.command()
def gaps(
    since: Annotated[
        str, option("--since", metavar="WHEN", help="Starts not before: 7d, yesterday.", show_default="7d")
    ] = "",
    until: Annotated[
        str, option("--until", metavar="WHEN", help="Starts not after.", show_default=False)
    ] = "",
    grace: Annotated[
        str, option("--grace", metavar="TIME", help="So late a start may be.", show_default="30m")
    ] = "",
    workflow: OneWorkflow = "",
    topic: Topic = "",
    commands: Annotated[
        bool, option("--commands", help="Only the commands that show what would fill them.")
    ] = False,
    every: Annotated[bool, option("--all", help="Also the starts that came, and how they ended.")] = False,
    exit_code: Annotated[
        bool, option("--exit-code", help="Exit 1 when there are any that nobody wanted.")
    ] = False,
    wide: Wide = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    workflows: Workflows = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Tell which starts are missing, why, and what fills them.

    \b
      flowlord gaps
      flowlord gaps --since 30d --topic load:users --commands
      flowlord gaps --since 24h --exit-code -o json
      flowlord gaps --all --workflow daily.toml

    See also: backload, why, next.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache, workflows=workflows)
    from flowlord.cli.gaps import Question
    from flowlord.cli.gaps import run as body
    from flowlord.cli.printer import Look

    look = Look(output, no_headers, ascii_, color, wide)
    leave(body(settings, Question(since, until, grace, workflow, topic, commands, exit_code, every, look)))


@app.command()
def recap(
    day: Annotated[
        str, option("--day", metavar="WHEN", help="That day, in UTC.", show_default="yesterday")
    ] = "",
    since: Annotated[
        str,
        option(
            "--since", metavar="WHEN", help="All days from that one on: 7d, 2026-08-01.", show_default=False
        ),
    ] = "",
    output: Annotated[
        str,
        option(
            "-o",
            "--output",
            metavar="FORM",
            help="text, markdown, slack, table, json, jsonl, csv, tsv or name.",
            show_default=False,
        ),
    ] = "",
    wide: Wide = False,
    no_headers: NoHeaders = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Tell in one page what a day came to, one line for each kind of task.

    \b
      flowlord recap
      flowlord recap --since 7d -o markdown
      flowlord recap --day 2026-08-01 -o json

    See also: tasks, gaps.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache)
    from flowlord.cli.printer import Look
    from flowlord.cli.recap import FORMS
    from flowlord.cli.recap import run as body

    form = output if output in FORMS else ""
    look = Look("table" if form else output, no_headers, False, color, wide)
    leave(body(settings, day, since, form, look))


def workflows(
    wide: Wide = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    color: Color = "auto",
    folder: Workflows = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """List workflows as they are loaded; show one with the values in force.

    \b
      flowlord workflows
      flowlord workflows show users.toml

    See also: next, graph, validate.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache, workflows=folder)
    from flowlord.cli.printer import Look
    from flowlord.cli.workflows import run as body

    leave(body(settings, "", Look(output, no_headers, False, color, wide)))


app.groups["workflows"] = Commands(alone=workflows)


@app.groups["workflows"].command()
def show(
    name: Annotated[
        str, argument(metavar="FILE", help="As `flowlord workflows` names it.", show_default=False)
    ],
    output: Output = "",
    no_headers: NoHeaders = False,
    folder: Workflows = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Show the phases of one: next start, last result, and each value with where it comes from.

    \b
      flowlord workflows show users.toml
      flowlord workflows show users.toml -o json
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache, workflows=folder)
    from flowlord.cli.printer import Look
    from flowlord.cli.workflows import run as body

    leave(body(settings, name, Look(output, no_headers)))
