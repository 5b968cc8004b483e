"""What the flags that choose tasks mean: words as typed in, a filter of the history out."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from flowlord.cache.attempt import FAILED, State
from flowlord.cache.filter import Filter
from flowlord.cli.times import parse_time, to_us
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.cache.queries import History

LONGEST_PATTERN = 1_000
STARS = 8
"""Stars that a pattern may have: each one more may multiply the time that a long text takes."""
_EXACT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d):?(?:[0-5][1-9]|[1-5]0)(?::.*|Z|[+-].*)?", re.ASCII)
"""A time that is more exact than an hour, and its hour."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line said, word for word; the fields are those of `taskflags.TaskFlags`."""

    state: str = ""
    failed: bool = False
    running: bool = False
    waiting: bool = False
    late: bool = False
    lost: bool = False
    topic: str = ""
    job: str = ""
    workflow: str = ""
    id: str = ""
    info: str = ""
    file: str = ""
    since: str = ""
    until: str = ""
    from_: str = ""
    to: str = ""
    error: str = ""
    batch: str = ""

    def wanted(self, now: datetime) -> Filter:
        """Return the filter, without `file`, which takes a look at the history: `within`.

        Raises:
            FlowlordError: words that mean nothing.
        """
        states = {_state(word) for word in self.state.split(",") if word.strip()}
        states |= FAILED if self.failed else set()
        states |= {State.RUNNING} if self.running else set()
        states |= {State.WAITING, State.LATER} if self.waiting else set()
        since, until = _time(self.since, now), _time(self.until, now, end=True)
        return Filter(
            frozenset(states),
            self.topic,
            self.job,
            self.workflow,
            self.id,
            max(to_us(since), 0) if since else 0,
            max(to_us(until), 0) if until else 0,
            _pattern(self.info),
            _moment(_time(self.from_, now)),
            _moment(_time(self.to, now, end=True)),
            self.error,
            self.batch,
            late=self.late,
            lost=self.lost,
        )

    def within(self, history: History, wanted: Filter) -> Filter:
        """Return `wanted`, narrowed to what the file of `--file` started and all that followed."""
        if not self.file:
            return wanted
        ids = history.ids_of_file(self.file)
        if not ids:
            from flowlord.cli.filemeant import spellings

            ids = next((found for each in spellings(self.file) if (found := history.ids_of_file(each))), ids)
        return msgspec.structs.replace(wanted, ids=ids)

    def flags(self) -> str:
        """Return what was chosen as it is typed, for a command that is to be about the same."""
        from shlex import quote

        words: list[str] = []
        for name in Chosen.__struct_fields__:
            value = getattr(self, name)
            flag = f"--{name.rstrip('_')}"
            if value:
                words += (
                    [flag]
                    if value is True
                    else [f"{flag}={quote(value)}" if value.startswith("-") else f"{flag} {quote(value)}"]
                )
        return " ".join(words)

    def by_the_hour(self) -> str:
        """Return what to say when a bound of data times is more exact than they are kept; nothing else."""
        for flag, text in (("--from", self.from_), ("--to", self.to)):
            if found := _EXACT.fullmatch(text.strip()):
                return (
                    f"note: history keeps data times by the hour, as {found[1]}: {flag} {text} cuts between "
                    f"hours, for those of the hour write {flag} {found[1]}"
                )
        return ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen, which means everything."""
        return self == Chosen()


def _time(text: str, now: datetime, *, end: bool = False) -> datetime | None:
    try:
        return parse_time(text, now, end=end) if text else None
    except ValueError as error:
        raise FlowlordError(str(error)) from None


def _moment(time: datetime | None) -> str:
    """Return a bound as data times are written, by the hour: what is more exact sorts behind its hour."""
    if time is None:
        return ""
    text = time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").removesuffix(":00").removesuffix(":00")
    return text.zfill(13)


def _pattern(text: str) -> str:
    if len(text) > LONGEST_PATTERN or text.count("*") > STARS:
        raise FlowlordError(
            f"--info {text[:40]!r} is no pattern that can be looked for in good time",
            hint=f"at most {LONGEST_PATTERN} characters, and {STARS} stars",
        )
    if "[" in text and "]" not in text.rpartition("[")[2][1:]:
        raise FlowlordError(
            f"--info {text[:40]!r} opens [ and does not close it", hint="[[] stands for [ itself"
        )
    return text


def _state(word: str) -> State:
    name = word.strip().lower()
    try:
        return State(name)
    except ValueError:
        from difflib import get_close_matches

        close = get_close_matches(name[:40], list(State), n=1)
        hint = f"did you mean {close[0]}?" if close else f"write some of {', '.join(State)}"
        raise FlowlordError(f"there is no state {word.strip()[:40]!r}", hint=hint) from None
