"""What `flowlord next` tells of each start: as records, and sooner as lines of tabs, of which there may be 100,000."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from flowlord.cli.texts import tsv_cell, tsv_line
from flowlord.decide.ahead import Coming, Planned, Scheduled, info_alone, teller
from flowlord.decide.context import Context
from flowlord.decide.expand import utc_text
from flowlord.model.errors import FlowlordError
from flowlord.rules.errors import Unreadable

FIELDS = (
    "at", "local", "zone", "task", "info", "tasks", "workflow", "place", "rule", "offset", "notes", "fault",
    "paused",
)  # fmt: skip
Record = Mapping[str, object]
_INFO = FIELDS.index("info")


@dataclass(frozen=True, slots=True)
class View:
    """The zone in which people see times: one by name, that of this machine, or with neither each rule's own."""

    name: str = ""
    zone: tzinfo | None = None
    local: bool = False

    @classmethod
    def asked(cls, name: str, *, local: bool) -> View:
        """Return what the flags ask for.

        Raises:
            FlowlordError: no such zone.
        """
        if local:
            return cls("this machine", None, local=True)
        if not name:
            return cls()
        from flowlord.rules.zones import zone_of

        try:
            return cls(name, zone_of(name))
        except Unreadable as error:
            raise FlowlordError(error.text, hint="--local is the zone of this machine") from error

    def of(self, instant: datetime) -> datetime:
        """Return the instant as its clocks show it."""
        return instant.astimezone(self.zone) if self.local or self.zone else instant


class _Phase:
    """What all starts of one phase have in common."""

    def __init__(self, entry: Scheduled, ctx: Context, view: View) -> None:
        self.record = _of_phase(entry, view)
        self.zone = entry.cron.tz
        self.told: Callable[[Planned], Coming] = teller(entry, ctx)
        self.info = info_alone(entry, ctx)
        usual = {**self.record, "tasks": 1, "notes": [], "fault": "", "paused": False}
        cells = [usual.get(field) for field in FIELDS[2:]]
        self.before = tsv_line(cells[: _INFO - 2]) + "\t"
        self.behind = "\t" + tsv_line(cells[_INFO - 1 :])


class Rows:
    """The rows of a time line, one by one: `records` of each start, or `lines` with the same as text."""

    def __init__(self, planned: Iterable[Planned], ctx: Context, view: View) -> None:
        self._planned = planned
        self._ctx = ctx
        self._view = view
        self._phases: dict[int, _Phase] = {}

    def records(self) -> Iterator[Record]:
        """Yield what machines get of each start, with the keys `FIELDS` and `words`, its rule for people."""
        for phase, planned, at, local in self._timed():
            yield _record(phase, phase.told(planned), at, local)

    def lines(self) -> Iterator[str]:
        """Yield the same as lines of tabs, without their ends."""
        for phase, planned, at, local in self._timed():
            info = None if phase.info is None else phase.info(planned.instant)
            if info is None:
                found = _record(phase, phase.told(planned), at, local)
                yield tsv_line([found[field] for field in FIELDS])
            elif info.isascii() and info.isprintable() and "\\" not in info:
                yield f"{at}\t{local}\t{phase.before}{info}{phase.behind}"
            else:
                yield f"{at}\t{local}\t{phase.before}{tsv_cell(info)}{phase.behind}"

    def _timed(self) -> Iterator[tuple[_Phase, Planned, str, str]]:
        phases, own = self._phases, self._view == View()
        instant, zone, at, local = None, None, "", ""
        for planned in self._planned:
            entry = planned.of
            phase = phases.get(id(entry))
            if phase is None:
                phase = phases[id(entry)] = _Phase(entry, self._ctx, self._view)
            if planned.instant is not instant or phase.zone is not zone:  # many start at the same one
                instant, zone = planned.instant, phase.zone
                local = (instant if own else self._view.of(instant)).isoformat()
                at = local[:19] + "Z" if local[19:] == "+00:00" else utc_text(instant)
            yield phase, planned, at, local


def _record(phase: _Phase, start: Coming, at: str, local: str) -> Record:
    return {
        **phase.record,
        "at": at,
        "local": local,
        "info": start.info,
        "tasks": start.tasks,
        "notes": list(start.notes),
        "fault": start.fault,
        "paused": start.paused,
    }


def _of_phase(entry: Scheduled, view: View) -> Record:
    phase = entry.phase
    from flowlord.rules.durations import short_duration

    return {
        "zone": view.name or entry.cron.zone or "UTC",
        "task": phase.base_name,
        "workflow": phase.workflow,
        "place": f"{entry.path}:{phase.line}",
        "rule": phase.rule_text,
        "offset": short_duration(phase.rule.offset_ns) if phase.rule.offset_ns else "",
        "words": _rule_words(entry),
    }


def _rule_words(entry: Scheduled) -> str:
    from flowlord.rules.durations import short_duration

    rule = entry.phase.rule
    words = [f"cron {rule.cron}"]
    if rule.tz:
        words.append(f"tz {rule.tz}")
    if rule.offset_ns:
        words.append(f"offset {short_duration(rule.offset_ns)}")
    if rule.is_batch:
        words.append("batch")
    return ", ".join(words)
