"""Flags of `flowlord notify`."""
# ruff: noqa: PT028 - one of its commands is called test and is none of pytest.

from __future__ import annotations

from typing import Annotated

from flowlord.cli.flags import Commands, option
from flowlord.cli.options import (
    BusAddress,
    Cache,
    Color,
    Config,
    Namespace,
    NoHeaders,
    Output,
    leave,
    settings_of,
)

app = Commands()
Form = Annotated[
    str,
    option(
        "-o",
        "--output",
        metavar="FORM",
        help="text, slack (the message as JSON) or json (as a webhook gets it).",
        show_default=False,
    ),
]
To = Annotated[
    str, option("--to", metavar="CHANNEL", help="This channel of the configuration.", show_default=False)
]


def notify(
    to: To = "",
    output: Form = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Rehearse what people are told: test the channels, look at the digest, send it now.

    \b
      flowlord notify test
      flowlord notify preview
      flowlord notify send --to oncall

    Alone it is a preview.

    See also: alerts, doctor, config.
    """
    preview(to, output, bus, namespace, cache, config)


app.groups["notify"] = Commands(alone=notify)


@app.groups["notify"].command()
def test(
    to: To = "",
    output: Output = "",
    no_headers: NoHeaders = False,
    color: Color = "auto",
    config: Config = "",
) -> None:
    """Send a message to every channel, or to one, and tell what became of each.

    \b
      flowlord notify test
      flowlord notify test --to oncall -o json

    Exits 1 when a channel refuses, 3 when one does not answer.
    """
    settings = settings_of(config=config)
    from flowlord.cli.notify import rehearse as body
    from flowlord.cli.printer import Look

    leave(body(settings.alerts, to, look=Look(output, no_headers, color=color)))


@app.groups["notify"].command()
def preview(
    to: To = "",
    output: Form = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Show the digest as a channel would be told now; nothing is sent.

    \b
      flowlord notify preview
      flowlord notify preview --to oncall -o slack
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache)
    from flowlord.cli.notify import preview as body

    leave(body(settings, to, output))


@app.groups["notify"].command()
def send(
    to: To = "",
    output: Output = "",
    no_headers: NoHeaders = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Send the digest now, to every channel that has something to hear, or to one.

    \b
      flowlord notify send
      flowlord notify send --to oncall

    It comes besides what the daemon sends, and changes nothing of that.
    Exits 1 when a channel refuses, 3 when one does not answer.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache)
    from flowlord.cli.notify import send as body
    from flowlord.cli.printer import Look

    leave(body(settings, to, look=Look(output, no_headers, color=color)))
