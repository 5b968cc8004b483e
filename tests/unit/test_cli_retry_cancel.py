"""Sending again and taking back: what is chosen, what becomes of each, and that twice is once."""

import json

import pytest

from flowlord.bus.open import open_bus
from flowlord.cli import cancel, retry
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING, NOT_CONFIRMED, WRONG_USE
from flowlord.cli.printer import Look
from flowlord.cli.taskfilter import Chosen
from flowlord.cli.trace import run as trace
from flowlord.cli.why import run as why
from flowlord.config import resolve
from flowlord.model.crashpoint import arm
from flowlord.model.errors import FlowlordError
from flowlord.model.message import Message
from flowlord.model.plan import Fact, FactKind, Plan
from flowlord.model.task import MAX_TASK_BYTES, Task
from flowlord.rules.rates import every_us_of
from support.place import Place

FLOW = """
[[phase]]
task = "extract:users"
rule = "cron=@yearly&retry_delay=30s&timeout=5m&overlap=skip"
retry = 1
[[phase]]
task = "load:users"
dependsOn = "extract:users"
"""


class Desk(Place):
    """A place where commands act, by its own clock."""

    def __init__(self, folder, capsys):
        super().__init__(folder)
        (folder / "daily.toml").write_text(FLOW)
        flags = {"bus": self.where.address, "cache": self.cache, "workflows": str(folder / "daily.toml")}
        self.settings = resolve(flags, {}, folder)
        self._capsys = capsys
        self.err = ""

    def act(self, command, *names, yes=False, dry_run=False, reason="", reset_tries=False, rate="", **chosen):
        look = Look("json")
        options = (
            retry.Options(reset_tries, rate, reason, yes, dry_run, look)
            if command is retry
            else cancel.Options(reason, yes, dry_run, look)
        )
        code = command.run(self.settings, None, names, Chosen(**chosen), options, clock=self.clock)
        out, self.err = self._capsys.readouterr()
        return code, json.loads(out) if out else []

    def fail(self, *numbers, msg="no luck"):
        """Let these tasks fail until they are dead."""
        for n in numbers:
            self.send(n)
            for _ in range(2):
                self.work("error", msg)
                self.clock.advance(60)
                self.bus.promote()

    def facts(self, *kinds):
        return [fact for entry in self.bus.journal(0, 9_999) for fact in entry.facts if fact.kind in kinds]

    def waiting(self, topic="extract"):
        return [each for each in self.bus.peek(topic, 99) if each.state != "running"]


@pytest.fixture
def desk(tmp_path, capsys, monkeypatch):
    found = Desk(tmp_path, capsys)

    def opened(where, *, by):
        return open_bus(where.address, by=by, clock=found.clock)

    monkeypatch.setattr("flowlord.cli.retry.bus_at", opened)
    monkeypatch.setattr("flowlord.cli.cancel.bus_at", opened)
    yield found
    if found._bus is not None:
        found._bus.close()


def results(rows):
    return [row["result"] for row in rows]


def test_a_dead_task_is_sent_again_once_in_its_run_and_its_letter_is_gone(desk):
    desk.fail(1)
    assert len(desk.waiting("retry-failed")) == 1
    code, [row] = desk.act(retry, "@failed", reason="quota was raised")
    assert (code, row["result"], row["task"]) == (DONE, "sent", "extract:users")
    [again] = desk.waiting()
    assert again.key == row["new_key"]
    assert json.loads(again.payload)["id"] == row["id"]
    assert "retry=2" in json.loads(again.payload)["meta"]
    assert desk.waiting("retry-failed") == []
    [*_, told] = desk.facts(FactKind.RETRY)
    assert told.key == row["key"]
    assert "sent again by" in told.text
    assert told.text.endswith(": quota was raised")
    code, [twice] = desk.act(retry, row["id"])
    assert (code, twice["result"], twice["text"]) == (DONE, "already sent", "it is waiting")
    assert len(desk.waiting()) == 1
    assert desk.act(retry, failed=True, yes=True) == (DONE, [])
    assert "no such tasks" in desk.err


def test_it_holds_its_phase_open_and_has_the_time_that_its_phase_gives(desk):
    desk.fail(1)
    desk.act(retry, "@failed")
    assert desk.bus.open_counts(["phase:daily.toml:extract:users"]) == {"phase:daily.toml:extract:users": 1}
    [held] = desk.bus.claim(["extract"], "w", 1)
    assert held.timeout_ns == 300 * 10**9


def test_what_failed_once_more_may_be_sent_once_more(desk):
    desk.fail(1)
    _, [first] = desk.act(retry, "@failed")
    desk.work("error", "again no luck")
    code, [second] = desk.act(retry, first["id"])
    assert (code, second["result"], second["key"]) == (DONE, "sent", first["new_key"])
    assert second["new_key"] not in (first["new_key"], first["key"])
    assert len(desk.facts(FactKind.DEAD)) == 2, "its phase has no tries left"


def test_with_reset_tries_the_phase_tries_again_by_itself(desk):
    desk.fail(1)
    desk.act(retry, "@failed", reset_tries=True)
    assert "retry" not in json.loads(desk.waiting()[0].payload)["meta"]
    desk.work("error", "again no luck")
    assert len(desk.facts(FactKind.DEAD)) == 1
    assert [each.state for each in desk.waiting()] == ["later"]


def test_two_who_send_the_same_again_at_once_send_it_once(desk, monkeypatch):
    desk.fail(1)
    real = retry._commit

    def somebody_was_faster(of, *rest):
        commit = real(of, *rest)
        desk.bus.commit(commit.plan, marks=commit.marks)
        monkeypatch.setattr(retry, "_commit", real)
        return real(of, *rest)

    monkeypatch.setattr(retry, "_commit", somebody_was_faster)
    code, [row] = desk.act(retry, "@failed")
    assert (code, row["result"], row["text"]) == (DONE, "already sent", "it is waiting")
    assert [each.key for each in desk.waiting()] == [row["new_key"]]


def test_filters_are_shown_first_and_nobody_in_a_pipe_says_yes(desk):
    desk.fail(1, 2)
    desk.fail(3, msg="other")
    code, rows = desk.act(retry, failed=True)
    assert (code, results(rows)) == (NOT_CONFIRMED, ["would be sent"] * 3)
    assert desk.waiting() == []
    assert "3 tasks: extract:users 3" in desk.err
    assert "2 of them: no luck" in desk.err
    assert "-y" in desk.err
    assert results(desk.act(retry, failed=True, dry_run=True)[1]) == ["would be sent"] * 3
    assert results(desk.act(retry, "@failed", dry_run=True)[1]) == ["would be sent"]
    assert desk.waiting() == []
    code, rows = desk.act(retry, error="LUCK", yes=True)
    assert (code, results(rows)) == (DONE, ["sent", "sent"])
    assert "2 sent, 0 refused" in desk.err


@pytest.mark.parametrize(
    ("answer", "code", "sent"), [("y\n", DONE, 1), ("n\n", NOT_CONFIRMED, 0), ("", NOT_CONFIRMED, 0)]
)
def test_a_person_is_asked(desk, monkeypatch, answer, code, sent):
    desk.fail(1)

    class Terminal:
        @staticmethod
        def isatty():
            return True

        @staticmethod
        def readline():
            return answer

    monkeypatch.setattr("flowlord.cli.people.sys.stdin", Terminal)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert desk.act(retry, failed=True)[0] == code
    assert len(desk.waiting()) == sent


def test_at_a_rate_each_has_its_own_time(desk):
    desk.fail(1, 2, 3)
    desk.act(retry, failed=True, yes=True, rate="30/m")
    now_us = desk.bus.now_us()
    assert sorted(max(0, each.due_us - now_us) for each in desk.waiting()) == [0, 2_000_000, 4_000_000]


def test_what_has_not_ended_or_is_complete_is_refused(desk):
    desk.send(1)
    code, [row] = desk.act(retry, "00000001")
    assert (code, row["result"]) == (ANSWER_IS_BAD, "refused")
    assert "not ended" in row["text"]
    desk.work()
    code, [row] = desk.act(retry, "00000001")
    assert (code, row["result"]) == (ANSWER_IS_BAD, "refused")
    assert "-y" in row["text"]
    code, [row] = desk.act(retry, "00000001", yes=True)
    assert (code, row["result"]) == (DONE, "sent")


def test_waiting_tasks_are_taken_back_once(desk):
    desk.send(1)
    desk.send(2)
    desk.send(3, topic="load")
    code, rows = desk.act(cancel, topic="extract")
    assert (code, results(rows)) == (NOT_CONFIRMED, ["would be cancelled"] * 2)
    assert "2 waiting: extract:users 2" in desk.err
    code, rows = desk.act(cancel, topic="extract", yes=True, reason="wrong dates")
    assert (code, results(rows)) == (DONE, ["cancelled", "cancelled"])
    assert (desk.waiting(), len(desk.waiting("load"))) == ([], 1)
    assert all(fact.text.endswith(": wrong dates") for fact in desk.facts(FactKind.CANCELLED))
    assert desk.act(cancel, topic="extract", yes=True) == (DONE, [])
    code, [row] = desk.act(cancel, "00000001")
    assert (code, row["result"]) == (DONE, "already cancelled")
    code, [row] = desk.act(retry, "00000001")
    assert (code, row["result"]) == (DONE, "sent")


def test_what_runs_is_not_taken_back_and_what_has_ended_neither(desk):
    desk.send(1)
    desk.bus.claim(["extract"], "w1", 1)
    code, [row] = desk.act(cancel, "00000001")
    assert (code, row["result"]) == (ANSWER_IS_BAD, "refused")
    assert "runs on w1" in row["text"]
    desk.send(2)
    desk.work()
    code, [row] = desk.act(cancel, f"{2:032x}")
    assert (code, row["text"]) == (ANSWER_IS_BAD, "it has ended: it is complete")


def test_the_id_of_a_run_means_what_failed_or_waits_in_it_and_not_its_healthy_first_task(desk):
    desk.send(1)
    desk.work()
    code, [row] = desk.act(cancel, "00000001")
    assert (code, row["result"], row["task"]) == (DONE, "cancelled", "load:users")


@pytest.mark.parametrize("command", [retry, cancel])
def test_nothing_named_unknown_ones_and_words_without_meaning(desk, command):
    assert desk.act(command) == (WRONG_USE, [])
    assert desk.act(command, "nope") == (NO_SUCH_THING, [])
    assert desk.act(command, "k" * 10_000_000)[0] == NO_SUCH_THING
    assert len(desk.err) < 500
    for chosen in ({"state": "nope"}, {"since": "nope"}):
        with pytest.raises(FlowlordError):
            desk.act(command, **chosen)
    assert desk.act(command, info="' OR 1=1; DROP TABLE tasks --", yes=True)[0] == DONE


@pytest.mark.parametrize(
    ("text", "us"), [("20/m", 3_000_000), ("5/s", 200_000), ("100/h", 36_000_000), ("5/10m", 120_000_000)]
)
def test_rates(text, us):
    assert every_us_of(text) == us


@pytest.mark.parametrize("text", ["", "20", "0/m", "-1/m", "m", "1/", "x/m", "9" * 10_000_000 + "/s", "²/m"])
def test_what_is_no_rate_is_told(text):
    with pytest.raises(FlowlordError) as told:
        every_us_of(text)
    assert len(str(told.value)) < 200


def test_a_task_that_outgrows_a_message_is_refused_and_hinders_no_other(desk):
    for n, size in ((1, 1), (2, MAX_TASK_BYTES - 164), (3, 1)):
        desk.send(n, info="x" * size)
        desk.work("warn")  # what is sent again tells that in its meta
    code, rows = desk.act(retry, state="warn", yes=True)
    assert code == ANSWER_IS_BAD
    assert sorted(results(rows)) == ["refused", "sent", "sent"]
    assert "cannot be sent again" in next(row["text"] for row in rows if row["result"] == "refused")


class Killed(BaseException):
    """Stands for a signal that nobody hears."""


def test_a_retry_that_was_killed_before_the_letters_went_is_finished_by_the_next(desk):
    desk.fail(1, 2, 3)
    desk.fail(4, msg="another reason")

    def die(name):
        if name == "retry.sent":
            raise Killed

    arm(die)
    try:
        with pytest.raises(Killed):
            desk.act(retry, error="no luck", yes=True)
    finally:
        arm(None)
    assert len(desk.waiting()) == 3
    assert len(desk.waiting("retry-failed")) == 4
    assert desk.act(retry, failed=True, dry_run=True)[0] == DONE
    assert len(desk.waiting("retry-failed")) == 4, "a preview changes nothing"
    code, rows = desk.act(retry, error="no luck", failed=True, yes=True)
    assert (code, rows) == (DONE, [])
    [letter] = desk.waiting("retry-failed")
    assert json.loads(letter.payload)["id"] == "00000004-run", "what nobody has dealt with stays"


def test_what_a_preview_tells_machines_is_what_is_done_then(desk):
    desk.fail(1, 2)
    code, foreseen = desk.act(retry, failed=True, dry_run=True)
    assert (code, results(foreseen)) == (DONE, ["would be sent"] * 2)
    _, done = desk.act(retry, failed=True, yes=True)
    assert results(done) == ["sent"] * 2
    assert [row["new_key"] for row in foreseen] == [row["new_key"] for row in done]


def alike(desk, *pairs):
    """Let tasks wait that have these keys and ids of runs."""
    for n, (key, run) in enumerate(pairs):
        created = f"2026-08-01T12:00:00.{n:06}Z"
        task = Task(type="extract", job="users", info=f"?n={n}", id=run, created=created)
        desk.bus.publish([Message("extract", task, key.ljust(32, "0"))])


def test_a_task_whose_run_nobody_knows_is_of_no_run_of_others(desk):
    """Of LATE or LOST alone, where the journal begins later, neither run nor words of the task are known."""
    lost = [
        Fact(FactKind.LOST, key=key.ljust(32, "0"), topic=topic) for key, topic in (("6a", "a"), ("7b", "b"))
    ]
    desk.bus.commit(Plan(facts=tuple(lost)))
    desk.follow()
    _, told = desk.act(retry, "6a/b", dry_run=True)
    assert "would be sent" not in results(told)
    assert not any(row["key"].startswith("7b") for row in told)


def test_a_shortened_id_means_the_key_that_lists_show_and_no_run_whose_id_begins_so(desk, capsys):
    alike(desk, ("08aa", "f1-run"), ("b7", "08bb-run"))
    assert desk.task("08", Look("json")) == DONE
    assert json.loads(capsys.readouterr().out)["key"].startswith("08aa")
    assert why(desk.settings, "08", Look("json"), clock=desk.clock) == DONE
    assert "(08aa0000)" in capsys.readouterr().out
    assert trace(desk.settings, "08", "json", Look(), up=False, down=True, clock=desk.clock) == DONE
    assert "08bb-run" not in capsys.readouterr().out
    _, [refused] = desk.act(retry, "08", dry_run=True)
    assert refused["id"] == "f1-run"
    code, [row] = desk.act(cancel, "08")
    assert (code, row["result"], row["id"]) == (DONE, "cancelled", "f1-run")
    code, [row] = desk.act(cancel, "08b")
    assert (row["result"], row["id"]) == ("cancelled", "08bb-run"), "where no key begins so, a run is meant"


@pytest.mark.parametrize(
    "pairs",
    [
        [("08aa", "08-run"), ("08bb", "f2-run")],
        [("a1", "08aa-run"), ("a2", "08bb-run")],
    ],
    ids=["keys", "runs"],
)
def test_what_may_mean_several_tasks_does_nothing_and_names_them(desk, capsys, pairs):
    alike(desk, *pairs)
    for act in (cancel, retry):
        assert desk.act(act, "08") == (WRONG_USE, [])
        assert "08 may mean 2 tasks" in desk.err
        assert "08aa" in desk.err
        assert "08bb" in desk.err
    assert len(desk.waiting()) == 2
    assert desk.task("08") == WRONG_USE
    assert why(desk.settings, "08", Look("json"), clock=desk.clock) == WRONG_USE
    assert trace(desk.settings, "08", "json", Look(), up=False, down=False, clock=desk.clock) == WRONG_USE
    out, err = capsys.readouterr()
    assert (out, err.count("08bb")) == ("", 3)


def test_an_id_that_is_whole_means_itself_whatever_begins_so(desk):
    alike(desk, ("a1", "08"), ("08bb", "f2-run"), ("08cc", "f3-run"))
    code, [row] = desk.act(cancel, "08")
    assert (code, row["id"]) == (DONE, "08")


def test_a_name_in_a_run_that_several_of_its_tasks_have_means_none_of_them(desk):
    alike(desk, ("a1", "one-run"), ("a2", "one-run"), ("b1", "two-run"))
    assert desk.act(cancel, "one/extract") == (WRONG_USE, [])
    assert len(desk.waiting()) == 3
    code, [row] = desk.act(cancel, "two/extract")
    assert (code, row["id"]) == (DONE, "two-run")
