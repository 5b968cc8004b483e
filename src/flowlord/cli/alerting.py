"""From settings to what tells alerts."""

from __future__ import annotations

from collections.abc import Callable

from flowlord.alert.port import Channel
from flowlord.alert.secrets import COMMAND_LIMIT_S
from flowlord.bus.port import Bus
from flowlord.cli.alertstate import policy_of
from flowlord.config.settings import AlertSettings
from flowlord.model.channel import ChannelKind, ChannelSpec
from flowlord.model.clock import Clock
from flowlord.taskmaster.alerter import LEASE_S, Alerter
from flowlord.taskmaster.overheard import Overheard

BOT, HOOK, WEB = 6.0, 3.0, 1.5
"""Limits of one request that one send takes at most: a bot makes four, a webhook of Slack two; redirects lengthen each
by half."""


def alerter_of(
    bus: Bus,
    clock: Clock,
    alerts: AlertSettings,
    zone: str,
    owner: str,
    tell_health: Callable[[str], None],
    overheard: Overheard | None = None,
) -> Alerter:
    """Return what tells alerts on that bus; `owner` is `DAEMON|PROCESS`."""
    channels: dict[str, Channel] = {}
    if alerts.channels:
        from flowlord.alert.channels import channels_of

        channels = channels_of(alerts.channels, clock)
    slowest_s = max(map(longest_s, alerts.channels), default=0.0)
    return Alerter(
        bus,
        clock,
        policy_of(alerts, zone),
        channels,
        owner,
        lease_s=LEASE_S + slowest_s,
        tell_health=tell_health,
        overheard=overheard,
    )


def longest_s(spec: ChannelSpec) -> float:
    """Return how many seconds it takes at most to send one message by that channel, its secrets included."""
    requests = BOT if spec.token else HOOK
    if spec.kind is not ChannelKind.SLACK:
        requests = WEB
    commands = sum(1 for ref in (spec.url, spec.token, spec.secret) if ref.command)
    return requests * spec.limit_ns / 1e9 + commands * COMMAND_LIMIT_S
