"""Flags of commands that act on tasks: retry, cancel."""

from __future__ import annotations

from typing import Annotated, Unpack

from flowlord.cli.flags import Commands, argument, option
from flowlord.cli.options import (
    Ascii,
    BusAddress,
    Cache,
    Color,
    Config,
    DryRun,
    Namespace,
    NoHeaders,
    Output,
    Reason,
    Workflows,
    Yes,
    cache_of,
    leave,
    refuse_memory,
    settings_of,
)
from flowlord.cli.taskflags import TaskFlags

app = Commands()
Names = Annotated[
    list[str] | None,
    argument(metavar="[ID]...", help="Beginnings of ids, @last or @failed; or filters.", show_default=False),
]


@app.command()
def retry(
    ids: Names = None,
    reset_tries: Annotated[bool, option("--reset-tries", help="The tries of the phase begin anew.")] = False,
    rate: Annotated[
        str, option("--rate", metavar="N/TIME", help="So many at a time, as 20/m.", show_default=False)
    ] = "",
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    workflows: Workflows = "",
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
    **chosen: Unpack[TaskFlags],
) -> None:
    """Send tasks again that failed; what filters choose is shown first.

    \b
      flowlord retry 9f3
      flowlord retry --failed --since 24h
      flowlord retry --topic load --error quota --rate 20/m -y

    The same twice sends nothing twice. Exits 1 when one is refused, 6 unconfirmed.
    See also: tasks, cancel, backload.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache, workflows=workflows)
    refuse_memory(settings, "retry")
    from flowlord.cli.printer import Look
    from flowlord.cli.retry import Options
    from flowlord.cli.retry import run as body
    from flowlord.cli.taskfilter import Chosen

    options = Options(reset_tries, rate, reason, yes, dry_run, Look(output, no_headers, ascii_, color))
    leave(body(settings, cache_of(settings), ids or (), Chosen(**chosen), options))


@app.command()
def cancel(
    ids: Names = None,
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
    **chosen: Unpack[TaskFlags],
) -> None:
    """Take back tasks that wait, now or later; what runs is not stopped.

    \b
      flowlord cancel 9f3
      flowlord cancel --topic load --from 2026-07-01 --to 2026-07-31
      flowlord cancel --batch b-1a2b3c4d --reason 'wrong dates' -y

    The same twice cancels nothing twice. Exits 1 when one is refused, 6 unconfirmed.
    See also: tasks, retry, pause, backload.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache)
    refuse_memory(settings, "cancel")
    from flowlord.cli.cancel import Options
    from flowlord.cli.cancel import run as body
    from flowlord.cli.printer import Look
    from flowlord.cli.taskfilter import Chosen

    options = Options(reason, yes, dry_run, Look(output, no_headers, ascii_, color))
    leave(body(settings, cache_of(settings), ids or (), Chosen(**chosen), options))
