"""Links to real Redis servers for tests: opened, closed, and asked what came out."""

import socket
import threading
import time
from contextlib import closing, contextmanager

from flowlord.bus.redis_address import parse
from flowlord.bus.redis_link import Link, Script
from support.processes import until
from support.redis_programs import HOST

LIMIT_S = 40.0
CANARY = "hunter2canary"
ECHO = Script("echo", "#!lua\nreturn {KEYS[1], ARGV[1]}")


@contextmanager
def linked(url, **options):
    """A link that is closed, with its time-outs short enough for a test."""
    query = "&".join(f"{name}={value}" for name, value in options.items())
    with closing(Link(parse(f"{url}{'&' if '?' in url else '?'}{query}" if query else url))) as link:
        yield link


@contextmanager
def served(answer, *, heard=None, hold=None):
    """The address of a server that takes one connection, greets, reads one message, sends `answer` and hangs up.

    `heard` is an event set when the message was read; `hold` one that is waited for before the answer.
    """

    def serve():
        taken, _ = listener.accept()
        with taken:
            taken.recv(4_096)
            taken.sendall(b"*4\r\n+role\r\n+master\r\n+mode\r\n+standalone\r\n")
            taken.recv(4_096)
            if heard:
                heard.set()
            if hold:
                hold.wait(LIMIT_S)
            if answer:
                taken.sendall(answer)

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"redis://{HOST}:{listener.getsockname()[1]}"
        finally:
            thread.join(LIMIT_S)


def count_of_ours(server):
    """How many connections of links a server has."""
    with server.client() as client:
        return [each["name"] for each in client.client_list()].count("flowlord")


def info(server, part, name):
    """One line of INFO."""
    with server.client() as client:
        return client.info(part).get(name)


def assert_secret(error, secret=CANARY):
    """No text in an error, nor in what led to it, holds the password."""
    while error is not None:
        assert secret not in f"{error!s} {error!r} {error.args!r} {getattr(error, 'hint', '')}"
        error = error.__cause__ or error.__context__


def error_of(act):
    """The error that comes out of it, or None."""
    try:
        act()
    except Exception as error:
        return error
    return None


def check_that_close_ends_listen(server, link):
    heard = []
    ended = []

    def listen():
        heard.append(link.listen(("XREAD",), ("STREAMS", "s", "0"), LIMIT_S))
        ended.append(time.monotonic())

    thread = threading.Thread(target=listen)
    thread.start()
    until(lambda: info(server, "clients", "blocked_clients") == 1, "the listener", LIMIT_S)
    closed = time.monotonic()
    link.close()
    thread.join(LIMIT_S)
    assert heard == [None]
    assert ended[0] - closed < 1.0  # far below a slice
    until(lambda: info(server, "clients", "blocked_clients") == 0, "its end", LIMIT_S)
