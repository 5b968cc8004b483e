"""The rows of `flowlord next`: as records, and as lines of tabs made the short way."""

from datetime import UTC, datetime, timedelta

import pytest

from flowlord.cli.nextrows import FIELDS, Rows, View
from flowlord.cli.texts import tsv_line
from flowlord.decide.ahead import ahead, scheduled
from flowlord.decide.context import Context
from flowlord.model.paused import Pause, Paused
from flowlord.model.workflow import Workflows
from support.flows import workflow

FIRST = datetime(2027, 3, 27, 22, 0, tzinfo=UTC)
PHASES = [
    {"task": "plain", "rule": "cron=0 * * * *&offset=-90m", "template": "{yy}/{mm}/{dd}T{hh}:{min} {ts} {host}"},
    {"task": "bare", "rule": "cron=0 */2 * * *"},
    {"task": "tab\tand\\:ü\u202e", "rule": "cron=30 * * * *", "template": "a\tb\\{slug}\n\u202e"},
    {"task": "zoned", "rule": "cron=30 2 * * *&tz=Europe/Berlin&until=2027-03-28", "template": "{slug}"},
    {"task": "batch", "rule": "cron=@daily&meta=a:1,2,3&for=-1d", "template": "{meta:a} {dd}"},
    {"task": "each", "rule": "cron=@every 55m", "template": "{uuid}"},
    {"task": "late", "rule": "cron=15 * * * *&jitter=2m", "template": "{hh}"},
    {"task": "faulty", "rule": "cron=45 * * * *&meta-file=gone", "template": "{yyyy}"},
    {"task": "files", "rule": "cron=0 0 * * *&files=/in/*.csv"},
]  # fmt: skip


@pytest.mark.parametrize(
    "view", [View(), View.asked("Asia/Kathmandu", local=False), View.asked("", local=True)]
)
@pytest.mark.parametrize("paused", [False, True])
def test_lines_made_the_short_way_say_what_the_records_say(view, paused):
    entries = scheduled(Workflows({"a.toml": workflow("a.toml", PHASES)}))
    planned = list(ahead(entries, FIRST, FIRST + timedelta(hours=6)))
    pauses = (Pause("topic:plain", FIRST, by="somebody"),) if paused else ()
    ctx = Context(now=FIRST, host="etl-7f-x2", paused=Paused(pauses), sources={"gone": "gone is gone"})
    records = list(Rows(planned, ctx, view).records())
    assert list(Rows(planned, ctx, view).lines()) == [
        tsv_line([record[field] for field in FIELDS]) for record in records
    ]
    assert {record["task"] for record in records} == {phase["task"] for phase in PHASES}
    assert any(record["fault"] for record in records)
