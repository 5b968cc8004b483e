"""Gaps: what should have started by the rules that were in force, what did not, why, and what makes up for it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowlord.bus.open import open_bus
from flowlord.cache.historian import Historian
from flowlord.cli.gaps import Question
from flowlord.cli.gaps import run as gaps
from flowlord.cli.printer import Look
from flowlord.cli.why import run as why
from flowlord.config import resolve
from flowlord.decide.backload import Request, named, on_backload
from flowlord.decide.context import Context
from flowlord.decide.maker import Maker
from flowlord.decide.recipe import NO_ROW
from flowlord.decide.schedule import Missed
from flowlord.decide.tick import on_missed, on_tick
from flowlord.model.errors import FlowlordError
from flowlord.model.plan import ANY, Fact, FactKind, Mark, PhaseText, Plan, Seen
from flowlord.model.workflow import Workflow, Workflows
from flowlord.spec.parse import parse
from support.clock import VirtualClock
from support.journal import done, journal, published, task, told

NOW = datetime(2026, 8, 3, 0, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
FLOW = """
[[phase]]
task = "extract:users"
rule = "cron=0 0 * * * *"
template = "?h={yyyy}-{mm}-{dd}T{hh}"
"""


def flow_of(text: str, name: str = "a.toml") -> Workflow:
    flow, problems = parse(text.encode(), name)
    assert flow is not None, problems
    return flow


class World:
    """A cache and a bus in a folder, filled with what a daemon would have told."""

    def __init__(self, where: Path, text: str = FLOW, loaded: datetime = NOW - timedelta(days=2)) -> None:
        self.where = where
        self.flow = flow_of(text)
        self.facts: list[tuple[datetime, list[Fact]]] = []
        self.loaded(self.flow, loaded)

    def loaded(self, flow: Workflow, at: datetime) -> None:
        texts = tuple(
            PhaseText(p.name, p.line, p.task, p.depends_on, p.rule_text, p.retry, p.template)
            for p in flow.phases
        )
        fact = Fact(FactKind.RELOAD, phase=flow.name, revision=flow.revision, text="loaded", phases=texts)
        self.facts.append((at, [fact]))

    def started(self, instant: datetime, only: int | None = None, phase: int = 0) -> None:
        plan = on_tick(self.flow.phases[phase], instant, Context(now=instant))
        some = plan.messages[:only] if only is not None else plan.messages
        told = [
            published(m.key, m.task, cause=m.cause, batch=m.batch, phase=m.phase, topic=m.topic) for m in some
        ]
        self.facts.append((instant, [*told, *plan.facts]))

    def ended(self, instant: datetime, result: str = "complete", *then: FactKind, phase: int = 0) -> None:
        plan = on_tick(self.flow.phases[phase], instant, Context(now=instant))
        for message in plan.messages:
            facts = [done(message.key, message.task, result)]
            facts += [told(kind, message.key, of=message.task) for kind in then]
            if FactKind.RETRY in then:
                facts.append(published(f"again-{message.key}", message.task, cause=f"retry:{message.key}"))
            self.facts.append((instant + HOUR / 2, facts))

    def hours(self, first: datetime, last: datetime) -> None:
        while first <= last:
            self.started(first)
            first += HOUR

    def told(self, at: datetime, *facts: Fact) -> None:
        self.facts.append((at, list(facts)))

    def missed(self, first: datetime, last: datetime, *, wanted: bool = False, reason: str = "why") -> None:
        count = (last - first) // HOUR + 1
        plan = on_missed(self.flow.phases[0], Missed(first, last, count, reason, wanted=wanted))
        self.facts.append((last + HOUR, list(plan.facts)))

    def backloaded(self, start: str, end: str = "", by: str = "hour") -> None:
        request = Request(task=self.flow.phases[0].base_name, start=start, end=end or start, by=by)
        found = on_backload(request, Workflows({self.flow.name: self.flow}), Context(now=NOW), "b-1a2b3c4d")
        recipe = named(found.recipe, "b-1a2b3c4d")
        rows = [NO_ROW] if found.rows is None else found.rows.all
        cells = [(time, row) for time in recipe.span.times() for row in rows]
        made = Maker(recipe).messages(0, cells)
        self.facts.append(
            (NOW, [published(m.key, m.task, cause=m.cause, batch=m.batch, phase=m.phase) for m in made])
        )

    def kept(self) -> "World":
        historian = Historian(self.where / "tasks.db", VirtualClock())
        entries = []
        ordered = sorted(self.facts, key=lambda each: each[0])
        for entry, (at, _) in zip(journal([facts for _, facts in ordered]), ordered, strict=True):
            entries.append(type(entry)(entry.seq, int(at.timestamp() * 1e6), "d1", entry.commit, entry.facts))
        historian.follow(entries)
        historian.close()
        return self

    def bus(self):
        return open_bus(f"sqlite:///{self.where}/bus.db", by="test")

    def settings(self):
        flags = {"bus": f"sqlite:///{self.where}/bus.db", "cache": str(self.where / "tasks.db")}
        return resolve({**flags, "workflows": str(self.where / "none")})

    def ask(self, capsys, form: str = "json", code: int = 0, **asked) -> list[dict] | str:
        capsys.readouterr()
        question = Question(**{"since": "2d", "look": Look(form), **asked})
        assert gaps(self.settings(), question, clock=VirtualClock(NOW)) == code
        out = capsys.readouterr().out
        return json.loads(out) if form == "json" else out


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 8, day, hour, minute, tzinfo=UTC)


def test_where_every_start_came_there_is_no_gap(world, capsys):
    world.hours(at(1, 1), at(2, 23))
    assert world.kept().ask(capsys, exit_code=True) == []


def test_starts_that_left_nothing_are_one_range_with_the_command_that_fills_it(world, capsys):
    world.hours(at(1, 1), at(1, 5))
    world.hours(at(1, 10), at(2, 23))
    [gap] = world.kept().ask(capsys, code=1, exit_code=True)
    assert (gap["task"], gap["kind"], gap["starts"]) == ("extract:users", "missing", 4)
    assert (gap["first"], gap["last"]) == ("2026-08-01T06:00:00Z", "2026-08-01T09:00:00Z")
    assert gap["ranges"] == "2026/08/01T06-2026/08/01T09"
    assert "no scheduler was running" in gap["why"]
    [line] = gap["commands"]
    assert line == "flowlord backload extract:users --from 2026-08-01T06 --to 2026-08-01T09 --by hour"
    assert world.ask(capsys, form="table", commands=True) == line + "\n"


def test_the_command_that_is_told_fills_the_gap(world, capsys):
    world.hours(at(1, 1), at(1, 5))
    world.hours(at(1, 10), at(2, 23))
    world.backloaded("2026-08-01T06", "2026-08-01T08")
    [gap] = world.kept().ask(capsys)
    assert gap["commands"] == ["flowlord backload extract:users --at 2026-08-01T09"]


def test_recorded_reasons_are_told_and_what_somebody_wanted_is_no_fault(world, capsys):
    world.hours(at(1, 1), at(1, 5))
    world.missed(at(1, 6), at(1, 8), reason="it lies before the catch-up window")
    world.missed(at(1, 9), at(1, 10), wanted=True, reason="overlap=skip, and 1 task was open")
    world.hours(at(1, 11), at(2, 23))
    missed, skipped = world.kept().ask(capsys, code=1, exit_code=True)
    assert (missed["kind"], missed["starts"], skipped["kind"], skipped["starts"]) == (
        "missed",
        3,
        "skipped",
        2,
    )
    assert missed["why"] == "no scheduler was running: it lies before the catch-up window"
    assert skipped["why"] == "overlap=skip, and 1 task was open"


def test_skipped_starts_alone_exit_0(world, capsys):
    world.hours(at(1, 1), at(2, 21))
    world.missed(at(2, 22), at(2, 23), wanted=True)
    assert len(world.kept().ask(capsys, code=0, exit_code=True)) == 1


def test_a_start_that_could_not_be_made_tells_its_alert(tmp_path, capsys):
    world = World(
        tmp_path, FLOW.replace("cron=0 0 * * * *", "cron=0 0 0 2 8 *&for=-9000h&by=hour&batch_limit=9")
    )
    world.started(at(2))
    [gap] = world.kept().ask(capsys, code=1, exit_code=True)
    assert gap["kind"] == "failed"
    assert "more than 9 tasks" in gap["why"]


def test_all_starts_are_told_with_what_became_of_them(world, capsys):
    world.hours(at(1, 1), at(1, 8))
    for hour in (1, 2):
        world.ended(at(1, hour))
    world.ended(at(1, 3), "error", FactKind.RETRY)
    again = f"again-{on_tick(world.flow.phases[0], at(1, 3), Context(now=at(1, 3))).messages[0].key}"
    world.told(at(1, 4, 30), done(again))
    world.ended(at(1, 4), "error", FactKind.RETRY)  # and its second try is open
    world.ended(at(1, 5), "error", FactKind.DEAD)
    world.told(
        at(1, 12),
        told(FactKind.LATE, on_tick(world.flow.phases[0], at(1, 6), Context(now=at(1, 6))).messages[0].key),
    )
    world.ended(at(1, 7), "error", FactKind.CANCELLED)
    world.missed(at(1, 9), at(1, 10))
    world.missed(at(1, 11), at(1, 11), wanted=True)
    world.backloaded("2026-08-01T12", "2026-08-01T13")
    rows = world.kept().ask(capsys, code=1, every=True, exit_code=True, until="2026-08-01T14")
    assert [(row["first"][11:13], row["kind"], row["starts"]) for row in rows] == [
        ("01", "done", 3), ("04", "open", 1), ("05", "error", 1), ("06", "late", 1), ("07", "cancelled", 1),
        ("08", "open", 1), ("09", "missed", 2), ("11", "skipped", 1), ("12", "backloaded", 2), ("14", "missing", 1),
    ]  # fmt: skip
    [line] = next(row["commands"] for row in rows if row["kind"] == "error")
    assert line.startswith(
        "flowlord retry --failed --workflow a.toml --topic extract --job users --from 2026-08-01T05"
    )
    shown = world.ask(capsys, form="table", every=True, until="2026-08-01T14")
    assert "cancelled" in shown
    assert len(world.ask(capsys, until="2026-08-01T14")) == 3, "without --all only what lacks"


def test_of_a_batch_the_worst_of_its_tasks_counts(tmp_path, capsys):
    world = World(tmp_path, FLOW.replace("cron=0 0 * * * *", "cron=0 0 0 * * *&for=-2h&by=hour"))
    world.started(at(2))
    world.ended(at(2))
    world.started(at(3))
    first, *_ = on_tick(world.flow.phases[0], at(3), Context(now=at(3))).messages
    world.told(at(3, 0, 5), done(first.key, result="error"), told(FactKind.DEAD, first.key))
    rows = world.kept().ask(capsys, every=True, grace="0s")
    assert [(row["first"], row["kind"]) for row in rows] == [
        ("2026-08-02T00:00:00Z", "done"), ("2026-08-03T00:00:00Z", "error"),
    ]  # fmt: skip


def test_grace_leaves_out_what_may_still_come(world, capsys):
    world.hours(at(1, 1), at(2, 23))
    world.kept()
    assert [gap["first"] for gap in world.ask(capsys, grace="5m")] == ["2026-08-03T00:00:00Z"]
    assert world.ask(capsys, grace="30m") == []


def test_nothing_is_expected_before_a_phase_was_loaded_nor_after_it_was_removed(tmp_path, capsys):
    world = World(tmp_path, loaded=at(2, 3))
    world.hours(at(2, 4), at(2, 7))
    gone = Fact(FactKind.RELOAD, phase="a.toml", text="a.toml was removed")
    world.told(at(2, 7, 30), gone)
    assert world.kept().ask(capsys) == []


def test_each_time_is_judged_by_the_rule_that_was_in_force(world, capsys):
    world.hours(at(1, 1), at(2, 10))
    world.loaded(flow_of(FLOW.replace("0 0 * * * *", "0 0 12 * * *")), at(2, 10, 30))
    world.started(at(2, 12))
    assert world.kept().ask(capsys) == []


def test_a_batch_that_stopped_tells_where_and_only_its_missing_rows(tmp_path, capsys):
    rule = "cron=0 0 0 * * *&for=-2d&by=day&meta=k:a,b"
    world = World(tmp_path, FLOW.replace("cron=0 0 * * * *", rule))
    world.started(at(2), only=3)
    batch = Fact(
        FactKind.BATCH, phase="a.toml:extract:users", cause="tick:a.toml:extract:users:2026-08-02T00:00:00Z",
        text="row 4 is none; 3 of its tasks were published before",
    )  # fmt: skip
    world.told(at(2), batch)
    world.started(at(3))
    [gap] = world.kept().ask(capsys)
    assert (gap["kind"], gap["starts"]) == ("partial", 1)
    assert "row 4 is none" in gap["why"]
    assert gap["ranges"] == "2026/07/31T00,2026/08/01T00"
    [line] = gap["commands"]
    assert line.endswith("--from 2026-07-31 --to 2026-08-01 --by day --only missing")


def test_a_whole_batch_is_no_gap_and_one_of_no_rows_neither(tmp_path, capsys):
    world = World(tmp_path, FLOW.replace("cron=0 0 * * * *", "cron=0 0 0 * * *&for=-2d&by=day&meta=k:a,b"))
    world.started(at(2))
    world.started(at(3))
    assert world.kept().ask(capsys) == []


def test_a_start_that_the_bus_says_is_decided_and_nobody_told_of_has_no_record(world, capsys):
    world.hours(at(1, 1), at(2, 22))
    bus = world.kept().bus()
    bus.commit(Plan(), marks=[Mark("tick:a.toml:extract:users", ANY, "2026-08-02T23:00:00Z")])
    bus.close()
    [gap] = world.ask(capsys)
    assert (gap["kind"], gap["why"]) == ("missing", "no record tells why")


def test_starts_within_an_hour_are_filled_one_by_one(tmp_path, capsys):
    world = World(tmp_path, FLOW.replace("0 0 * * * *", "0 */20 * * * *"), loaded=at(2, 22, 30))
    world.started(at(2, 23, 40))
    [first] = world.kept().ask(capsys)
    assert first["starts"] == 3
    times = ("22:40:00Z", "23", "23:20:00Z")
    assert first["commands"] == [f"flowlord backload extract:users --at 2026-08-02T{time}" for time in times]


def test_a_backload_within_an_hour_makes_up_for_the_start_that_it_is_about(tmp_path, capsys):
    text = FLOW.replace("0 0 * * * *", "0 */20 * * * *").replace("?h={yyyy}-{mm}-{dd}T{hh}", "?t={ts}")
    world = World(tmp_path, text, loaded=at(2, 22, 30))
    world.started(at(2, 23, 40))
    world.backloaded("2026-08-02T23:20:00Z")
    [gap] = world.kept().ask(capsys)
    assert [line.rpartition(" ")[2] for line in gap["commands"]] == ["2026-08-02T22:40:00Z", "2026-08-02T23"]


def test_where_an_info_tells_only_the_hour_any_of_its_starts_is_made_up(tmp_path, capsys):
    world = World(tmp_path, FLOW.replace("0 0 * * * *", "0 */20 * * * *"), loaded=at(2, 22, 30))
    world.started(at(2, 23, 40))
    world.backloaded("2026-08-02T23:20:00Z")
    [gap] = world.kept().ask(capsys)[:1]
    assert sum(each["starts"] for each in world.ask(capsys)) == 2
    assert gap["commands"][0].endswith("22:40:00Z")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("extract:users 2026-08-02T23:40", "planned for 2026-08-02T23:40:00Z"),
        ("extract:users 2026-08-02T23:20", "it was planned for 2026-08-02T23:20:00Z"),
        ("extract:users 2026-08-02T23:10", "no start of cron="),
        ("extract:users 2026-08-02T23", "planned for 2026-08-02T23:40:00Z"),
    ],
)
def test_minutes_that_are_asked_about_mean_the_start_of_that_minute(tmp_path, capsys, asked, said):
    text = FLOW.replace("0 0 * * * *", "0 */20 * * * *").replace("?h={yyyy}-{mm}-{dd}T{hh}", "?t={ts}")
    world = World(tmp_path, text, loaded=at(2, 22, 30))
    world.started(at(2, 23, 40))
    capsys.readouterr()
    assert why(world.kept().settings(), asked, Look("table"), clock=VirtualClock(NOW)) == 0
    told = capsys.readouterr().out
    assert said in told, told
    if asked.endswith(("20", "10")):
        assert "not started" in told
        assert "23:40" not in told, "another start of the hour"


def answer(world: World, capsys, asked: str) -> dict:
    capsys.readouterr()
    assert why(world.kept().settings(), asked, Look("json"), clock=VirtualClock(NOW)) == 0
    return json.loads(capsys.readouterr().out)


EVERY_20 = FLOW.replace("0 0 * * * *", "0 */20 * * * *")
ROWS = FLOW.replace("0 0 * * * *", "0 0 * * * *&meta=n:a,b,c").replace("?h=", "?n={meta:n}&h=")


def test_where_other_starts_of_the_hour_are_complete_these_are_counted_and_nothing_is_done_twice(
    tmp_path, capsys
):
    world = World(tmp_path, EVERY_20, loaded=at(2, 22, 30))
    for minute in (20, 40):
        world.started(at(2, 23, minute))
        world.ended(at(2, 23, minute))
    told = answer(world, capsys, "extract:users 2026-08-02T23")
    assert told["answer"] == "extract:users 2026-08-02T23: 2 complete"
    [missing] = [each["text"] for each in told["said"] if each["kind"] == "missing"]
    assert missing.startswith("it was planned for 2026-08-02T23:00:00Z: no scheduler was running")
    alone = answer(world, capsys, "extract:users 2026-08-02T22")
    assert alone["answer"].endswith("not started")
    assert len(set(alone["commands"])) == len(alone["commands"]) > 0


def test_a_backload_that_would_do_again_what_is_complete_is_not_offered(tmp_path, capsys):
    world = World(tmp_path, ROWS.replace("0 0 * * * *", "0 */20 * * * *"), loaded=at(2, 22, 30))
    world.started(at(2, 23, 20))
    world.ended(at(2, 23, 20))
    told = answer(world, capsys, "extract:users 2026-08-02T23")
    assert told["answer"] == "extract:users 2026-08-02T23: 3 complete"
    assert {"missing", "again"} <= {each["kind"] for each in told["said"]}
    assert not [each for each in told["commands"] if "backload" in each]


def test_many_starts_of_one_reason_are_one_sentence_and_each_command_is_told_once(tmp_path, capsys):
    world = World(tmp_path, FLOW.replace("0 0 * * * *", "0 * * * * *"), loaded=NOW - HOUR / 4)
    told = answer(world, capsys, "extract:users 2026-08-03T00")
    assert len([each for each in told["said"] if each["kind"] == "missing"]) == 1
    assert "11 starts were planned from 2026-08-03T00:00:00Z" in told["said"][0]["text"]
    assert len(set(told["commands"])) == len(told["commands"])
    assert told["then"] == (
        "what is missing will not be made up for by itself; what is planned will start by itself"
    )


def test_of_siblings_the_failed_ones_are_told_first_with_their_command_and_all_are_counted(tmp_path, capsys):
    world = World(tmp_path, ROWS, loaded=at(2, 22, 30))
    world.started(at(2, 23))
    plan = on_tick(world.flow.phases[0], at(2, 23), Context(now=at(2, 23)))
    for n, message in enumerate(plan.messages):
        facts = [done(message.key, message.task, "error" if n == 1 else "complete")]
        facts += [told(FactKind.DEAD, message.key, of=message.task)] if n == 1 else []
        world.told(at(2, 23, 10), *facts)
    found = answer(world, capsys, "extract:users 2026-08-02T23")
    assert found["answer"] == "extract:users 2026-08-02T23: 2 complete, 1 dead"
    assert found["said"][0]["kind"] == "dead"
    assert plan.messages[1].key[:8] in found["said"][0]["text"]
    assert found["commands"] == [f"flowlord retry {plan.messages[1].key[:12]}"]
    slot = answer(world, capsys, "tick:a.toml:extract:users:2026-08-02T23:00:00Z")
    assert slot["answer"].endswith("2 complete, 1 dead")


def test_a_child_tells_of_all_its_parents_runs_and_not_of_the_one_that_was_left_out_alone(tmp_path, capsys):
    text = (
        EVERY_20
        + """
[[phase]]
task = "load"
dependsOn = "extract:users"
rule = "require={meta:x}"
template = "{meta:x}"
"""
    )
    world = World(tmp_path, text, loaded=at(2, 22, 30))
    plans = [on_tick(world.flow.phases[0], at(2, 23, n), Context(now=at(2, 23, n))) for n in (0, 20, 40)]
    for n, plan in enumerate(plans):
        world.started(at(2, 23, 20 * n))
        [message] = plan.messages
        child = task("load", n, id=message.task.id, meta="cron=2026-08-02T23")
        then = (
            told(
                FactKind.SKIPPED,
                message.key,
                "load was not started: it requires {meta:x}",
                phase="a.toml:load",
            )
            if n == 0
            else published(f"c{n}", child, cause=f"done:{message.key}", phase="a.toml:load", topic="load")
        )
        world.told(at(2, 23, 50), done(message.key, message.task), then)
        if n:
            world.told(at(2, 23, 55), done(f"c{n}", child))
    found = answer(world, capsys, "load 2026-08-02T23")
    assert found["answer"] == "load 2026-08-02T23: 2 complete"
    assert "it requires {meta:x}" in " ".join(each["text"] for each in found["said"])
    assert not [each for each in found["commands"] if "backload" in each]


def test_what_files_started_of_a_data_time_is_told_as_started(tmp_path, capsys):
    text = '[[phase]]\ntask = "read"\nrule = "files=/in/*.csv&count=2"\ntemplate = "{meta:file}"\n'
    world = World(tmp_path, text, loaded=at(2, 22, 30))
    for n, day in enumerate(("02", "02", "01")):
        of = task("read", n, meta="")
        path = f"/in/2026/08/{day}/{n}.csv"
        cause = f"file:a.toml:read:{path}:1"
        file = Seen(path, 9, "1", f"2026-08-{day}T00:00:00Z", state="started", tasks=1, keys=(f"f{n}",))
        seen = Fact(FactKind.FILE, cause=f"file:{path}:1", text="started read", file=file)
        world.told(at(2, 23, n), published(f"f{n}", of, cause=cause, phase="a.toml:read"), seen)
        world.told(at(2, 23, 10 + n), done(f"f{n}", of, "error" if n == 2 else "complete"))
        if n == 2:
            world.told(at(2, 23, 13), told(FactKind.DEAD, f"f{n}", of=of))
    assert answer(world, capsys, "read 2026-08-02")["answer"] == "read 2026-08-02: 2 complete"
    assert answer(world, capsys, "read 2026-08-01")["answer"].endswith(": dead")
    assert answer(world, capsys, "read 2026-08-03")["answer"] == "read 2026-08-03: not started"


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv", "tsv", "name"])
def test_every_form_can_be_read_with_no_row_one_and_many(tmp_path, capsys, form):
    world = World(tmp_path).kept()
    for topic, code in (("nobody", 5), ("extract", 0), ("extract:users", 0)):
        capsys.readouterr()
        found = gaps(world.settings(), Question(topic=topic, look=Look(form)), clock=VirtualClock(NOW))
        assert found == code
        assert "\x1b" not in capsys.readouterr().out


def test_an_empty_folder_expects_nothing(tmp_path, capsys):
    flags = {
        "bus": f"sqlite:///{tmp_path}/bus.db",
        "cache": str(tmp_path / "no.db"),
        "workflows": str(tmp_path),
    }
    assert gaps(resolve(flags), Question(look=Look("json")), clock=VirtualClock(NOW)) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "asked", [{"since": "x"}, {"until": "2026-13-01"}, {"grace": "-5m"}, {"grace": "soon"}]
)
def test_words_that_are_no_times_are_refused(world, asked):
    with pytest.raises(FlowlordError):
        gaps(world.settings(), Question(**asked), clock=VirtualClock(NOW))


def test_a_day_means_its_only_hour_with_tasks_and_else_names_those_that_have_some(tmp_path, capsys):
    world = World(tmp_path, EVERY_20, loaded=at(2, 21, 30))
    world.started(at(2, 23, 20))
    assert answer(world.kept(), capsys, "extract:users 2026-08-02")["answer"].startswith(
        "extract:users 2026-08-02T23"
    )
    world.started(at(2, 22, 20))
    (tmp_path / "tasks.db").unlink()
    found = answer(world.kept(), capsys, "extract:users 2026-08-02")
    assert found["answer"] == "extract:users 2026-08-02T00: not started"
    assert "of this day it has tasks of 2 other hours, from 2026-08-02T22 to 2026-08-02T23" in [
        each["text"] for each in found["said"]
    ]
    assert found["commands"][:2] == [f"flowlord why 'extract:users 2026-08-02T{hour}'" for hour in (22, 23)]
    assert (
        answer(world, capsys, "extract:users 2026-08-01")["answer"] == "extract:users 2026-08-01: not started"
    )


@pytest.mark.parametrize(
    ("rule", "first", "last"),
    [
        ("cron=*/20 * * * * *", "2026-08-02T05:00:00Z", "2026-08-02T05:59:40Z"),
        ("cron=*/20 * * * * *&jitter=2h", "2026-08-02T05:00:00Z", "2026-08-02T05:59:40Z"),
        ("cron=*/20 * * * * *&offset=-90m", "2026-08-02T06:30:00Z", "2026-08-02T07:29:40Z"),
    ],
)
def test_an_hour_has_each_of_its_starts_and_none_of_the_hours_around(tmp_path, capsys, rule, first, last):
    world = World(tmp_path, f'[[phase]]\ntask = "extract:users"\nrule = "{rule}"\n')
    found = answer(world.kept(), capsys, "extract:users 2026-08-02T05")
    assert f"180 starts were planned from {first} to {last}" in found["said"][0]["text"]


def test_starts_that_nobody_could_have_made_are_told_and_filled_last(tmp_path, capsys):
    world = World(tmp_path, EVERY_20, loaded=at(2, 22, 30))
    found = answer(world.kept(), capsys, "extract:users 2026-08-02T22")
    assert [each["kind"] for each in found["said"]] == ["missing", "before"]
    assert [each.rpartition("T")[2] for each in found["commands"]] == ["22:40:00Z", "22", "22:20:00Z"]


@pytest.mark.parametrize("since", ["0", "+1h", "2027-01-01"])
def test_a_time_in_which_nothing_lies_is_refused(world, capsys, since):
    with pytest.raises(FlowlordError, match="nothing lies between --since"):
        world.kept().ask(capsys, since=since)


def test_a_time_that_is_all_grace_is_told_and_an_answer_without_gaps_says_so_in_a_pipe(world, capsys):
    world.hours(at(1, 1), at(2, 23))
    world.kept()
    for since, words in (("5m", "--grace 1h leaves nothing"), ("1d", "expected starts missing in ")):
        question = Question(since=since, grace="1h", look=Look("jsonl"))
        assert gaps(world.settings(), question, clock=VirtualClock(NOW)) == 0
        told = capsys.readouterr()
        assert told.out == ""
        assert words in told.err
