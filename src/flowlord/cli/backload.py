"""The command backload."""

from __future__ import annotations

from typing import Annotated

import typer

from flowlord.cli.options import (
    AcceptLoss,
    BusAddress,
    Cache,
    Config,
    Namespace,
    Output,
    Quiet,
    Workflows,
    leave,
    refuse_memory,
    settings_of,
)

app = typer.Typer(rich_markup_mode=None)
KEEPS = ("list", "status", "pause", "resume", "cancel")


def _text(*names: str, metavar: str, help: str) -> object:  # noqa: A002 - as typer calls it
    return typer.Option(*names, metavar=metavar, help=help, show_default=False)


@app.command()
def backload(
    name: Annotated[
        str,
        typer.Argument(
            metavar="TYPE[:JOB]|VERB",
            help="The phase; or list, and with ID status, pause, resume, cancel.",
            show_default=False,
        ),
    ],
    id_: Annotated[
        str, typer.Argument(metavar="[ID]", help="Which one; its begin is enough.", show_default=False)
    ] = "",
    start: Annotated[
        str, _text("--from", metavar="WHEN", help="2026-07-01, 2026-07-01T05 or RFC 3339.")
    ] = "",
    end: Annotated[str, _text("--to", metavar="WHEN", help="The other end; it counts too.")] = "",
    at: Annotated[str, _text("--at", metavar="WHEN", help="One date instead; now without any.")] = "",
    by: Annotated[str, _text("--by", metavar="STEP", help="hour, day (default), week or month.")] = "",
    meta: Annotated[
        list[str], _text("--meta", metavar="K=A,B", help="A list of values; several are read across.")
    ] = [],  # noqa: B006
    meta_file: Annotated[str, _text("--meta-file", metavar="FILE", help="A task for each row of it.")] = "",
    template: Annotated[str, _text("--template", metavar="TEXT", help="Instead of that of the phase.")] = "",
    workflow: Annotated[str, _text("--workflow", metavar="FILE", help="Which file's phase.")] = "",
    workflows: Workflows = "",
    only: Annotated[
        str, _text("--only", metavar="KIND", help="missing, failed, both with a comma, or all (default).")
    ] = "",
    order: Annotated[str, _text("--order", metavar="WORD", help="newest or oldest first.")] = "",
    rate: Annotated[str, _text("--rate", metavar="N/UNIT", help="No faster than 20/m, 5/s, 100/h.")] = "",
    max_active: Annotated[
        int,
        typer.Option("--max-active", min=0, metavar="N", help="So many open at a time.", show_default=False),
    ] = 0,
    serial: Annotated[bool, typer.Option("--serial", help="One after another.")] = False,
    priority: Annotated[str, _text("--priority", metavar="P", help="low … critical, or 0 to 10.")] = "",
    limit: Annotated[
        int,
        typer.Option(
            "--limit", min=0, metavar="N", help="At most so many tasks (100,000).", show_default=False
        ),
    ] = 0,
    execute: Annotated[bool, typer.Option("--execute", help="Send it; else it is only shown.")] = False,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Send it, also large ones, without asking.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also when the same was sent before.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until all have ended; 1 if some failed.")
    ] = False,
    stop_at: Annotated[
        str, _text("--stop-at-failures", metavar="N|N%", help="Wait, and pause it when so many failed.")
    ] = "",
    output: Output = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    accept_loss: AcceptLoss = False,
    cache: Cache = "",
    config: Config = "",
    quiet: Quiet = False,
) -> None:
    """Send tasks for past dates; shows them first, --execute sends.

    \b
      flowlord backload load:users --from 2026-07-01 --to 2026-07-31
      flowlord backload load --from 2026-07-01T00 --to 2026-07-01T23 --by hour --execute
      flowlord backload load --from 2026-01-01 --to 2026-06-30 --only missing --rate 20/m -y
      flowlord backload list
      flowlord backload pause b-1a2b3c4d

    See also: send, tasks, next.
    """
    settings = settings_of(
        config=config, bus=bus, namespace=namespace, accept_loss=accept_loss or None, cache=cache
    )
    if name in KEEPS:
        if (name == "list") == bool(id_):
            raise typer.BadParameter("list has no ID" if id_ else f"{name} which one?", param_hint="ID")
        refuse_memory(settings, "backload")
        from flowlord.cli.backload_keep import run as keep

        leave(keep(settings, name, id_, limit=limit, output=output))
        return
    if id_:
        raise typer.BadParameter(
            f"{id_!r} is too much; dates come with --from, --to and --at", param_hint="ID"
        )
    if execute or yes:
        refuse_memory(settings, "backload")
    from flowlord.cli.backload_send import Options
    from flowlord.cli.backload_send import run as body

    options = Options(
        name=name,
        start=start,
        end=end,
        at=at,
        by=by,
        meta=tuple(meta),
        meta_file=meta_file,
        template=template,
        workflow=workflow,
        workflows=workflows,
        only=only,
        order=order,
        rate=rate,
        max_active=max_active,
        serial=serial,
        priority=priority,
        limit=limit,
        execute=execute or yes,
        yes=yes,
        again=again,
        wait=wait,
        stop_at=stop_at,
        output=output,
        quiet=quiet,
    )
    leave(body(settings, options))
