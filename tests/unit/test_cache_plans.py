"""How SQLite answers every question that commands ask of the history: by an index, however many attempts there are."""

import inspect
import sqlite3
from collections.abc import Callable

import pytest

from flowlord.cache import days, decided, ends, groups, seen
from flowlord.cache.attempt import FAILED, Attempt, State
from flowlord.cache.filter import Filter
from flowlord.cache.queries import History, Place
from flowlord.cache.schema import in_memory

NOW_US = 1_785_542_400_000_000
ONE = Attempt(key="k", id="run", cause="retry:before")
Question = Callable[[History], object]


class Recording:
    """A connection that keeps what was asked."""

    def __init__(self) -> None:
        self.connection = in_memory()
        self.asked: list[tuple[str, object]] = []

    def execute(self, sql: str, values: object = ()) -> sqlite3.Cursor:
        self.asked.append((sql, values))
        return self.connection.execute(sql, values)  # type: ignore[arg-type]

    def plans(self) -> list[str]:
        return [
            f"{row[3]}\n    of {sql}"
            for sql, values in self.asked
            for row in self.connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)  # type: ignore[arg-type]
        ]


def pages(**wanted: object) -> Question:
    return lambda history: list(history.pages(Filter(**wanted), NOW_US))  # type: ignore[arg-type]


QUESTIONS: dict[str, Question] = {
    "pages": pages(),
    "pages failed": pages(states=FAILED),
    "pages waiting": pages(states=frozenset({State.WAITING})),
    "pages of a time": pages(since_us=1, until_us=NOW_US),
    "pages of a topic": pages(topic="load", job="users", workflow="a.toml"),
    "pages of an id": pages(id="9f3"),
    "pages of a batch": pages(batch="b-1"),
    "pages late": pages(late=True),
    "pages lost": pages(lost=True),
    "page": lambda history: history.page(Filter(), NOW_US, 50, Place(NOW_US, 9)),
    "count": lambda history: history.count(Filter(states=FAILED), NOW_US, 51),
    "count all": lambda history: history.count(Filter(), NOW_US),
    "by_keys": lambda history: history.by_keys(["a", "b"]),
    "stored": lambda history: history.stored(["a", "b"]),
    "newest": lambda history: history.newest(),
    "newest failed": lambda history: history.newest(failed=True),
    "ids_like": lambda history: history.ids_like("9f", 3),
    "keys_like": lambda history: history.keys_like("9f", 3),
    "ids_of_file": lambda history: history.ids_of_file("/in/a.csv"),
    "run": lambda history: history.run("run"),
    "attempts": lambda history: history.attempts(ONE),
    "tries": lambda history: history.tries([ONE]),
    "children": lambda history: history.children([ONE]),
    "decisions": lambda history: history.decisions(["a"]),
    "failures": lambda history: history.failures(1),
    "ended": lambda history: history.ended(1),
    "states_of_batch": lambda history: history.states_of_batch("b-1"),
    "newest_states": lambda history: history.newest_states("load", "users", ["x"]),
    "gaps": lambda history: history.gaps(),
    "cursor": lambda history: history.cursor(),
    "ordered": lambda history: history.ordered(Filter(states=FAILED), NOW_US, "took", 50, descending=True),
    "groups by day": lambda history: groups.grouped(history, Filter(states=FAILED), "day", NOW_US),
    "groups of all by day": lambda history: groups.grouped(history, Filter(), "day", NOW_US),
    "groups of all by topic": lambda history: groups.grouped(history, Filter(), "topic", NOW_US),
    "groups of all by state": lambda history: groups.grouped(history, Filter(since_us=1), "state", NOW_US),
    "groups by error": lambda history: groups.grouped(history, Filter(states=FAILED), "error", NOW_US),
    "days": lambda history: days.days(history, 20_000, 20_007),
    "files": lambda history: list(seen.files(history, seen.FileFilter(since_us=1))),
    "files until": lambda history: list(seen.files(history, seen.FileFilter(since_us=1, until_us=2))),
    "versions": lambda history: seen.versions(history, "/in/a.csv", 3),
    "ends of tasks": lambda history: ends.ends_of(history, ["k"]),
    "ends of repeated tasks": lambda history: ends._again(history, ["run"]),
    "ends of batches": lambda history: ends.ends_of_batches(history, ["b"]),
    "ends of a batch that moves": lambda history: ends._of_moving(history, "b"),
    "decided last of a phase": lambda history: decided.last_of_phase(history, "a.toml:load", 5),
    "decided of phases": lambda history: decided.of_phases(history, ["a.toml:load"], 1),
    "decided of keys": lambda history: decided.of_keys(history, ["k"]),
    "alerts_of": lambda history: decided.alerts_of(history, ["a.toml:load"], 1),
    "known_keys": lambda history: decided.known_keys(history, ["k"]),
    "of_files": lambda history: decided.of_files(history, "2026-08-01T00"),
    "of_batch": lambda history: decided.of_batch(history, "b-1", 5),
    "sizes_of_batches": lambda history: decided.sizes_of_batches(history, ["b-1"]),
    "backloaded": decided.backloaded,
    "begins_us": decided.begins_us,
}
IN_ORDER = {
    "newest": "the last row alone",
    "begins_us": "the first row alone",
    "files until": "the same",
    "of_files": "files are few, and the newest are taken",
    "files": "the newest first, for as long as somebody takes them; files are few",
}
"""Questions that read rows in the order in which they lie, and why that is right."""
SMALL = ("cursor", "gaps", "workflows", "(", "json", "CONSTANT")
WITHOUT = {"open", "close", "rows"}  # ask nothing by themselves


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_reads_no_table_from_end_to_end(name):
    recording = Recording()
    QUESTIONS[name](History(recording))  # type: ignore[arg-type]
    assert recording.asked
    scans = [
        plan
        for plan in recording.plans()
        if plan.startswith("SCAN ")
        and " USING " not in plan
        and not plan.removeprefix("SCAN ").startswith(SMALL)
    ]
    if name in IN_ORDER:
        assert all("ORDER BY n" in plan for plan in scans)
        return
    assert scans == []


def test_every_question_is_among_them():
    named = {name.split()[0] for name in QUESTIONS}
    asked = {name for name, _ in inspect.getmembers(History, inspect.isfunction) if not name.startswith("_")}
    assert asked - WITHOUT <= named
