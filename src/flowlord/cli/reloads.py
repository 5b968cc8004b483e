"""The flags of `flowlord reload`."""

from __future__ import annotations

from typing import Annotated

import typer

from flowlord.cli.options import (
    BusAddress,
    Color,
    Config,
    Namespace,
    NoHeaders,
    Output,
    leave,
    refuse_memory,
    settings_of,
)

app = typer.Typer(rich_markup_mode=None)


@app.command()
def reload(
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Ask, and do not wait for answers.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="How long to wait; then exit 124.")
    ] = 30.0,
    output: Output = "",
    no_headers: NoHeaders = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """Have every taskmaster look at its workflows now, and wait until they run.

    \b
      flowlord reload
      flowlord reload --no-wait
      flowlord reload -o json --timeout 60

    Exits 1 when a taskmaster keeps an older version of a file that is broken now, 5 when none is alive.
    On one machine `kill -HUP PID` asks one of them.

    See also: validate, workers, run.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    refuse_memory(settings, "reload")
    from flowlord.cli.printer import Look
    from flowlord.cli.reload import run as body

    look = Look(output, no_headers=no_headers, color=color)
    leave(body(settings.bus, wait=not no_wait, timeout_s=timeout, look=look))
