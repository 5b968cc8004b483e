"""Open batches: in any parts and with any restarts they make what one expansion would have made."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlord.decide import expand
from flowlord.decide.batch import Part, next_part
from flowlord.decide.context import Context, Source
from flowlord.decide.expand import Start, child_messages, root_messages
from flowlord.decide.keys import Numbered, created, dispatch_key, run_id
from flowlord.decide.maker import Maker
from flowlord.decide.recipe import (
    File,
    Position,
    Recipe,
    cells,
    decode_position,
    decode_recipe,
    encode_position,
    numbers_of,
    text_of_numbers,
)
from flowlord.model.message import Message
from flowlord.model.plan import OpenBatch
from flowlord.model.task import encode
from flowlord.model.workflow import Phase, Rule
from flowlord.rules.rows import kind_of, rows_from

NOW = datetime(2026, 3, 29, 0, 30, 0, 123456, tzinfo=UTC)
zones = st.sampled_from([UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")])
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["", "a&b", "ü\n", "%"]
)
names = st.sampled_from(["a", "b", "file", "cron", "job", "workflow", "retry"])
DAY = 86_400_000_000_000


@st.composite
def files(draw: st.DrawFn) -> dict[str, list[dict[str, str]]]:
    """Rows by file; all rows of a CSV file have the same names."""
    found: dict[str, list[dict[str, str]]] = {}
    for n in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            columns = draw(st.lists(names, min_size=1, max_size=3, unique=True))
            found[f"{n}.csv"] = draw(
                st.lists(st.fixed_dictionaries(dict.fromkeys(columns, values)), max_size=7)
            )
        else:
            found[f"{n}.json"] = draw(st.lists(st.dictionaries(names, values, max_size=3), max_size=7))
    return found


def written(path: str, rows: list[dict[str, str]]) -> str:
    out = io.StringIO()
    if path.endswith(".csv"):
        if rows:
            table = csv.DictWriter(out, list(rows[0]), lineterminator="\r\n", quoting=csv.QUOTE_ALL)
            table.writeheader()
            table.writerows(rows)
        return out.getvalue()
    return "".join(json.dumps(row) + ("\n\n" if n % 3 == 0 else "\n") for n, row in enumerate(rows))


def reader(texts: dict[str, str], paths: list[str]) -> Any:
    """Read the files of a recipe out of memory, by byte offsets as storage does."""

    def lines(path: str, start: int) -> Iterator[tuple[str, int]]:
        data = io.BytesIO(texts[path].encode())
        data.seek(start)
        while line := data.readline():
            yield line.decode(), data.tell()

    def read(number: int, offset: int, line: int) -> Any:
        path = paths[number]
        return rows_from(lambda start: lines(path, start), kind_of(path), offset, line)

    return read


@st.composite
def starts(draw: st.DrawFn) -> tuple[Phase, dict[str, str], Source | None]:
    has_meta = draw(st.booleans())
    has_file = draw(st.booleans())
    found = draw(files()) if has_file else {}
    rows = [row for each in found.values() for row in each]
    rule = Rule(
        for_ns=draw(st.sampled_from([0, 2 * DAY, -3 * DAY, 5 * 3_600_000_000_000])),
        by=draw(st.sampled_from(["", "hour", "month"])),
        meta={"a": ("1", "2", "3"), "k": ("x", "y&", "z")} if has_meta else {},
        has_meta=has_meta,
        meta_file="m" if has_file else "",
        pass_on=draw(st.sampled_from([(), ("file", "p", "b")])),
        offset_ns=draw(st.sampled_from([0, DAY])),
    )
    template = draw(
        st.sampled_from(["{meta:a}{meta:b}{dd}|{uuid}{meta:k}", "{ts}{host}{meta:file}{meta:retry}", "x"])
    )
    phase = Phase("f.toml", "t", draw(st.sampled_from(["", "j"])), name="t", rule=rule, template=template)
    texts = {path: written(path, each) for path, each in found.items()}
    source = Source(rows, tuple(File(path, "v1") for path in found)) if has_file else None
    return phase, texts, source


def in_parts(
    batch: OpenBatch, texts: dict[str, str], sizes: list[int], restarts: list[bool]
) -> list[Message]:
    """Publish an open batch in parts of these sizes, forgetting everything but its texts at each restart."""
    made: list[Message] = []
    position, turn = batch.at, 0
    coming, maker, recipe = None, None, None
    while True:
        if coming is None or restarts[turn % len(restarts)]:
            recipe = decode_recipe(batch.recipe)
            maker = Maker(recipe)
            at = decode_position(position)
            assert at is not None
            coming = cells(recipe, at, reader(texts, [file.path for file in recipe.files]))
        assert maker is not None
        assert recipe is not None
        part: Part = next_part(maker, recipe, at, coming, sizes[turn % len(sizes)])
        assert not part.why
        made += part.series.messages()
        at, turn = part.at, turn + 1
        position = encode_position(at)
        if part.ends:
            assert at.sent == at.made == len(made)
            return made


@given(
    starts(),
    zones,
    st.booleans(),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=1, max_size=4),
)
def test_a_batch_in_any_parts_with_any_restarts_is_the_batch_made_at_once(
    start: tuple[Phase, dict[str, str], Source | None],
    zone: Any,
    is_child: bool,
    sizes: list[int],
    restarts: list[bool],
) -> None:
    phase, texts, source = start
    if not phase.rule.is_batch:
        return
    ctx = Context(now=NOW, host="h-1-2", sources={} if source is None else {"m": source})
    open_ctx = Context(
        now=NOW,
        host="h-1-2",
        sources={} if source is None else {"m": Source(source.rows, source.files, False)},
    )
    time = NOW.replace(microsecond=0).astimezone(zone)

    def expanded(ctx: Context) -> Any:
        if not is_child:
            return root_messages(phase, Start("slot"), time, ctx, "r")
        under = {"p": "passed", "file": "s3://x", "k": "of the parent", "cron": "2026-01-01T00"}
        return child_messages(phase, Start("slot", "run", "cause"), time, "2026-01-01T00", under, ctx, "r", 3)

    at_once = expanded(ctx)
    held, expand.HELD = expand.HELD, -1
    try:
        batch = expanded(open_ctx)
    finally:
        expand.HELD = held
    assert isinstance(batch, OpenBatch)
    made = in_parts(batch, texts, sizes, restarts)
    if is_child and len(made) == 1:  # one task is no batch, where that was known
        made = [Message(**{**_fields(made[0]), "batch": ""})]
        assert [_but_batch(each) for each in made] == [_but_batch(each) for each in at_once]
        return
    assert tuple(made) == at_once
    assert all(
        name not in message.task.meta for message in made for name in ("retry=", "retried=", "delayed=")
    )


def _fields(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__struct_fields__}


def _but_batch(message: Message) -> dict[str, Any]:
    return _fields(message) | {"batch": ""}


@given(
    st.lists(
        st.dictionaries(names | st.just(""), st.text(st.characters(), max_size=6) | values, max_size=3),
        max_size=5,
    ),
    st.sampled_from(
        ["{meta:a}%{meta:b}{dd}|{uuid}", "{host}{meta:file}%%{uuid}{uuid}", "\u2028é{meta:a}", "x"]
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "run": st.sampled_from(["r", 'a"b\\', "\x00\u2028%", "\ud800"]),
            "holds": st.just("group"),
            "owns_first": st.just(True),
            "job": st.sampled_from(["j", "50%", '"']),
            "under": st.just({"b": "of the parent"}),
            "carried": st.just({"p%": ("1", "2&")}),
            "chosen": st.just("7-8,10"),
            "has_rows": st.just(True),
        },
    ),
)
def test_a_series_is_what_its_messages_are_byte_by_byte(
    rows: list[dict[str, str]], template: str, more: dict[str, Any]
) -> None:
    recipe = Recipe("slot", "t", template, NOW, workflow="w.toml", host="h-1", first=3, **more)
    maker, some = Maker(recipe), [(0, NOW, row, -1, 0, 0) for row in rows]
    try:
        expected = maker.messages(7, [(time, row) for _, time, row, *_ in some])
        payloads = tuple(encode(message.task) for message in expected)
    except ValueError:  # half a character
        with pytest.raises(ValueError, match=r"."):
            maker.series(7, some)
        return
    found = maker.series(7, some)
    assert found.payloads == payloads
    assert found.messages() == expected
    assert list(found.identities) == (
        [message.task.identity for message in expected] if "holds" in more else []
    )


@given(st.text(max_size=20), st.integers(0, 10**7), st.integers(0, 50))
def test_numbered_names_are_those_of_single_tasks(slot: str, n: int, first: int) -> None:
    names = Numbered(slot, NOW, first)
    assert names.dispatch_key(n) == dispatch_key(slot, n)
    assert names.run_id(n) == run_id(slot, n)
    assert names.created(n) == created(NOW, first + n)


@given(st.sets(st.integers(0, 60), min_size=1))
def test_chosen_numbers_read_back_from_their_text(numbers: set[int]) -> None:
    assert list(numbers_of(text_of_numbers(sorted(numbers)))) == sorted(numbers)


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(0, 30))
def test_a_position_resumes_where_it_was(rows: list[int], taken: int) -> None:
    phase = Phase(
        "f", "t", name="t", rule=Rule(meta={"a": tuple(map(str, rows))}, has_meta=True), template="{meta:a}"
    )
    held, expand.HELD = expand.HELD, -1
    try:
        batch = root_messages(phase, Start("s"), NOW, Context(now=NOW), "r")
    finally:
        expand.HELD = held
    assert isinstance(batch, OpenBatch)
    recipe = decode_recipe(batch.recipe)
    part = next_part(Maker(recipe), recipe, Position(), cells(recipe, Position(), reader({}, [])), taken + 1)
    rest = cells(recipe, part.at, reader({}, []))
    assert len(part.series.keys) + len(list(islice(rest, 100))) == len(rows)
