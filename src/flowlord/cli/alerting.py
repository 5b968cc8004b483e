"""From settings to what tells alerts."""

from __future__ import annotations

from collections.abc import Callable

from flowlord.alert.policy import Policy, Quiet, Route
from flowlord.alert.port import Channel
from flowlord.bus.port import Bus
from flowlord.config.settings import AlertSettings
from flowlord.model.clock import Clock
from flowlord.taskmaster.alerter import LEASE_S, Alerter


def policy_of(alerts: AlertSettings, zone: str) -> Policy:
    """Return how often, when and where people want to be told; `zone` is that of schedules that name none."""
    quiet = alerts.quiet
    return Policy(
        channels=tuple(spec.name for spec in alerts.channels),
        default=alerts.default,
        routes=tuple(Route(pattern, to) for pattern, to in alerts.routes),
        min_us=alerts.min_frequency_ns // 1_000,
        max_us=alerts.max_frequency_ns // 1_000,
        quiet=Quiet(quiet[0], quiet[1], quiet[2] or zone) if quiet else None,
        link=alerts.link,
    )


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
        lease_s=LEASE_S + 2 * slowest_s,
        tell_health=tell_health,
    )
