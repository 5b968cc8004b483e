"""`flowlord alerts` and `flowlord alerts show`: incidents, and messages that did not arrive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from flowlord.alert.state import Incident, Mode, Mute, Pending, Stage, State
from flowlord.alert.words import ranges
from flowlord.bus.clock import SystemClock
from flowlord.cli import printer
from flowlord.cli.alertstate import policy_of, state_on
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING
from flowlord.cli.printer import Look
from flowlord.cli.sources import opened
from flowlord.cli.table import GREEN, RED, YELLOW, Column
from flowlord.cli.texts import printable
from flowlord.cli.times import iso, parse_time, relative, to_us
from flowlord.model.clock import Clock

if TYPE_CHECKING:
    from flowlord.config.settings import Settings

LISTED = 50
FIELDS = (
    "id", "since", "last", "count", "untold", "name", "error", "kind", "workflow", "phase", "dates", "messages", "told",
    "state", "channel", "next_digest", "acked_by", "muted_until", "reason", "ended",
)  # fmt: skip
WAITING_FIELDS = (
    "id", "at", "channel", "title", "tries", "next_try", "error", "refused", "doubtful", "alerts",
)  # fmt: skip
Record = Mapping[str, object]


class Wanted(msgspec.Struct, frozen=True):
    """What `flowlord alerts` was asked."""

    open: bool = False
    undelivered: bool = False
    since: str = ""
    limit: int | None = None
    exit_code: bool = False


def run(settings: Settings, wanted: Wanted, *, look: Look | None = None, clock: Clock | None = None) -> int:
    """List incidents, or messages that did not arrive; returns the exit code."""
    clock = clock or SystemClock()
    look = look or Look()

    def body() -> int:
        since_us = to_us(parse_time(wanted.since, clock.now())) if wanted.since else 0
        with opened(settings.bus, None, clock) as sources:
            bus = sources.bus()
            state = (
                state_on(bus, policy_of(settings.alerts, settings.taskmaster.zone))
                if bus is not None
                else State()
            )
        now_us = to_us(clock.now())
        if wanted.undelivered:
            waiting = [each for each in state.pending.values() if each.notice.at_us >= since_us]
            records = [_waiting(each) for each in sorted(waiting, key=lambda each: each.notice.at_us)]
            columns = _waiting_columns(now_us)
        else:
            found = [
                each
                for each in state.incidents.values()
                if each.last_us >= since_us and (each.is_open or not wanted.open)
            ]
            found.sort(key=lambda each: (each.is_open, each.last_us, each.id), reverse=True)
            records = [_record(each, state, settings, now_us) for each in found]
            columns = _columns(now_us)
        limit = (LISTED if printer.on_terminal() else 0) if wanted.limit is None else wanted.limit
        shown = records[:limit] if limit else records
        fields = WAITING_FIELDS if wanted.undelivered else FIELDS
        printer.rows(shown, fields, name="id", columns=columns, look=look)
        if not records and printer.on_terminal():
            printer.say("every message arrived" if wanted.undelivered else "no alerts")
        if len(shown) < len(records):
            printer.say(f"… {len(records) - len(shown):,} more, `--limit 0` for all")
        if state.mutes and not wanted.undelivered:
            for mute in state.mutes.values():
                if mute.until_us > now_us:
                    printer.say(f"note: {_muted(mute)}")
        return ANSWER_IS_BAD if wanted.exit_code and records else DONE

    return printer.quietly(body)


def show(settings: Settings, what: str, *, look: Look | None = None, clock: Clock | None = None) -> int:
    """Tell one incident; returns the exit code."""
    clock = clock or SystemClock()
    look = look or Look()

    def body() -> int:
        with opened(settings.bus, None, clock) as sources:
            bus = sources.bus()
            state = (
                state_on(bus, policy_of(settings.alerts, settings.taskmaster.zone))
                if bus is not None
                else State()
            )
        incident = state.incidents.get(what)
        if incident is None:
            return unknown(what)
        record = _record(incident, state, settings, to_us(clock.now()))
        if look.form in ("", "table"):
            printer.lines(_page(record, incident, to_us(clock.now())))
        elif look.form == "json":
            printer.document(dict(record) | {"next": _commands(incident)})
        else:
            printer.rows([record], FIELDS, name="id", columns=_columns(to_us(clock.now())), look=look)
        return DONE

    return printer.quietly(body)


def unknown(what: str) -> int:
    """Say that there is no such alert; returns the exit code."""
    printer.error(f"there is no alert {what[:40]}", hint="flowlord alerts lists them, with their ids")
    return NO_SUCH_THING


def _record(incident: Incident, state: State, settings: Settings, now_us: int) -> Record:
    policy = policy_of(settings.alerts, settings.taskmaster.zone)
    channel = policy.channel(incident.to)
    pace = state.paces.get(channel)
    digest = (
        pace.due_us
        if channel and pace and incident.is_open and incident.fresh and not incident.acked_us
        else 0
    )
    mute = next(
        (each for each in state.mutes.values() if each.until_us > now_us and each.covers(incident)), None
    )
    return {
        "id": incident.id,
        "since": iso(incident.first_us),
        "since_us": incident.first_us,
        "last": iso(incident.last_us),
        "last_us": incident.last_us,
        "count": incident.total,
        "untold": incident.fresh,
        "name": incident.name,
        "error": incident.error,
        "kind": incident.kind.value,
        "workflow": incident.workflow,
        "phase": incident.phase,
        "dates": ranges({*incident.before, *incident.hours}),
        "messages": incident.told,
        "told": iso(incident.told_us) or None,
        "state": incident.stage.value,
        "channel": channel or None,
        "next_digest": iso(digest) or None,
        "digest_us": digest,
        "acked_by": incident.acked_by or None,
        "muted_until": iso(mute.until_us) if mute else None,
        "reason": incident.reason or (mute.reason if mute else None) or None,
        "ended": iso(incident.ended_us) or None,
        "ended_us": incident.ended_us,
    }


def _waiting(each: Pending) -> Record:
    return {
        "id": each.notice.id,
        "at": iso(each.notice.at_us),
        "at_us": each.notice.at_us,
        "channel": each.notice.to,
        "title": each.notice.title,
        "tries": each.tries,
        "next_try": iso(each.due_us),
        "due_us": each.due_us,
        "error": each.error or None,
        "refused": each.lasting,
        "doubtful": each.doubtful or each.sending_us > 0,
        "alerts": ",".join(each.incidents),
    }


def _state(record: Record, now_us: int) -> str:
    stage = record["state"]
    if stage != Stage.OPEN:
        return f"{stage} {relative(int(str(record['ended_us'])), now_us)}"
    if record["acked_by"]:
        return f"acked by {record['acked_by']}"
    if record["muted_until"]:
        return f"muted until {str(record['muted_until'])[11:16]}Z"
    digest = int(str(record["digest_us"]))
    return f"open, next digest {iso(digest)[11:16]}Z" if digest else "open"


def _sent(record: Record) -> str:
    if record["channel"] is None and not record["messages"]:
        return "no channel"
    count = record["messages"]
    return "1 message" if count == 1 else f"{count} messages"


def _columns(now_us: int) -> list[Column]:
    def paint(record: Record) -> str:
        return GREEN if record["state"] != Stage.OPEN else YELLOW if record["acked_by"] else RED

    return [
        Column("id", paint=paint),
        Column("since", lambda record, _: relative(int(str(record["since_us"])), now_us)),
        Column("last", lambda record, _: relative(int(str(record["last_us"])), now_us)),
        Column("count", right=True),
        Column("what", lambda record, _: f"{record['name']} {record['error']}", gives=True),
        Column("sent", lambda record, _: _sent(record)),
        Column("state", lambda record, _: _state(record, now_us)),
    ]


def _waiting_columns(now_us: int) -> list[Column]:
    def when(name: str) -> Callable[[Record, bool], str]:
        return lambda record, _: relative(int(str(record[name])), now_us)

    return [
        Column("id"),
        Column("made", when("at_us")),
        Column("channel"),
        Column("title", gives=True),
        Column("tries", right=True),
        Column("next try", when("due_us")),
        Column("reason", lambda record, _: str(record["error"] or "not tried yet"), gives=True),
    ]


def _page(record: Record, incident: Incident, now_us: int) -> list[str]:
    rows = {
        "id": f"{incident.id}    state {_state(record, now_us)}",
        "what": f"{incident.name}    kind {incident.kind.value}",
        "reason": incident.error,
        "phase": incident.phase,
        "since": f"{record['since']}    last {record['last']}",
        "count": f"{incident.total:,}" + (f"    {incident.fresh:,} not told yet" if incident.fresh else ""),
        "dates": str(record["dates"]),
        "told": f"{_sent(record)}" + (f", last {record['told']}" if record["told"] else ""),
        "channel": str(record["channel"] or ""),
        "alert": "" if incident.mode is Mode.EDGE else incident.mode.value,
        "acked": f"by {incident.acked_by} {iso(incident.acked_us)} {incident.reason}"
        if incident.acked_us
        else "",
        "next": "  |  ".join(_commands(incident)),
    }
    return [f"{name:<9} {printable(text)}" for name, text in rows.items() if text]


def _commands(incident: Incident) -> list[str]:
    """Return what a person may want to type next."""
    from shlex import quote

    topic, _, job = incident.name.partition(":")
    found = []
    if incident.phase and incident.kind.value in ("task", "result", "late"):
        found.append(
            f"flowlord tasks --failed --topic {quote(topic)}" + (f" --job {quote(job)}" if job else "")
        )
    if incident.is_open and not incident.acked_us:
        found.append(f"flowlord alerts ack {incident.id}")
    return found


def _muted(mute: Mute) -> str:
    by = f" by {mute.by}" if mute.by else ""
    why = f": {mute.reason}" if mute.reason else ""
    return f"{mute.target} is muted until {iso(mute.until_us)}{by}{why}"
