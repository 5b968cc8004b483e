"""Commands that answer questions: gaps."""

from __future__ import annotations

from typing import Annotated

from flowlord.cli.flags import Commands, option
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
    commands: Annotated[bool, option("--commands", help="Only the commands that fill them.")] = False,
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

    See also: backload, why, next.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache, workflows=workflows)
    from flowlord.cli.gaps import Question
    from flowlord.cli.gaps import run as body
    from flowlord.cli.printer import Look

    look = Look(output, no_headers, ascii_, color, wide)
    leave(body(settings, Question(since, until, grace, workflow, topic, commands, exit_code, look)))
