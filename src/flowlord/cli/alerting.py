"""From settings to what tells alerts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flowlord.alert.port import Channel
from flowlord.alert.secrets import COMMAND_LIMIT_S
from flowlord.bus.port import Bus
from flowlord.cli.alertstate import policy_of
from flowlord.config.settings import AlertSettings
from flowlord.model.clock import Clock
from flowlord.taskmaster.alerter import LEASE_S, Alerter

REQUESTS: Final = 6
"""Limits of one request that one send takes at most: a bot makes four, redirects lengthen each by half."""


def alerter_of(
    bus: Bus, clock: Clock, alerts: AlertSettings, zone: str, owner: str, tell_health: Callable[[str], None]
) -> Alerter:
    """Return what tells alerts on that bus; `owner` is `DAEMON|PROCESS`."""
    channels: dict[str, Channel] = {}
    if alerts.channels:
        from flowlord.alert.channels import channels_of

        channels = channels_of(alerts.channels, clock)
    slowest_s = max((spec.limit_ns for spec in alerts.channels), default=0) / 1e9
    return Alerter(
        bus,
        clock,
        policy_of(alerts, zone),
        channels,
        owner,
        lease_s=LEASE_S + COMMAND_LIMIT_S + REQUESTS * slowest_s,
        tell_health=tell_health,
    )
