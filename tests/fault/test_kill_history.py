"""The judge of the history on logs and rows made by hand: each way of telling otherwise is found out."""

from collections.abc import Callable

import pytest

from fault.kill_check import Log, judge
from fault.kill_flow import CLOCK, Slot, parent_of, slots_of
from fault.kill_history import SUMMED, Told, disagreements
from fault.test_kill import line, name_of, whole


def history_of(n: int = 0, *, log: Log | None = None) -> tuple[Log, Told]:
    """The log of a root that went well, and the history that tells the same."""
    log = log or Log()
    log.take("".join(whole(n)))
    keys = {slot: name_of(slot) for slot in slots_of(n)}
    rows = []
    for slot, seen in log.seen.items():
        parent = parent_of(slot)
        [(run, created)] = seen.dispatches
        cause = f"{'retry' if slot.attempt else 'done'}:{keys[parent]}" if parent else "ask:x"
        rows.append({
            "type": slot.type, "job": slot.job, "info": f"{slot.info}?by=x", "number": slot.attempt + 1,
            "topic": slot.type,
            "key": keys[slot], "id": run, "created": created, "cause": cause, "meta": f"by={keys[slot]}&n=0",
            "state": "retried" if slot._replace(attempt=1) in keys and not slot.attempt else "complete",
            "deliveries": 1, "lost": 0, "run_us": 5, "queue_us": 0,
        })  # fmt: skip
        seen.keys.clear()
        seen.keys.add(keys[slot])
    days = {}
    for row in rows:
        where = {name: row[name] for name in ("topic", "type", "job", "state")}
        day = days.setdefault(tuple(where.values()), {**where, **dict.fromkeys(SUMMED, 0)})
        day["attempts"] += 1
        day["ran"] += 1
        day["ran_us"] += 5
    return log, Told(rows, [*days.values()])


def test_a_history_that_tells_what_ran_is_believed():
    log, found = history_of()
    assert disagreements(log, range(1), found) == []


def change(**to: object):
    def changed(found: Told) -> None:
        found.tasks[-1].update(to)

    return changed


def forget(found: Told) -> None:
    found.tasks.pop()


def tell_twice(found: Told) -> None:
    found.tasks.append({**found.tasks[-1], "key": "another"})


def invent(found: Told) -> None:
    found.tasks.append({**found.tasks[-1], "info": "77/a/sum"})


def count_twice(found: Told) -> None:
    found.days[0]["attempts"] += 1


def forget_a_day(found: Told) -> None:
    found.days.pop()


def leave_a_hole(found: Told) -> None:
    found.holes.append({"first_seq": 3, "last_seq": 4})


def stay_behind(found: Told) -> None:
    found.behind = 2


def forget_a_record(found: Told) -> None:
    found.facts["vanished"] = 1


def forget_a_loss(found: Told) -> None:
    found.facts["lost"] = 1


def gap(kind: str, why: str) -> Callable[[Told], None]:
    first = "2026-01-01T00:00:00Z"
    row = {"task": "tick", "kind": kind, "why": why, "first": first, "last": first, "workflow": CLOCK}
    return lambda found: found.gaps.append(row)


def draw(**to: object) -> Callable[[Told], None]:
    def drawn(found: Told) -> None:
        tries = {(row["type"], row["job"], row["info"]): row["number"] for row in found.tasks}
        found.traces[0] = [
            {"kind": "task", "key": "k", "task": f"{type_}:{job}" if job else type_, "info": info, "tries": number,
             "state": "complete", "reason": ""}
            for (type_, job, info), number in tries.items()
        ]  # fmt: skip
        found.traces[0][0].update(to)

    return drawn


def test_a_drawing_of_the_run_as_it_was_is_believed():
    log, found = history_of()
    draw()(found)
    assert disagreements(log, range(1), found) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (forget, "has 0 rows"),
        (tell_twice, "has 2 rows"),
        (invent, "which should not be"),
        (change(state="waiting"), "as waiting"),
        (change(state="retried"), "as retried"),
        (change(key="other"), "another dispatch"),
        (change(created="other"), "another dispatch"),
        (change(meta="by=nobody"), "'nobody' did"),
        (change(deliveries=2), "2 deliveries"),
        (change(cause="done:other"), "follows from done:other"),
        (count_twice, "days of"),
        (forget_a_day, "days of"),
        (leave_a_hole, "has a hole"),
        (stay_behind, "2 entries behind"),
        (forget_a_record, "0 records of kind vanished"),
        (forget_a_loss, "0 attempts as lost"),
        (gap("missing", "no record tells why"), "missing, no record tells why"),
        (gap("skipped", ""), "skipped, "),
        (draw(tries=2), "trace of root 0 draws"),
        (draw(state="waiting"), "as waiting"),
        (draw(kind="waits", key=""), "trace of root 0"),
    ],
)  # fmt: skip
def test_a_history_that_tells_otherwise_is_found_out(change, said):
    log, found = history_of()
    change(found)
    assert any(said in line for line in disagreements(log, range(1), found)), disagreements(
        log, range(1), found
    )


def test_a_retry_that_history_does_not_connect_is_found_out():
    log, found = history_of(1)  # root 1 fails once
    assert disagreements(log, range(1, 2), found) == []
    again = next(row for row in found.tasks if row["number"] == 2)
    again["cause"] = "retry:another"
    assert any("was tried again" in line for line in disagreements(log, range(1, 2), found))


def tick(second: int, at_ns: int, verb: str = "start", created: str = "c") -> str:
    info = f"20260101T0000{second:02}"
    return line(verb, at_ns, Slot("tick", "", info, 0), created, cause="")


def test_a_second_that_is_missing_between_two_is_lost_unless_somebody_held_it_up():
    log = Log()
    lines = [tick(each, each, verb) for each in (1, 3) for verb in ("start", "end")]
    log.take("".join([*whole(), *lines]))
    assert judge(log, range(1)).lost == ["tick 20260101T000002: never ran"]
    assert judge(log, range(1), ["20260101T000002"]).is_clean


def test_a_second_that_started_two_tasks_is_doubled():
    log = Log()
    lines = [
        tick(1, at, verb, created)
        for at, (verb, created) in enumerate([("start", "a"), ("end", "a"), ("start", "b")])
    ]
    log.take("".join([*whole(), *lines]))
    assert judge(log, range(1)).doubled == ["tick 20260101T000001: ['a', 'b']"]


def test_a_tick_that_history_does_not_have_is_found_out():
    log, found = history_of()
    log.take(tick(1, 1) + tick(1, 2, "end"))
    assert any("has tick 20260101T000001 as []" in each for each in disagreements(log, range(1), found))
