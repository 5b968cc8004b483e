"""Flags of `flowlord alerts` and its commands."""

from __future__ import annotations

from typing import Annotated

from flowlord.cli.flags import Commands, argument, option
from flowlord.cli.options import (
    Ascii,
    BusAddress,
    Cache,
    Color,
    Config,
    Limit,
    Namespace,
    NoHeaders,
    Output,
    Reason,
    leave,
    refuse_memory,
    settings_of,
)

app = Commands()


def alerts(
    open_: Annotated[bool, option("--open", help="Those that go on.")] = False,
    undelivered: Annotated[
        bool, option("--undelivered", help="Messages that have not reached their channel.")
    ] = False,
    since: Annotated[
        str,
        option(
            "--since", metavar="WHEN", help="Not before: 24h, yesterday, 2026-08-01T05.", show_default=False
        ),
    ] = "",
    limit: Limit = None,
    exit_code: Annotated[bool, option("--exit-code", help="Exit 1 when there are any.")] = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """List alerts, the newest first: what fails, since when, how often, and who was told.

    \b
      flowlord alerts --open
      flowlord alerts list --since 24h -o json
      flowlord alerts ack a12 --reason 'the bank knows'
      flowlord alerts mute load:users --for 2h --reason 'database is moving'

    One line is one incident: events with the same phase and reason, apart from numbers, times, ids and paths.
    With --since also those of the history that ended since.

    See also: tasks, doctor, config.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache)
    from flowlord.cli.alertlook import Wanted
    from flowlord.cli.alertlook import run as body
    from flowlord.cli.printer import Look

    wanted = Wanted(open_, undelivered, since, limit, exit_code)
    leave(body(settings, wanted, look=Look(output, no_headers, ascii_, color)))


_group = app.groups["alerts"] = Commands(alone=alerts)
_group.bodies["list"] = alerts


@_group.command()
def show(
    what: Annotated[str, argument(metavar="ID", help="An alert, such as a12.", show_default=False)],
    output: Output = "",
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Tell all that is known of one alert, and what to type next.

    \b
      flowlord alerts show a12
      flowlord alerts show a12 -o json

    One that ended is told from the history, weeks later too.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache)
    from flowlord.cli.alertlook import show as body
    from flowlord.cli.printer import Look

    leave(body(settings, what, look=Look(output, color=color)))


@_group.command()
def ack(
    what: Annotated[list[str], argument(metavar="ID...", help="Alerts, such as a12.", show_default=False)],
    reason: Reason = "",
    output: Output = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """Say that you know of an alert: no more digests of it; that it is over is told.

    \b
      flowlord alerts ack a12
      flowlord alerts ack a11 a12 --reason 'the bank is closed'
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    refuse_memory(settings, "alerts ack")
    from flowlord.cli.alertact import ack as body
    from flowlord.cli.printer import Look

    leave(body(settings, what, reason, look=Look(output)))


@_group.command()
def mute(
    target: Annotated[
        str,
        argument(
            metavar="TARGET",
            help="An alert, TOPIC, TOPIC:JOB, FILE.toml; with *, all that fit.",
            show_default=False,
        ),
    ],
    length: Annotated[
        str, option("--for", metavar="TIME", help="For so long, such as 2h.", show_default=False)
    ] = "",
    reason: Reason = "",
    output: Output = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """Tell nobody of a target for a while; what happened meanwhile is told in one when the time is over.

    \b
      flowlord alerts mute load --for 2h --reason 'database is moving'
      flowlord alerts mute daily.toml --for 1d
      flowlord alerts mute 'load:*' --for 30m
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    refuse_memory(settings, "alerts mute")
    from flowlord.cli.alertact import mute as body
    from flowlord.cli.printer import Look

    leave(body(settings, target, length, reason, look=Look(output)))


@_group.command()
def unmute(
    target: Annotated[str, argument(metavar="TARGET", help="What was muted.", show_default=False)],
    output: Output = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """End a mute before its time.

    \b
      flowlord alerts unmute load
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    refuse_memory(settings, "alerts unmute")
    from flowlord.cli.alertact import unmute as body
    from flowlord.cli.printer import Look

    leave(body(settings, target, look=Look(output)))
