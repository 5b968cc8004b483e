"""Whether the files that a phase waits for came in time, and what is told when one did not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from flowlord.decide.alert import alert_of
from flowlord.decide.expand import utc_text
from flowlord.model.paused import Pause
from flowlord.model.plan import Fact, FactKind, Mark
from flowlord.model.workflow import Phase
from flowlord.rules.deadline import Deadline, expected
from flowlord.rules.durations import short_duration

KEEP_S: Final = 400 * 86_400
"""How long it is kept what came, and up to when was looked."""
MOST: Final = 50
"""Deadlines that one look judges; the rest follows at the next one."""
_TOLD: Final = "told "


class Came(msgspec.Struct, frozen=True, omit_defaults=True):
    """What last came for a phase: `at` when (UTC), `path` the newest, `moment` the latest data time in any path."""

    at: datetime
    path: str = ""
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found: facts to tell, and the mark up to where was looked; None when nothing is new."""

    facts: tuple[Fact, ...] = ()
    mark: Mark | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Came).decode


def came_mark(identity: str) -> str:
    """Return the key of the mark that tells what last came for a phase with `late`."""
    return f"came:{identity}"


def absent_mark(identity: str) -> str:
    """Return the key of the mark that tells up to which deadline was looked."""
    return f"absent:{identity}"


def read_came(value: str | None) -> Came | None:
    """Read the mark; None when it is missing, or somebody wrote something else there."""
    try:
        found = None if value is None else _decode(value)
    except msgspec.DecodeError:
        return None
    if found is None or not _is_usable(found.at) or not (found.moment is None or _is_usable(found.moment)):
        return None
    return found


def _is_usable(time: datetime) -> bool:
    """Whether a time that was read has a zone, and a year that others can be counted from."""
    return time.tzinfo is not None and 1900 < time.year < 9000


def came(identity: str, seen: str | None, path: str, moment: datetime | None, now: datetime) -> Mark:
    """Return the mark that a file came, upon the one that was `seen`."""
    before = read_came(seen)
    if before is not None and before.moment is not None:
        moment = before.moment if moment is None else max(moment, before.moment)
    new = _encode(Came(now.astimezone(UTC), path, moment)).decode()
    return Mark(came_mark(identity), seen, new, KEEP_S)


def look(
    phase: Phase,
    revision: str,
    zone: str,
    seen: str | None,
    last: Came | None,
    now: datetime,
    pause: Pause | None = None,
) -> Look:
    """Return which files did not come by `now` (aware), each told once: the mark that was `seen` moves behind it.

    Args:
        zone: of rules that name none.
        last: what came, None for nothing yet.
        pause: that holds the phase up: then nobody is told.
    Source:
        docs/files.md, "Files that do not come".
    """
    rule, key = phase.rule, absent_mark(phase.identity)
    deadline = Deadline.parse(rule.late)
    told = (seen or "").startswith(_TOLD)
    watermark = _time((seen or "").removeprefix(_TOLD))
    if watermark is None:  # it begins to wait now
        return Look((), Mark(key, seen, utc_text(now), KEEP_S))
    if not (deadline.at or rule.cron):
        since = watermark if last is None else max(last.at, watermark)
        wait = timedelta(microseconds=deadline.after_ns // 1000)
        if now - since <= wait or (told and since == watermark):
            return Look()
        by = since + wait
        text = f"no file came for {phase.base_name} within {short_duration(deadline.after_ns)}"
        return Look(
            _told(phase, revision, by, text, last, pause), Mark(key, seen, _TOLD + utc_text(now), KEEP_S)
        )
    facts: list[Fact] = []
    judged = None
    for each in expected(deadline, rule.cron, rule.tz or zone, watermark):
        if each.by > now or len(facts) >= MOST:
            break
        judged = each.by
        if last is not None and last.moment is not None:
            is_here = each.is_met_by(last.moment)
        else:
            is_here = last is not None and last.at > each.since
        if not is_here:
            text = f"the file of {each.words} for {phase.base_name} did not come by {utc_text(each.by)}"
            facts += _told(phase, revision, each.by, text, last, pause)
    return Look() if judged is None else Look(tuple(facts), Mark(key, seen, utc_text(judged), KEEP_S))


def _told(
    phase: Phase, revision: str, by: datetime, text: str, last: Came | None, pause: Pause | None
) -> tuple[Fact, ...]:
    if last is None:
        newest = "none ever came since it is waited for"
    else:
        newest = f"the last one that came is {last.path}, at {utc_text(last.at)}"
    fact = Fact(
        FactKind.ABSENT,
        topic=phase.topic,
        phase=phase.identity,
        revision=revision,
        cause=f"absent:{phase.identity}:{utc_text(by)}",
        text=f"{text}; {newest}" + (f" ({pause.words})" if pause else ""),
    )
    if pause is not None or phase.rule.no_alert:
        return (fact,)
    return (fact, alert_of(fact, phase.rule))


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if _is_usable(found) else None
