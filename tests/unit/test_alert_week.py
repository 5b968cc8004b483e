"""Ten virtual days of a bad week, with a Slack that limits, breaks, hangs and is down: how many messages, none lost."""

from collections import Counter

from flowlord.alert.port import NoticeKind, Undelivered
from flowlord.alert.state import EventKind
from support.alerts import DAY, HOUR, MINUTE, START, Desk, failure, success

DAYS = 10


def bad_week():
    """What happens in ten days, in order of time."""
    found = []
    for hour in range(DAYS * 24):
        at = START + hour * HOUR
        found.append(success(at + 2 * MINUTE, "load:orders"))
        if 30 <= hour < 38:  # a database is away for eight hours: each of 60 loads an hour fails
            found += [
                failure(at + n * MINUTE, "load:users", f"timeout after {n} s", hour=hour) for n in range(60)
            ]
        else:
            found.append(success(at + MINUTE, "load:users"))
        if hour % 24 == 6 and hour > 72:  # one task that fails each morning, and nobody cares
            found.append(failure(at, "report:daily", "no rows"))
        if hour == 100:  # a deployment breaks everything at once
            found += [failure(at + n * 1000, f"clean:{n % 15}", "no module named zip") for n in range(4_000)]
        if hour == 101:
            found += [success(at + n, f"clean:{n}") for n in range(15)]
        if hour == 150:
            found += [failure(at + n * MINUTE, "check", "odd", kind=EventKind.RESULT) for n in range(3)]
        if hour == 180:
            found.append(failure(at, "late:one", "not done in time", kind=EventKind.LATE))
    return sorted(found, key=lambda each: each.at_us)


class Slack:
    """Limits each tenth message, cuts each ninth answer, breaks and hangs on day two, is down on days five to seven.

    `arrived` are the ids of what people read, `cuts` counts those of which nobody was told that they did.
    """

    def __init__(self, desk):
        self.desk, self.asked, self.arrived, self.cuts = desk, 0, [], 0

    def __call__(self, notice):
        self.asked += 1
        day = (self.desk.now - START) / DAY
        if 4 <= day < 6.5:
            raise Undelivered("name or service not known")
        if 1.3 <= day < 1.4:
            raise Undelivered("the server answered 500")
        if 1.4 <= day < 1.45:
            raise Undelivered("did not answer within 10 s", doubtful=True)
        if self.asked % 10 == 0:
            raise Undelivered("too many requests", retry_after_s=30.0)
        self.arrived.append(notice.id)
        if self.asked % 9 == 0:
            self.cuts += 1
            raise Undelivered("ended the connection without an answer", doubtful=True)
        return f"ts{self.asked}"


def test_ten_days_of_a_bad_week_are_a_channel_that_people_keep_unmuted():
    desk = Desk()
    desk.answer = slack = Slack(desk)
    week = bad_week()
    desk.live(week)
    desk.until(START + DAYS * DAY)
    failures = [each for each in week if hasattr(each, "text")]
    assert len(failures) == 8 * 60 + 7 + 4_000 + 3 + 1

    over: Counter[str] = Counter()  # what a recovery counts, in all, was told before or is told by it
    told: Counter[str] = Counter()
    for notice in desk.sent:
        for line in notice.lines:
            assert notice.kind is not NoticeKind.NEW or not told[line.incident]
            if notice.kind is NoticeKind.RECOVERED:
                over[line.incident] += line.count
                told[line.incident] = 0
            else:
                told[line.incident] += line.count
    assert over.total() + told.total() == len(failures)  # none lost, none counted twice
    assert over["a1"] == 8 * 60
    assert len({notice.id for notice in desk.sent}) == len(desk.sent)
    assert not desk.state.pending
    assert set(slack.arrived) == {notice.id for notice in desk.sent}
    assert (
        len(slack.arrived) - len(set(slack.arrived)) == slack.cuts > 0
    )  # one more copy of each, under its id
    assert Counter(desk.kinds) == {
        NoticeKind.NEW: 8,
        NoticeKind.STILL: 13,
        NoticeKind.RECOVERED: 2,
        NoticeKind.ALERT: 1,
    }
