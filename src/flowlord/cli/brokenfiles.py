"""Workflow files that are broken now, by the word of history: which, since when, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from flowlord.cache.decided import Load, loads
from flowlord.model.plan import BROKEN

if TYPE_CHECKING:
    from flowlord.cache.queries import History


class Broken(msgspec.Struct, frozen=True):
    """A file that cannot be loaded: `name` of the workflow that was loaded from it, empty when none ever was."""

    path: str
    name: str
    since_us: int
    text: str


def broken_files(history: History) -> list[Broken]:
    """Return the files of which daemons told an alert, and since then neither that they load nor that they are gone."""
    last: dict[str, Load] = {each.name: each for each in loads(history)}
    sql = (
        "SELECT at_us, key, phase, text FROM alerts WHERE phase <> '' AND cause = 'file:' || phase ORDER BY n"
    )
    told = [(int(str(at)), str(key), str(path), str(text)) for at, key, path, text in history.rows(sql, ())]
    told += [
        (int(str(row[0])), str(row[1]), str(row[7]), str(row[9]))
        for row in history.newer_alerts
        if row[7] and row[8] == f"file:{row[7]}"
    ]
    found: dict[str, Broken] = {}
    for at_us, key, path, text in told:
        name = key.removeprefix(BROKEN)
        loaded = last.get(name)
        # What is loaded in the same step as the alert is the last good version.
        if loaded is not None and loaded.at_us > at_us:
            continue
        before = found.get(path)
        runs = name if loaded is not None and loaded.revision else ""
        found[path] = Broken(path, runs, before.since_us if before else at_us, text)
    return list(found.values())
