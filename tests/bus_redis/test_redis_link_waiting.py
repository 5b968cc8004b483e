"""Threads on one link to a real server: waiting, closing, forking."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from flowlord.bus.redis_address import parse
from flowlord.bus.redis_link import Link, OutcomeUnknown, ServerError
from flowlord.model.errors import BusUnusable
from support.processes import until
from support.redis_links import (
    ECHO,
    LIMIT_S,
    check_that_close_ends_listen,
    count_of_ours,
    error_of,
    info,
    linked,
    served,
)
from support.redis_servers import (
    HOST,
    Server,
    fresh_namespace,
    shared_server,
)


def test_listening_ends_with_what_came_with_the_time_and_with_the_link():
    key = fresh_namespace()
    server = shared_server()
    with linked(server.url) as link, linked(server.url) as writer:
        words = ("XREAD", "COUNT", 1), ("STREAMS", key, "0")
        begun = time.monotonic()
        assert link.listen(*words, 0.05) is None
        assert time.monotonic() - begun >= 0.05
        assert link.listen(*words, 0) is None
        heard = []
        thread = threading.Thread(target=lambda: heard.append(link.listen(*words, LIMIT_S)))
        thread.start()
        until(lambda: info(server, "clients", "blocked_clients"), "the listener", LIMIT_S)
        entry = writer.call("XADD", key, "*", "a", 1)
        thread.join(LIMIT_S)
        writer.call("DEL", key)
        assert heard == [[[key.encode(), [[entry, [b"a", b"1"]]]]]]


def test_listening_goes_on_over_slices(monkeypatch):
    monkeypatch.setattr("flowlord.bus.redis_link.SLICE_S", 0.05)
    with Server() as server, linked(server.url) as link:
        assert link.listen(("XREAD",), ("STREAMS", "s", "0"), 0.2) is None
        assert info(server, "commandstats", "cmdstat_xread")["calls"] >= 2
        assert len(link._idle) == 1


def test_a_script_behind_a_wait_runs_when_something_is_heard_and_when_the_time_is_over():
    with Server() as server, linked(server.url) as link, linked(server.url) as writer:
        for words in (
            ("STREAMS", "s", "0"),
            ("STREAMS", "s", "0"),
        ):  # the server has the script the second time
            heard, reply = link.listen_then((("XREAD",), words), 0.02, ECHO, ["k"], ["a"])
            assert (heard, reply) == (None, [b"k", b"a"])
        found = []
        wait = ("XREAD",), ("STREAMS", "s", "0")
        thread = threading.Thread(
            target=lambda: found.append(link.listen_then(wait, LIMIT_S, ECHO, ["k"], ["b"]))
        )
        thread.start()
        until(lambda: info(server, "clients", "blocked_clients"), "the listener", LIMIT_S)
        entry = writer.call("XADD", "s", "*", "a", 1)
        thread.join(LIMIT_S)
        assert found == [([[b"s", [[entry, [b"a", b"1"]]]]], [b"k", b"b"])]


def test_a_script_behind_a_wait_runs_although_there_is_nothing_to_wait_on():
    with Server() as server, linked(server.url) as link:
        link.call("SET", "s", 1)
        heard, reply = link.listen_then((("XREAD",), ("STREAMS", "s", "0")), LIMIT_S, ECHO, ["k"], ["a"])
        assert reply == [b"k", b"a"]
        with pytest.raises(ServerError, match="WRONGTYPE"):
            link.checked(heard)


def test_close_ends_a_wait_at_once():
    with Server() as server, linked(server.url) as link:
        check_that_close_ends_listen(server, link)


def test_close_during_a_call_leaves_its_outcome_unknown():
    heard, closed = threading.Event(), threading.Event()
    failed = []
    with served(b"", heard=heard, hold=closed) as url, linked(url) as link:
        thread = threading.Thread(target=lambda: failed.append(error_of(lambda: link.call("INCR", "a"))))
        thread.start()
        assert heard.wait(LIMIT_S)
        link.close()
        thread.join(LIMIT_S)  # the server still holds its answer back
        closed.set()
    assert isinstance(failed[0], OutcomeUnknown)
    assert "was closed before an answer came" in str(failed[0])


def test_close_ends_the_wait_for_a_greeting():
    with (
        socket.create_server((HOST, 0)) as silent,
        linked(f"redis://{HOST}:{silent.getsockname()[1]}") as link,
    ):
        failed = []
        thread = threading.Thread(target=lambda: failed.append(error_of(lambda: link.call("PING"))))
        thread.start()
        taken, _ = silent.accept()
        with taken:
            taken.recv(4_096)
            closed = time.monotonic()
            link.close()
            thread.join(LIMIT_S)
            assert time.monotonic() - closed < 4.0, "not only when the limit of the greeting is over"
        assert isinstance(failed[0], BusUnusable)


def test_a_closed_link_refuses_everything():
    link = Link(parse(shared_server().url))
    link.call("PING")
    for _ in range(2):
        link.close()
    assert link.closed
    link.pause(LIMIT_S)  # at once
    for use in (
        lambda: link.call("PING"),
        lambda: link.calls([("PING",)]),
        lambda: link.script(ECHO, [], []),
        lambda: link.listen(("XREAD",), ("STREAMS", "s", "0"), 1),
    ):
        with pytest.raises(BusUnusable, match="this bus was closed"):
            use()


def test_threads_share_a_link_and_get_their_own_answers():
    with Server() as server, linked(server.url) as link:
        wrong = []
        start = threading.Barrier(8)

        def ask(number):
            start.wait(LIMIT_S)
            for count in range(200):
                said = f"{number}:{count}"
                if link.calls([("ECHO", said), ("PING", said)]) != [said.encode()] * 2:
                    wrong.append(said)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
        assert wrong == []
        assert not link._busy
        assert 1 <= len(link._idle) <= 8
        assert count_of_ours(server) == len(link._idle)


FORKS = """
import os, sys
from flowlord.bus.redis_address import parse
from flowlord.bus.redis_link import Link
from flowlord.model.errors import BusUnusable
link = Link(parse(sys.argv[1]))
link.call("PING")
link._lock.acquire()  # as by another thread at the moment of the fork
pid = os.fork()
if pid == 0:
    try:
        link.call("PING")
    except BusUnusable as error:
        print(error.hint, flush=True)
    link.close()
    sys.exit(0)
link._lock.release()
os.waitpid(pid, 0)
print(link.call("ECHO", "the parent goes on").decode(), len(link._idle))
link.close()
"""


def test_a_link_is_not_carried_over_a_fork():
    done = subprocess.run(
        [sys.executable, "-c", FORKS, shared_server().url], capture_output=True, text=True, timeout=60,
        env=os.environ | {"COVERAGE_PROCESS_START": ""}, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["open one in each process", "the parent goes on 1"]
