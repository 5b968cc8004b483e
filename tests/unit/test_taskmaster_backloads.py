"""Backloads as people ask for them and change their minds, and the pace that daemons keep."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from flowlord.decide.backload import Request, identity_of, named, on_backload
from flowlord.decide.context import Context
from flowlord.decide.pace import allowance, next_after
from flowlord.decide.recipe import Pace, Position, Recipe
from flowlord.decide.standing import Asked
from flowlord.model.errors import FlowlordError
from flowlord.model.plan import FactKind
from flowlord.model.workflow import Workflows
from flowlord.storage.open import Storage
from flowlord.taskmaster import backloads
from flowlord.taskmaster.batches import LEAVE_NS, Batches
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.surroundings import Surroundings, read_sources
from support.farm import Farm
from support.flows import flows_of

DAYS = Request(task="load", template="{ts}", start="2026-01-01", end="2026-01-20")
SECOND = 1_000_000


def recipe_of(farm: Farm, request: Request, flows: Workflows | None = None) -> Recipe:
    sources = read_sources([request.meta_file] if request.meta_file else [])
    found = on_backload(request, flows or Workflows(), Context(now=farm.clock.now(), sources=sources))
    return named(found.recipe, identity_of(request, found.recipe))


def asked(farm: Farm, request: Request = DAYS, flows: Workflows | None = None, total: int = 20) -> str:
    recipe = recipe_of(farm, request, flows)
    assert backloads.ask(farm.bus, recipe, Asked(recipe.base_name, total, "me@here", farm.bus.now_us()))
    return recipe.batch


def infos(farm: Farm, topic: str = "load") -> list[str]:
    return [delivery.task().info for delivery in farm.bus.claim([topic], "w", 100_000)]


def publish_all(around: Surroundings) -> int:
    return sum(iter(Batches(around).step, 0))


def numbered(path: Path, lines: int, bad: int = 0) -> Path:
    path.write_text("".join("oops\n" if n == bad else f'{{"n": {n}}}\n' for n in range(1, lines + 1)))
    return path


def test_the_same_request_is_asked_for_once_and_another_time_only_under_another_name() -> None:
    farm = Farm()
    asked(farm)
    recipe = recipe_of(farm, DAYS)
    assert not backloads.ask(farm.bus, recipe, Asked("load", 20, "you@there", 0))
    assert publish_all(farm.daemon(Workflows())) == 20
    assert not backloads.ask(farm.bus, recipe, Asked("load", 20, "you@there", 0))
    again = named(recipe, identity_of(DAYS, recipe, "salt"))
    assert again.batch != recipe.batch
    assert backloads.ask(farm.bus, again, Asked("load", 20, "you@there", 0))
    assert publish_all(farm.daemon(Workflows())) == 20
    assert set(Counter(infos(farm)).values()) == {2}


def test_other_ranges_meta_and_templates_are_other_requests_but_pace_and_priority_are_not() -> None:
    farm = Farm()

    def name(**more: object) -> str:
        return recipe_of(farm, msgspec.structs.replace(DAYS, **more)).batch  # type: ignore[arg-type]

    same = {name(), name(priority=9), name(limit=50), name(pace=Pace(every_us=5))}
    other = [
        name(end="2026-01-21"),
        name(template="x"),
        name(meta={"a": ("1",)}),
        name(task="load:j"),
        name(by="week"),
    ]
    assert len(same) == 1
    assert len(same | set(other)) == 1 + len(other)
    now = Request(task="load", template="x")
    first = recipe_of(farm, now).batch
    farm.clock.advance(60)
    assert recipe_of(farm, now).batch == first  # a second time within the hour
    farm.clock.advance(3600)
    assert recipe_of(farm, now).batch != first


def test_children_follow_the_tasks_of_a_backload() -> None:
    farm = Farm()
    flows = flows_of(
        {
            "f.toml": [
                {"task": "load", "template": "{dd}"},
                {"task": "sum", "dependsOn": "load", "template": "{dd}"},
            ]
        }
    )
    asked(farm, Request(task="load", start="2026-01-01", end="2026-01-03"), flows)
    around = farm.daemon(flows)
    assert publish_all(around) == 3
    assert len(farm.work("load")) == 3
    Router(around).step(0.0)
    assert infos(farm, "sum") == ["01", "02", "03"]


def test_a_paused_backload_rests_and_goes_on_where_it_was(tmp_path: Path) -> None:
    farm = Farm()
    id_ = asked(
        farm, Request(task="load", template="{meta:n}", meta_file=str(numbered(tmp_path / "r.json", 5_000)))
    )
    around = farm.daemon(Workflows())
    batches = Batches(around)
    assert batches.step() == 2_000
    paused = backloads.pause(farm.bus, id_[:4], "me@here")
    assert (paused.state, paused.at.sent, paused.why) == ("paused", 2_000, "paused by me@here")
    assert batches.step() == 0
    assert farm.facts(FactKind.ALERT) == []
    assert backloads.pause(farm.bus, id_, "me@here").state == "paused"  # twice changes nothing
    assert backloads.resume(farm.bus, id_, "me@here", Storage()).state == "running"
    assert publish_all(around) == 3_000
    found = backloads.standing(farm.bus, id_)
    assert (found.state, found.at.sent) == ("published", 5_000)
    assert infos(farm) == [str(n) for n in range(1, 5_001)]


def test_a_cancelled_backload_sends_nothing_more_and_takes_back_what_waits(tmp_path: Path) -> None:
    farm = Farm()
    id_ = asked(
        farm, Request(task="load", template="{meta:n}", meta_file=str(numbered(tmp_path / "r.json", 5_000)))
    )
    around = farm.daemon(Workflows())
    batches = Batches(around)
    batches.step()
    running = farm.bus.claim(["load"], "w", 3)
    found, gone = backloads.cancel(farm.bus, id_, "me@here")
    assert (found.state, found.at.sent, gone) == ("cancelled", 2_000, 1_997)
    assert batches.step() == 0
    assert infos(farm) == []
    assert farm.bus.renew(running) == []  # what runs goes on
    assert farm.bus.open_counts([f"backload:{id_}"]) == {f"backload:{id_}": 3}
    assert (
        farm.bus.marks_like("batch:")
        == farm.bus.marks_like("halted:")
        == farm.bus.marks_like("recipe:")
        == {}
    )
    again, gone = backloads.cancel(farm.bus, id_, "me@here")
    assert (again.state, gone) == ("cancelled", 0)


def test_what_is_all_published_can_still_be_taken_back() -> None:
    farm = Farm()
    id_ = asked(farm)
    publish_all(farm.daemon(Workflows()))
    found, gone = backloads.cancel(farm.bus, id_, "me@here")
    assert (found.state, found.why, gone) == ("cancelled", "cancelled by me@here", 20)
    assert infos(farm) == []


def test_a_mended_line_is_where_a_stopped_batch_goes_on(tmp_path: Path) -> None:
    farm = Farm()
    path = numbered(tmp_path / "r.json", 3_000, bad=2_345)
    id_ = asked(farm, Request(task="load", template="{meta:n}", meta_file=str(numbered(path, 3_000))))
    numbered(path, 3_000, bad=2_345)
    around = farm.daemon(Workflows())
    publish_all(around)
    assert backloads.standing(farm.bus, id_).state == "stopped"  # another version
    backloads.resume(farm.bus, id_, "me@here", Storage())
    assert publish_all(around) == 2_344
    stopped = backloads.standing(farm.bus, id_)
    assert (stopped.state, "line 2345" in stopped.why) == ("stopped", True)
    path.write_text(path.read_text().replace("oops", '{"n": "mended"}').replace('{"n": 7}', '{"n": "seven"}'))
    backloads.resume(farm.bus, id_, "me@here", Storage())
    assert publish_all(around) == 3_000 - 2_344
    assert infos(farm) == [str(n) if n != 2_345 else "mended" for n in range(1, 3_001)]


def test_a_file_that_became_shorter_or_went_away_lets_nothing_go_on(tmp_path: Path) -> None:
    farm = Farm()
    path = numbered(tmp_path / "r.json", 5_000)
    id_ = asked(farm, Request(task="load", template="{meta:n}", meta_file=str(path)))
    Batches(farm.daemon(Workflows())).step()
    backloads.pause(farm.bus, id_, "me@here")
    numbered(path, 10)
    with pytest.raises(FlowlordError, match="fewer than the 2,000 lines"):
        backloads.resume(farm.bus, id_, "me@here", Storage())
    path.unlink()
    with pytest.raises(FlowlordError, match="cannot go on"):
        backloads.resume(farm.bus, id_, "me@here", Storage())
    assert backloads.standing(farm.bus, id_).state == "paused"
    assert backloads.cancel(farm.bus, id_, "me@here")[0].state == "cancelled"


def test_a_batch_that_met_its_limit_goes_on_with_a_higher_one(tmp_path: Path) -> None:
    farm = Farm()
    path = numbered(tmp_path / "r.json", 12_000)
    id_ = asked(farm, Request(task="load", template="{meta:n}", meta_file=str(path), limit=11_000))
    around = farm.daemon(Workflows())
    assert publish_all(around) == 11_000
    backloads.resume(farm.bus, id_, "me@here", Storage(), limit=12_000)
    assert publish_all(around) == 1_000


@pytest.mark.parametrize("looks", [0, 2_000])
def test_a_daemon_that_saw_nothing_of_a_pause_goes_on_by_what_was_said_at_its_end(
    tmp_path: Path, looks: int
) -> None:
    farm = Farm()
    path = numbered(tmp_path / "r.json", 5_000)
    id_ = asked(farm, Request(task="load", template="{meta:n}", meta_file=str(path)))
    batches, other = Batches(farm.daemon(Workflows())), Batches(farm.daemon(Workflows(), "d2", 2))
    assert batches.step() == 2_000
    for limit in (4_500, 4_200):
        backloads.pause(farm.bus, id_, "me@here")
        backloads.resume(farm.bus, id_, "me@here", Storage(), limit=limit)
    if looks:
        assert other.step() == looks
    sent = batches.step()
    farm.clock.advance(LEAVE_NS / 1e9 + 0.1)
    assert sent + sum(iter(batches.step, 0)) == 2_200 - looks
    assert backloads.standing(farm.bus, id_).state == "stopped"
    assert infos(farm) == [str(n) for n in range(1, 4_201)]


def test_only_the_chosen_ones_are_sent_under_their_own_numbers() -> None:
    farm = Farm()
    all_ = recipe_of(farm, DAYS)
    backloads.ask(farm.bus, all_, Asked("load", 20, "me", 0))
    publish_all(farm.daemon(Workflows()))
    whole = farm.bus.claim(["load"], "w", 100)
    few = named(msgspec.structs.replace(all_, chosen="0-1,19"), all_.batch + "x")
    backloads.ask(farm.bus, few, Asked("load", 3, "me", 0))
    assert publish_all(farm.daemon(Workflows())) == 3
    assert infos(farm) == [whole[n].task().info for n in (0, 1, 19)]
    assert backloads.standing(farm.bus, few.batch).at.sent == 3


def test_a_rate_is_kept_by_several_daemons_together_and_no_flood_follows_a_pause() -> None:
    farm = Farm()
    asked(farm, msgspec.structs.replace(DAYS, pace=Pace(every_us=3 * SECOND)))
    daemons = [Batches(farm.daemon(Workflows(), f"d{n}", n)) for n in (1, 2, 3)]
    sent: list[int] = []
    for second in range(31):
        sent.append(sum(each.step() for each in (daemons if second % 2 else daemons[::-1])))
        farm.clock.advance(1)
    assert sum(sent) == 11
    assert max(sent) == 1
    farm.clock.advance(600)
    assert sum(each.step() for each in daemons) == 1


def test_a_fast_rate_makes_up_for_what_a_daemon_missed_within_a_second() -> None:
    farm = Farm()
    asked(farm, msgspec.structs.replace(DAYS, by="hour", pace=Pace(every_us=SECOND // 100)))
    batches = Batches(farm.daemon(Workflows()))
    sent = 0
    for _ in range(10):
        sent += batches.step()
        farm.clock.advance(0.1)
    assert 85 <= sent <= 100


@pytest.mark.parametrize("active", [1, 3])
def test_no_more_tasks_are_open_than_allowed_and_the_next_comes_when_one_ended(active: int) -> None:
    farm = Farm()
    flows = flows_of({"f.toml": [{"task": "load", "template": "{dd}", "retry": 1, "rule": "retry_delay=5s"}]})
    asked(farm, Request(task="load", start="2026-01-01", end="2026-01-09", pace=Pace(active=active)), flows)
    around = farm.daemon(flows)
    daemons = [Batches(around), Batches(farm.daemon(flows, "d2", 2))]
    router = Router(around)
    seen: list[str] = []
    for turn in range(60):
        for each in daemons:
            each.step()
        waiting = farm.bus.claim(["load"], "w", 100)
        assert len(waiting) <= active
        farm.bus.release(waiting)
        done = farm.work("load", "error" if turn == 2 else "complete", limit=1)
        seen += [delivery.task().info for delivery in done]
        router.step(0.0)
        farm.clock.advance(3)
        farm.bus.promote()
    assert sorted(set(seen)) == [f"{day:02}" for day in range(1, 10)]
    assert len(seen) == 10  # one was tried twice


def test_an_allowance_is_what_rate_and_open_tasks_leave() -> None:
    minute = Pace(every_us=60 * SECOND)
    assert allowance(minute, Position(), 5, 0, 500) == 1
    at = Position(next_us=next_after(minute, Position(), 1_000 * SECOND, 1))
    assert at.next_us == 1_060 * SECOND
    assert allowance(minute, at, 1_059 * SECOND, 0, 500) == 0
    assert allowance(minute, at, 1_060 * SECOND, 0, 500) == 1
    assert next_after(minute, at, 1_061 * SECOND, 1) == 1_120 * SECOND  # late, and still in step
    assert allowance(Pace(active=4), Position(), 0, 1, 500) == 3
    assert allowance(Pace(active=4), Position(), 0, 9, 500) == 0
    assert allowance(Pace(), Position(), 0, 0, 500) == 500


def test_names_that_mean_no_batch_or_several_are_told() -> None:
    farm = Farm()
    asked(farm)
    asked(farm, msgspec.structs.replace(DAYS, by="week"))
    with pytest.raises(LookupError, match="begin of several"):
        backloads.standing(farm.bus, "b-")
    with pytest.raises(LookupError, match="no backload zz"):
        backloads.standing(farm.bus, "zz")
