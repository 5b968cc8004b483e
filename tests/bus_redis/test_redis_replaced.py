"""Another version of flowlord is put in place of the one that runs: words and scripts of two versions never meet."""

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from contract.given import counts, message, take
from flowlord.bus import redis as adapter
from flowlord.bus import redis_scripts, redis_single
from flowlord.bus.redis import RedisBus
from flowlord.bus.redis_commit import FORM, pack
from flowlord.model.errors import BusUnavailable
from flowlord.model.plan import Plan


@pytest.mark.parametrize(("first", "said"), [((FORM + 1,), f"form {FORM + 1} "), ((), "no form ")])
def test_a_commit_in_another_form_is_refused_in_clear_words_before_anything_is_written(
    bus, monkeypatch, first, said
):
    """One that was taken for what it is not answered that it landed, and wrote nothing."""

    def of_another_version(*args):
        head, *others = pack(*args)
        return [msgspec.msgpack.encode([*first, *msgspec.msgpack.decode(head)[1:]]), *others]

    def single_of_another_version(*args):
        plain = single(*args)
        return plain and (plain[0], [first[0] if first else "", *plain[1][1:]])

    single = redis_single.pack
    bus.publish([message("load")])
    [held] = take(bus, "load")
    monkeypatch.setattr(adapter, "pack", of_another_version)
    monkeypatch.setattr(redis_single, "pack", single_of_another_version)
    for what in (
        lambda: bus.publish([message("load")]),
        lambda: bus.publish([message("load"), message("load")]),
        lambda: bus.commit(Plan(publish=(message("done"),)), acknowledge=[held]),
        lambda: bus.commit(Plan(publish=(message("done"), message("done"))), acknowledge=[held]),
    ):
        with pytest.raises(BusUnavailable, match=rf"two versions of flowlord \(FORM .* in {said}") as told:
            what()
        assert "start it anew" in told.value.hint
    assert counts(bus, "load") == (0, 1, 0)
    monkeypatch.undo()
    bus.commit(Plan(publish=(message("done"),)), acknowledge=[held])
    assert (counts(bus, "load"), counts(bus, "done")) == ((0, 0, 0), (1, 0, 0))


def test_every_script_is_read_when_the_bus_is_opened(server, clock, namespace, monkeypatch):
    """So a running process goes on with the scripts of its own version when the files become those of another."""
    redis_scripts.scripts.cache_clear()
    with closing(RedisBus(server.url, by="tester", clock=clock, namespace=namespace)) as bus:

        def replaced(path, *_):
            raise AssertionError(f"{path} was read after the bus was opened")

        monkeypatch.setattr(Path, "read_text", replaced)
        bus.publish([message("load")])
        [held] = take(bus, "load")
        bus.commit(Plan(publish=(message("done"),)), acknowledge=[held])
        assert (counts(bus, "load"), counts(bus, "done")) == ((0, 0, 0), (1, 0, 0))
