"""Journals out of facts, for tests of what follows one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flowlord.bus.port import JournalEntry
from flowlord.model.message import Report
from flowlord.model.plan import Fact, FactKind
from flowlord.model.task import Task

BEGIN_US = 1_785_542_400_000_000  # 2026-08-01T00:00:00Z
SECOND_US = 1_000_000


def task(name: str = "load:users", n: int = 1, **more: str) -> Task:
    """Return a task of the nth run."""
    type_, _, job = name.partition(":")
    values = {
        "type": type_,
        "job": job,
        "info": f"s3://in/{n}.json",
        "id": f"{n:08x}-run",
        "meta": "workflow=daily.toml",
    }
    return Task(**{**values, **more})


def published(
    key: str, of: Task | None = None, *, due: int = 0, cause: str = "", topic: str = "", **more: str
) -> Fact:
    """Return what the bus tells when a message lands."""
    of = of or task()
    phase = more.pop("phase", f"daily.toml:{of.name}")
    return Fact(
        FactKind.PUBLISHED, key=key, topic=topic or of.type, phase=phase, revision="4f1c2ab", cause=cause, due=due,
        task=of, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def done(
    key: str,
    of: Task | None = None,
    result: str = "complete",
    msg: str = "",
    *,
    worker: str = "w1",
    output: str = "",
) -> Fact:
    """Return what a decision tells of a result; the task ran from 00:00:01 to 00:00:03."""
    of = of or task()
    values = {name: getattr(of, name) for name in Task.__struct_fields__}
    values |= {
        "result": result,
        "msg": msg,
        "started": "2026-08-01T00:00:01Z",
        "ended": "2026-08-01T00:00:03Z",
    }
    return Fact(
        FactKind.DONE, key=key, topic=of.type, phase=f"daily.toml:{of.name}", task=Task(**values),
        report=Report(worker, 1, output),
    )  # fmt: skip


def told(kind: FactKind, key: str, text: str = "", of: Task | None = None, **more: str) -> Fact:
    """Return any other fact."""
    return Fact(kind, key=key, text=text, task=of, **more)  # type: ignore[arg-type]


def journal(commits: Iterable[Fact | Sequence[Fact]], first: int = 1) -> list[JournalEntry]:
    """Return one entry a commit, a second apart."""
    entries = []
    for seq, facts in enumerate(commits, first):
        some = (facts,) if isinstance(facts, Fact) else tuple(facts)
        entries.append(JournalEntry(seq, BEGIN_US + seq * SECOND_US, "test", f"c{seq}", some))
    return entries


class Kept:
    """A journal that is kept somewhere: what followers need of a bus."""

    def __init__(self, entries: Sequence[JournalEntry], generation: str = "g1") -> None:
        self.entries = list(entries)
        self._generation = generation

    def journal(self, after: int, limit: int) -> list[JournalEntry]:
        """Entries behind `after`."""
        return [entry for entry in self.entries if entry.seq > after][:limit]

    def journal_bounds(self) -> tuple[int, int]:
        """First and last number."""
        return (self.entries[0].seq, self.entries[-1].seq) if self.entries else (0, 0)

    def generation(self) -> str:
        """Name of this data."""
        return self._generation
