"""The part of `flowlord doctor` that looks whether alerts can leave: channels, their secrets, and what waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from flowlord.model.errors import FlowlordError
from flowlord.model.finding import Finding, Level

if TYPE_CHECKING:
    from flowlord.bus.port import Bus
    from flowlord.cli.checkup import Visit
    from flowlord.model.channel import ChannelSpec

CONNECT_S: Final = 3.0


def alerts(visit: Visit) -> Iterator[Finding]:
    """Whether alerts can leave; nothing is sent."""
    channels = visit.settings.alerts.channels
    if not channels:
        text = "no channel is configured: alerts are recorded, and nobody is told"
        yield Finding("channels", Level.OK, text)
    for spec in channels:
        yield _channel(spec)
    bus = visit.bus()
    if bus is not None:
        yield from _waiting(bus)


def _channel(spec: ChannelSpec) -> Finding:
    """Whether the secrets of a channel can be had, and its host answers."""
    from flowlord.alert.port import Undelivered
    from flowlord.alert.secrets import Vault
    from flowlord.model.channel import ChannelKind

    name = f"to {spec.name}"
    vault = Vault(spec.url, spec.token, spec.secret)
    try:
        url, *_ = [vault.reveal(ref) for ref in (spec.url, spec.token, spec.secret) if ref] or [""]
    except (Undelivered, FlowlordError) as error:
        return Finding(name, Level.FAULT, f"alerts cannot leave: {error}", getattr(error, "hint", ""))
    if spec.kind is ChannelKind.APPRISE:
        return Finding(name, Level.OK, "its address can be had; flowlord notify test tries it")
    address = spec.api if spec.token else url
    if reason := _unreachable(address):
        return Finding(name, Level.FAULT, f"alerts cannot leave: {reason}", "flowlord notify test   # try it")
    return Finding(
        name, Level.OK, f"{spec.kind} answers at {_host(address)[0]}; flowlord notify test sends one"
    )


def _waiting(bus: Bus) -> Iterator[Finding]:
    from flowlord.alert import keep
    from flowlord.alert.outbox import undelivered_text

    head = bus.marks([keep.HEAD])
    if keep.HEAD not in head:
        return
    try:
        state = keep.read({**head, **bus.marks(keep.names(head[keep.HEAD]))})
    except ValueError:
        text = "what is known of alerts on the bus cannot be read; alerts begin anew"
        yield Finding("outbox", Level.WARN, text)
        return
    if text := undelivered_text(state):
        yield Finding("outbox", Level.FAULT, text, "flowlord alerts --undelivered")
    else:
        yield Finding("outbox", Level.OK, "nothing waits that could not be delivered")


def _host(url: str) -> tuple[str, int]:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)


def _unreachable(url: str) -> str:
    """Tell why nobody answers at an address, of which only the host is said; empty when somebody does."""
    import socket

    try:
        host, port = _host(url)
        if not host:
            return "its address names no host"
        with socket.create_connection((host, port), CONNECT_S):
            return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        return f"{_shown(url)} does not answer ({reason})"


def _shown(url: str) -> str:
    from flowlord.alert.http import host_of

    return host_of(url)
