"""Claims of many read by themselves what comes next, and lease it only when it is as plain as it seemed."""

from contextlib import closing
from threading import Thread

import pytest

from contract.given import LEASE, counts, infos, message, take
from flowlord.bus.redis import RedisBus
from flowlord.bus.redis_errors import OutcomeUnknown
from flowlord.bus.redis_trail import LEAST, OFF
from flowlord.model.plan import Plan

MANY = LEAST
BOTH = ("extract", "load")


def take_both(bus):
    """Claim from two topics under the usual lease."""
    return bus.claim(BOTH, "a", MANY, lease_ns=LEASE)


@pytest.fixture
def called(bus, monkeypatch):
    """The names of scripts that the bus runs, as it runs them."""
    real, names = bus._link.script, []

    def run(script, keys, args):
        names.append(script.name)
        return real(script, keys, args)

    monkeypatch.setattr(bus._link, "script", run)
    return names


def begin(bus, count=3 * MANY):
    """Publish many and claim the first of them, so that a trail is there."""
    bus.publish([message(info=str(n), key=f"k{n}") for n in range(count)])
    assert len(take(bus, limit=MANY)) == MANY


def between(bus, monkeypatch, what):
    """Do something after the next ones were read and before they are leased."""
    real = bus._core.run

    def run(name, *args, verb=""):
        if name == "take":
            what()
        return real(name, *args, verb=verb)

    monkeypatch.setattr(bus._core, "run", run)


def numbers(first, count=MANY):
    return [str(n) for n in range(first, first + count)]


def test_what_waits_is_claimed_in_order_without_going_through_a_script(bus, called, cli):
    begin(bus)
    assert infos(take(bus, limit=MANY)) == numbers(MANY)
    last = take(bus, limit=MANY)
    assert infos(last) == numbers(2 * MANY)
    assert called == ["commit", "claim", "take", "take"]
    assert take(bus, limit=MANY) == []
    assert counts(bus) == (0, 3 * MANY, 0)
    assert cli("XINFO", "GROUPS", "{}:topic:extract").split()[-1] == "0"  # the lag, for those who watch it
    bus.commit(Plan(publish=(message("done"),)), acknowledge=last)
    assert counts(bus) == (0, 2 * MANY, 0)
    assert [d.deliveries for d in last] == [1] * MANY


def test_of_two_topics_the_one_that_is_older_throughout_is_claimed_without_going_through_a_script(
    bus, called
):
    begin(bus, 3 * MANY)
    bus.publish([message("load", info=f"c{n}") for n in range(3 * MANY)])
    called.clear()
    found = [infos(take_both(bus)) for _ in range(5)]
    assert found[:2] == [numbers(MANY), numbers(2 * MANY)]
    assert found[2:] == [[f"c{n}" for n in range(first, first + MANY)] for first in range(0, 3 * MANY, MANY)]
    # The first one that asks for both, and the first one that finds the other topic, know no trail.
    assert called == ["claim", "take", "claim", "take", "take"]
    assert counts(bus) == (0, 3 * MANY, 0)


def test_two_topics_are_claimed_by_age_wherever_they_change_places(bus):
    """Runs of one topic and of the other: longer than a claim, shorter, and of single messages."""
    total = 0
    for place, run in enumerate([3 * MANY, 1, MANY, 2 * MANY + 7, 1, 1, 1, MANY - 1, 4 * MANY, 3]):
        bus.publish([message(BOTH[place % 2], info=str(n)) for n in range(total, total + run)])
        total += run
    found: list[str] = []
    while some := take_both(bus):
        found += infos(some)
    assert found == numbers(0, total)


@pytest.mark.parametrize("what", ["given back", "more urgent", "foreign"])
def test_what_goes_first_goes_first_on_another_topic_too(bus, monkeypatch, cli, what):
    bus.publish([message("load", info="other")])
    held = take(bus, "load")
    bus.publish([message(info=str(n)) for n in range(3 * MANY)])
    assert len(take_both(bus)) == MANY
    meanwhile = {
        "given back": lambda: bus.release(held),
        "more urgent": lambda: bus.publish([message("load", info="other", priority=9)]),
        # An id that is older than all that waits here.
        "foreign": lambda: (
            cli("DEL", "{}:topic:load"),
            cli("XADD", "{}:topic:load", "1-1", "task", '{"type":"load","info":"other"}'),
        ),
    }
    with monkeypatch.context() as patch:
        between(bus, patch, meanwhile[what])
        found = take_both(bus)
    assert infos(found) == ["other", *numbers(MANY, MANY - 1)]


def test_what_another_one_took_meanwhile_is_not_taken_again(bus, called, monkeypatch):
    begin(bus, (4 + OFF) * MANY)
    theirs = []
    with monkeypatch.context() as patch:
        between(bus, patch, lambda: theirs.extend(take(bus, limit=1, consumer="b")))
        ours = take(bus, limit=MANY)
    assert (infos(theirs), infos(ours)) == ([str(MANY)], numbers(MANY + 1))
    called.clear()
    for _ in range(OFF + 1):  # two who claim in turn do not read in vain each time
        assert len(take(bus, limit=MANY)) == MANY
    assert called == ["claim"] * OFF + ["take"]


def test_what_was_cancelled_meanwhile_is_not_taken(bus, monkeypatch):
    begin(bus)
    with monkeypatch.context() as patch:
        between(bus, patch, lambda: bus.cancel([f"k{MANY + 1}"]))
        found = take(bus, limit=MANY)
    assert infos(found) == [str(MANY), *numbers(MANY + 2, MANY - 1)]


@pytest.mark.parametrize("priority", [5, 9])
def test_what_goes_first_goes_first(bus, monkeypatch, priority):
    """What was given back, and what is more urgent."""
    bus.publish([message(info=str(n)) for n in range(3 * MANY)])
    held = take(bus, limit=MANY)
    with monkeypatch.context() as patch:
        if priority == 5:
            between(bus, patch, lambda: bus.release(held[:1]))
        else:
            between(bus, patch, lambda: bus.publish([message(info="0", priority=9)]))
        found = take(bus, limit=MANY)
    assert infos(found) == ["0", *numbers(MANY, MANY - 1)]


def test_a_group_that_was_set_back_hands_nothing_out_twice(bus, cli):
    """It lies again where the last claim ended, while what comes next is held by another."""
    begin(bus)
    last = cli("XINFO", "GROUPS", "{}:topic:extract").split()
    at = last[last.index("last-delivered-id") + 1]
    theirs = take(bus, limit=MANY, consumer="b")
    cli("XGROUP", "SETID", "{}:topic:extract", "workers", at)
    ours = take(bus, limit=MANY) + take(bus, limit=MANY)
    assert infos(theirs) == numbers(MANY)
    assert infos(ours) == numbers(2 * MANY)


def test_a_group_that_was_set_back_to_its_beginning_begins_there(bus, cli, monkeypatch):
    begin(bus)

    def set_back():
        cli("DEL", "{}:lease")
        cli("XGROUP", "SETID", "{}:topic:extract", "workers", "0")

    with monkeypatch.context() as patch:
        between(bus, patch, set_back)
        found = take(bus, limit=MANY)
    assert infos(found) == numbers(0)


def test_what_the_server_lost_since_it_was_read_hides_nothing_that_comes_after(bus, clock, monkeypatch):
    """A crash may take the newest entries with it; the clock of who published them was ahead."""
    begin(bus, MANY)
    call, keys = bus._link.call, [bus._core.key(name) for name in ("state", "journal", "topic:extract")]
    saved = [call("DUMP", key) for key in keys]
    clock.jump(300)
    bus.publish([message(info="lost") for _ in range(3)])
    clock.jump(-300)

    def lose():
        for key, value in zip(keys, saved, strict=True):
            call("RESTORE", key, 0, value, "REPLACE")

    with monkeypatch.context() as patch:
        between(bus, patch, lose)
        assert take(bus, limit=MANY) == []
    bus.publish([message(info="new")])
    assert infos(take(bus, limit=MANY)) == ["new"]


def test_a_topic_that_became_something_else_is_asked_in_the_usual_way(bus, cli):
    begin(bus)
    cli("DEL", "{}:topic:extract")
    cli("SET", "{}:topic:extract", "text")
    assert take(bus, limit=MANY) == []


def test_what_was_leased_is_not_lost_with_the_answer(bus, monkeypatch):
    begin(bus)
    real = bus._link.script

    def run(script, keys, args):
        reply = real(script, keys, args)
        if script.name == "take":
            raise OutcomeUnknown("the answer was lost")
        return reply

    with monkeypatch.context() as patch:
        patch.setattr(bus._link, "script", run)
        with pytest.raises(OutcomeUnknown):
            take(bus, limit=MANY)
    assert counts(bus) == (MANY, 2 * MANY, 0)
    again = take(bus, limit=MANY)
    assert infos(again) == numbers(MANY)
    assert bus.renew(again, lease_ns=LEASE) == []


def test_of_many_who_claim_at_once_each_message_goes_to_one(server, clock, namespace):
    with closing(RedisBus(server.url, clock=clock, namespace=namespace)) as bus:
        total = 40 * MANY
        for first in range(0, total, 500):
            bus.publish([message(info=str(n)) for n in range(first, min(first + 500, total))])
        found: list[list[str]] = [[], [], []]

        def claim(number):
            with closing(RedisBus(server.url, clock=clock, namespace=namespace)) as own:
                while some := take(own, limit=MANY, consumer=f"c{number}"):
                    found[number] += infos(some)
                    own.commit(Plan(), acknowledge=some)

        threads = [Thread(target=claim, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(40)
        assert sorted(int(info) for some in found for info in some) == list(range(total))
        assert counts(bus) == (0, 0, 0)
