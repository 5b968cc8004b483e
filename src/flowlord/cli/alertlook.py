"""`flowlord alerts` and `flowlord alerts show`: incidents, and messages that did not arrive."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from flowlord.alert.state import Incident, Mode, Mute, Pending, Stage, State
from flowlord.alert.words import dates_of, what_of
from flowlord.bus.clock import SystemClock
from flowlord.cache.past import Kept, ended_since, last_of
from flowlord.cli import printer
from flowlord.cli.alertstate import policy_of, state_on
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING
from flowlord.cli.printer import Look
from flowlord.cli.sources import Sources, opened
from flowlord.cli.table import GREEN, RED, YELLOW, Column
from flowlord.cli.texts import printable
from flowlord.cli.times import iso, parse_time, relative, to_us
from flowlord.model.clock import Clock
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.config.settings import Settings

LISTED = 50
FIELDS = (
    "id", "since", "last", "count", "untold", "name", "error", "kind", "workflow", "phase", "dates", "messages",
    "undelivered", "told", "state", "channel", "next_digest", "acked_by", "acked", "mode", "muted_until",
    "reason", "ended",
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
    try:
        since_us = to_us(parse_time(wanted.since, clock.now())) if wanted.since else 0
    except (ValueError, OverflowError) as error:
        raise FlowlordError(f"--since: {error}") from error

    def body() -> int:
        with opened(settings.bus, _kept_at(settings), clock) as sources:
            state = _known(sources, settings)
            asks_for_past = wanted.since and not wanted.open and not wanted.undelivered
            past = (
                ended_since(sources.history(fresh=False), since_us)
                if asks_for_past and _is_kept(settings)
                else []
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
            known = {(each.id, each.first_us) for each in state.incidents.values()}
            records = [_record(each, state, settings, now_us) for each in found]
            records += [_past_record(each) for each in past if (each.id, each.past.first_us) not in known]
            records.sort(
                key=lambda each: (each["state"] == Stage.OPEN, each["last_us"], each["id"]), reverse=True
            )
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
        now_us = to_us(clock.now())
        with opened(settings.bus, _kept_at(settings), clock) as sources:
            state = _known(sources, settings)
            incident = state.incidents.get(what)
            past = None
            if incident is None and _is_kept(settings):
                past = last_of(sources.history(fresh=False), what)
        if incident is not None:
            record = _record(incident, state, settings, now_us)
        elif past is not None:
            record = _past_record(past)
        else:
            return unknown(what)
        if look.form in ("", "table"):
            printer.lines(_page(record, now_us))
        elif look.form == "json":
            printer.document(dict(record) | {"next": _commands(record)})
        else:
            printer.rows([record], FIELDS, name="id", columns=_columns(now_us), look=look)
        return DONE

    return printer.quietly(body)


def unknown(what: str) -> int:
    """Say that there is no such alert; returns the exit code."""
    printer.error(f"there is no alert {what[:40]}", hint="flowlord alerts lists them, with their ids")
    return NO_SUCH_THING


def _kept_at(settings: Settings) -> str | None:
    return settings.cache.path if settings.cache.enabled else None


def _is_kept(settings: Settings) -> bool:
    return settings.cache.enabled and os.path.exists(settings.cache.path)


def _known(sources: Sources, settings: Settings) -> State:
    bus = sources.bus()
    return state_on(bus, policy_of(settings.alerts, settings.taskmaster.zone)) if bus is not None else State()


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
        "dates": dates_of(incident, {*incident.before, *incident.hours}),
        "messages": incident.told,
        "undelivered": sum(
            1 for each in state.pending.values() if each.error and incident.id in each.incidents
        ),
        "told": iso(incident.told_us) or None,
        "state": incident.stage.value,
        "channel": channel or None,
        "next_digest": iso(digest) or None,
        "digest_us": digest,
        "acked_by": incident.acked_by or None,
        "acked": iso(incident.acked_us) or None,
        "mode": incident.mode.value,
        "muted_until": iso(mute.until_us) if mute else None,
        "reason": incident.reason or (mute.reason if mute else None) or None,
        "ended": iso(incident.ended_us) or None,
        "ended_us": incident.ended_us,
    }


def _past_record(each: Kept) -> Record:
    """Return an incident as the history keeps it, in the form of `_record`."""
    past = each.past
    return {
        "id": each.id,
        "since": iso(past.first_us),
        "since_us": past.first_us,
        "last": iso(past.last_us),
        "last_us": past.last_us,
        "count": past.total,
        "untold": 0,
        "name": past.name,
        "error": each.error,
        "kind": past.kind,
        "workflow": each.workflow,
        "phase": each.phase,
        "dates": past.dates,
        "messages": past.messages,
        "undelivered": 0,  # what waited was told in the end, or is known of an incident that goes on
        "told": iso(past.told_us) or None,
        "state": past.stage,
        "channel": past.channel or None,
        "next_digest": None,
        "digest_us": 0,
        "acked_by": past.acked_by or None,
        "acked": iso(past.acked_us) or None,
        "mode": None,  # how it was told is not kept
        "muted_until": None,
        "reason": past.reason or None,
        "ended": iso(past.ended_us) or None,
        "ended_us": past.ended_us,
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
    count, undelivered = int(str(record["messages"])), int(str(record["undelivered"]))
    if undelivered:
        return "undelivered" if undelivered >= count else f"{count} messages, {undelivered} undelivered"
    return "1 message" if count == 1 else f"{count} messages"


def _columns(now_us: int) -> list[Column]:
    def paint(record: Record) -> str:
        return GREEN if record["state"] != Stage.OPEN else YELLOW if record["acked_by"] else RED

    return [
        Column("id", paint=paint),
        Column("since", lambda record, _: relative(int(str(record["since_us"])), now_us)),
        Column("last", lambda record, _: relative(int(str(record["last_us"])), now_us)),
        Column("count", right=True),
        Column(
            "what", lambda record, _: what_of(str(record["name"]), str(record["error"])), gives=True, least=40
        ),
        Column("sent", lambda record, _: _sent(record), gives=True),
        Column("state", lambda record, _: _state(record, now_us), gives=True),
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
        Column("reason", lambda record, _: _reason(record), gives=True),
    ]


def _reason(record: Record) -> str:
    if not record["error"]:
        return "it is being sent" if record["doubtful"] else "not tried yet"
    return f"{record['error']}{'; it may have arrived' if record['doubtful'] else ''}"


def _page(record: Record, now_us: int) -> list[str]:
    acked = (
        f"by {record['acked_by']} {record['acked']} {record['reason'] or ''}" if record["acked_by"] else ""
    )
    count, untold = int(str(record["count"])), int(str(record["untold"]))
    rows = {
        "id": f"{record['id']}    state {_state(record, now_us)}",
        "what": f"{record['name']}    kind {record['kind']}",
        "reason": record["error"],
        "phase": record["phase"],
        "since": f"{record['since']}    last {record['last']}",
        "count": f"{count:,}" + (f"    {untold:,} not told yet" if untold else ""),
        "dates": record["dates"],
        "told": _sent(record) + (f", last {record['told']}" if record["told"] else ""),
        "channel": record["channel"] or "",
        "alert": "" if record["mode"] in (None, Mode.EDGE) else record["mode"],
        "acked": acked,
        "next": "  |  ".join(_commands(record)),
    }
    return [f"{name:<9} {printable(str(text))}" for name, text in rows.items() if text]


def _commands(record: Record) -> list[str]:
    """Return what a person may want to type next."""
    from shlex import quote

    topic, _, job = str(record["name"]).partition(":")
    about = f"--topic {quote(topic)}" + (f" --job {quote(job)}" if job else "")
    found = ["flowlord alerts --undelivered"] if record["undelivered"] else []
    if record["phase"] and record["kind"] in ("task", "result", "late"):
        found.append(f"flowlord tasks --failed {about}")
    if record["kind"] in ("missed", "absent"):
        found.append(f"flowlord gaps {about}")
    if record["state"] == Stage.OPEN and not record["acked_by"]:
        found.append(f"flowlord alerts ack {record['id']}")
    return found


def _muted(mute: Mute) -> str:
    by = f" by {mute.by}" if mute.by else ""
    why = f": {mute.reason}" if mute.reason else ""
    return f"{mute.target} is muted until {iso(mute.until_us)}{by}{why}"
