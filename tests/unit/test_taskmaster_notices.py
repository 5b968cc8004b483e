"""Notices that nobody should send, and what the loop that hears them makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Message
from flowlord.model.plan import FactKind
from flowlord.model.task import Task
from flowlord.storage.open import Storage
from flowlord.storage.port import Access
from flowlord.taskmaster.files import FileLoop, Watching
from flowlord.taskmaster.notices import NoticeLoop
from support.farm import Farm
from support.flows import flows_of
from support.object_servers import ObjectServer, bucket_on, shared_gcs

FLOWS = {"f.toml": [{"task": "load", "rule": "files=gs://b/*.csv", "template": "{meta:file}"}]}


def heard(farm: Farm, *notices: str) -> list[str]:
    """Send notices as the info of tasks, let them be heard, and return what is started."""
    farm.bus.publish(
        [
            Message("files", Task(type="files", info=info), f"n{farm.clock.monotonic_ns()}-{n}")
            for n, info in enumerate(notices)
        ]
    )
    farm.clock.advance(1)
    loop = NoticeLoop(farm.daemon(flows_of(FLOWS)), "files")
    while loop.step(0.0):
        pass
    return [delivery.task().info for delivery in farm.bus.claim(["load"], "w", 100)]


@pytest.mark.parametrize("version", ["a,b", "v" * 10_000])
def test_a_version_that_a_list_cannot_hold_still_starts_its_file_once(version: str) -> None:
    farm = Farm()
    notice = f'{{"path": "gs://b/x.csv", "size": 3, "checksum": "{version}"}}'
    assert heard(farm, notice, notice) == ["gs://b/x.csv"]
    assert heard(farm, notice) == []
    assert max(len(value) for value in farm.bus.marks_like("file:").values()) < 500


def test_half_a_character_in_a_name_is_set_aside_and_the_next_notice_is_heard() -> None:
    farm = Farm()
    assert heard(farm, '{"path": "gs://b/\\ud800.csv"}', '{"path": "gs://b/y.csv"}') == ["gs://b/y.csv"]
    [reason] = farm.facts(FactKind.QUARANTINED)
    assert reason


def test_a_notice_that_was_sent_as_a_task_has_an_end_that_tells_what_it_started() -> None:
    farm = Farm()
    heard(farm, '{"path": "gs://b/x.csv"}', '{"path": "gs://b/x.txt"}')
    facts = [fact for entry in farm.bus.journal(0, 100) for fact in entry.facts]
    first, second = (
        fact.task for fact in facts if fact.kind is FactKind.DONE and fact.topic == "files" and fact.task
    )
    assert (first.result, first.msg) == ("complete", "gs://b/x.csv started load")
    assert (second.result, second.msg[:30]) == ("complete", "no phase matches gs://b/x.txt:")


def told_by(server: ObjectServer, path: str) -> str:
    """What Google tells of an object: its resource, as the JSON interface has it."""
    bucket, _, name = path.removeprefix("gs://").partition("/")
    address = f"{server.endpoint}/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
    with urlopen(address) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("first", ["notice", "listing"])
@pytest.mark.parametrize("whole", [True, False], ids=["with its md5", "composed of parts, without one"])
def test_a_file_of_google_starts_once_where_notices_are_heard_and_buckets_are_listed(
    first: str, whole: bool
) -> None:
    farm = Farm()
    with bucket_on(shared_gcs()) as root:
        flows = {"f.toml": [{"task": "load", "rule": f"files={root}/in/*.csv", "template": "{meta:file}"}]}
        around = farm.daemon(flows_of(flows))
        around.storage = shared_gcs().storage()
        notices = NoticeLoop(around, "files", lists=True)
        listing = FileLoop(around, Watching("files", poll_ns=1_000_000_000), buckets=True)
        listing.look()
        path = f"{root}/in/a.csv"
        for n in range(2):
            around.storage.write(path, f"content {n}".encode())
            told = json.loads(told_by(shared_gcs(), path))
            if not whole:
                del told["md5Hash"]
            farm.bus.publish([Message("files", Task(type="files", info=json.dumps(told)), f"n{n}")])
            farm.clock.advance(5)
            loops = (notices.step, listing.look) if first == "notice" else (listing.look, notices.step)
            for _ in range(2):
                for loop in loops:
                    loop(0.0) if loop == notices.step else loop()
                farm.clock.advance(5)
            assert len(farm.bus.claim(["load"], "w", 100)) == 1


def test_the_same_content_written_again_starts_again_when_a_notice_tells_its_generation() -> None:
    farm = Farm()
    notice = {"id": "x", "bucket": "b", "name": "x.csv", "md5Hash": "XUFAKrxLKna5cZ2REBfFkg=="}
    one, two = (json.dumps(notice | {"generation": each}) for each in ("1", "2"))
    assert heard(farm, one, one) == ["gs://b/x.csv"]
    assert heard(farm, two, one) == ["gs://b/x.csv"]


def test_files_that_wait_for_a_marker_by_name_start_when_its_notice_comes_or_at_once_behind_it(
    tmp_path: Path,
) -> None:
    farm = Farm()
    rule = f"files={tmp_path}/**/*.csv&marker=_SUCCESS"
    flows = {"f.toml": [{"task": "load", "rule": rule, "template": "{meta:filename}"}]}
    loop = NoticeLoop(farm.daemon(flows_of(flows)), "files")

    def come(*names: str) -> list[str]:
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(name)
        infos = [json.dumps({"path": str(tmp_path / name), "checksum": name}) for name in names]
        key = farm.clock.monotonic_ns()
        farm.bus.publish(
            [Message("files", Task(type="files", info=info), f"{key}-{n}") for n, info in enumerate(infos)]
        )
        farm.clock.advance(1)
        loop.step(0.0)
        return sorted(delivery.task().info for delivery in farm.bus.claim(["load"], "w", 100))

    assert come("day1/a.csv", "day1/b.csv", "day2/c.csv") == []
    assert come("day1/_SUCCESS") == ["a.csv", "b.csv"]
    assert come("day1/_SUCCESS") == []
    assert come("day1/late.csv") == ["late.csv"]
    assert come("other.txt") == []


def test_the_marker_of_a_file_may_be_told_before_the_file(tmp_path: Path) -> None:
    farm = Farm()
    (tmp_path / "x.csv").write_text("1")
    (tmp_path / "x.csv.done").write_text("")
    rule = f"files={tmp_path}/*.csv&marker=.done"
    flows = {"f.toml": [{"task": "load", "rule": rule, "template": "{meta:file}"}]}
    for name in ("x.csv.done", "x.csv"):
        info = json.dumps({"path": f"{tmp_path}/{name}", "checksum": name})
        farm.bus.publish([Message("files", Task(type="files", info=info), name)])
    NoticeLoop(farm.daemon(flows_of(flows)), "files").step(0.0)
    assert len(farm.bus.claim(["load"], "w", 100)) == 1


def test_a_marker_in_a_folder_that_cannot_be_listed_from_here_is_told() -> None:
    farm = Farm()
    rule = "files=s3://nowhere.example/in/*.csv&marker=_SUCCESS"
    flows = {"f.toml": [{"task": "load", "rule": rule, "template": "{meta:file}"}]}
    around = farm.daemon(flows_of(flows))
    around.storage = Storage(Access(endpoint="http://127.0.0.1:9", access_key="a", secret_key="b"))
    info = '{"path": "s3://nowhere.example/in/_SUCCESS", "checksum": "1"}'
    farm.bus.publish([Message("files", Task(type="files", info=info), "n")])
    NoticeLoop(around, "files").step(0.0)
    [alert] = farm.facts(FactKind.ALERT)
    assert "s3://nowhere.example/in/_SUCCESS has come, but what it marks cannot be listed" in alert


@pytest.mark.parametrize("path", ["gs:///b", "s3:///in/b.csv"])
def test_a_notice_that_names_no_bucket_is_set_aside(path: str) -> None:
    farm = Farm()
    assert heard(farm, json.dumps({"path": path})) == []
    assert heard(farm, '{"id": "x", "bucket": "", "name": "b", "generation": "1"}') == []
    assert len(farm.facts(FactKind.QUARANTINED)) == 2


def test_groups_that_a_daemon_left_behind_are_taken_up_within_a_minute() -> None:
    farm = Farm()
    rule = "files=gs://b/*.csv&group={yyyy}&settle=1s"
    flows = {"f.toml": [{"task": "load", "rule": rule, "template": "{meta:count}"}]}
    survivor = NoticeLoop(farm.daemon(flows_of(flows), "d2", 2), "files")
    survivor.step(0.0)
    task = Task(type="files", info='{"path": "gs://b/x.csv", "size": 3, "checksum": "a"}')
    farm.bus.publish([Message("files", task, "n1")])
    NoticeLoop(farm.daemon(flows_of(flows)), "files").step(0.0)  # and is no more
    farm.clock.advance(61)
    survivor.step(0.0)
    farm.clock.advance(2)
    survivor.step(0.0)
    assert [delivery.task().info for delivery in farm.bus.claim(["load"], "w", 100)] == ["1"]


def test_a_group_for_which_the_bus_was_away_starts_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    farm = Farm()
    rule = "files=gs://b/*.csv&group={yyyy}&settle=1s"
    flows = {"f.toml": [{"task": "load", "rule": rule, "template": "{meta:count}"}]}
    loop = NoticeLoop(farm.daemon(flows_of(flows)), "files")
    task = Task(type="files", info='{"path": "gs://b/x.csv", "size": 3, "checksum": "a"}')
    farm.bus.publish([Message("files", task, "n1")])
    loop.step(0.0)
    farm.clock.advance(60)

    def away(commits: object) -> None:
        raise BusUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(farm.bus, "commit_many", away)
        with pytest.raises(BusUnavailable):
            loop.step(0.0)
    loop.step(0.0)
    assert [delivery.task().info for delivery in farm.bus.claim(["load"], "w", 100)] == ["1"]


def test_what_is_told_of_an_object_without_a_new_content_starts_nothing_and_is_recorded() -> None:
    """Where the mark of the object has lapsed nothing else would tell that it is an old one."""
    farm = Farm()
    record = {"s3": {"bucket": {"name": "b"}, "object": {"key": "x.csv", "eTag": "e"}}}
    flows = flows_of({"f.toml": [{"task": "load", "rule": "files=s3://b/*.csv", "template": "x"}]})
    told = [
        json.dumps({"Records": [record | {"eventName": name}]})
        for name in ("ObjectTagging:Put", "ObjectRestore:Post")
    ]
    farm.bus.publish([Message("files", Task(type="files", info=each), each[-30:]) for each in told])
    NoticeLoop(farm.daemon(flows), "files").step(0.0)
    assert farm.bus.claim(["load"], "w", 9) == []
    assert farm.facts(FactKind.FILE) == [
        "s3://b/x.csv told of ObjectTagging:Put, which starts nothing",
        "s3://b/x.csv told of ObjectRestore:Post, which starts nothing",
    ]
