"""From the configuration to channels that send."""

from __future__ import annotations

from collections.abc import Iterable

from flowlord.alert.port import Channel
from flowlord.model.channel import ChannelKind, ChannelSpec
from flowlord.model.clock import Clock


def channels_of(specs: Iterable[ChannelSpec], clock: Clock) -> dict[str, Channel]:
    """Return a channel for each spec, by name and in their order; nothing is read or opened before the first send."""
    return {spec.name: channel_of(spec, clock) for spec in specs}


def channel_of(spec: ChannelSpec, clock: Clock) -> Channel:
    """Return the channel that a spec describes."""
    match spec.kind:
        case ChannelKind.SLACK:
            from flowlord.alert.slack import SlackBot, SlackHook

            return SlackBot(spec, clock) if spec.token else SlackHook(spec, clock)
        case ChannelKind.WEBHOOK:
            from flowlord.alert.webhook import Webhook

            return Webhook(spec, clock)
        case ChannelKind.APPRISE:
            from flowlord.alert.apprise import Apprise

            return Apprise(spec)
