"""What became of tasks and batches, as the file tells and the journal beyond it."""

from pathlib import Path

import pytest

from flowlord.cache.ends import ends_of, ends_of_batches
from flowlord.cache.fold import catch_up
from flowlord.cache.historian import Historian
from flowlord.cache.queries import History
from flowlord.model.plan import FactKind
from support.clock import VirtualClock
from support.journal import Kept, done, journal, published, task, told

ROWS = [published(key, task(n=n), batch="b1") for n, key in enumerate("abc")]
AGAIN = published("b2", task(n=1), cause="retry:b", batch="b1")
ENDS = [done("a"), (done("b", result="error"), told(FactKind.RETRY, "b"), AGAIN)]
LAST = [done("c"), done("b2", task(n=1))]


@pytest.mark.parametrize("in_file", range(6))
def test_the_journal_beyond_the_file_counts_as_if_it_were_in_it(tmp_path: Path, in_file: int) -> None:
    entries = journal([ROWS, *ENDS, *LAST])
    historian = Historian(tmp_path / "tasks.db", VirtualClock())
    historian.attach("g1")
    historian.follow(entries[:in_file])
    history = History(historian.connection)
    catch_up(history, Kept(entries))
    assert ends_of_batches(history, ["b1", "b2"]) == {"b1": "done"}
    assert ends_of(history, ["a", "b", "nobody"]) == {"a": "done", "b": "done"}
    historian.close()


@pytest.mark.parametrize("in_file", range(4))
def test_as_long_as_one_of_them_is_open_a_batch_is(tmp_path: Path, in_file: int) -> None:
    entries = journal([ROWS, *ENDS])
    historian = Historian(tmp_path / "tasks.db", VirtualClock())
    historian.attach("g1")
    historian.follow(entries[:in_file])
    history = History(historian.connection)
    catch_up(history, Kept(entries))
    assert ends_of_batches(history, ["b1"]) == {"b1": "open"}
    assert ends_of(history, ["b", "c"]) == {"b": "open", "c": "open"}
    historian.close()
