"""What follows when a person pauses or resumes something: the pauses after it, and what is told of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from flowlord.model.paused import MARK, TOPIC, Pause, Paused
from flowlord.model.plan import Fact, FactKind

KEPT = timedelta(days=8)
"""How long an ended pause is remembered: so late may a daemon come and still have to know what it left out."""


def on_pause(paused: Paused, new: Pause, now: datetime) -> tuple[Paused, Fact]:
    """Return the pauses with a new one, which takes the place of that of its target, and the fact that tells of it."""
    rest = _kept(paused, now)
    same = next((each for each in rest if each.target == new.target and each.is_on(now)), None)
    if same is not None:
        new = replace(new, since=same.since)
    others = tuple(each for each in rest if each is not same)
    until = f" until {_time(new.until)}" if new.until else ""
    fact = _fact(FactKind.PAUSED, new, f"{new.target} is paused{until}{_by(new.by, new.reason)}")
    return Paused((*others, new)), fact


def on_resume(
    paused: Paused, target: str, now: datetime, *, by: str = "", catchup: bool = False
) -> tuple[Paused, Fact] | None:
    """Return the pauses with that of `target` ended, and the fact that tells of it; None when it is not paused."""
    rest = _kept(paused, now)
    same = next((each for each in rest if each.target == target and each.is_on(now)), None)
    if same is None:
        return None
    ended = replace(same, until=now, catchup=catchup)
    what = "what it left out is caught up" if catchup else "what it left out stays left out"
    text = f"{target} goes on after a pause since {_time(same.since)}{_by(by, '')}"
    if not target.startswith(TOPIC):  # the tasks of a topic only waited
        text += f"; {what}"
    others = tuple(each for each in rest if each is not same)
    return Paused((*others, ended)), _fact(FactKind.RESUMED, ended, text)


def _kept(paused: Paused, now: datetime) -> list[Pause]:
    return [each for each in paused.pauses if each.until is None or each.until > now - KEPT]


def _fact(kind: FactKind, pause: Pause, text: str) -> Fact:
    topic = pause.target.removeprefix(TOPIC) if pause.target.startswith(TOPIC) else ""
    return Fact(kind, topic=topic, phase="" if topic else pause.target, cause=MARK, text=text)


def _by(who: str, why: str) -> str:
    return (f" by {who}" if who else "") + (f": {why}" if why else "")


def _time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}" if time else ""
