"""Commands typed where the clock is wrong: what waits on a Redis is due by the server's clock, which judges it."""

from datetime import UTC, datetime, timedelta

import pytest

from flowlord.bus.clock import SystemClock
from support.processes import flowlord, write
from support.redis_servers import fresh_namespace, shared_server
from support.skew import SkewedClock

DAY_S = 86_400
WIDE = timedelta(minutes=10)
"""How long all this may take; the clock is wrong by a day."""


@pytest.fixture(params=[DAY_S, pytest.param(-DAY_S, marks=pytest.mark.full)], ids=["ahead", "behind"])
def typist(request, tmp_path):
    """A place with a wrong clock: what is typed there, and what somebody else reads of the same bus."""
    clock = SkewedClock(tmp_path)
    clock.jump(request.param)
    where = {"REDIS_URL": shared_server().url, "FLOWLORD_NAMESPACE": fresh_namespace()}
    write(tmp_path, {"workflows/a.toml": '[[phase]]\ntask = "load"\nrule = "cron=@yearly"\n'})

    def type_(*words):
        ended = flowlord(*words, cwd=tmp_path, env={**where, **clock.variables})
        assert ended.code == 0, ended.err
        return ended

    def read(*words):
        return flowlord(*words, "-o", "json", cwd=tmp_path, env=where).data

    return type_, read


def about(text, expected):
    found = datetime.fromisoformat(text)
    return expected - WIDE <= found.astimezone(UTC) <= expected + WIDE


def test_a_delay_a_moment_and_a_pause_are_as_long_as_they_were_typed(typist):
    type_, read = typist
    now = SystemClock().now()
    type_("send", "load", "delayed", "--delay", "1h", "--key", "k")
    type_("send", "load", "ahead", "--at", "+2h")
    type_("send", "load", "fixed", "--at", "2999-01-01T00:00Z")
    dues = {row["info"]: row["due"] for row in read("tasks")}
    assert about(dues["delayed"], now + timedelta(hours=1)), dues
    assert about(dues["ahead"], now + timedelta(hours=2)), dues
    assert dues["fixed"].startswith("2999-01-01T00:00:00")
    assert "already sent" in type_("send", "load", "delayed", "--delay", "1h", "--key", "k").err
    type_("pause", "load", "--for", "3h")
    [paused] = read("pause")
    assert about(paused["until"], now + timedelta(hours=3)), paused
    type_("resume", "load")
    assert read("pause") == []
