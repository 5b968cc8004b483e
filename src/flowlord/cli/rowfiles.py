"""Meta-files that phases name, looked at from where flowlord runs: whether they are there, and hold what is asked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from flowlord.model.problem import Problem
from flowlord.rules.errors import Unreadable, quote
from flowlord.rules.rows import kind_of, rows_of_lines
from flowlord.spec.author.inspect import Rows
from flowlord.storage.address import is_remote
from flowlord.storage.open import Storage
from flowlord.storage.port import Unavailable

MOST_ROWS: Final = 200_000  # read of one source; what is wrong shows early


def problems_of(rows: Iterable[Rows]) -> Iterator[Problem]:
    """Yield what is wrong with the meta-files of some phases; those that lie elsewhere are not asked for."""
    storage = Storage()
    for each in rows:
        if not is_remote(each.source.pattern):
            yield from _problems(each, storage)


def _problems(rows: Rows, storage: Storage) -> Iterator[Problem]:
    source, count = rows.source, 0
    lacking: dict[str, str] = {}  # name -> the first place where a row lacks it
    paths = _found(rows, storage)
    if not paths:
        text = f"there is no file {quote(source.pattern)} where this runs"
        hint = "a relative path counts from where flowlord is started"
        yield replace(rows.at_option, code="FL066", text=text, hint=hint)
        return
    for path in paths:
        lines = (line for line, _ in storage.lines(path))
        try:
            for number, row in enumerate(rows_of_lines(lines, kind=kind_of(path)), 1):
                for name in source.names:
                    if name not in row:
                        lacking.setdefault(name, f"row {number} of {path}")
                count += 1
                if count >= MOST_ROWS:
                    break
        except (Unavailable, Unreadable) as error:
            where = "" if isinstance(error, Unavailable) else f"{path}: "
            hint = "no task would be made"
            yield replace(rows.at_option, code="FL067", text=f"{where}{error}", hint=hint)
            return
    for name, place in lacking.items():
        text = f"{place} has no {name!r}, which the template reads: it would be empty"
        yield replace(rows.at_template, code="FL068", text=text, hint="name the column or key as in the file")
    if count * source.dates > source.limit:
        tasks = count * source.dates
        text = (
            f"one start makes {tasks:,} tasks or more, beyond batch_limit={source.limit}: it would be refused"
        )
        hint = "shorten the range or the file, or raise batch_limit= in the rule"
        yield replace(rows.at_option, code="FL063", text=text, hint=hint)


def _found(rows: Rows, storage: Storage) -> list[str]:
    """Return the files of a source; a relative one is looked for here, then beside and above its workflow file.

    For the daemon may be started there, and a file that lies ready is no reason for a warning.
    """
    beside = os.path.dirname(rows.path) or "."
    for folder in ("", beside, os.path.dirname(os.path.abspath(beside))):
        try:
            return [each.path for each in storage.paths(os.path.join(folder, rows.source.pattern))]
        except Unavailable:
            continue
    return []
