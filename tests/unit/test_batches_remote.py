"""Open batches whose meta-file lies in a bucket: read on from any place, and stopped by another version of it."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from flowlord.decide.expand import opened
from flowlord.decide.recipe import File, Recipe
from flowlord.model.plan import FactKind, Plan
from flowlord.model.workflow import Workflows
from flowlord.taskmaster.batches import Batches
from support.farm import START, Farm
from support.object_servers import ObjectServer, bucket_on, shared_gcs, shared_s3

ROWS = 5_000


@pytest.mark.parametrize("server", [shared_s3, shared_gcs])
@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_a_meta_file_in_a_bucket_is_read_on_by_the_next_daemon_and_not_when_it_changed(
    server: Callable[[], ObjectServer], name: str
) -> None:
    storage = server().storage()
    with bucket_on(server()) as root:
        text = ("n\n" + "".join(f"{n}\n" for n in range(ROWS))).encode()
        path = f"{root}/{name}"
        storage.write(path, gzip.compress(text) if name.endswith(".gz") else text)
        [file] = [File(found.path, found.version) for found in storage.paths(path)]
        farm = Farm()
        recipe = Recipe("slot", "load", "{meta:n}", START, has_rows=True, files=(file,))
        farm.bus.commit(Plan(opened=(opened(recipe, ROWS),)))

        def daemon(name: str) -> Batches:
            around = farm.daemon(Workflows(), name)
            around.storage = storage
            return Batches(around)

        assert daemon("d1").step() == 2_000
        assert daemon("d2").step() == 2_000  # it was read by another one before, and a new reader goes on
        storage.write(path, b"n\n1\n")
        assert daemon("d3").step() == 0
        infos = [delivery.task().info for delivery in farm.bus.claim(["load"], "w", ROWS)]
        assert infos == [str(n) for n in range(4_000)]
        [alert] = farm.facts(FactKind.ALERT)
        assert path in alert
        assert "4,000 of its tasks were published before, up to line 4,001" in alert
