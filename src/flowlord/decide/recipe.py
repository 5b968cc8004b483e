"""What all tasks of one start have in common: a recipe, from which they are made; and how far that has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice

import msgspec

from flowlord.model.message import DEFAULT_PRIORITY
from flowlord.rules.batch import steps
from flowlord.rules.template import Template
from flowlord.rules.zones import zone_of

Row = Mapping[str, str]
NO_ROW: Row = {}
RESERVED = frozenset(("workflow", "cron", "job", "file", "filename", "files", "retry", "retried", "delayed"))
OURS = RESERVED - {"file", "filename", "files"}
"""Names that no row may write into the meta of a task that has no file: what we read there would be another task."""

PHASE = "phase:"
"""What the groups begin with that the tasks of a phase hold open."""

compiled = lru_cache(maxsize=8192)(Template.compile)


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data times of a batch: from `start` to `end` by `by`, or `start` alone; no time at all without one.

    Both are RFC 3339; `zone` names that of the start, empty for the offset that it is written with. `turned` gives
    the last time first.
    """

    start: str = ""
    zone: str = ""
    end: str = ""
    by: str = ""
    turned: bool = False

    @classmethod
    def of(cls, start: datetime | None, end: datetime | None = None, by: str = "") -> Span:
        """Return the span between two aware times."""
        if start is None:
            return cls()
        zone = "UTC" if start.tzinfo is UTC else getattr(start.tzinfo, "key", "")
        return cls(start.isoformat(), zone, "" if end is None else end.isoformat(), by)

    def times(self) -> Iterator[datetime | None]:
        """Yield the times in order."""
        if not self.start:
            yield None
            return
        start = datetime.fromisoformat(self.start)
        if self.zone:
            start = start.astimezone(zone_of(self.zone))
        if not self.end:
            yield start
            return
        found = steps(start, datetime.fromisoformat(self.end), self.by)
        yield from reversed(list(found)) if self.turned else found


class File(msgspec.Struct, frozen=True):
    """A meta-file and its version when the batch began."""

    path: str
    version: str = ""


class Pace(msgspec.Struct, frozen=True, omit_defaults=True):
    """How fast a batch goes: at most one task each `every_us`, at most `active` open at a time; 0 is without bound."""

    every_us: int = 0
    active: int = 0


class Recipe(msgspec.Struct, frozen=True, omit_defaults=True):
    """The phase as it was when it started, and what started it.

    `now` is the stamp of the first task (aware, UTC); `first` counts the tasks of the same plan before this batch.
    `run` is what all tasks belong to; empty, each is a run of its own. `under` are values below those of rows,
    `carried` what the meta of each task holds beside its row. `cron` is the text that each carries; with
    `tells_time` it is that of its own time. `owns_first` puts what is ours in front of the meta, as children have it.

    Rows are `rows` and then those of `files`, or one empty row without `has_rows`. `chosen` (`0-4,7`) leaves out all
    other tasks; their numbers stay unused. `limit` is how many tasks it may make, `holds` the group that each of them
    holds open. `alert` and `alert_to` say how and where the phase wants it told that the batch stopped.
    """

    slot: str
    topic: str
    template: str
    now: datetime
    job: str = ""
    phase: str = ""
    workflow: str = ""
    revision: str = ""
    priority: int = DEFAULT_PRIORITY
    timeout_ns: int = 0
    host: str = ""
    cause: str = ""
    run: str = ""
    batch: str = ""
    first: int = 0
    span: Span = Span()
    cron: str = ""
    tells_time: bool = True
    owns_first: bool = False
    under: Mapping[str, str] = {}
    carried: Mapping[str, tuple[str, ...]] = {}
    has_rows: bool = False
    rows: tuple[dict[str, str], ...] = ()
    files: tuple[File, ...] = ()
    meta_file: str = ""
    limit: int = 100_000
    chosen: str = ""
    holds: str = ""
    pace: Pace | None = None
    alert: str = ""
    alert_to: str = ""

    @property
    def holds_itself(self) -> bool:
        """Whether the batch counts as open beside its tasks: the start of a phase lasts until its last task is made."""
        return self.holds.startswith(PHASE)

    @property
    def base_name(self) -> str:
        """`topic` or `topic:job`."""
        return f"{self.topic}:{self.job}" if self.job else self.topic


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far a batch is: behind the task with the number `made` - 1.

    `time` counts the times before the present one. Its rows are done up to `offset`: with `file` -1 so many of the
    recipe's own rows, else so many bytes (of `line` lines) of that file. `sent` tasks were published, which are fewer
    when some are left out. The next one may come at `next_us` (microseconds since 1970, 0: at once).
    """

    made: int = 0
    time: int = 0
    file: int = -1
    offset: int = 0
    line: int = 0
    sent: int = 0
    next_us: int = 0


Cell = tuple[int, "datetime | None", Row, int, int, int]
"""A task to be: which time, that time, its row, and `file`, `offset` and `line` of the place behind it."""
Read = Callable[[int, int, int], Iterator[tuple[dict[str, str], int, int]]]
"""Reads a file of the recipe, by number, from an offset and line on, as `rules.rows.rows_from` yields."""


def cells(recipe: Recipe, at: Position, read: Read) -> Iterator[Cell]:
    """Yield the tasks to be behind a position, all rows of one time before the next time."""
    own: tuple[Row, ...] = recipe.rows if recipe.has_rows else (NO_ROW,)
    file, offset, line = at.file, at.offset, at.line
    for turn, time in enumerate(islice(recipe.span.times(), at.time, None), at.time):
        if file < 0:
            for place in range(offset, len(own)):
                yield turn, time, own[place], -1, place + 1, 0
            file, offset, line = 0, 0, 0
        for number in range(file, len(recipe.files)):
            for row, end, lines in read(number, offset, line):
                yield turn, time, row, number, end, lines
            offset, line = 0, 0
        file, offset, line = -1, 0, 0


def behind(at: Position, some: list[Cell], sent: int) -> Position:
    """Return the position behind these cells, the next ones after `at`, of which `sent` became tasks."""
    if not some:
        return at
    turn, _, _, file, offset, line = some[-1]
    return Position(at.made + len(some), turn, file, offset, line, at.sent + sent, at.next_us)


def own_meta(workflow: str, cron: str, job: str) -> dict[str, str]:
    """Return what flowlord itself writes into the meta of a task."""
    return {name: value for name, value in (("workflow", workflow), ("cron", cron), ("job", job)) if value}


def numbers_of(chosen: str) -> Iterator[int]:
    """Yield the numbers of a text like `0-4,7`."""
    for part in chosen.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def text_of_numbers(numbers: Iterable[int]) -> str:
    """Return ascending numbers as the text that `numbers_of` reads."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def encode_recipe(recipe: Recipe) -> str:
    """Return the text under which the bus keeps a recipe."""
    return msgspec.json.encode(recipe).decode()


def decode_recipe(text: str) -> Recipe:
    """Read a recipe; raises msgspec.MsgspecError when it is none, or of a later flowlord."""
    return msgspec.json.decode(text, type=Recipe)


def encode_position(at: Position) -> str:
    """Return the text of a position, as the mark of its batch holds it."""
    return msgspec.json.encode(at).decode()


def decode_position(text: str) -> Position | None:
    """Read a position; None for a mark that holds something else, such as that of a frozen batch."""
    if not text.startswith("["):
        return None
    try:
        return msgspec.json.decode(text, type=Position)
    except msgspec.MsgspecError:
        return None
