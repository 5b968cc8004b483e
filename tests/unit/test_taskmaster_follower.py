"""How much the follower of the journal copies at a time, and how it forgets beside."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from msgspec.structs import replace

from flowlord.bus.port import JournalEntry, Peeked
from flowlord.cache.historian import Historian
from flowlord.cache.queries import History
from flowlord.model.errors import Refused
from flowlord.model.plan import Fact, FactKind, Mark, Past, Plan
from flowlord.taskmaster.follower import (
    BATCH,
    ENOUGH,
    FEW,
    GATHER_S,
    LONG_NS,
    LONGEST_GATHER_S,
    MOST,
    Follower,
)
from support.clock import VirtualClock
from support.journal import Kept, done, journal, published, task, told


class Bus(Kept):
    """A journal, and what was asked of it."""

    def __init__(self, entries: list[JournalEntry]) -> None:
        super().__init__(entries)
        self.asked: list[tuple[int, float]] = []
        self.there: set[str] = set()
        self.alerts: dict[str, str] = {}

    def find(self, keys: Collection[str]) -> list[Peeked]:
        held = [key for key in keys if key in self.there]
        return [Peeked("load", f"load/{key}", b"{}", key, "waiting", 5, 0, 0, 0, "") for key in held]

    def commit(self, plan: Plan, *, marks: Sequence[Mark]) -> None:
        [mark], [fact] = marks, plan.facts
        if mark.key in self.alerts:
            raise Refused(mark.key, mark.new)
        self.alerts[mark.key] = fact.text

    def journal(self, after: int, limit: int, wait_s: float = 0.0) -> list[JournalEntry]:
        self.asked.append((limit, wait_s))
        return super().journal(after, limit)


def many(attempts: int) -> list[JournalEntry]:
    return journal(
        [each for n in range(attempts) for each in (published(f"k{n}", task(n=n)), done(f"k{n}", task(n=n)))]
    )


def follower_of(
    bus: Bus, clock: VirtualClock, keep: timedelta = timedelta(days=9_999), historian: Historian | None = None
) -> Follower:
    here = historian or Historian(None, clock)
    return Follower(bus, clock, lambda: here, keep)  # type: ignore[arg-type]


def reset_to(follower: Follower, bus: Bus, generation: str = "g2") -> None:
    """Let the follower find other data where its bus was."""
    bus._generation = generation
    follower._bus = bus  # type: ignore[assignment]


def test_a_follower_takes_what_is_there_and_more_at_a_time_when_that_is_not_all():
    bus = Bus(many(11_000))
    follower = follower_of(bus, VirtualClock())
    copied = []
    while step := follower.step(0.5):
        copied.append(step)
    assert copied == [BATCH, 2 * BATCH, MOST, MOST]
    bus.entries += journal([published("late")], first=22_001)
    assert follower.step(0.5) == 1


@pytest.mark.parametrize(
    "commits, facts, span_s, rest_s",
    [
        (1, 1, 0.0, GATHER_S),
        (FEW - 1, 1, 0.1, GATHER_S),
        (600, 1, 0.2, LONGEST_GATHER_S),  # 1,400 more would take 0.5 s
        (1_800, 1, 0.05, 0.05 / 1_800 * (ENOUGH - 1_800)),
        (2, 500, 0.05, 0.05),
        (2, 500, 0.0, 0.0),  # told in one moment: there may be more
        (2, 500, -60.0, 0.0),  # or by machines whose clocks differ
        (300, 1, 600.0, GATHER_S),
        (1, 1_000, 0.0, GATHER_S),  # one alone tells nothing of the pace
        (4, 550, 0.05, 0.0),
        (BATCH, 1, 1.0, 0.0),  # as many as were asked for: there are more
    ],
)
def test_the_faster_facts_are_told_the_longer_it_pays_to_wait_for_more(commits, facts, span_s, rest_s):
    attempts = iter(range(commits * facts))
    told = journal([[published(f"k{n}", task(n=n)) for n in islice(attempts, facts)] for _ in range(commits)])
    last = told[0].at_us + int(span_s * 1e6)
    bus = Bus([*told[:-1], replace(told[-1], at_us=last)])
    follower = follower_of(bus, VirtualClock())
    follower.step(0.5)
    assert follower.rest_s == pytest.approx(rest_s)
    bus.entries.clear()
    follower.step(0.5)
    assert follower.rest_s == 0.0


def test_steps_that_take_long_become_smaller_again():
    clock = VirtualClock()
    bus = Bus(many(4_000))
    historian = Historian(None, clock)
    follow = historian.follow

    def slowly(entries):
        clock.advance(LONG_NS / 1e9 * (1.5 if len(entries) > 500 else 0.1))
        return follow(entries)

    historian.follow = slowly  # type: ignore[method-assign]
    follower = follower_of(bus, clock, historian=historian)
    while follower.step(0.5):
        pass
    limits = [limit for limit, _ in bus.asked]
    assert limits[:4] == [BATCH, BATCH // 2, BATCH // 4, BATCH // 2]
    assert min(limits) == BATCH // 4


def test_while_there_is_something_to_forget_it_waits_less_and_then_not_for_an_hour():
    clock = VirtualClock(datetime(2027, 1, 1, tzinfo=UTC))
    bus = Bus(many(400))
    follower = follower_of(bus, clock, timedelta(days=1))
    for _ in range(40):
        follower.step(0.5)
    waits = [wait for _, wait in bus.asked]
    assert 0.02 in waits
    assert waits[-1] == 0.5
    assert follower._historian is not None
    assert follower._historian.removed >= 400


class Condemned:
    """An inspector that finds what it is told to."""

    def __init__(self) -> None:
        self.found: tuple[int, str] | None = None

    def take(self) -> tuple[int, str] | None:
        found, self.found = self.found, None
        return found


def _removed(path):
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["condemned", "removed", "restored"])
@pytest.mark.parametrize("read_again", [True, False])
def test_a_reset_of_the_bus_after_a_file_took_the_place_of_another_loses_nothing_silently(
    tmp_path, how, read_again, caplog
):
    path, clock, inspector = tmp_path / "tasks.db", VirtualClock(), Condemned()
    earlier = Historian(tmp_path / "earlier.db", clock)
    earlier.attach("g0")
    earlier.follow(journal([published(f"z{n}", task(n=n)) for n in range(20)]))
    earlier.close()
    begun = []

    def restore(at):
        if how == "restored" and begun:
            (tmp_path / "earlier.db").rename(at)
        begun.append(at)

    historian = Historian(path, clock, restore=restore)
    first = Bus(journal([published(f"a{n}", task(n=n)) for n in range(20)]))
    follower = Follower(first, clock, lambda: historian, timedelta(days=9_999), inspector=inspector)  # type: ignore[arg-type]
    assert follower.step() == 20
    if how == "removed":
        _removed(path)
    else:
        inspector.found = (path.stat().st_ino, "a page is bad")
    if read_again:
        assert follower.step() == 20, "the bus has it all"
        assert History(historian.connection).gaps() == []
    second = Bus(journal([published(f"b{n}", task(n=n)) for n in range(10)]))
    reset_to(follower, second)
    while follower.step():
        pass
    there = historian.connection.execute(
        "SELECT substr(key, 1, 1), count(*) FROM tasks GROUP BY 1"
    ).fetchall()
    assert dict(there).get("b") == 10
    assert dict(there).get("a", 0) == (20 if read_again else 0)
    assert History(historian.connection).cursor() == (10, "g2")
    lost = historian.connection.execute("SELECT generation, first_seq, last_seq FROM gaps").fetchall()
    assert lost == ([] if read_again else [("g1", 1, 20)])
    assert ("history.gap" in [record.action for record in caplog.records]) != read_again
    assert follower.step() == 0
    historian.close()


def test_a_reset_between_the_damage_and_the_next_start_is_noticed(tmp_path, caplog):
    path, clock, inspector = tmp_path / "tasks.db", VirtualClock(), Condemned()
    first = Bus(journal([published(f"a{n}", task(n=n)) for n in range(20)]))
    follower = Follower(
        first,
        clock,
        lambda: Historian(path, clock),
        timedelta(days=9_999),
        inspector=inspector,  # type: ignore[arg-type]
    )
    follower.step()
    inspector.found = (path.stat().st_ino, "a page is bad")
    follower.finish()
    second = Bus(journal([published(f"b{n}", task(n=n)) for n in range(10)]))
    second._generation = "g2"
    again = Historian(path, clock)
    follower = follower_of(second, clock, historian=again)
    assert follower.step() == 10
    assert "history.reset" in [record.action for record in caplog.records]
    assert again.connection.execute("SELECT count(*) FROM tasks WHERE key LIKE 'b%'").fetchone() == (10,)
    again.close()


def states(historian: Historian) -> dict[str, str]:
    return dict(historian.connection.execute("SELECT key, state FROM tasks"))


def ended(historian: Historian) -> dict[str, int]:
    rows = historian.connection.execute(
        "SELECT state, sum(attempts) FROM days GROUP BY 1 HAVING sum(attempts)"
    )
    return dict(rows)


def test_what_waited_on_a_bus_that_was_reset_is_lost_in_every_history_and_told_once():
    clock = VirtualClock()
    first = Bus(journal([published("ended"), done("ended"), published("open"), published("again")]))
    several = [Historian(None, clock) for _ in range(2)]
    followers = [follower_of(first, clock, historian=each) for each in several]
    second = Bus(journal([published("new"), published("again")]))
    second._generation = "g2"
    for follower in followers:
        follower.step()
        follower._bus = second  # type: ignore[assignment]
        while follower.step():
            pass
    for historian in several:
        assert states(historian) == {
            "ended": "complete",
            "open": "lost",
            "again": "waiting",
            "new": "waiting",
        }
        assert ended(historian) == {"complete": 1, "lost": 1}
    assert second.alerts == {
        "lost:g1": "1 task was lost with the data of the bus: flowlord retry --state lost"
    }


def test_what_came_again_after_a_reset_and_ended_before_anybody_looked_is_not_lost():
    clock = VirtualClock()
    first = Bus(journal([published("again"), published("open")]))
    historian = Historian(None, clock)
    follower = follower_of(first, clock, historian=historian)
    follower.step()
    second = Bus(many(BATCH) + journal([published("again"), done("again")], first=2 * BATCH + 1))
    reset_to(follower, second)
    while follower.step():
        pass
    found = states(historian)
    assert (found["again"], found["open"]) == ("complete", "lost")
    assert ended(historian)["lost"] == 1
    assert second.alerts == {
        "lost:g1": "1 task was lost with the data of the bus: flowlord retry --state lost"
    }


def test_what_is_still_there_after_a_reset_is_not_lost_and_a_result_that_comes_counts():
    clock = VirtualClock()
    first = Bus(journal([published("kept"), published("worked")]))
    historian = Historian(None, clock)
    follower = follower_of(first, clock, historian=historian)
    follower.step()
    second = Bus([])
    second.there = {"kept"}
    reset_to(follower, second)
    follower.step()
    assert states(historian) == {"kept": "waiting", "worked": "lost"}
    second.entries = journal([done("worked")])
    follower.step()
    assert states(historian) == {"kept": "waiting", "worked": "complete"}
    assert ended(historian) == {"complete": 1}


def test_a_bus_that_lost_its_newest_data_while_nobody_followed_is_read_from_its_beginning():
    clock = VirtualClock()
    historian = Historian(None, clock)
    entries = journal([published("a"), done("a"), published("b"), published("c")])
    follower_of(Bus(entries), clock, historian=historian).step()
    less = Bus(entries[:3])
    less.there = {"b"}
    follower = follower_of(less, clock, historian=historian)
    follower.step()
    less.entries += journal([published("d")], first=4)
    follower.step()
    assert states(historian) == {"a": "complete", "b": "waiting", "c": "lost", "d": "waiting"}


def test_what_is_told_again_after_the_bus_lost_its_newest_data_is_in_no_list_twice():
    clock = VirtualClock()
    historian = Historian(None, clock)
    commits = [
        published("a"),
        (
            told(FactKind.ALERT, "a", "late"),
            told(FactKind.SKIPPED, "a", "so"),
            told(FactKind.SKIPPED, "a", "so"),
        ),
        Fact(FactKind.FILE, cause="file:s3://in/a:1"),
        Fact(FactKind.RELOAD, phase="f.toml", revision="7@1"),
        Fact(FactKind.INCIDENT, key="i", incident=Past("task", "load", "over", 1, 2, 3, 4)),
        told(FactKind.ALERT, "a", "lost with the bus"),
    ]
    entries = journal(commits, first=10)
    before = Bus(entries)
    historian.attach("g1")
    historian.follow(journal([published("z")] * 9))  # as far as the journal of the bus was trimmed by now
    follower_of(before, clock, historian=historian).step()
    lists = ("alerts", "decisions", "files", "revisions", "incidents")
    rows = [historian.connection.execute(f"SELECT * FROM {table}").fetchall() for table in lists]
    assert [len(some) for some in rows] == [2, 2, 1, 1, 1]
    follower_of(Bus(entries[:-1]), clock, historian=historian).step()
    assert historian.cursor() == 14
    assert [historian.connection.execute(f"SELECT * FROM {table}").fetchall() for table in lists] == rows
    assert History(historian.connection).gaps() == []


def test_another_bus_than_the_one_that_is_followed_loses_nothing(tmp_path):
    clock = VirtualClock()
    path = tmp_path / "tasks.db"
    here = Historian(path, clock, of="redis://here")
    follower = follower_of(Bus(journal([published("a")])), clock, historian=here)
    follower.step()
    follower.step()
    follower.finish()
    elsewhere = Bus([])
    elsewhere._generation = "g2"
    there = Historian(path, clock, of="redis://there")
    follower_of(elsewhere, clock, historian=there).step()
    assert states(there) == {"a": "waiting"}
    there.close()


def test_a_journal_of_which_nothing_is_kept_after_quiet_days_lost_nothing(caplog):
    clock = VirtualClock()
    historian = Historian(None, clock)
    follower_of(Bus(journal([published("a")])), clock, historian=historian).step()
    quiet = Bus([])
    follower = follower_of(quiet, clock, historian=historian)
    follower.step()
    quiet.entries = journal([published("b")], first=2)
    follower.step()
    assert states(historian) == {"a": "waiting", "b": "waiting"}
    assert History(historian.connection).gaps() == []
    assert caplog.text == ""
