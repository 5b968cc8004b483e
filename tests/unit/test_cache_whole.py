"""Groups that are counted by the numbers of days are what the rows themselves count to."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from flowlord.cache import whole
from flowlord.cache.attempt import State
from flowlord.cache.days import DAY_US
from flowlord.cache.filter import Filter
from flowlord.cache.groups import grouped
from flowlord.cache.historian import Historian
from flowlord.cache.queries import History
from flowlord.model.plan import FactKind
from support.clock import VirtualClock
from support.journal import BEGIN_US, SECOND_US, done, journal, published, task, told

DAYS = 9
NOW_US = BEGIN_US + DAYS * DAY_US
NAMES = ("load:users", "load:orders", "merge", "report:x")


def historian(chance: random.Random) -> Historian:
    """A history of nine days of which the oldest rows have gone, and some were heard of again on a later day."""
    clock = VirtualClock(datetime.fromtimestamp(NOW_US / 1e6, UTC))
    found = Historian(None, clock)
    entries = []
    for n in range(400):
        of = task(chance.choice(NAMES), n)
        at_us = BEGIN_US + n * DAYS * DAY_US // 400
        facts = [published(f"k{n}", of, due=chance.choice([0, 0, NOW_US + SECOND_US]))]
        match chance.randrange(6):
            case 0:
                pass
            case 1:
                facts += [done(f"k{n}", of, "error", "broken"), told(FactKind.DEAD, f"k{n}", "no tries left")]
            case _:
                facts.append(done(f"k{n}", of, chance.choice(["complete", "complete", "warn"])))
        entries.append((at_us, tuple(facts)))
        if n % 50 == 49:
            entries.append((at_us, (told(FactKind.CANCELLED, f"k{n - 45}", "a person said so"),)))
    found.follow(
        [
            type(entry)(entry.seq, at_us, entry.by, entry.commit, facts)
            for entry, (at_us, facts) in zip(journal([facts for _, facts in entries]), entries, strict=True)
        ]
    )
    while found.prune(timedelta(days=DAYS - 1.5)):
        pass
    return found


def by_hand(history: History, wanted: Filter, by: str):
    """Return (count, last) of each kind, row by row."""
    counted: Counter[str] = Counter()
    last: dict[str, int] = {}
    for page in history.pages(wanted, NOW_US):
        for each in page:
            day = datetime.fromtimestamp(each.happened_us / 1e6, UTC)
            kind = {"topic": each.topic, "day": f"{day:%Y-%m-%d}", "state": each.state}[by]
            counted[kind] += 1
            last[kind] = max(last.get(kind, 0), each.happened_us)
    return {kind: (count, last[kind]) for kind, count in counted.items()}


@pytest.mark.parametrize("by", ["topic", "state", "day"])
@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(since_us=BEGIN_US + 3 * DAY_US + 7),
        Filter(since_us=BEGIN_US + 3 * DAY_US, until_us=BEGIN_US + 6 * DAY_US),
        Filter(until_us=BEGIN_US + 6 * DAY_US - 1),
        Filter(states=frozenset({State.COMPLETE, State.DEAD})),
        Filter(states=frozenset({State.COMPLETE, State.LATER}), since_us=BEGIN_US + 2 * DAY_US),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kinds_are_counted_as_their_rows_are(by, wanted, seed):
    history = History(historian(random.Random(seed)).connection)
    found = {group.value: (group.count, group.last_us) for group in grouped(history, wanted, by, NOW_US)}
    assert found == by_hand(history, wanted, by)


class Listening(History):
    """Counts the rows of tasks that are asked for one by one."""

    spans: list[tuple[int, int]]

    def rows(self, sql, values):
        if "happened_us >= ? AND happened_us < ? AND state NOT IN" in sql:
            self.spans.append((values[-2], values[-1]))
        return super().rows(sql, values)


def test_rows_are_read_of_few_days_only():
    history = Listening(historian(random.Random(4)).connection)
    history.spans = []
    assert whole.counts(history, Filter(), "topic", NOW_US)
    first, last = history.spans
    assert (
        first[1] - first[0] <= BEGIN_US + 3 * DAY_US
    )  # from the beginning of time to the last day that lost rows
    assert last[0] == NOW_US - DAY_US


def test_questions_of_which_days_know_nothing_are_not_answered_by_them():
    history = History(historian(random.Random(5)).connection)
    for wanted in (
        Filter(topic="load"),
        Filter(error="x"),
        Filter(states=frozenset({State.DEAD})),
        Filter(late=True),
    ):
        assert whole.counts(history, wanted, "topic", NOW_US) is None
