"""The counts of all topics show one moment, whatever moves meanwhile."""

from contract.given import counts, message, take
from flowlord.bus import redis_look
from flowlord.model.plan import Plan


def test_what_moves_to_a_topic_that_nobody_knew_is_counted_there(bus, monkeypatch):
    """A worker's first result: a run with --once that saw it nowhere would end with it unread."""
    bus.publish([message("load")])
    [held] = take(bus, "load")
    ask = redis_look.known_topics

    def ask_and_be_late(core):
        names = ask(core)
        if "done" not in names:
            bus.commit(Plan(publish=(message("done"),)), acknowledge=[held])
        return names

    monkeypatch.setattr(redis_look, "known_topics", ask_and_be_late)
    assert {each.topic: each.waiting + each.running for each in bus.topics()} == {"load": 0, "done": 1}
    assert (counts(bus, "load"), counts(bus, "done")) == ((0, 0, 0), (1, 0, 0))
