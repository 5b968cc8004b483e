"""What the flags that choose tasks mean."""

from datetime import UTC, datetime

import pytest

from flowlord.cache.attempt import FAILED, State
from flowlord.cli.taskfilter import Chosen
from flowlord.cli.taskflags import TaskFlags
from flowlord.model.errors import FlowlordError

NOW = datetime(2026, 8, 2, 12, 30, 15, tzinfo=UTC)


def test_every_flag_has_a_meaning():
    assert set(TaskFlags.__annotations__) | {"id"} == set(Chosen.__struct_fields__)


@pytest.mark.parametrize(
    ("chosen", "typed"),
    [
        ({"failed": True}, "--failed"),
        (
            {"state": "dead,lost", "since": "24h", "topic": "load"},
            "--state dead,lost --topic load --since 24h",
        ),
        (
            {"from_": "2026-08-01", "info": "s3://*/a b", "error": "-x"},
            "--info 's3://*/a b' --from 2026-08-01 --error=-x",
        ),
        ({"lost": True, "since": "-6h", "error": "it's"}, """--lost --since=-6h --error 'it'"'"'s'"""),
        ({}, ""),
    ],
)
def test_what_was_chosen_can_be_typed_again(chosen, typed):
    assert Chosen(**chosen).flags() == typed


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"failed": True}, {"states": FAILED}),
        (
            {"waiting": True, "state": "dead, Warn"},
            {"states": {State.WAITING, State.LATER, State.DEAD, State.WARN}},
        ),
        (
            {"from_": "2026-08-01", "to": "2026-08-01"},
            {"moment_from": "2026-08-01T00", "moment_to": "2026-08-02T00"},
        ),
        ({"from_": "2026-08-01T05:30"}, {"moment_from": "2026-08-01T05:30"}),
        ({"from_": "-24h"}, {"moment_from": "2026-08-01T12:30:15"}),
        ({"since": "1h"}, {"since_us": 1_785_670_215_000_000}),
        ({"error": "x", "batch": "b", "info": "*"}, {"error": "x", "batch": "b", "info": "*"}),
    ],
)
def test_words_become_a_filter(chosen, expected):
    wanted = Chosen(**chosen).wanted(NOW)
    assert {name: getattr(wanted, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("chosen", "word"),
    [
        ({"state": "faild"}, "failed"),
        ({"state": "x" * 10_000_000}, "write some of"),
        ({"since": "tomorow"}, "write 24h"),
        ({"from_": "9" * 10_000_000}, "write 24h"),
        ({"info": "*" * 9}, "8 stars"),
        ({"info": "a" * 10_000_000}, "1000 characters"),
        ({"info": "a[b"}, "[[]"),
    ],
)
def test_words_that_mean_nothing_are_told_shortly(chosen, word):
    with pytest.raises(FlowlordError) as told:
        Chosen(**chosen).wanted(NOW)
    assert word in f"{told.value} {told.value.hint}" or word == "failed"
    assert len(str(told.value)) < 500


@pytest.mark.parametrize(
    ("chosen", "hour"),
    [
        ({"from_": "2026-11-27T17:11", "to": "2026-11-27T17:11"}, "--from 2026-11-27T17"),
        ({"to": "2026-11-27T17:11:05Z"}, "--to 2026-11-27T17"),
        ({"from_": "2026-11-27T17:00", "to": "2026-11-27"}, ""),
        ({"from_": "-24h", "since": "2026-11-27T17:11"}, ""),
    ],
)
def test_a_data_time_that_is_more_exact_than_they_are_kept_is_told_with_its_hour(chosen, hour):
    told = Chosen(**chosen).by_the_hour()
    assert told.endswith(hour)
    assert bool(told) == bool(hour)
