"""What `backload --wait` waits for, out of what the journal tells."""

from types import SimpleNamespace

import pytest

from flowlord.cli import backload_wait
from flowlord.cli.backload_limit import limit_of
from flowlord.cli.flag_values import WrongUse
from flowlord.model.plan import Fact, FactKind
from support.journal import journal


class Waits(Exception):
    """It goes on waiting."""


class Bus:
    """All that was sent has been told; nothing is open of what the batch itself sent."""

    def __init__(self, *commits):
        self.entries = journal(list(commits))

    def open_counts(self, holds):
        return {}

    def journal_bounds(self):
        return 1, self.entries[-1].seq

    def journal(self, after, limit, wait_s=0.0):
        if wait_s:
            raise Waits
        return [each for each in self.entries if each.seq > after]


def fact(kind, key, cause=""):
    return Fact(kind, key=key, cause=cause, batch="B")


SENT_AGAIN = (
    (fact(FactKind.PUBLISHED, "k1"),),
    (fact(FactKind.DONE, "k1"), fact(FactKind.DEAD, "k1")),
    (fact(FactKind.PUBLISHED, "k2", "retry:k1"),),
)
FAILED, RETRIED = (
    (fact(FactKind.DONE, "k2"), fact(FactKind.RETRY, "k2")),
    fact(FactKind.PUBLISHED, "k3", "retry:k2"),
)


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    standing = SimpleNamespace(state="published", holds="h", why="")
    monkeypatch.setattr(backload_wait, "standing", lambda bus, id_: standing)
    monkeypatch.setattr(backload_wait, "lonely", lambda bus, topics: [])


@pytest.mark.parametrize(
    ("text", "failed", "ended", "is_passed"),
    [("2", 1, 9, False), ("2", 2, 2, True), ("10%", 9, 9, False), ("10%", 1, 10, False), ("10%", 2, 10, True),
     ("0%", 0, 50, False), ("0%", 1, 50, True), ("2.5%", 3, 100, True)],
)  # fmt: skip
def test_a_share_counts_once_some_have_ended(text, failed, ended, is_passed):
    assert limit_of(text).is_passed(failed, ended) is is_passed


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "100%", "%", "nan%", "1e9%", "1.5", "٣", " 5 %5"])
def test_what_is_no_limit_is_refused(text):
    with pytest.raises(WrongUse):
        limit_of(text)


@pytest.mark.parametrize("last", [(*FAILED, RETRIED), (RETRIED, *FAILED)])
def test_a_retry_of_what_was_sent_again_is_waited_for(last):
    with pytest.raises(Waits):
        backload_wait.wait_for(Bus(*SENT_AGAIN, last), "B", "t", 0)
    done = (fact(FactKind.DONE, "k3"),)
    assert backload_wait.wait_for(Bus(*SENT_AGAIN, last, done), "B", "t", 0) == 0
