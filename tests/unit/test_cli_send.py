"""`flowlord send` on a bus in hand: what a key remembers and for how long, and what waiting knows of the end."""

import json
from contextlib import closing
from datetime import timedelta
from math import inf

import msgspec
import pytest

from flowlord.bus import memory_store, sqlite_keep
from flowlord.bus.clock import SystemClock
from flowlord.bus.lifetimes import OUTCOME_DAYS
from flowlord.bus.memory import MemoryBus
from flowlord.bus.port import Presence
from flowlord.bus.sqlite import SqliteBus
from flowlord.cli.buses import bus_at
from flowlord.cli.exits import ANSWER_IS_BAD
from flowlord.cli.send import KEPT_S, Options, _send_chunk, _wait, run
from flowlord.cli.wait import Watched, follow, lonely
from flowlord.config import resolve
from flowlord.decide.ask import Ask
from flowlord.decide.keys import dispatch_key
from flowlord.model.errors import Refused
from flowlord.model.message import Message
from flowlord.model.plan import Fact, FactKind, Mark, Plan
from flowlord.model.task import Task
from flowlord.model.workflow import Workflows
from flowlord.spec.parse import parse
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.router import Router
from flowlord.taskmaster.surroundings import Surroundings
from support.clock import VirtualClock

DAY_S = 86_400
FLOW = """
[[phase]]
task = "report"
retry = 1
rule = "cron=@yearly&retry_delay=0s"

[[phase]]
task = "mail"
dependsOn = "report"
"""
LARGE = f"""
[[phase]]
task = "p"
rule = "cron=@yearly"

[[phase]]
task = "kid"
dependsOn = "p"
rule = "meta=n:{",".join(map(str, range(600)))}"
template = "{{meta:n}}"
"""


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture(params=["memory", "sqlite"])
def bus(request, tmp_path, clock):
    made = MemoryBus(clock) if request.param == "memory" else SqliteBus(tmp_path / "bus.db", clock=clock)
    yield made
    made.close()


class Daemon:
    """What a taskmaster and a worker do, one step at a time."""

    def __init__(self, bus, clock, text):
        flow, problems = parse(text.encode(), "w.toml")
        assert flow, problems
        self.bus, self.clock = bus, clock
        self.flows = Workflows({"w.toml": flow})
        self.stamps = Stamps(clock, 3)
        self.around = Surroundings(
            bus=bus,
            clock=clock,
            chance=Chance(1),
            stamps=Stamps(clock, 1),
            consumer="tm",
            workflows=self.flows,
        )
        self.router = Router(self.around)

    def send(self, *asks, known=None):
        known = {} if known is None else known
        return _send_chunk(self.bus, asks, self.flows, Options(key="weekly"), self.stamps, known)

    def work(self, topic, result="complete", limit=1):
        found = self.bus.claim([topic], "w", limit)
        for held in found:
            done = msgspec.structs.replace(held.task(), result=result)
            message = Message("done", done, held.key, phase=held.phase, cause=held.cause)
            self.bus.commit(Plan(publish=(message,)), acknowledge=[held])
        self.router.step(0.0)
        return found

    def trim(self, monkeypatch):
        """Let the journal begin after everything that was told so far."""
        for module in (memory_store, sqlite_keep):
            monkeypatch.setattr(module, "JOURNAL_ENTRIES", 3)
        for n in range(6):
            self.bus.publish([Message("other", Task(type="other", info=""), key=f"other-{n}")])
        self.bus.sweep()
        assert self.bus.journal_bounds()[0] > 4


@pytest.fixture
def daemon(bus, clock):
    return Daemon(bus, clock, FLOW)


WEEKLY = Ask("report", "weekly", workflow="w.toml")


def sweep(bus):
    while any(bus.sweep().values()):
        pass


@pytest.mark.parametrize("delay_s", [0, 3 * DAY_S])
def test_a_key_that_is_free_again_names_a_new_task_whose_result_counts(daemon, bus, clock, delay_s):
    ask = Ask("report", "weekly", workflow="w.toml", due=clock.now() + timedelta(seconds=delay_s))
    [first] = daemon.send(ask)
    clock.advance(delay_s)
    bus.promote()
    assert len(daemon.work("report")) == 1
    assert len(bus.claim(["mail"], "m", 10)) == 1
    clock.advance(KEPT_S + 60)
    sweep(bus)
    [second] = daemon.send(WEEKLY)
    assert (first.key != second.key, first.task.id != second.task.id) == (True, True)
    daemon.work("report")
    assert len(bus.claim(["mail"], "m", 10)) == 1, "its children follow as well"


@pytest.mark.parametrize("delay_s", [0, 3 * DAY_S])
def test_a_key_is_remembered_for_longer_than_any_result_of_it(daemon, bus, clock, delay_s):
    ask = Ask("report", "weekly", workflow="w.toml", due=clock.now() + timedelta(seconds=delay_s))
    [message] = daemon.send(ask)
    clock.advance(delay_s + (OUTCOME_DAYS + 1) * DAY_S)
    sweep(bus)
    known = {}
    assert daemon.send(ask, known=known) == ()
    assert (known["weekly"].run, known["weekly"].key) == (message.task.id, message.key)


def test_even_a_mark_that_was_lost_loses_no_task(daemon, bus):
    """The result of the first one is remembered; under the same dispatch key the second would be a duplicate."""
    daemon.send(WEEKLY)
    daemon.work("report")
    [(mark, value)] = bus.marks_like("ask:").items()
    bus.commit(Plan(), marks=[Mark(mark, value, None)])
    daemon.send(WEEKLY)
    daemon.work("report")
    assert len(bus.claim(["mail"], "m", 10)) == 2


def test_who_is_refused_by_the_mark_goes_by_its_token(daemon, bus, monkeypatch):
    """Two senders: both see no mark, one lands; the other must find what that one sent and send nothing."""
    landed = []
    commit = bus.commit

    def after_another(plan, **named):
        if not landed:
            landed.append(())  # the other one lands without being intercepted
            landed[0] = daemon.send(WEEKLY)
        return commit(plan, **named)

    monkeypatch.setattr(bus, "commit", after_another)
    known = {}
    assert daemon.send(WEEKLY, known=known) == ()
    [[message]] = landed
    assert (known["weekly"].key, known["weekly"].run) == (message.key, message.task.id)
    assert len(bus.claim(["report"], "w", 10)) == 1


def test_a_send_that_died_before_it_landed_left_nothing_and_one_after_is_found(daemon, bus, monkeypatch):
    class Killed(BaseException):
        pass

    commit = bus.commit

    def die_before(plan, **named):
        raise Killed

    def die_after(plan, **named):
        commit(plan, **named)
        raise Killed

    for dying in (die_before, die_after):
        with monkeypatch.context() as patched:
            patched.setattr(bus, "commit", dying)
            with pytest.raises(Killed):
                daemon.send(WEEKLY)
    assert daemon.send(WEEKLY) == ()
    assert len(bus.claim(["report"], "w", 10)) == 1
    with pytest.raises(Refused):
        bus.commit(Plan(), marks=[Mark("ask:weekly", None, "x")])


def test_a_mark_of_an_earlier_release_still_counts(daemon, bus):
    bus.commit(Plan(), marks=[Mark("ask:weekly", None, "0b5ad8b9-run")])
    known = {}
    assert daemon.send(WEEKLY, known=known) == ()
    assert (known["weekly"].run, known["weekly"].key) == ("0b5ad8b9-run", dispatch_key("ask:weekly"))


def looks(number, then=lambda: None):
    """A time limit of so many looks at it; `then` happens at each."""
    left = iter(range(number))

    def left_s():
        then()
        return 0.001 if next(left, None) is not None else 0.0

    return left_s


def root(bus, key="k"):
    task = Task(type="p", info="i", id="r", created="x", meta="workflow=w.toml", result="complete")
    bus.publish([Message("done", task, key=key)])
    return bus.journal_bounds()[1]


def test_children_of_a_large_batch_are_waited_for_before_they_are_published(bus, clock):
    daemon = Daemon(bus, clock, LARGE)
    after = root(bus)
    daemon.router.step(0.0)
    assert bus.marks_like("batch:")
    watched = Watched({"k"}, with_children=True)
    assert not follow(bus, watched, after, left_s=looks(3)), "the batch is open"

    def go_on():
        bus.advance()
        daemon.work("kid", limit=500)

    watched = Watched({"k"}, with_children=True)
    assert follow(bus, watched, after, left_s=looks(50, go_on))
    assert (len(watched.seen), watched.failed) == (601, False)


def test_without_children_a_large_batch_is_not_waited_for(bus, clock):
    daemon = Daemon(bus, clock, LARGE)
    after = root(bus)
    daemon.router.step(0.0)
    assert follow(bus, Watched({"k"}), after, left_s=lambda: inf)


def test_a_last_chunk_that_lands_between_two_looks_is_not_missed(bus, clock, monkeypatch):
    daemon = Daemon(bus, clock, LARGE)
    after = root(bus)
    daemon.router.step(0.0)
    marks_like = bus.marks_like

    def all_published_just_before(prefix):
        while bus.advance():
            pass
        return marks_like(prefix)

    monkeypatch.setattr(bus, "marks_like", all_published_just_before)
    watched = Watched({"k"}, with_children=True)
    assert not follow(bus, watched, after, left_s=looks(3))
    assert len(watched.keys) == 600


def begin_of(bus):
    return bus.journal_bounds()[0] - 1


def test_what_ended_before_the_journal_begins_is_not_waited_for(daemon, bus, monkeypatch):
    [message] = daemon.send(WEEKLY)
    daemon.work("report")
    daemon.trim(monkeypatch)
    watched = Watched({message.key})
    assert follow(bus, watched, begin_of(bus), left_s=looks(3))
    assert (watched.forgotten, watched.failed) == ({message.key}, False)


def test_what_still_waits_is_waited_for_however_short_the_journal_is(daemon, bus, monkeypatch):
    [message] = daemon.send(WEEKLY)
    daemon.trim(monkeypatch)
    watched = Watched({message.key})
    assert not follow(bus, watched, begin_of(bus), left_s=looks(3))
    assert follow(bus, watched, begin_of(bus), left_s=looks(9, lambda: daemon.work("report")))
    assert watched.forgotten == set()


@pytest.mark.parametrize(("result", "failed"), [("complete", False), ("error", True)])
def test_a_retry_is_waited_for_though_the_journal_has_forgotten_its_first_try(
    daemon, bus, monkeypatch, result, failed
):
    [message] = daemon.send(WEEKLY)
    daemon.work("report", "error")
    daemon.trim(monkeypatch)
    watched = Watched({message.key})
    assert not follow(bus, watched, begin_of(bus), left_s=looks(3))
    watched = Watched({message.key})
    assert follow(bus, watched, begin_of(bus), left_s=looks(9, lambda: daemon.work("report", result)))
    assert (watched.failed, watched.forgotten) == (failed, set())


def test_a_retry_whose_end_alone_is_told_is_known_as_ours(daemon, bus, monkeypatch):
    [message] = daemon.send(WEEKLY)
    daemon.work("report", "error")
    daemon.trim(monkeypatch)
    daemon.work("report", "error")
    watched = Watched({message.key})
    assert follow(bus, watched, begin_of(bus), left_s=looks(3))
    assert (watched.failed, watched.forgotten) == (True, set())


def test_a_dead_letter_tells_of_the_failure_that_the_journal_has_forgotten(daemon, bus, monkeypatch):
    [message] = daemon.send(WEEKLY)
    daemon.work("report", "error")
    daemon.work("report", "error")
    daemon.trim(monkeypatch)
    watched = Watched({message.key})
    assert follow(bus, watched, begin_of(bus), left_s=looks(3))
    assert (watched.failed, watched.forgotten) == (True, {message.key})


def test_what_was_cancelled_counts_as_failed(bus):
    bus.publish([Message("x", Task(type="x", info=""), key="k")])
    bus.cancel(["k"])
    watched = Watched({"k"})
    assert follow(bus, watched, 0, left_s=looks(3))
    assert watched.failed


@pytest.mark.parametrize(
    ("fact", "told"),
    [
        (Fact(FactKind.QUARANTINED, key="k", text="the message is not JSON"), "the message is not JSON"),
        (Fact(FactKind.CANCELLED, key="k"), "cancelled"),
    ],
)
def test_one_who_waits_hears_why_nobody_did_the_task(bus, capsys, fact, told):
    bus.publish([Message("x", Task(type="x", info=""), key="k")])
    held = bus.claim(["x"], "w", 1)
    bus.commit(Plan(facts=(fact,)), acknowledge=held)
    assert _wait(bus, {"k"}, 0, Options(), SystemClock(), "") == ANSWER_IS_BAD
    assert capsys.readouterr().err.endswith(f"s: {told}\n")


def test_a_failure_of_somebody_else_is_not_ours(bus):
    bus.publish([Message("x", Task(type="x", info=""), key="k")])
    [held] = bus.claim(["x"], "w", 1)
    facts = (Fact(FactKind.DEAD, key="other"), Fact(FactKind.DONE, key="k", task=held.task()))
    bus.commit(Plan(facts=facts), acknowledge=[held])
    watched = Watched({"k"})
    assert follow(bus, watched, 0, left_s=looks(3))
    assert not watched.failed


def test_waiting_tells_what_is_missing_for_the_task_to_end():
    bus = MemoryBus()
    assert [words.split(" ")[1] for words in lonely(bus, ["load"])] == ["worker", "taskmaster"]
    bus.beat(Presence("w", "worker", "h", 1, topics=("load",)))
    bus.beat(Presence("t", "taskmaster", "h", 1))
    assert lonely(bus, ["load"]) == []


ROW_LIMIT = 1 << 20


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return resolve({}, None, tmp_path)


def waiting(settings) -> int:
    with closing(bus_at(settings.bus, by="test")) as bus:
        return sum(state.waiting for state in bus.topics())


def test_a_row_that_no_bus_takes_is_refused_with_its_place_before_any_is_sent(tmp_path, settings, capsys):
    rows = tmp_path / "rows.jsonl"
    for info, fits in (("\x01" * (ROW_LIMIT // 6), False), ("x" * ROW_LIMIT, False), ("x" * 1_040_000, True)):
        rows.write_text("".join(f"{json.dumps({'info': each})}\n" for each in ("a", info)))
        assert run(settings, "nobody", "", Options(from_file=str(rows))) == (0 if fits else 2)
        told = capsys.readouterr().err
        assert (f"{rows}:2: the task would have" in told) != fits
        assert waiting(settings) == (2 if fits else 0)


def test_what_ends_a_send_in_the_middle_leaves_it_said_how_many_were_sent(
    tmp_path, settings, capsys, monkeypatch
):
    rows = tmp_path / "rows"
    rows.write_text("".join(f"{n}\n" for n in range(1_200)))
    commit, landed = SqliteBus.commit, []

    def interrupted(self, *given, **more):
        if landed:
            raise KeyboardInterrupt
        landed.append(commit(self, *given, **more))

    monkeypatch.setattr(SqliteBus, "commit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(settings, "nobody", "", Options(from_file=str(rows)))
    assert (
        "only 500 of 1200 tasks were sent, the first ones; another time with --key" in capsys.readouterr().err
    )
    assert waiting(settings) == 500


@pytest.mark.parametrize(
    ("info", "note"),
    [
        ('{"path": "in/a.csv"}', "note: what its file starts is told by: flowlord files"),
        ("in/a.csv", "note: it is no notice about a file, and goes to quarantine: the message is not JSON"),
        ('{"pat": "in/a.csv"}', "the message names no file"),
    ],
)
def test_what_becomes_of_a_notice_is_said_when_it_is_sent(tmp_path, monkeypatch, capsys, info, note):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "w.toml").write_text(FLOW)
    settings = resolve({}, {"FLOWLORD_FILE_TOPIC": "files"}, tmp_path)
    assert run(settings, "files", info, Options()) == 0
    told = capsys.readouterr().err
    assert note in told
    assert "no workflow has a phase" not in told
