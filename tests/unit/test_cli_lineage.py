"""Trees of runs: every attempt has its place, however it came to be, and many siblings are told in few lines."""

import json
import re
import time

import pytest

from flowlord.cache.attempt import Attempt
from flowlord.cache.historian import Historian
from flowlord.cli.lineage import FEW, SHOWN, only_down, only_up, trees
from flowlord.cli.printer import Look
from flowlord.cli.trace import run as trace
from flowlord.config import resolve
from flowlord.model.plan import FactKind, Seen
from support.clock import VirtualClock
from support.journal import done, journal, published, task, told


def attempt(key: str, cause: str = "", name: str = "load", state: str = "complete") -> Attempt:
    return Attempt(key=key, type=name, topic=name, cause=cause, state=state)


def names(nodes) -> list[str]:
    return [
        "/".join([str(depth), node.name, str(len(node.attempts))])
        for root in nodes
        for depth, node in root.walk()
    ]


def test_retries_are_one_task_and_children_hang_below_whichever_try_started_them():
    some = [
        attempt("a", name="extract", state="retried"),
        attempt("b", "retry:a", "extract"),
        attempt("c", "done:b"),
        attempt("d", "done:c", "report"),
    ]
    assert names(trees(some)) == ["0/extract/2", "1/load/1", "2/report/1"]


def test_the_way_up_and_the_way_down_leave_out_the_rest():
    some = [
        attempt("a", name="extract"),
        attempt("b", "done:a", "one"),
        attempt("c", "done:a", "two"),
        attempt("d", "done:b", "end"),
    ]
    whole = trees(some, frozenset("b"))
    assert names(only_up(whole)) == ["0/extract/1", "1/one/1"]
    assert names(only_down(whole)) == ["0/one/1", "1/end/1"]


def test_of_many_siblings_a_few_are_shown_failed_ones_and_what_was_asked_for_first():
    many = [attempt(f"k{n}", "done:a", state="dead" if n == 77 else "complete") for n in range(100)]
    [root] = trees([attempt("a", name="extract"), *many], frozenset(("k50",)))
    shown = [node.attempts[0].key for node in root.children if node.kind == "task"]
    assert {"k77", "k50"} <= set(shown)
    assert len(shown) == FEW + 1
    [more] = [node for node in root.children if node.kind == "more"]
    assert more.counts == {"complete": 100 - FEW - 1}
    assert len(trees([attempt("a"), *many[:SHOWN]])[0].children) == SHOWN


def test_attempts_that_name_each_other_or_nobody_make_no_endless_tree():
    some = [
        attempt("a", "done:a"),
        attempt("b", "done:c"),
        attempt("c", "done:b"),
        attempt("d", "retry:gone"),
    ]
    found = names(trees(some))
    assert "0/load/1" in found
    assert len(found) <= 4


def asked(tmp_path, capsys, what: str, form: str = "", code: int = 0) -> str:
    flags = {
        "bus": f"sqlite:///{tmp_path}/bus.db",
        "cache": str(tmp_path / "t.db"),
        "workflows": str(tmp_path),
    }
    capsys.readouterr()
    assert trace(resolve(flags), what, form, Look(), up=False, down=False, clock=VirtualClock()) == code
    return capsys.readouterr().out


@pytest.fixture
def wide(tmp_path):
    """A file that started a task which started 3,000 others of the same run, each with an odd text."""
    historian = Historian(tmp_path / "t.db", VirtualClock())
    root = task("extract", id="0000-run")
    child = task("load", id="0000-run", info="\x1b]8;;evil\x07\n" * 3)
    seen = Seen("/in/a.csv", 3, "v1", "", "folder", "started", ("extract",), ("root",), 1)
    historian.follow(
        journal(
            [
                (
                    told(FactKind.FILE, "", "started", cause="file:/in/a.csv:v1", file=seen),
                    published("root", root, cause="file:daily.toml:extract:/in/a.csv:v1"),
                ),
                done("root", root),
                *[
                    tuple(published(f"{n:08x}", child, cause="done:root") for n in range(at, at + 500))
                    for at in range(0, 3_000, 500)
                ],
            ]
        )
    )
    historian.close()
    return tmp_path


def test_a_wide_run_is_a_short_tree_and_nothing_in_it_reaches_the_terminal(wide, capsys):
    began = time.process_time()
    tree = asked(wide, capsys, "/in/a.csv")
    assert time.process_time() - began < 3
    assert len(tree.splitlines()) < 2 * SHOWN
    assert f"{3_000 - FEW:,} waiting" in tree
    assert "\x1b" not in tree
    below = asked(wide, capsys, "00000123")
    assert "/in/a.csv" in below.splitlines()[0]
    assert re.search(r"00000123 .*◀|00000123 .*<-", below)


@pytest.mark.parametrize("form", ["tree", "json", "dot", "jsonl", "csv", "tsv", "name"])
def test_every_form_of_a_tree_can_be_read(wide, capsys, form):
    text = asked(wide, capsys, "root", form)
    assert "\x1b" not in text
    if form == "json":
        assert json.loads(text)[0]["kind"] == "file"
    elif form == "jsonl":
        assert [json.loads(line)["depth"] for line in text.splitlines()][:2] == [0, 1]


@pytest.mark.parametrize("what", ["nothing", "/in/none.csv", "b-00", "x\ud800", "' OR 1=1 --"])
def test_what_nobody_knows_has_no_tree(wide, capsys, what):
    assert asked(wide, capsys, what, code=5) == ""
