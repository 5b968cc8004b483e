"""From settings as they were read to what is told where: the channel of `[slack]`, the others, and the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowlord.config.channels import SLACK, Channels, form_of, secret_ref, wrongs
from flowlord.config.settings import AlertSettings
from flowlord.model.channel import SEND_LIMIT_NS, SLACK_API, ChannelKind, ChannelSpec, SecretRef
from flowlord.model.problem import Problem

Given = Mapping[str, tuple[Any, str]]
"""What was given: name to value and origin."""
_PLAIN: Final = ("min_frequency", "max_frequency", "heartbeat_every")
_SECRETS: Final = ("slack.url", "slack.token", "alerts.heartbeat_url")


def alert_settings(given: Given, channels: Channels, file: str) -> tuple[AlertSettings, list[Problem]]:
    """Return the settings, and what is wrong with them."""
    problems: list[Problem] = []
    refs = {name: _ref(name, given, problems) for name in _SECRETS}
    specs = channels.specs(file)
    if refs["slack.url"] or refs["slack.token"]:
        slack = _slack(given, refs)
        problems += wrongs(slack, _place(slack.place), "[slack]")
        specs = (slack, *specs)
    problems += channels.problems
    names = [spec.name for spec in specs]
    default, origin = given.get("alerts.default", ("", ""))
    if default and default not in names:
        from difflib import get_close_matches

        close = get_close_matches(default, names, 1, 0.6)
        hint = f"did you mean {close[0]!r}?" if close else f"channels are {', '.join(names) or 'none'}"
        text = f"alerts.default names {default!r}, which is no channel"
        problems.append(Problem(origin, 0, 0, text, hint, "FL202"))
    least, most = (given.get(f"alerts.{name}_frequency", (0, ""))[0] for name in ("min", "max"))
    plain: dict[str, Any] = {
        f"{name}_ns": given[f"alerts.{name}"][0] for name in _PLAIN if f"alerts.{name}" in given
    }
    if most and most <= (least or AlertSettings().min_frequency_ns):
        plain.pop("max_frequency_ns")  # as the Go program: a ceiling that is none is the usual one
    routes, origin = given.get("alerts.routes", ((), ""))
    for pattern, to in routes:
        if to not in names:
            text = f"alerts.routes sends {pattern!r} to {to!r}, which is no channel"
            problems.append(
                Problem(origin, 0, 0, text, f"channels are {', '.join(names) or 'none'}", "FL202")
            )
    return (
        AlertSettings(
            channels=specs,
            default=default or (names[0] if names else ""),
            routes=routes,
            quiet=given.get("alerts.quiet_hours", (None, ""))[0],
            link=given.get("alerts.link", ("", ""))[0],
            heartbeat_url=refs["alerts.heartbeat_url"],
            **plain,
        ),
        problems,
    )


def _slack(given: Given, refs: Mapping[str, SecretRef]) -> ChannelSpec:
    def text(key: str, otherwise: str = "") -> str:
        return str(given.get(f"slack.{key}", (otherwise, ""))[0])

    origins = (
        given.get(f"slack.{key}{way}") for key in ("url", "token") for way in ("", "_file", "_command")
    )
    return ChannelSpec(
        SLACK,
        ChannelKind.SLACK,
        url=refs["slack.url"],
        token=refs["slack.token"],
        channel=text("channel"),
        prefix=text("prefix"),
        title=text("title"),
        form=form_of(text("format")),
        api=text("api", SLACK_API),
        limit_ns=given.get("slack.timeout", (SEND_LIMIT_NS, ""))[0],
        place=next(origin[1] for origin in origins if origin and origin[0]),
    )


def _ref(name: str, given: Given, problems: list[Problem]) -> SecretRef:
    ways = [each for each in (name, f"{name}_file", f"{name}_command") if given.get(each, ("",))[0]]
    if len(ways) > 1:
        text = f"{' and '.join(ways)} are given"
        problems.append(Problem(given[ways[1]][1], 0, 0, text, "keep one of them", "FL202"))
    values = [given[each][0] if each in ways else None for each in (name, f"{name}_file", f"{name}_command")]
    return secret_ref(name, value=values[0], file=values[1], command=values[2])


def _place(origin: str) -> Problem:
    path, _, line = origin.rpartition(":")
    if path and line.isdecimal():
        return Problem(path, int(line), 1, "")
    return Problem(origin, 0, 0, "")
