"""Every way in to a real server, as an address tells it."""

import pytest

from flowlord.bus.redis_link import NotSent
from support.processes import until
from support.redis_links import (
    CANARY,
    ECHO,
    LIMIT_S,
    assert_secret,
    check_that_close_ends_listen,
    count_of_ours,
    linked,
)
from support.redis_servers import HOST, Server, free_port, fresh_namespace, shared_server, tls_server

RIGHTS = (
    "resetkeys ~{flowlord}:* resetchannels -@all +@hash +@list +@set +@sortedset +@stream +@keyspace -@dangerous "
    "+eval +evalsha +time +info +config|get +select +asking +cluster|slots"
)


@pytest.mark.parametrize("engine", ["redis", "valkey"])
def test_a_plain_server(engine):
    server = shared_server(engine)
    with linked(server.url) as link:
        assert link.call("PING") == b"PONG"
        assert link.shown == server.url
        until(lambda: count_of_ours(server) == 1, "its name", LIMIT_S)  # others are on their way out


@pytest.mark.parametrize("form", ["redis://{}:{}", "valkey://{}:{}/0", "{}:{}", "redis://{}:{}?timeout=3"])
def test_every_spelling_of_a_plain_server(form):
    server = shared_server()
    with linked(form.format(HOST, server.port)) as link:
        assert link.call("PING") == b"PONG"


def test_a_database():
    key = fresh_namespace()
    server = shared_server()
    with linked(f"{server.url}/3") as link, linked(server.url) as zero:
        link.call("SET", key, 1, "EX", 60)
        assert (link.call("EXISTS", key), zero.call("EXISTS", key)) == (1, 0)
        link.call("DEL", key)


def test_a_password():
    with Server(options={"requirepass": CANARY}) as server:
        with linked(server.url) as link:
            assert link.call("PING") == b"PONG"
            assert link.shown == f"redis://:***@{HOST}:{server.port}"
        for url in (f"redis://:{CANARY}-no@{HOST}:{server.port}", f"redis://{HOST}:{server.port}"):
            with (
                linked(url) as link,
                pytest.raises(NotSent, match=r"this user and password|a user and a password") as caught,
            ):
                link.call("PING")
            assert caught.value.hint.startswith("put user and password into the address")
            assert_secret(caught.value)


def test_a_user_with_only_the_rights_that_are_needed():
    with Server() as server, linked(f"redis://ann:{CANARY}@{HOST}:{server.port}/1") as link:
        server.ask("ACL", "SETUSER", "ann", "on", f">{CANARY}", *RIGHTS.split())
        assert link.call("HSET", "{flowlord}:a", "b", 1) == 1
        assert link.script(ECHO, ["{flowlord}:a"], [1]) == [b"{flowlord}:a", b"1"]
        for words in (
            ("HGET", "other", "b"),
            ("FLUSHALL",),
            ("KEYS", "*"),
            ("CONFIG", "SET", "maxmemory", 0),
        ):
            with pytest.raises(NotSent, match="this user may not do that"):
                link.call(*words)


def test_a_unix_socket(tmp_path):
    with Server(unix=True, folder=tmp_path / "a b") as server:
        with linked(f"unix://{str(server.socket).replace(' ', '%20')}?db=2") as link:
            assert link.call("PING") == b"PONG"
        server.kill()
        with linked(f"unix://{str(server.socket).replace(' ', '%20')}") as link, pytest.raises(NotSent):
            link.call("PING")


def test_tls_with_an_authority_of_ones_own(tmp_path):
    with tls_server(tmp_path) as server:
        with linked(server.url, ssl_ca_certs=server.tls.ca) as link:
            assert [link.call("PING") for _ in range(3)] == [b"PONG"] * 3
            assert len(link._idle) == 1, "tickets that follow the handshake must not pass for stray replies"
        with linked(server.url, ssl_cert_reqs="none") as link:
            assert link.call("PING") == b"PONG"
        for url, options, told in (
            (server.url, {}, "its certificate does not hold"),
            (server.url, {"ssl_ca_certs": tmp_path / "none.pem"}, "a file of certificates is missing"),
            (server.url.replace("rediss", "redis"), {}, "it closed the connection"),
        ):
            with linked(url, **options) as link, pytest.raises(NotSent, match=told) as caught:
                link.call("PING")
            assert caught.value.hint


def test_tls_with_a_certificate_for_the_client(tmp_path):
    with tls_server(tmp_path) as server:
        server.ask("CONFIG", "SET", "tls-auth-clients", "yes")
        own = {"ssl_certfile": server.tls.client_cert, "ssl_keyfile": server.tls.client_key}
        with linked(server.url, ssl_ca_certs=server.tls.ca, **own) as link:
            assert link.call("PING") == b"PONG"
        with linked(server.url, ssl_ca_certs=server.tls.ca) as link, pytest.raises(NotSent):
            link.call("PING")


def test_tls_spoken_to_a_plain_port():
    with linked(shared_server().url.replace("redis:", "rediss:"), timeout=0.3) as link:
        with pytest.raises(NotSent) as caught:
            link.call("PING")
        assert caught.value.hint


def test_close_ends_a_wait_over_tls(tmp_path):
    with tls_server(tmp_path) as server, linked(server.url, ssl_ca_certs=server.tls.ca) as link:
        check_that_close_ends_listen(server, link)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", HOST])
def test_nobody_there_means_that_nothing_was_sent(host):
    with linked(f"redis://{host}:{free_port()}") as link, pytest.raises(NotSent) as caught:
        link.call("PING")
    assert caught.value.hint
