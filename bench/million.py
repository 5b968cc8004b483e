"""Makes a history of a million attempts, as a quarter of a year of 200 phases leaves it, for measures of what reads it.

    PYTHONPATH=src python bench/million.py FOLDER [--attempts 1000000] [--until 2026-11-27T00:00:00Z]

FOLDER/tasks.db is written by the historian itself out of a journal that is made here: chains of a parent and a child,
one try in fifty fails and is tried again, one in two hundred dies, with files, alerts, decisions and reloads beside.
The same arguments make the same rows. `--until` is when the last of them ended; without it, now.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

from flowlord.bus.clock import SystemClock
from flowlord.bus.port import JournalEntry
from flowlord.cache.historian import Historian
from flowlord.model.message import Report
from flowlord.model.plan import Fact, FactKind, PhaseText, Seen
from flowlord.model.task import Task

ATTEMPTS = 1_000_000
DAYS = 89
PHASES = 200
WORKFLOWS = 10
STEP = 2_000
DAY_US = 86_400_000_000
TOPICS = ("extract", "load", "merge", "report", "clean", "score", "export", "index", "check", "notify")
ERRORS = (
    "timeout talking to warehouse after 30s",
    "no such table: users_{n}",
    "row {n}: value out of range",
    "HTTP 503 from api.example.com",
)


def entries(attempts: int, until_us: int) -> Iterator[JournalEntry]:
    """Yield the journal of so many attempts, in the order of time."""
    begin_us = until_us - DAYS * DAY_US
    pairs = max(1, attempts * 100 // 204)  # of 100 pairs, 4 attempts are repeated
    step_us = DAYS * DAY_US // pairs
    for seq, (at_us, facts) in enumerate(_told(pairs, begin_us, step_us), 1):
        yield JournalEntry(seq, at_us, "host-1/0", f"c{seq}", facts)


def _told(pairs: int, begin_us: int, step_us: int) -> Iterator[tuple[int, tuple[Fact, ...]]]:
    reload_every = max(1, pairs // DAYS)
    for n in range(pairs):
        at_us = begin_us + n * step_us
        if n % reload_every == 0:
            yield at_us, (_reload(n // reload_every % WORKFLOWS, n // reload_every // 30),)
        yield from _pair(n, at_us)
        if n % 10 == 0:
            yield at_us, (_file(n),)
        if n % 40 == 0:
            phase = _phase(n)[0]
            text = "the start before it is not done yet (overlap=skip)"
            yield (
                at_us,
                (Fact(FactKind.SKIPPED, _key(f"skip{n}"), phase=phase, cause=f"tick:{n}", text=text),),
            )


def _pair(n: int, at_us: int) -> Iterator[tuple[int, tuple[Fact, ...]]]:
    """A parent and its child; the parent of one pair in fifty is tried twice."""
    phase, topic, job = _phase(n)
    flow = phase.partition(":")[0]
    hour = datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H")
    about = {
        "job": job,
        "id": f"{_key(f'run{n}')[:8]}-0000-5000-8000-{n:012}",
        "created": _time(at_us),
        "info": f"s3://bucket-name/data/{hour.replace('-', '/')}/input-{n:06}.json?table={topic}",
    }
    meta = f"workflow={flow}&cron={hour}"
    first = _key(f"parent{n}")
    cause = f"tick:{phase}:{hour}:{n}"
    parent = Task(type=topic, meta=meta, **about)
    yield at_us, (_published(first, parent, phase, cause),)
    last, at_us = first, at_us + 900_000
    if n % 50 == 0:
        error = ERRORS[n // 50 % len(ERRORS)].format(n=n)
        last = _key(f"again{n}")
        repeated = Task(type=topic, meta=f"{meta}&retry=1", **about)
        yield (
            at_us,
            (
                _done(first, parent, phase, cause, at_us, "error", error),
                Fact(FactKind.RETRY, first, topic, phase, text="attempt 2 of 3", cause=cause),
                _published(last, repeated, phase, f"retry:{first}", due=at_us + 30_000_000),
            ),
        )
        at_us += 31_000_000
        parent = repeated
    child = Task(type=f"{topic}-next", meta=meta, **about)
    second, child_phase = _key(f"child{n}"), f"{flow}:{topic}-next:{job}"
    yield (
        at_us,
        (
            _done(last, parent, phase, cause, at_us, "complete"),
            _published(second, child, child_phase, f"done:{last}"),
        ),
    )
    at_us += 2_000_000 + n % 97 * 100_000
    if n % 100 == 0:
        error = ERRORS[n // 100 % len(ERRORS)].format(n=n)
        yield (
            at_us,
            (
                _done(second, child, child_phase, f"done:{last}", at_us, "error", error),
                Fact(FactKind.DEAD, second, child.type, child_phase, text="no tries left", task=child),
                Fact(
                    FactKind.ALERT,
                    second,
                    child.type,
                    child_phase,
                    cause=f"dead:{second}",
                    text=error,
                    task=child,
                ),
            ),
        )
    elif n % 1_000 != 7:  # those stay open for ever
        result = "warn" if n % 300 == 1 else "complete"
        yield at_us, (_done(second, child, child_phase, f"done:{last}", at_us, result),)


def _published(key: str, of: Task, phase: str, cause: str, due: int = 0) -> Fact:
    return Fact(FactKind.PUBLISHED, key, of.type, phase, "4f1c2ab9", cause, due=due, task=of)


def _done(key: str, of: Task, phase: str, cause: str, at_us: int, result: str, msg: str = "") -> Fact:
    told = {name: getattr(of, name) for name in Task.__struct_fields__}
    told |= {"result": result, "msg": msg, "started": _time(at_us - 700_000), "ended": _time(at_us)}
    worker = f"host-{len(of.type) % 4}/{len(of.job)}"
    report = Report(worker, 1, f"Traceback: {msg}\n" * 4 if msg else "")
    return Fact(FactKind.DONE, key, of.type, phase, "4f1c2ab9", cause, task=Task(**told), report=report)


def _phase(n: int) -> tuple[str, str, str]:
    at = n * 7919 % PHASES
    topic, job = TOPICS[at % len(TOPICS)], f"job{at // len(TOPICS):02}"
    return f"flow{at % WORKFLOWS}.toml:{topic}:{job}", topic, job


def _reload(flow: int, version: int) -> Fact:
    phases = tuple(
        PhaseText(
            f"{topic}:{job}", 3 + at * 6, f"{topic}:{job}", "", f"cron=0 {at % 60} * * * *", 2, "?d={yyyy}"
        )
        for at in range(PHASES)
        for name, topic, job in (_phase(at),)
        if name.startswith(f"flow{flow}.")
    )
    name, revision = f"flow{flow}.toml", f"{_key(f'{flow} {version}')[:16]}@4f1c2ab"
    return Fact(FactKind.RELOAD, phase=name, revision=revision, text=f"{name} was loaded", phases=phases)


def _file(n: int) -> Fact:
    path = f"s3://bucket-name/in/{n % 50:02}/data-{n:07}.csv"
    keys, names = ((_key(f"parent{n}"),), (_phase(n)[0],)) if n % 20 else ((), ())
    seen = Seen(
        path, 1000 + n, f"v{n}", "", "bucket", "started" if keys else "unmatched", names, keys, len(keys)
    )
    return Fact(
        FactKind.FILE, cause=f"file:{path}:v{n}", text="" if keys else "no pattern matches", file=seen
    )


def _time(us: int) -> str:
    return f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def _key(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def make(folder: Path, attempts: int, until_us: int) -> Path:
    """Write the history and return its path; it must not be there yet."""
    path = folder / "tasks.db"
    if path.exists():
        raise SystemExit(f"{path} is there already")
    historian = Historian(path, SystemClock())
    some: list[JournalEntry] = []
    for entry in entries(attempts, until_us):
        some.append(entry)
        if len(some) == STEP:
            historian.follow(some)
            some = []
    historian.follow(some)
    historian.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    historian.close()
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make a large history.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--attempts", type=int, default=ATTEMPTS)
    parser.add_argument("--until", default="")
    asked = parser.parse_args()
    end = datetime.fromisoformat(asked.until) if asked.until else datetime.now(UTC)
    begin = time.perf_counter()
    made = make(asked.folder, asked.attempts, int(end.timestamp() * 1e6))
    print(
        f"{made}: {made.stat().st_size / 1e6:,.0f} MB in {time.perf_counter() - begin:.0f} s", file=sys.stderr
    )
