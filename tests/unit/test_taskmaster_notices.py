"""Notices that nobody should send, and what the loop that hears them makes of them."""

from __future__ import annotations

import pytest

from flowlord.model.errors import BusUnavailable
from flowlord.model.message import Message
from flowlord.model.plan import FactKind
from flowlord.model.task import Task
from flowlord.taskmaster.notices import NoticeLoop
from support.farm import Farm
from support.flows import flows_of

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
