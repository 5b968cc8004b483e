"""Questions in SQL that would take for ever, or all memory: the process that asks ends, by itself and in words."""

import sys

import pytest

from support.processes import flowlord, ran

ROWS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 100) "


@pytest.fixture
def asked(tmp_path):
    assert flowlord("send", "load", "x", cwd=tmp_path).code == 0
    assert flowlord("cache", "rebuild", "-y", cwd=tmp_path).code == 0

    def ask(sql, limit):
        return flowlord("cache", "query", sql, "--timeout", limit, "-o", "json", cwd=tmp_path)

    return ask


def test_one_function_that_takes_for_ever_is_ended_at_the_limit(asked):
    # Comparing 15 with 7 million characters at each of 8 million places is one step of SQLite.
    ended = asked("SELECT instr(hex(zeroblob(7500000)), hex(zeroblob(3500000)) || '1')", "200ms")
    assert (ended.code, ended.out) == (124, "")
    assert "took longer than 0.2 s" in ended.err


LESS = "import flowlord.cli.bounded as limit; limit.MOST_MEMORY = 96 << 20; from flowlord.cli.main import main; main()"


def test_rows_that_take_more_memory_than_a_question_gets_are_refused(asked, tmp_path):
    sql = ROWS + "SELECT zeroblob(3000000 + n) AS z FROM c"
    less = [sys.executable, "-c", LESS]
    ended = ran([*less, "cache", "query", sql, "--timeout", "10m", "-o", "json"], cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "more than 96 MiB of memory" in ended.err
    few = ran([*less, "cache", "query", "SELECT 1 AS n", "-o", "json"], cwd=tmp_path)
    assert (few.code, few.data) == (0, [{"n": 1}])


def test_what_builds_a_huge_value_is_refused(asked):
    ended = asked("SELECT length(hex(randomblob(1000000000)))", "10m")
    assert ended.code == 2
    assert "too big" in ended.err
