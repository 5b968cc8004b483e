"""Questions about decisions that made no task, starts that could not be made, and workflows as they were loaded."""
# ruff: noqa: S608 - statements are put together from names of ours only; every value is a parameter.

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from flowlord.cache.queries import History, SqlRow

_SOME = 500
_DECISION = "at_us, kind, key, topic, phase, cause, text, last_us"
_REVISION = "at_us, name, revision, phases, loaded_by, text"
_PHASE = "workflow, digest, name, line, task, depends_on, rule, retry, template, at_us"


class Decision(msgspec.Struct, frozen=True):
    """A row of the table `decisions`: what was decided, when (microseconds), about what, and why.

    `last_us` is the last planned instant of the starts that it is about, 0 when it is about no more than `cause` says.
    """

    at_us: int
    kind: str
    key: str
    topic: str
    phase: str
    cause: str
    text: str
    last_us: int = 0


class Load(msgspec.Struct, frozen=True):
    """A row of the table `revisions`: a workflow was loaded, changed or removed (then `revision` is empty)."""

    at_us: int
    name: str
    revision: str
    phases: int
    loaded_by: str
    text: str

    @property
    def digest(self) -> str:
        """What the phases of this version are kept under."""
        return self.revision.partition("@")[0]


class Written(msgspec.Struct, frozen=True):
    """A row of the table `phases`: a phase as it was written in one version of its file."""

    workflow: str
    digest: str
    name: str
    line: int
    task: str
    depends_on: str
    rule: str
    retry: int
    template: str
    at_us: int


def of_phases(
    history: History, phases: Collection[str], since_us: int, kinds: Collection[str] = ()
) -> list[Decision]:
    """Return what was decided about these phases (by identity) since then, the first one first."""
    more = f" AND kind IN ({_marks(kinds)})" if kinds else ""
    found: list[Decision] = []
    for some in _chunks(list(phases)):
        sql = f"SELECT {_DECISION} FROM decisions WHERE phase IN ({_marks(some)}) AND at_us >= ?{more} ORDER BY at_us"
        found += _decisions(history.rows(sql, (*some, since_us, *kinds)))
    wanted = set(phases)
    found += [
        each
        for each in _decisions(history.newer_decisions)
        if each.phase in wanted and each.at_us >= since_us and (not kinds or each.kind in kinds)
    ]
    return found


def last_of_phase(history: History, phase: str, limit: int) -> list[Decision]:
    """Return what was decided last about a phase (by identity), the first one first."""
    [known] = next(iter(_chunks([phase])))
    sql = f"SELECT {_DECISION} FROM decisions WHERE phase = ? ORDER BY at_us DESC, n DESC LIMIT ?"
    found = list(reversed(_decisions(history.rows(sql, (known, limit)))))
    found += [each for each in _decisions(history.newer_decisions) if each.phase == phase]
    return found[-limit:]


def of_keys(history: History, keys: Sequence[str], limit: int = 200) -> list[Decision]:
    """Return what was decided about these dispatch keys, the first one first."""
    found: list[Decision] = []
    for some in _chunks(list(keys)):
        sql = f"SELECT {_DECISION} FROM decisions WHERE key <> '' AND key IN ({_marks(some)}) ORDER BY n LIMIT ?"
        found += _decisions(history.rows(sql, (*some, limit)))
    wanted = set(keys)
    return found + [each for each in _decisions(history.newer_decisions) if each.key in wanted]


def alerts_of(history: History, phases: Collection[str], since_us: int) -> dict[str, str]:
    """Return what alerts said of these phases since then, by cause: of a start that could not be made, its slot."""
    found: dict[str, str] = {}
    for some in _chunks(list(phases)):
        sql = f"SELECT cause, text FROM alerts WHERE phase IN ({_marks(some)}) AND at_us >= ?"
        found.update((str(cause), str(text)) for cause, text in history.rows(sql, (*some, since_us)))
    wanted = set(phases)
    for row in history.newer_alerts:  # at, key, topic, type, job, id, moment, phase, cause, text
        if row[7] in wanted and int(str(row[0])) >= since_us:
            found[str(row[8])] = str(row[9])
    return found


def loads(history: History) -> list[Load]:
    """Return every load of a workflow that history knows, the first one first."""
    rows = [*history.rows(f"SELECT {_REVISION} FROM revisions ORDER BY n", ()), *history.newer_revisions]
    return [Load(*row) for row in rows]


def written(history: History) -> dict[tuple[str, str], list[Written]]:
    """Return the phases of every version that was loaded, by workflow and digest, in the order of their lines."""
    rows = [*history.rows(f"SELECT {_PHASE} FROM phases", ()), *history.newer_phases.values()]
    found: dict[tuple[str, str], dict[str, Written]] = {}
    for row in rows:
        each = Written(*row)
        found.setdefault((each.workflow, each.digest), {})[each.name] = each
    return {key: sorted(some.values(), key=lambda one: one.line) for key, some in found.items()}


def begins_us(history: History) -> int:
    """Return when history begins to tell of tasks (microseconds); 0 when it knows none."""
    rows = history.rows("SELECT published_us, happened_us FROM tasks ORDER BY n LIMIT 1", ())
    times = [int(str(told or happened)) for told, happened in rows]
    times += [each.published_us or each.happened_us for each in history.newer.values()]
    return min(times, default=0)


def known_keys(history: History, keys: Iterable[str]) -> set[str]:
    """Return those of these dispatch keys that history knows; reads nothing but the index of keys."""
    wanted = sorted(keys)  # neighbours in the index lie on one page of it, which is then read once
    found = {key for key in wanted if key in history.newer} if history.newer else set()
    for some in _chunks(wanted):
        rows = history.rows(f"SELECT key FROM tasks WHERE key IN ({_marks(some)})", some)
        found.update(str(key) for (key,) in rows)
    return found


def sizes_of_batches(history: History, batches: Iterable[str]) -> dict[str, int]:
    """Return how many tasks, not counting retries, of these batches history knows; of others nothing."""
    wanted = list(batches)
    found: dict[str, int] = {}
    for some in _chunks(wanted):
        sql = (
            f"SELECT batch, count(*) FROM tasks WHERE batch <> '' AND batch IN ({_marks(some)}) AND number = 1 "
            "GROUP BY batch"
        )
        found.update((str(batch), int(str(count))) for batch, count in history.rows(sql, some))
    for each in _only_newer(history):
        if each[0] in found or each[0] in wanted:
            found[each[0]] = found.get(each[0], 0) + 1
    return found


def of_batch(history: History, batch: str, limit: int) -> list[str]:
    """Return the keys of the tasks of a batch, not counting retries."""
    sql = "SELECT key FROM tasks WHERE batch = ? AND batch <> '' AND number = 1 LIMIT ?"
    keys = [str(key) for (key,) in history.rows(sql, (batch, limit))]
    keys += [each.key for each in history.newer.values() if each.batch == batch and each.number == 1]
    return list(dict.fromkeys(keys))[:limit]


def of_files(history: History, moment: str, limit: int = 1_000) -> list[str]:
    """Return the keys of the tasks that files of a data time started, of the newest `limit` files."""
    sql = "SELECT keys FROM files WHERE moment >= ? AND moment < ? AND keys <> '' ORDER BY n DESC LIMIT ?"
    some = [str(keys) for (keys,) in history.rows(sql, (moment, moment + "~", limit))]
    some += [str(row[9]) for row in history.newer_files if moment <= str(row[5]) < moment + "~"]
    return list(dict.fromkeys(key for keys in some for key in keys.split(",") if key))


def backloaded(history: History) -> dict[tuple[str, str], int]:
    """Return how many tasks backloads made for each phase (by identity) and data time, not counting retries."""
    sql = (
        "SELECT phase, moment, count(*) FROM tasks WHERE batch >= 'b-' AND batch < 'b.' AND number = 1 "
        "GROUP BY phase, moment"
    )
    found = {(str(phase), str(moment)): int(str(count)) for phase, moment, count in history.rows(sql, ())}
    for batch, phase, moment in _only_newer(history):
        if batch.startswith("b-"):
            found[phase, moment] = found.get((phase, moment), 0) + 1
    return found


def infos_backloaded(history: History, phase: str, moment: str) -> Counter[str]:
    """Return what the tasks are about that backloads made for a phase and a data time, not counting retries."""
    sql = "SELECT info FROM tasks WHERE batch >= 'b-' AND batch < 'b.' AND number = 1 AND phase = ? AND moment = ?"
    found = Counter(str(info) for (info,) in history.rows(sql, (phase, moment)))
    some = [each for each in history.newer.values() if each.batch.startswith("b-") and each.number == 1]
    stored = history.stored(each.key for each in some) if some else {}
    found.update(
        each.info for each in some if (each.phase, each.moment) == (phase, moment) and each.key not in stored
    )
    return found


def _only_newer(history: History) -> Iterator[tuple[str, str, str]]:
    """Yield batch, phase and data time of first attempts that only the journal knows."""
    some = [each for each in history.newer.values() if each.batch and each.number == 1]
    stored = history.stored(each.key for each in some) if some else {}
    return ((each.batch, each.phase, each.moment) for each in some if each.key not in stored)


def _decisions(rows: Iterable[SqlRow]) -> list[Decision]:
    return [Decision(*row) for row in rows]


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(values), _SOME):
        yield [
            one if one.isascii() else one.encode("utf-8", "replace").decode()
            for one in values[at : at + _SOME]
        ]


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)
