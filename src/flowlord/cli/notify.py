"""`flowlord notify`: whether channels work, what they would be told now, and telling it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from flowlord.alert.plain import SIGNS, text_of, titled
from flowlord.alert.port import Notice, NoticeKind, Severity, Undelivered
from flowlord.bus.clock import SystemClock, micros, unguessable
from flowlord.cli import printer
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, UNREACHABLE
from flowlord.cli.options import cache_of
from flowlord.cli.printer import Column, Look
from flowlord.cli.sources import opened
from flowlord.cli.table import GREEN, RED
from flowlord.cli.texts import printable
from flowlord.model.channel import ChannelKind, ChannelSpec
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.config import AlertSettings, Settings

FIELDS: Final = ("channel", "kind", "state", "text", "hint")
FORMS: Final = ("text", "slack", "json")
DELIVERED, REFUSED, SILENT = "delivered", "failed", "unreachable"
HOW_TO: Final = "FLOWLORD_SLACK_URL=https://hooks.slack.com/services/... flowlord notify test"
_Row = dict[str, str]


def rehearse(
    settings: AlertSettings, to: str = "", *, look: Look | None = None, clock: Clock | None = None
) -> int:
    """Send a message to each channel, or to `to`; returns the exit code."""
    clock = clock or SystemClock()
    specs = _chosen(settings, to)
    text = f"A test from {socket.gethostname()}. Nothing is wrong."
    now_us = micros(clock.now())
    return _sent(
        (
            (spec, _notice(f"test-{unguessable()}", "flowlord reaches this channel", text, now_us, spec.name))
            for spec in specs
        ),
        look or Look(),
        clock,
    )


def preview(settings: Settings, to: str = "", form: str = "", *, clock: Clock | None = None) -> int:
    """Print the digest of one channel, the default one when none is named; returns the exit code."""
    form = form or "text"
    if form not in FORMS:
        close = get_close_matches(form, FORMS, 1)
        hint = f"did you mean {close[0]}?" if close else f"write one of {', '.join(FORMS)}"
        raise FlowlordError(f"-o {printable(form)!r} is no form of a preview", hint=hint)
    alerts = settings.alerts
    spec = _named(alerts, to or alerts.default) if to or alerts.channels else None
    [notice] = _digests(settings, [spec.name if spec else ""], clock or SystemClock())

    def body() -> int:
        _show(notice, spec, form)
        return DONE

    return printer.quietly(body)


def send(settings: Settings, to: str = "", *, look: Look | None = None, clock: Clock | None = None) -> int:
    """Send the digest to each channel that has something to hear, or to `to`; returns the exit code."""
    clock = clock or SystemClock()
    specs = _chosen(settings.alerts, to)
    notices = _digests(settings, [spec.name for spec in specs], clock)
    pairs = [(spec, notice) for spec, notice in zip(specs, notices, strict=True) if notice is not None]
    if not pairs:
        printer.say("there is nothing to tell")
    return _sent(pairs, look or Look(), clock)


def _digests(settings: Settings, channels: Sequence[str], clock: Clock) -> list[Notice | None]:
    from flowlord.cli.digest import Digest

    with opened(settings.bus, cache_of(settings), clock) as sources:
        digest = Digest(settings.alerts, sources, micros(clock.now()))
        found = [digest.notice(channel, f"digest-{unguessable()}") for channel in channels]
        others = [name for name in digest.channels() if name not in channels]
    if others:
        names = ", ".join(others)
        printer.say(f"note: there is something for {names} too: --to {others[0]}")
    return found


def _chosen(settings: AlertSettings, to: str) -> Sequence[ChannelSpec]:
    if to:
        return [_named(settings, to)]
    if not settings.channels:
        raise FlowlordError("no channel is configured: nobody is told of anything", hint=HOW_TO)
    return settings.channels


def _named(settings: AlertSettings, name: str) -> ChannelSpec:
    found = {spec.name: spec for spec in settings.channels}
    if name not in found:
        close = get_close_matches(name, found, 1)
        hint = f"did you mean {close[0]}?" if close else f"channels are {', '.join(found) or 'none'}"
        raise FlowlordError(f"there is no channel {printable(name)!r}", hint=hint)
    return found[name]


def _sent(pairs: Iterable[tuple[ChannelSpec, Notice]], look: Look, clock: Clock) -> int:
    """Send, and print a row for each channel as soon as it is known; returns the exit code."""

    rows: list[_Row] = []
    sheet = printer.Sheet(FIELDS, _columns(), name="channel", look=look)

    def body() -> int:
        for spec, notice in pairs:
            row = _told(spec, notice, clock)
            rows.append(row)
            sheet.add([row])
            if look.resolved() == "table" and row["hint"]:
                printer.say(f"  hint: {row['hint']}")
        sheet.close()
        states = {row["state"] for row in rows}
        return ANSWER_IS_BAD if REFUSED in states else UNREACHABLE if SILENT in states else DONE

    return printer.quietly(body)


def _told(spec: ChannelSpec, notice: Notice, clock: Clock) -> _Row:
    """Send one notice, once; returns what became of it."""
    from flowlord.alert.channels import channel_of
    from flowlord.alert.http import Unreachable

    row = {"channel": spec.name, "kind": str(spec.kind), "state": DELIVERED, "text": "", "hint": ""}
    try:
        channel_of(spec, clock).send(notice)
    except Undelivered as error:
        row["state"] = SILENT if isinstance(error, Unreachable) else REFUSED
        row["text"] = str(error) + ("; it may have arrived" if error.doubtful else "")
        wait = f"it asks to wait {error.retry_after_s:g} s" if error.retry_after_s else ""
        row["hint"] = error.hint or wait
    return row


def _notice(id_: str, title: str, text: str, now_us: int, to: str) -> Notice:
    return Notice(id_, NoticeKind.TEST, Severity.INFO, title, now_us, text=text, to=to)


def _columns() -> list[Column]:
    def paint(record: Mapping[str, object]) -> str:
        return GREEN if record["state"] == DELIVERED else RED

    return [Column("channel"), Column("kind"), Column("state", paint=paint), Column("text", gives=True)]


def _show(notice: Notice | None, spec: ChannelSpec | None, form: str) -> None:
    if spec is None:
        printer.say(f"note: no channel is configured, so nobody is told\n  hint: {HOW_TO}")
    if notice is None:
        printer.say("there is nothing to tell")
        if form != "text":
            printer.lines(["null"])
        return
    match form:
        case "json":
            from flowlord.alert.webhook import body_of

            printer.document(json.loads(body_of(notice)))
        case "slack":
            printer.lines([_slack(notice, spec)])
        case _:
            prefix, title = (spec.prefix, spec.title) if spec else ("", "")
            head = f"{SIGNS[notice.severity]} {titled(notice, prefix, title)}"
            printer.lines([printable(head), *text_of(notice).split("\n")])


def _slack(notice: Notice, spec: ChannelSpec | None) -> str:
    """Return the message as Slack would get it; indented, for a person and for Slack's own Block Kit Builder."""
    from flowlord.alert.slack import address_of, payload_of

    if spec is None or spec.kind is not ChannelKind.SLACK:
        spec = ChannelSpec("preview", ChannelKind.SLACK, form="blocks")
    return json.dumps(payload_of(notice, spec, address_of(spec)), indent=2, ensure_ascii=True)
