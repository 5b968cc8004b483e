"""Addresses of Redis: every form, every mistake, and no secret in any text."""

from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from flowlord.bus.redis_address import Address, looks_like_redis, parse
from flowlord.model.errors import FlowlordError

CANARY = "hunter2canary"
HOME = Address("redis", (("localhost", 6379),))

RIGHT = {
    "redis://localhost": HOME,
    "  redis://localhost:6379/ ": HOME,
    "REDIS://localhost/0": HOME,
    "localhost": HOME,
    "localhost:6379": HOME,
    "redis:6380": Address("redis", (("redis", 6380),)),
    "redis://10.0.0.1/3": Address("redis", (("10.0.0.1", 6379),), db=3),
    "redis://h?db=3": Address("redis", (("h", 6379),), db=3),
    "redis://h/3?db=3": Address("redis", (("h", 6379),), db=3),
    "redis://[::1]:7000/1": Address("redis", (("::1", 7000),), db=1),
    "redis://[fe80::1%25eth0]": Address("redis", (("fe80::1%eth0", 6379),)),
    "redis://h1,h2:7001,[::1]": Address("redis", (("h1", 6379), ("h2", 7001), ("::1", 6379))),
    "h1:6379,h2:6379": Address("redis", (("h1", 6379), ("h2", 6379))),
    "redis://:pw@h": Address("redis", (("h", 6379),), password="pw"),
    "redis://ann@h": Address("redis", (("h", 6379),), username="ann"),
    "redis://ann:pw@h": Address("redis", (("h", 6379),), username="ann", password="pw"),
    "redis://ann:@h": Address("redis", (("h", 6379),), username="ann"),
    "redis://a%40b:p%2Fw%3F%C3%A9@h": Address("redis", (("h", 6379),), username="a@b", password="p/w?é"),
    "redis://ann:p/w@x:y@h": Address("redis", (("h", 6379),), username="ann", password="p/w@x:y"),
    "redis://h?username=ann&password=p%26w": Address("redis", (("h", 6379),), username="ann", password="p&w"),
    "redis://h?password=a@b": Address("redis", (("h", 6379),), password="a@b"),
    "redis://h?timeout=0.5&connect_timeout=2": Address(
        "redis", (("h", 6379),), timeout_s=0.5, connect_timeout_s=2
    ),
    "valkey://h": Address("valkey", (("h", 6379),)),
    "valkeys://h?ssl_cert_reqs=none": Address("valkeys", (("h", 6379),), ssl_cert_reqs="none"),
    "rediss://h:6380?ssl_ca_certs=/a/ca.pem&ssl_certfile=c&ssl_keyfile=k": Address(
        "rediss", (("h", 6380),), ssl_ca_certs="/a/ca.pem", ssl_certfile="c", ssl_keyfile="k"
    ),
    "unix:///run/redis.sock": Address("unix", path="/run/redis.sock"),
    "redis+unix:///a%20b.sock?db=1": Address("unix", path="/a b.sock", db=1),
    "redis+socket://ann:pw@/r.sock": Address("unix", path="/r.sock", username="ann", password="pw"),
    "unix:///home/ann@work/r.sock": Address("unix", path="/home/ann@work/r.sock"),
    "redis+sentinel://h1,h2:26380/main": Address(
        "redis+sentinel", (("h1", 26379), ("h2", 26380)), service="main"
    ),
    "rediss+sentinel://ann:pw@h/my%2Fmain/2?sentinel_username=s&sentinel_password=t": Address(
        "rediss+sentinel", (("h", 26379),), service="my/main", db=2, username="ann", password="pw",
        sentinel_username="s", sentinel_password="t",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", RIGHT)
def test_every_form_is_read(text):
    assert parse(text) == RIGHT[text]


WRONG = {
    "": "a host is missing",
    "redis://": "a host is missing",
    "redis://:6379": "a host is missing",
    "redis://h1,,h2": "a host is missing",
    "redis://a b": "a host has characters",
    "redis://a\nb": "cannot be printed",
    "redis://h:": "a port is no number",
    "redis://h:0": "a port is no number",
    "redis://h:65536": "a port is no number",
    "redis://h:٣": "a port is no number",
    "redis://[::1": "no IPv6",
    "redis://[::1]x": "no IPv6",
    "redis://[1.2.3.4]:1": "no IPv6",
    "redis://h/one": "the database is no number",
    "redis://h/-1": "the database is no number",
    "redis://h/1/2": "the database is no number",
    "redis://h/1?db=2": "two databases",
    "redis://h?db=": "the option db is empty",
    "redis://h1,h2/1": "database 0 only",
    "redis://h?tls=1": "there is no option 'tls'",
    "redis://h?timeout": "timeout is no number of seconds",
    "redis://h?timeout=0": "timeout is no number of seconds",
    "redis://h?timeout=nan": "timeout is no number of seconds",
    "redis://h?connect_timeout=1e9": "connect_timeout is no number of seconds",
    "redis://h?timeout=1&timeout=2": "timeout is there twice",
    "redis://ann@h?username=bob": "the username is told twice",
    "redis://%ff@h": "no text in UTF-8",
    "redis://a%00b@h": "zero byte",
    "redis://h?ssl_ca_certs=ca.pem": "ssl_ca_certs is for TLS only",
    "rediss://h?ssl_cert_reqs=maybe": "ssl_cert_reqs is none, optional or required",
    "rediss://h?ssl_keyfile=k": "without an ssl_certfile",
    "redis://h?sentinel_password=x": "for sentinels only",
    "unix:///s?sentinel_password=x": "for sentinels only",
    "redis+sentinel://h": "the name of the service",
    "redis+sentinel://h/": "the name of the service",
    "redis+sentinel://h/main/x": "the database is no number",
    "unix://run/redis.sock": "the path of a socket begins with /",
    "unix://": "the path of a socket begins with /",
    "sqlite:///bus.db": "does not begin with redis://",
    "http://h": "does not begin with redis://",
}


@pytest.mark.parametrize("text", WRONG)
def test_every_mistake_is_told_with_a_right_form(text):
    with pytest.raises(FlowlordError, match=WRONG[text]) as caught:
        parse(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "answer"),
    {
        "redis://h": True,
        "rediss://h": True,
        "VALKEY://h": True,
        "unix:///x": True,
        "redis+sentinel://h/s": True,
        "redis:6379": True,
        "[::1]:6379": True,
        "h1:6379,h2:6379": True,
        "localhost": False,
        "memory:": False,
        "sqlite:///bus.db": False,
        "postgres://h:5432": False,
        "bus.db": False,
        "": False,
    }.items(),
)
def test_what_looks_like_redis_is_told_from_other_addresses(text, answer):
    assert looks_like_redis(text) is answer


@pytest.mark.parametrize("text", RIGHT)
def test_the_shown_address_is_one_that_means_the_same_save_for_passwords(text):
    address = RIGHT[text]
    again = parse(address.shown)
    assert again == replace(
        address,
        password="***" if address.password else "",
        sentinel_password="***" if address.sentinel_password else "",
    )
    assert again.shown == address.shown == str(address)


PIECES = st.sampled_from(
    ["redis://", "rediss://", "unix://", "redis+sentinel://", "h", "h:1", ",", "@", ":", "/", "?", "&", "=", "%", "[",
     "]", "::1", "db=1", "password=x", "timeout=1", "ssl_ca_certs=c", "username=u", "main", "é", "%20", "3"]
)  # fmt: skip
ANYTHING = st.one_of(st.text(), st.lists(PIECES).map("".join))


@given(ANYTHING)
def test_whatever_is_parsed_gives_an_address_or_our_error(text):
    try:
        address = parse(text)
    except FlowlordError:
        return
    shown = address.shown
    assert parse(shown).shown == shown
    if not address.secrets:
        assert parse(shown) == address


@given(
    st.sampled_from(
        [
            "redis://ann:{}@h:6379/1",
            "redis://:{}@h",
            "{}@h:6379",
            "rediss://ann:{}@h1,h2?timeout=3",
            "redis://ann:{}",  # somebody forgot the host
            "redis://h?password={}",
            "redis://ann:x@h?password={}",
            "redis+sentinel://h/main?sentinel_password={}",
            "unix://ann:{}@/r.sock",
        ]
    ),
    st.text("ab1:/?#@&=%[], .", max_size=6),
    st.text("ab1:/?#@&=%[], .", max_size=6),
    st.booleans(),
)
@example("redis://ann:{}@h:6379/1", "x@", "?timeout=5", False)
@example("redis://ann:{}@h:6379/1", "x?", "=1", False)
@example("redis://ann:{}@h:6379/1", "", "%a1", False)
def test_a_password_appears_in_no_text_however_it_is_written(form, before, after, encoded):
    password = before + CANARY + after
    # An @ makes a host of what follows it: nobody can know that it was meant otherwise.
    assume(encoded or "@" not in password or not form.endswith("ann:{}"))
    if form.startswith("{}"):
        password = f"ann:{password}"
    try:
        address = parse(form.format(quote(password, safe=":") if encoded else password))
        told = f"{address} {address!r} {address.shown}"
    except FlowlordError as error:
        told = f"{error} {error!r} {error.hint} {error.__cause__!r} {error.__context__!r}"
    assert CANARY not in told
