"""Commands to running taskmasters: pause, resume, reload."""

from __future__ import annotations

from typing import Annotated

import typer

from flowlord.cli.options import (
    Ascii,
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
_TARGET = "TOPIC, TOPIC:JOB, FILE.toml or FILE.toml:TOPIC:JOB."


@app.command()
def pause(
    target: Annotated[str, typer.Argument(metavar="[TARGET]", help=_TARGET, show_default=False)] = "",
    length: Annotated[
        str,
        typer.Option(
            "--for", metavar="TIME", help="It ends by itself after this, such as 2h.", show_default=False
        ),
    ] = "",
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; others will see it.", show_default=False)
    ] = "",
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """Pause a phase, a workflow or a topic; without a target list what is paused.

    \b
      flowlord pause load --for 2h --reason 'database is moving'
      flowlord pause daily.toml
      flowlord pause daily.toml:load:users
      flowlord pause

    A paused phase or workflow starts nothing; of a paused topic no worker takes
    a task. What runs is finished, and its result heard.

    See also: resume, topics, next.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    refuse_memory(settings, "pause")
    from flowlord.cli import pause as body
    from flowlord.cli.printer import Look

    look = Look(output, no_headers=no_headers, ascii=ascii_, color=color)
    if target:
        shown = look if output else None
        leave(body.pause(settings.bus, target, length=length, reason=reason, look=shown))
    else:
        leave(body.show(settings.bus, look=look))


@app.command()
def resume(
    target: Annotated[str, typer.Argument(metavar="TARGET", help=_TARGET, show_default=False)],
    catchup: Annotated[
        bool, typer.Option("--catchup", help="Start what the pause left out, within the catch-up window.")
    ] = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """Let a paused phase, workflow or topic go on.

    \b
      flowlord resume load
      flowlord resume daily.toml --catchup

    Starts that fell into the pause are recorded as skipped, unless --catchup
    asks for them. Tasks of a topic have waited and are all done.

    See also: pause, topics, next.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    refuse_memory(settings, "resume")
    from flowlord.cli import pause as body
    from flowlord.cli.printer import Look

    shown = Look(output, no_headers=no_headers) if output else None
    leave(body.resume(settings.bus, target, catchup=catchup, look=shown))


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
