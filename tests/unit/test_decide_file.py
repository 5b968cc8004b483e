"""What files start: gates, groups, versions and schedules, decided without a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowlord.decide.context import Context
from flowlord.decide.file import FileEvent, Timing, by_hand, decide_file, marks_of, on_deleted, on_quiet
from flowlord.decide.files import FilePhases
from flowlord.model.message import Message
from flowlord.model.paused import Pause, Paused
from flowlord.model.plan import Commit, FactKind, Mark
from flowlord.rules.metastring import parse_meta
from support.flows import flows_of
from vectors.cases import cases

NOW = datetime(2026, 3, 1, 12, 30, 30, tzinfo=UTC)


class Ledger:
    """Marks as a bus holds them, and what each file started."""

    def __init__(self, *rules: str, template: str = "{meta:file}", timing: Timing | None = None) -> None:
        listed = [{"task": f"t{n}", "rule": rule, "template": template} for n, rule in enumerate(rules)]
        self.phases = FilePhases.of(flows_of({"f.toml": listed}))
        self.marks: dict[str, str] = {}
        self.timing = timing
        self.ctx = Context(now=NOW)

    def commit(self, path: str, version: str = "v1", size: int = 10, source: str = "folder") -> Commit | None:
        event = FileEvent(path, version, size, source)
        matches = self.phases.matching(path)
        assert set(marks_of(event, matches))
        decided = decide_file(event, self.phases, matches, self.ctx, self.marks, self.timing)
        if decided is not None:
            self.take(decided.marks)
        return decided

    def take(self, marks: tuple[Mark, ...]) -> None:
        for mark in marks:
            assert self.marks.get(mark.key) == mark.seen
            assert mark.new is not None
            assert mark.ttl_s == 7 * 86_400
            self.marks[mark.key] = mark.new

    def starts(self, path: str, version: str = "v1", size: int = 10, source: str = "folder") -> list[str]:
        decided = self.commit(path, version, size, source)
        return [] if decided is None else [message.task.info for message in decided.plan.messages]

    def text(self, path: str, **given: Any) -> str:
        decided = self.commit(path, **given)
        assert decided is not None
        [fact] = [fact for fact in decided.plan.facts if fact.kind is FactKind.FILE]
        assert fact.file is not None
        assert fact.file.path == path
        return fact.text


def test_a_version_starts_a_phase_once_and_a_new_version_again():
    ledger = Ledger("files=/d/*")
    assert ledger.starts("/d/x", "v1") == ["/d/x"]
    assert ledger.commit("/d/x", "v1") is None
    assert ledger.starts("/d/x", "v2") == ["/d/x"]
    assert ledger.commit("/d/x", "v1") is None  # a late notice, or a backup put back
    assert ledger.starts("/d/y", "v1") == ["/d/y"]


@pytest.mark.parametrize("rule", ["files=/in/**", "files=/in/**&meta=k:1,2"])
def test_time_tokens_that_a_path_cannot_fill_stay_and_are_told(rule):
    ledger = Ledger(rule, template="{yyyy}")
    dated, other = ledger.commit("/in/2026/08/01/x.csv"), ledger.commit("/in/x.csv")
    assert {message.task.info for message in dated.plan.messages} == {"2026"}
    assert {message.task.info for message in other.plan.messages} == {"{yyyy}"}
    skipped = [[fact for fact in each.plan.facts if fact.kind is FactKind.SKIPPED] for each in (dated, other)]
    assert skipped[0] == []
    [told] = skipped[1]
    assert "without a known time" in told.text
    assert told.key == other.plan.messages[0].key


def test_with_on_rewrite_ignore_a_path_starts_once():
    ledger = Ledger("files=/d/*&on_rewrite=ignore")
    assert ledger.starts("/d/x", "v1") == ["/d/x"]
    assert ledger.commit("/d/x", "v2") is None
    assert ledger.starts("/d/y", "v1") == ["/d/y"]


def test_versions_are_remembered_up_to_a_bound():
    ledger = Ledger("files=/d/*")
    for n in range(40):
        assert ledger.starts("/d/x", f"v{n}") == ["/d/x"]
    assert max(map(len, ledger.marks.values())) < 100


def test_only_the_phases_that_do_not_know_a_file_start():
    ledger = Ledger("files=/d/*.csv", "files=/d/x*")
    assert len(ledger.starts("/d/x.csv")) == 2
    [first, second] = ledger.phases.phases
    event = FileEvent("/d/y.csv", "v1", 1)
    ledger.marks |= dict.fromkeys(marks_of(event, ledger.phases.matching("/d/y.csv")), "v1")
    assert (first.phase.name, second.phase.name) == ("t0", "t1")
    assert ledger.commit("/d/y.csv") is None


def test_five_files_make_one_start_when_five_are_asked_for():
    ledger = Ledger("files=/d/*.gz&count=5", template="{meta:filename} {meta:dir} {meta:count}")
    for n in range(4):
        assert ledger.text(f"/d/{n}.gz") == f"/d/{n}.gz counts in its group: t0 has {n + 1} of 5"
    assert ledger.commit("/d/3.gz", "v2") is None  # one that is written again counts once
    assert ledger.starts("/d/4.gz") == ["4.gz /d 5"]
    for n in range(5, 9):
        assert ledger.starts(f"/d/{n}.gz") == []
    assert ledger.starts("/d/9.gz") == ["9.gz /d 5"]
    one_more = ledger.commit("/d/10.gz")
    assert one_more is not None
    assert [fact.file.state for fact in one_more.plan.facts if fact.file] == ["counted"]


def test_files_of_several_folders_count_apart():
    ledger = Ledger("files=/d/*/*.gz&count=2", template="{meta:dir}")
    assert [ledger.starts(f"/d/{folder}/{n}.gz") for n in "12" for folder in "ab"] == [
        [],
        [],
        ["/d/a"],
        ["/d/b"],
    ]


def test_files_whose_paths_tell_the_same_day_count_together():
    ledger = Ledger(
        "files=/d/*/*/*/*/x&count=3&group={yyyy}-{mm}-{dd}", template="{yyyy}-{mm}-{dd} {meta:dir}"
    )
    assert ledger.starts("/d/2026/08/01/00/x") == []
    assert ledger.starts("/d/2026/08/02/00/x") == []
    assert ledger.starts("/d/2026/08/01/01/x") == []
    assert ledger.starts("/d/2026/08/01/02/x") == ["2026-08-01 /d/2026/08/01/02"]


def test_a_group_without_a_count_starts_once_when_it_has_been_quiet():
    ledger = Ledger("files=/d/*&group={yyyy}-{mm}-{dd}", template="{meta:filename} {meta:count}")
    [rules] = ledger.phases.phases
    for name in "abc":
        assert ledger.starts(f"/d/{name}") == []
    [(name, value)] = [pair for pair in ledger.marks.items() if pair[0].startswith("group:")]
    assert json.loads(value)["files"] == 3
    decided = on_quiet(rules, name, value, ledger.ctx)
    assert decided is not None
    assert [message.task.info for message in decided.plan.messages] == ["c 3"]
    ledger.take(decided.marks)
    assert on_quiet(rules, name, ledger.marks[name], ledger.ctx) is None
    ledger.starts("/d/e")
    again = on_quiet(rules, name, ledger.marks[name], ledger.ctx)
    assert again is not None
    assert [message.task.info for message in again.plan.messages] == ["e 1"]


@pytest.mark.parametrize(
    ("rule", "path", "starts"),
    [
        ("files=/d/*&ignore=*.bak", "/d/x.bak", False),
        ("files=/d/*&ignore=*.bak", "/d/x.bak2", True),
        ("files=/d/*/*&ignore=/d/old/*", "/d/old/x", False),
        ("files=/d/*/*&ignore=/d/old/*", "/d/new/old", True),
        ("files=/d/*&marker=.done", "/d/x.done", False),
        ("files=/d/*&marker=_SUCCESS", "/d/_SUCCESS", False),
        ("files=/d/*&marker=_SUCCESS", "/d/x", True),
        ("files=/d/*", "/d/.x", False),
        ("files=/d/*", "/d/x.tmp", False),
        ("files=/d/.*", "/d/.x", True),
    ],
)
def test_what_a_phase_leaves_out_is_no_file_of_it_and_nothing_to_tell(rule, path, starts):
    ledger = Ledger(rule)
    assert bool(ledger.phases.matching(path)) is starts
    assert ledger.phases.is_ignored(path) is not starts


def test_a_marker_is_a_suffix_or_a_name_in_the_folder():
    [suffix] = Ledger("files=/d/*&marker=.done").phases.phases
    [name] = Ledger("files=/d/*/*&marker=_SUCCESS").phases.phases
    [none] = Ledger("files=/d/*").phases.phases
    assert suffix.marker_of("/d/x.csv") == "/d/x.csv.done"
    assert name.marker_of("/d/a/x.csv") == "/d/a/_SUCCESS"
    assert none.marker_of("/d/x.csv") == ""


def test_a_file_that_is_too_small_is_told_and_starts_when_it_has_grown():
    ledger = Ledger("files=/d/*&min_size=1000")
    assert ledger.text("/d/x") == "/d/x starts nothing: f.toml:t0 wants at least 1000 bytes, it has 10"
    assert ledger.commit("/d/x") is None
    assert ledger.starts("/d/x", "v2", 2000) == ["/d/x"]


def test_an_unmatched_file_is_told_once_with_the_nearest_pattern():
    ledger = Ledger("files=/d/*.csv")
    assert ledger.text("/d/x.csv.gz") == (
        "no phase matches /d/x.csv.gz: nearest: /d/*.csv, which ends before '.gz'"
    )
    assert ledger.commit("/d/x.csv.gz") is None
    assert "no phase matches" in ledger.text("/d/x.csv.gz", version="v2")


def test_a_name_that_looks_like_a_template_is_text_and_can_be_read_back():
    ledger = Ledger("files=/d/*&owner=me", template="{meta:file}|{meta:owner}|{meta:x}")
    path = "/d/a {meta:owner}&x=1\n%41.csv"
    decided = ledger.commit(path)
    assert decided is not None
    [message] = decided.plan.messages
    assert message.task.info == f"{path}|me|"
    read = parse_meta(message.task.meta)
    assert read["file"] == [path]
    assert set(read) == {"file", "filename", "files", "owner", "workflow"}


def test_a_file_starts_a_batch_whose_rows_see_it():
    ledger = Ledger(
        "files=/d/*/*/*/x&meta=region:eu,us&for=-24h", template="{meta:file}?r={meta:region}&d={dd}"
    )
    path = "/d/2026/08/02/x"
    decided = ledger.commit(path)
    assert decided is not None
    messages: tuple[Message, ...] = decided.plan.messages
    assert [message.task.info for message in messages] == [
        f"{path}?r={region}&d={day}" for day in ("02", "01") for region in ("eu", "us")
    ]
    meta = parse_meta(messages[0].task.meta)
    assert (meta["file"], meta["region"], meta["cron"]) == ([path], ["eu"], ["2026-08-02T00"])
    assert len({message.key for message in messages}) == 4
    assert len({message.task.created for message in messages}) == 4


def test_a_batch_that_cannot_be_made_is_told_and_hinders_no_other_phase():
    ledger = Ledger("files=/d/*&meta-file=missing.csv", "files=/d/*")
    decided = ledger.commit("/d/x")
    assert decided is not None
    assert [message.topic for message in decided.plan.messages] == ["t1"]
    assert [fact.kind for fact in decided.plan.facts] == [FactKind.ALERT, FactKind.FILE]


def test_with_a_schedule_what_came_starts_at_its_next_instant():
    ledger = Ledger("files=/d/*&cron=0 * * * *")
    decided = ledger.commit("/d/x")
    assert decided is not None
    assert [message.due for message in decided.plan.messages] == [datetime(2026, 3, 1, 13, tzinfo=UTC)]
    overdue = Ledger("files=/d/*&cron=0 * * * *", timing=Timing(overdue=frozenset(["f.toml:t0"])))
    decided = overdue.commit("/d/x")
    assert decided is not None
    assert [message.due for message in decided.plan.messages] == [None]


def test_without_a_version_every_notice_is_an_event():
    ledger = Ledger("files=/d/*")
    assert ledger.starts("/d/x", "", source="topic") == ["/d/x"]
    assert ledger.starts("/d/x", "", source="topic") == ["/d/x"]


def test_a_paused_phase_is_left_out_with_the_command_that_starts_it():
    ledger = Ledger("files=/d/*", "files=/d/*")
    pause = Pause("f.toml:t0", since=NOW, by="ada")
    ledger.ctx = Context(now=NOW, paused=Paused((pause,)))
    decided = ledger.commit("/d/a b")
    assert decided is not None
    assert [message.topic for message in decided.plan.messages] == ["t1"]
    text = decided.plan.facts[-1].text
    assert text.startswith("/d/a b started t1, t0 is left out: ")
    assert text.endswith("To start it: flowlord files --rerun '/d/a b'")
    assert ledger.commit("/d/a b") is None
    until = NOW + timedelta(hours=1)
    ledger.ctx = Context(now=NOW, paused=Paused((Pause("t0", since=NOW, until=until, catchup=True),)))
    decided = ledger.commit("/d/c")
    assert decided is not None
    assert [message.due for message in decided.plan.messages] == [until, None]


def test_a_deleted_file_is_recorded_and_starts_nothing():
    plan = on_deleted(FileEvent("s3://b/k", "v", 1))
    assert not plan.messages
    assert "was deleted" in plan.facts[0].text


def test_a_person_may_start_a_file_again_and_is_named():
    ledger = Ledger("files=/d/*", "files=/d/*&count=5")
    first = ledger.commit("/d/x")
    assert first is not None
    event = FileEvent("/d/x", "v1", 10, "hand")
    plan = by_hand(event, ledger.phases.matching("/d/x"), "7f", "ada@box", ledger.ctx)
    assert [message.topic for message in plan.messages] == ["t0", "t1"]
    assert plan.facts[-1].text == "/d/x started t0, t1 again, as ada@box asked"
    assert {message.key for message in first.plan.messages}.isdisjoint(m.key for m in plan.messages)


@pytest.mark.parametrize("case", cases("deviations", where="file_event"))
def test_the_deviations_of_file_events_are_as_they_are_told(case):
    wanted = {
        "meta job=j": lambda messages: parse_meta(messages[0].task.meta)["job"] == ["j"],
        "escaped meta": lambda messages: parse_meta(messages[0].task.meta)["file"] == ["/d/a b&c=d.gz"],
        "nothing is sent until five files matched": lambda messages: not messages,
        "task sent, no time known": lambda messages: messages[0].task.info == path,
        "both patterns apply": lambda messages: len(messages) == 1,
    }
    given = case["input"]
    files: dict[str, list[dict[str, Any]]] = {}
    for rule in given["rules"]:
        files.setdefault(rule["workflow"], []).append({k: v for k, v in rule.items() if k != "workflow"})
    phases = FilePhases.of(flows_of(files))
    path = json.loads(given["message"])["path"]
    decided = decide_file(FileEvent(path, "v"), phases, phases.matching(path), Context(now=NOW), {})
    assert decided is not None
    assert wanted[case["wanted"]](decided.plan.messages), case["wanted"]
