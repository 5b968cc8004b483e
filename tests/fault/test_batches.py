"""A batch of 50,000 rows, published by two daemons that are killed again and again: nothing lost, nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

import flowlord
from flowlord.bus.open import NAMESPACE, open_bus
from flowlord.bus.port import Bus, JournalEntry
from flowlord.decide.expand import opened
from flowlord.decide.recipe import File, Recipe, decode_position
from flowlord.model.plan import Plan
from flowlord.storage.open import Storage
from support.processes import until
from support.quick import quick_folder
from support.redis_servers import drop_namespace, fresh_namespace, shared_server

ROWS, KILLS = 50_000, 3
TESTS = Path(__file__).parents[1]
ENVIRONMENT = {"PYTHONPATH": f"{Path(flowlord.__file__).parents[1]}{os.pathsep}{TESTS}"}
pytestmark = pytest.mark.fault


def racer(address: str, namespace: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "support.batch_race", address, namespace]
    return subprocess.Popen(command, env=os.environ | ENVIRONMENT, stdout=subprocess.DEVNULL)


def made(bus: Bus) -> int:
    """How far the batch is; all of it once its mark is gone."""
    text = bus.marks(["batch:big"]).get("batch:big")
    at = decode_position(text) if text else None
    return at.made if at else ROWS


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_two_daemons_that_are_killed_while_they_publish_lose_and_double_no_row(kind: str) -> None:
    with ExitStack() as opened_here:
        folder = opened_here.enter_context(quick_folder())
        namespace = fresh_namespace() if kind == "redis" else NAMESPACE
        address = f"sqlite:///{folder}/bus.db"
        if kind == "redis":
            server = shared_server("redis")
            address = server.url
            opened_here.callback(drop_namespace, namespace, [server])
        rows = folder / "rows.csv"
        rows.write_text("n\n" + "".join(f"{n}\n" for n in range(ROWS)))
        [file] = [File(found.path, found.version) for found in Storage().paths(str(rows))]
        recipe = Recipe(
            slot="tick:big", topic="load", template="{meta:n}", now=datetime(2026, 1, 1, tzinfo=UTC),
            has_rows=True, files=(file,), limit=ROWS,
        )  # fmt: skip
        bus = open_bus(address, by="test", namespace=namespace, accept_loss=True)
        opened_here.callback(bus.close)
        batch = msgspec.structs.replace(opened(recipe, ROWS), key="big")
        bus.commit(Plan(opened=(batch,)))
        racers = [racer(address, namespace) for _ in range(2)]
        try:
            for turn in range(1, KILLS + 1):
                until(
                    lambda turn=turn: made(bus) >= turn * ROWS // (KILLS + 2), "the batch moves", limit_s=60
                )
                for each in racers if turn % 2 else racers[:1]:
                    each.kill()
                    each.wait(60)
                racers = [each for each in racers if each.poll() is None]
                racers += [racer(address, namespace) for _ in range(2 - len(racers))]
            until(lambda: made(bus) == ROWS, "the batch ends", limit_s=60)
            assert [each.wait(60) for each in racers] == [0, 0]
        finally:
            for each in racers:
                each.kill()
        infos: list[str] = []
        while found := bus.claim(["load"], "checker", 5_000):
            infos += [delivery.task().info for delivery in found]
        lost, doubled = set(map(str, range(ROWS))) - set(infos), len(infos) - len(set(infos))
        assert (len(lost), doubled) == (0, 0)
        assert infos == [str(n) for n in range(ROWS)], (
            "what one read ahead landed behind what another one sent"
        )
        told = Counter(fact.kind.value for entry in journal(bus) for fact in entry.facts)
        assert told == {"published": ROWS, "batch": 1}


def journal(bus: Bus) -> Iterator[JournalEntry]:
    after = 0
    while found := bus.journal(after, 100):
        yield from found
        after = found[-1].seq
