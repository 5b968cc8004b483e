"""What is known after each way in which a real server fails."""

import socket
import threading
import time

import pytest

from flowlord.bus.redis_link import NotSent, OutcomeUnknown, Script, ServerError
from flowlord.bus.redis_wire import Wire
from support.processes import until
from support.redis_links import CANARY, ECHO, LIMIT_S, assert_secret, error_of, info, linked, served
from support.redis_servers import HOST, Server, free_port, fresh_namespace, shared_server


def test_a_server_that_was_killed_and_started_again_answers_the_next_call():
    with Server() as server, linked(server.url) as link:
        link.call("PING")
        server.restart(kill=True)
        assert link.call("PING") == b"PONG"  # the dead connection was seen before anything was sent
        server.kill()
        with pytest.raises(NotSent, match="connection refused"):
            link.call("PING")
        server.start()
        assert link.call("PING") == b"PONG"


def test_a_server_that_stands_still_leaves_the_outcome_unknown():
    with Server() as server, linked(server.url, timeout=1, connect_timeout=1) as link:
        link.call("SET", "a", 0)
        server.pause()
        with pytest.raises(OutcomeUnknown, match=r"did not answer within 1 s"):
            link.call("INCR", "a")
        assert link.turn == 1, "other connections hang as well"
        with pytest.raises(
            NotSent, match=r"did not answer within 1 s"
        ):  # the kernel takes connections, nobody greets
            link.call("INCR", "a")
        server.resume()
        assert link.call("GET", "a") == b"1"  # it did happen, once


def test_patience_of_one_call_does_not_change_that_of_others():
    with Server() as server, linked(server.url) as link:
        link.call("PING")
        server.pause()
        with pytest.raises(OutcomeUnknown, match=r"within 0.1 s"):
            link.call("PING", patience_s=0.1)
        server.resume()
        assert link.call("PING") == b"PONG"


def test_a_server_that_dies_before_it_answers_leaves_the_outcome_unknown():
    with served(b"") as url, linked(url) as link, pytest.raises(OutcomeUnknown, match="broke off"):
        link.call("INCR", "a")


def test_an_interrupt_leaves_no_reply_behind_for_the_next_call(monkeypatch):
    with linked(shared_server().url) as link:
        link.call("PING")
        with monkeypatch.context() as patch:
            patch.setattr(Wire, "read", interrupted)
            with pytest.raises(KeyboardInterrupt):
                link.call("ECHO", "first")
        assert not link._idle, "its reply is still on its way"
        assert link.call("ECHO", "second") == b"second"
        assert not link._busy


def interrupted(wire, timeout_s=None):
    raise KeyboardInterrupt


def test_half_a_reply_is_no_reply():
    with served(b"$1\r\na\r\n$100\r\nhalf") as url, linked(url) as link, pytest.raises(OutcomeUnknown):
        link.calls([("GET", "a"), ("GET", "b")])


def test_every_reply_is_read_before_the_first_error_is_raised():
    key = fresh_namespace()
    with linked(shared_server().url) as link:
        with pytest.raises(ServerError, match="WRONGTYPE") as caught:
            link.calls([("SET", key, "x", "EX", 60), ("LPUSH", key, 1), ("NOSUCH",), ("GET", key)])
        assert caught.value.code == "WRONGTYPE"
        assert link.call("GET", key) == b"x"
        assert len(link._idle) == 1
        assert link.calls([]) == []


def test_a_script_is_kept_and_sent_again_when_the_server_forgot_it():
    with Server() as server, linked(server.url) as link:
        for _ in range(2):
            assert link.script(ECHO, ["k"], [b"\x00\xff"]) == [b"k", b"\x00\xff"]
        server.ask("SCRIPT", "FLUSH")
        assert link.script(ECHO, ["k"], ["é"]) == [b"k", "é".encode()]
        assert info(server, "commandstats", "cmdstat_eval")["calls"] == 2


def test_a_script_that_fails_midway_never_passes_for_nothing_happened():
    key = fresh_namespace()
    half = Script(
        "half", "#!lua\nredis.call('SET', KEYS[1], 1, 'EX', 60)\nreturn redis.call('LPUSH', KEYS[1], 1)"
    )
    with linked(shared_server().url) as link:
        with pytest.raises(ServerError, match="WRONGTYPE"):
            link.script(half, [key], [])
        assert link.call("GET", key) == b"1"


def test_a_full_memory_turns_a_script_away_before_it_begins():
    writes = Script("writes", "#!lua\nredis.call('DEL', 'x')\nreturn redis.call('SET', 'a', 1)")
    with (
        Server(options={"maxmemory": 1, "maxmemory-policy": "noeviction"}) as server,
        linked(server.url) as link,
    ):
        with pytest.raises(NotSent, match="its memory is full"):
            link.script(writes, ["a"], [])
        assert link.steady_since_ns < time.monotonic_ns(), "the server is there: that is no silence"


def test_a_busy_server_does_nothing_and_says_so():
    with Server(options={"busy-reply-threshold": 1}) as server, linked(server.url) as link:
        link.call("PING")
        failed = []
        endless = Script("endless", "#!lua flags=no-writes\nwhile true do end")
        thread = threading.Thread(
            target=lambda: failed.append(error_of(lambda: link.script(endless, [], [])))
        )
        thread.start()
        with linked(server.url) as other:
            until(lambda: isinstance(error_of(lambda: other.call("PING")), NotSent), "BUSY", LIMIT_S)
            with pytest.raises(NotSent, match="busy with a script"):
                other.call("GET", "a")
            other.call("SCRIPT", "KILL")
        thread.join(LIMIT_S)
        assert isinstance(failed[0], ServerError)


def test_too_many_clients_means_that_nothing_was_sent():
    with Server(options={"maxclients": 1}) as server, linked(server.url) as link:
        link.call("PING")
        with linked(server.url) as other, pytest.raises(NotSent, match="as many clients as it takes"):
            other.call("PING")


def test_a_replica_takes_no_writes():
    with Server() as server, linked(server.url) as link:
        server.ask("REPLICAOF", HOST, free_port())
        turn = link.turn
        with pytest.raises(NotSent, match="it is a replica"):
            link.call("SET", "a", 1)
        assert link.turn == turn + 1
        server.ask("REPLICAOF", "NO", "ONE")
        assert link.call("SET", "a", 1) == b"OK"


PART = CANARY[:8]


def test_a_greeting_that_is_not_understood_does_not_tell_the_password():
    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=answer_like_an_old_server, args=(listener,))
        thread.start()
        url = f"redis://ann:{CANARY}@{HOST}:{listener.getsockname()[1]}"
        with linked(url) as link, pytest.raises(NotSent, match="it is no Redis 7") as caught:
            link.call("PING")
        assert_secret(caught.value, PART)
        thread.join(LIMIT_S)


def answer_like_an_old_server(listener):
    taken, _ = listener.accept()
    with taken:
        said = b" ".join(b"'%s'" % word for word in taken.recv(4_096).split(b"\r\n")[2::2])
        assert CANARY.encode() in said
        cut = said[: said.index(CANARY.encode()) + len(PART)]  # servers quote so much and no more
        taken.sendall(b"-ERR unknown command 'HELLO', with args beginning with: %s\r\n" % cut)


# --- steadiness


def test_steady_is_what_was_answered_since_the_last_failure():
    with Server() as server, linked(server.url, timeout=1) as link:
        begun = time.monotonic_ns()
        link.call("PING")
        since = link.steady_since_ns
        assert begun < since
        link.call("PING")
        assert link.steady_since_ns == since
        server.pause()
        assert isinstance(error_of(lambda: link.call("PING")), OutcomeUnknown)
        server.resume()
        failed = time.monotonic_ns()
        link.call("PING")
        assert link.steady_since_ns > failed


@pytest.mark.parametrize(
    "greeting",
    [
        b"+OK\r\n",
        b"*-1\r\n",
        b":7\r\n",
        b"*3\r\n+a\r\n+b\r\n+c\r\n",
        b"*2\r\n*0\r\n+x\r\n",
        b"*2\r\n+mode\r\n:1\r\n",
    ],
)
def test_what_greets_unlike_a_redis_is_told_as_such(greeting):
    def greet():
        taken, _ = listener.accept()
        with taken:
            taken.recv(4_096)
            taken.sendall(greeting)

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=greet)
        thread.start()
        url = f"redis://ann:{CANARY}@{HOST}:{listener.getsockname()[1]}"
        with linked(url) as link, pytest.raises(NotSent, match="does not greet as a Redis 7") as caught:
            link.call("PING")
        assert_secret(caught.value, CANARY)
        thread.join(LIMIT_S)
