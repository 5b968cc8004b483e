"""What a bus knows of the processes that use it, and what it forgets with time."""

import msgspec

from contract.given import LEASE, LEASE_S, message
from flowlord.bus.clock import micros
from flowlord.bus.lifetimes import SWEEP_CHUNK, SWEEP_STEPS
from flowlord.bus.port import Presence
from flowlord.model.plan import Commit, Fact, FactKind, Mark, Plan

DAY_S = 86_400
PRESENCE = Presence(
    "w1", "worker", "host", 7, ("a", "b"), 4, ("run-1",), 5, LEASE, "rev", "0.1", "green"
)  # fmt: skip


def test_a_process_that_beats_is_present_and_alive(bus, clock):
    bus.beat(PRESENCE)
    assert bus.presences() == [msgspec.structs.replace(PRESENCE, beat_us=micros(clock.now()), alive=True)]


def test_a_process_that_is_silent_for_longer_than_its_lease_is_not_alive(bus, clock):
    bus.beat(PRESENCE)
    clock.advance(LEASE_S)
    assert bus.presences()[0].alive
    clock.advance(0.001)
    assert not bus.presences()[0].alive
    bus.beat(PRESENCE)
    assert bus.presences()[0].alive


def test_whether_a_process_is_alive_does_not_follow_the_wall_clock(bus, clock):
    bus.beat(PRESENCE)
    clock.jump(3_600)
    assert bus.presences()[0].alive


def test_a_later_beat_replaces_the_earlier(bus):
    bus.beat(PRESENCE)
    bus.beat(msgspec.structs.replace(PRESENCE, health="red", alive=False, beat_us=1))
    [seen] = bus.presences()
    assert (seen.health, seen.alive) == ("red", True)
    assert seen.beat_us > 1


def test_processes_are_listed_by_name_and_leave(bus):
    for name in ("c", "a", "b"):
        bus.beat(msgspec.structs.replace(PRESENCE, consumer=name))
    bus.leave("b")
    bus.leave("never here")
    assert [seen.consumer for seen in bus.presences()] == ["a", "c"]


def test_after_a_day_a_process_is_forgotten(bus, clock):
    bus.beat(PRESENCE)
    clock.advance(DAY_S)
    assert len(bus.presences()) == 1
    clock.advance(1)
    assert bus.presences() == []
    assert bus.sweep()["presences"] == 1
    assert bus.sweep()["presences"] == 0


def test_the_generation_stays(bus):
    assert bus.generation()
    assert bus.generation() == bus.generation()


def test_a_bus_describes_itself(bus):
    told = bus.describe()
    assert {"engine", "durability", "generation"} <= set(told)
    assert told["generation"] == bus.generation()


# --- lifetimes


def test_a_mark_lives_from_when_it_was_last_set(bus, clock):
    bus.commit(
        Plan(),
        marks=[Mark("short", None, "1", ttl_s=60), Mark("ever", None, "1"), Mark("renewed", None, "1", 60)],
    )
    clock.advance(59)
    bus.commit(Plan(), marks=[Mark("renewed", "1", "1", ttl_s=60)])
    assert bus.sweep()["marks"] == 0
    clock.advance(1)
    assert set(bus.marks(["short", "ever", "renewed"])) == {"short", "ever", "renewed"}  # until it is swept
    assert bus.sweep()["marks"] == 1
    assert set(bus.marks_like("")) == {"ever", "renewed"}
    bus.commit(Plan(), marks=[Mark("short", None, "again")])
    clock.advance(60)
    assert bus.sweep()["marks"] == 1
    assert set(bus.marks_like("")) == {"ever", "short"}


def test_an_outcome_is_known_for_seven_days(bus, clock):
    bus.commit(Plan(), outcomes=["o"])
    clock.advance(7 * DAY_S)
    assert bus.sweep()["outcomes"] == 0
    assert bus.commit(Plan(), outcomes=["o"]).duplicate
    clock.advance(DAY_S)
    assert bus.sweep()["outcomes"] == 1
    assert not bus.commit(Plan(), outcomes=["o"]).duplicate


def test_the_ids_of_commits_are_kept_for_ten_minutes(bus, clock):
    bus.commit(Plan())
    clock.advance(599)
    assert bus.sweep()["commits"] == 0
    clock.advance(2)
    assert bus.sweep()["commits"] == 1


def test_the_journal_is_kept_for_seven_days_and_its_newest_entry_for_ever(bus, clock):
    bus.publish([message()])
    bus.publish([message()])
    clock.advance(7 * DAY_S)
    bus.publish([message()])
    assert bus.sweep()["journal"] == 0
    clock.advance(1)
    assert bus.sweep()["journal"] == 2
    assert bus.journal_bounds() == (3, 3)
    clock.advance(99 * DAY_S)
    assert bus.sweep()["journal"] == 0
    bus.publish([message()])
    assert [entry.seq for entry in bus.journal(0, 10)] == [3, 4]


def test_one_sweep_drops_a_bounded_amount(bus, clock):
    most = SWEEP_CHUNK * SWEEP_STEPS
    marks = tuple(Mark(f"m{n}", None, "1", ttl_s=1) for n in range(most + 500))
    bus.commit_many([Commit(marks=marks)])
    clock.advance(1)
    assert [bus.sweep()["marks"] for _ in range(3)] == [most, 500, 0]


def test_a_sweep_of_a_young_bus_drops_nothing(bus):
    bus.commit(
        Plan(publish=(message(),), facts=(Fact(FactKind.SKIPPED, "k"),)),
        marks=[Mark("m", None, "1")],
        outcomes=["o"],
    )
    bus.beat(PRESENCE)
    assert set(bus.sweep().values()) == {0}
