"""The wire: task_json.json. The scheduler's half binds; of the worker's half the way meta is merged does too."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlord.model.errors import InvalidTask
from flowlord.model.task import MAX_TASK_BYTES, Task, decode, encode
from vectors.cases import cases

ALL = cases("task_json")


def of(op: str) -> list[Any]:
    return [case for case in ALL if case.values[0].get("op", op) == op]


@pytest.mark.parametrize("case", of("task_decode"))
def test_a_message_is_read_as_existing_workers_write_it(case: dict[str, Any]) -> None:
    payload = case["input"].encode()
    if case["expected"].get("flowlord_error"):
        with pytest.raises(InvalidTask) as caught:
            decode(payload)
        assert caught.value.payload == payload
        return
    task = decode(payload)
    assert msgspec.structs.asdict(task) == case["expected"]["flowlord"]
    if "reencoded" in case["expected"] and case["expected"]["flowlord"]["created"] != "0001-01-01T00:00:00Z":
        assert encode(task).decode() == case["expected"]["reencoded"]


@pytest.mark.parametrize("case", of("task_encode"))
def test_a_task_is_written_as_existing_workers_read_it(case: dict[str, Any]) -> None:
    assert encode(Task(**{"type": "", "info": "", **case["input"]})).decode() == case["expected"]["bus"]


@pytest.mark.parametrize(
    "payload", ['{"type":"t","info":"\\ud83d\\ude00"}', '{"type":"t","info":"\\\\ud83d"}']
)
def test_a_whole_pair_and_an_escaped_backslash_are_no_lone_surrogates(payload: str) -> None:
    assert "\ufffd" not in decode(payload.encode()).info


def test_line_separators_are_escaped_so_that_a_message_stays_one_line() -> None:
    assert encode(Task(type="t", info="a\u2028b\u2029")).endswith(b'"a\\u2028b\\u2029"}')


def test_a_message_larger_than_the_limit_is_refused_unread() -> None:
    with pytest.raises(InvalidTask, match="more than"):
        decode(b'{"type":"t","info":"' + b"x" * MAX_TASK_BYTES + b'"}')


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_no_message_does_more_than_be_read_or_refused(payload: bytes) -> None:
    try:
        task = decode(payload)
    except InvalidTask:
        return
    assert decode(encode(task)) == task


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(st.fixed_dictionaries(dict.fromkeys(Task.__struct_fields__, texts)))
def test_what_is_written_reads_the_same(fields: dict[str, str]) -> None:
    task = Task(**fields)
    assert decode(encode(task)) == task
