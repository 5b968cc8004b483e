"""One connection to one Redis server: bytes out, replies in. The only module that imports redis-py.

redis-py connects and parses here, and does nothing on its own: no retries, no health checks, no pipelines.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Sequence
from typing import Any, TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from flowlord.bus.redis_address import Address, Place
from flowlord.bus.redis_errors import Wrong, safe

Word: TypeAlias = bytes | str | int
Reply: TypeAlias = Any
"""What RESP2 gives: bytes, int, None, or a list of the same. Any, since only the sender knows which it must be."""

_Raw: TypeAlias = Any
"""A connection of redis-py, which types none of what is used here."""
_UNIX: _Raw = UnixDomainSocketConnection
_TCP: _Raw = Connection
_TLS: _Raw = SSLConnection


class NoConnection(Exception):
    """A server could not be reached, or did not let us in; nothing was sent. The text says why, without secrets."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


class Broken(Exception):
    """A connection ended, or fell silent, between the first byte sent and the last one read."""

    def __init__(self, text: str, *, is_silence: bool = False) -> None:
        super().__init__(text)
        self.is_silence = is_silence


class Wire:
    """One connection, used by one thread at a time.

    `turn` is for its owner. `role` and `mode` are what the server told of itself: `master`, `replica`; `standalone`,
    `cluster`, `sentinel`.
    """

    def __init__(
        self, address: Address, place: Place | None, client_name: str, *, is_sentinel: bool = False
    ) -> None:
        """`place` is None for a Unix socket. Does not connect."""
        self.place = place
        self.turn = 0
        self.role = self.mode = ""
        self._address = address
        self._name = client_name
        self._is_sentinel = is_sentinel
        self._connection = _connection(address, place)

    def connect(self) -> None:
        """Connect and log in.

        Raises:
            NoConnection: it did not work out.
        """
        try:
            self._connection.connect()
            self._hello()
        except (Broken, redis.RedisError, OSError, UnicodeError) as error:
            self.drop()
            raise NoConnection(*_told(error, self._address)) from error
        except BaseException:
            self.drop()
            raise

    def _hello(self) -> None:
        """Log in, give the connection its name and learn whom we talk to, in one command that every user may send."""
        address, is_sentinel = self._address, self._is_sentinel
        username, password = address.username, address.password
        if is_sentinel:
            username, password = address.sentinel_username, address.sentinel_password
        login = ("AUTH", username or "default", password) if username or password else ()
        commands: list[tuple[Word, ...]] = [("HELLO", 2, *login, "SETNAME", self._name)]
        if address.db and not is_sentinel:
            commands.append(("SELECT", address.db))
        self.send(commands)
        replies = [self.read(address.connect_timeout_s) for _ in commands]
        for reply in replies:
            if isinstance(reply, Wrong):
                raise _turned_away(reply, address)
        hello = replies[0]
        assert isinstance(hello, list)
        told = dict(zip(hello[::2], hello[1::2], strict=True))
        self.role = "master" if told.get(b"role", b"master") == b"master" else "replica"
        self.mode = told.get(b"mode", b"").decode()

    def send(self, commands: Sequence[Sequence[Word]]) -> None:
        """Send commands in one piece.

        Raises:
            Broken: it is not known how much of it arrived.
        """
        if not self._connection.is_connected:  # redis-py would connect, and send all of it without a login
            raise Broken("it was disconnected")
        try:
            self._connection.send_packed_command([packed(commands)], check_health=False)
        except (redis.RedisError, OSError) as error:
            raise _broken(error) from error

    def read(self, timeout_s: float | None = None) -> Reply | Wrong:
        """Return the next reply; an error that the server sent is a Wrong.

        Args:
            timeout_s: how long the server may be silent; None for what the address says.
        Raises:
            Broken: there will be none, or nobody knows where the next one begins.
        """
        more = {} if timeout_s is None else {"timeout": timeout_s}
        try:
            reply: Reply = self._connection.read_response(disconnect_on_error=False, **more)
            return reply
        except redis.RedisError as error:
            # Of redis-py's errors only those that a server sent have a first word, or are a ResponseError.
            if error.status_code is not None:
                return Wrong(error.status_code, str(error))
            if isinstance(error, redis.ResponseError):
                code, _, text = str(error).partition(" ")
                return Wrong(code, text)
            raise _broken(error) from error
        except OSError as error:
            raise _broken(error) from error

    def is_fresh(self) -> bool:
        """Tell whether it can be used again: the server has not closed it, and nothing unasked for lies in it."""
        try:
            return bool(self._connection.is_connected and not self._connection.can_read(0))
        except (redis.RedisError, OSError):
            return False

    def hang_up(self) -> None:
        """End the connection from another thread; whoever waits for a reply gets Broken at once."""
        sock = self._connection._get_socket()
        if sock is not None:
            try:
                # Not its own method: that of a TLS socket changes what the reading thread is using.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass

    def drop(self) -> None:
        """Disconnect; it is of no more use."""
        self._connection.disconnect()


def packed(commands: Sequence[Sequence[Word]]) -> bytes:
    """Return commands as they go over the wire.

    Not by redis-py: hiredis takes ten times as long for a text of some hundred kilobytes, as long as all of a commit.
    """
    parts: list[bytes] = []
    for words in commands:
        parts.append(b"*%d\r\n" % len(words))
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            parts += (b"$%d\r\n" % len(data), data, b"\r\n")
    return b"".join(parts)


def _connection(address: Address, place: Place | None) -> _Raw:
    """Return a connection of redis-py that is not connected yet and knows no password."""
    options: dict[str, Any] = {
        "socket_timeout": address.timeout_s,
        "socket_connect_timeout": address.connect_timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "protocol": 2,
        "decode_responses": False,
        "health_check_interval": 0,
        "driver_info": None,
    }
    if place is None:
        return _UNIX(path=address.path, **options)
    options |= {"host": place[0], "port": place[1], "socket_keepalive": True}
    if not address.is_tls:
        return _TCP(**options)
    return _TLS(
        ssl_ca_certs=address.ssl_ca_certs or None,
        ssl_certfile=address.ssl_certfile or None,
        ssl_keyfile=address.ssl_keyfile or None,
        ssl_cert_reqs=address.ssl_cert_reqs,
        **options,
    )


def _broken(error: Exception) -> Broken:
    is_silence = isinstance(error, redis.TimeoutError | TimeoutError)
    return Broken("no answer in time" if is_silence else safe(str(error)), is_silence=is_silence)


def _turned_away(wrong: Wrong, address: Address) -> NoConnection:
    # A server or a proxy that does not know a command quotes what came with it: the password, or a part of it.
    said = safe(f"{wrong.code} {wrong.text.partition(', with args')[0]}", address.secrets)
    if wrong.code == "ERR" and ("unknown command" in wrong.text or "HELLO" in wrong.text):
        return NoConnection(f"it is no Redis 7 ({said})", "flowlord needs Redis 7.0 or later, or Valkey")
    if wrong.code == "ERR" and "SELECT is not allowed" in wrong.text:
        return NoConnection(
            "it is a cluster, which has database 0 only", "leave the database out of the address"
        )
    meaning = wrong.meaning
    if meaning is None:
        return NoConnection(said, "")
    return NoConnection(f"{meaning.text} ({wrong.code})", meaning.hint)


def _told(error: Exception, address: Address) -> tuple[str, str]:
    """Return why there is no connection, and what to do about it."""
    if isinstance(error, Broken) and error.is_silence:
        return f"it did not answer within {address.connect_timeout_s:g} s", "does it hang?"
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    while isinstance(cause, redis.RedisError) and (cause.__cause__ or cause.__context__):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ConnectionResetError | BrokenPipeError) or "closed by server" in str(error):
        is_plain = not (address.is_tls or address.path)
        return "it closed the connection", "rediss:// is for a port that speaks TLS" if is_plain else ""
    match cause:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate does not hold: {cause.verify_message}",
                "tell who signed it: ?ssl_ca_certs=ca.pem",
            )
        case ssl.SSLError():
            return (
                f"TLS failed: {safe(str(cause.reason or cause))}",
                "is that port one for TLS? redis:// is without",
            )
        case socket.gaierror():
            return f"there is no such host ({cause.strerror})", "check the name of the host"
        case OSError(errno=errno.ENOENT) if address.is_tls:
            return "a file of certificates is missing", "check ssl_ca_certs, ssl_certfile and ssl_keyfile"
        case TimeoutError():
            return f"it did not answer within {address.connect_timeout_s:g} s", "is there a firewall between?"
        case OSError() if cause.strerror:
            return cause.strerror.lower(), "is it running, and is this the right port?"
        case UnicodeError():
            return "its name is no name of a host", "check the name of the host"
        case _:
            return safe(str(error), address.secrets), ""
