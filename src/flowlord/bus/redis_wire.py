"""One connection to one Redis server: bytes out, replies in.

On a plain socket, with hiredis as the parser. redis-py would do nothing here but connect: its retries, health checks
and pipelines stand in our way, and importing it takes longer than most commands may.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from hiredis import Reader

from flowlord.bus.redis_address import Address, Place
from flowlord.bus.redis_errors import Wrong, safe

Word: TypeAlias = bytes | str | int
Reply: TypeAlias = Any
"""What RESP2 gives: bytes, int, None, or a list of the same. Any, since only the sender knows which it must be."""

_PORTION: Final = 1 << 16
"""Bytes that are read at once."""
_UNFINISHED: Final = object()
_CLOSED: Final = "closed by the server"


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


class _Said(Exception):
    """An error among the replies, as it was sent."""


class _Garbled(Exception):
    """What came is no reply."""


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
        self._socket: socket.socket | None = None
        self._reader = Reader(protocolError=_Garbled, replyError=_Said, notEnoughData=_UNFINISHED)
        self._poll = select.poll()

    def connect(self) -> None:
        """Connect and log in.

        Raises:
            NoConnection: it did not work out.
        """
        try:
            self._socket = _connected(self._address, self.place)
            self._poll.register(self._socket, select.POLLIN)
            self._hello()
        except (Broken, OSError, UnicodeError) as error:
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
        try:
            pairs = hello if isinstance(hello, list) else [hello]  # of one there is no pair
            told = dict(zip(pairs[::2], pairs[1::2], strict=True))
            self.role = "master" if told.get(b"role", b"master") == b"master" else "replica"
            self.mode = told.get(b"mode", b"").decode()
        except (
            TypeError,
            ValueError,
            AttributeError,
        ):  # something else listens there, or a proxy speaks for it
            raise NoConnection(
                "it does not greet as a Redis 7 does",
                "is this the right port? flowlord needs Redis 7.0 or later, or Valkey",
            ) from None

    def send(self, commands: Sequence[Sequence[Word]]) -> None:
        """Send commands in one piece.

        Raises:
            Broken: it is not known how much of it arrived.
        """
        if self._socket is None:
            raise Broken("it was disconnected")
        try:
            self._socket.sendall(packed(commands))
        except OSError as error:
            raise _broken(error) from error

    def read(self, timeout_s: float | None = None) -> Reply | Wrong:
        """Return the next reply; an error that the server sent is a Wrong.

        Args:
            timeout_s: how long the server may be silent; None for what the address says.
        Raises:
            Broken: there will be none, or nobody knows where the next one begins.
        """
        reader, sock = self._reader, self._socket
        if sock is None:
            raise Broken("it was disconnected")
        try:
            reply: Reply = reader.gets()
            if reply is _UNFINISHED:
                patience_s = self._address.timeout_s if timeout_s is None else timeout_s
                if sock.gettimeout() != patience_s:
                    sock.settimeout(patience_s)
                while reply is _UNFINISHED:
                    data = sock.recv(_PORTION)
                    if not data:
                        raise Broken(_CLOSED)
                    reader.feed(data)
                    reply = reader.gets()
        except (OSError, _Garbled) as error:
            raise _broken(error) from error
        if isinstance(reply, _Said):
            code, _, text = str(reply).partition(" ")
            return Wrong(code, text)
        return reply

    def is_fresh(self) -> bool:
        """Tell whether it can be used again: the server has not closed it, and nothing unasked for lies in it."""
        return self._socket is not None and not self._poll.poll(0) and not self._reader.has_data()

    def hang_up(self) -> None:
        """End the connection from another thread; whoever waits for a reply gets Broken at once."""
        sock = self._socket
        if sock is not None:
            try:
                # Not its own method: that of a TLS socket changes what the reading thread is using.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass

    def drop(self) -> None:
        """Disconnect; it is of no more use."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()


def packed(commands: Sequence[Sequence[Word]]) -> bytes:
    """Return commands as they go over the wire.

    Not by hiredis: it takes ten times as long for a text of some hundred kilobytes, as long as all of a commit.
    """
    parts: list[bytes] = []
    for words in commands:
        parts.append(b"*%d\r\n" % len(words))
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            parts += (b"$%d\r\n" % len(data), data, b"\r\n")
    return b"".join(parts)


def _connected(address: Address, place: Place | None) -> socket.socket:
    """Return a socket that is connected, over TLS when the address says so; raises OSError."""
    if place is None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(address.connect_timeout_s)
            sock.connect(address.path)
        except BaseException:
            sock.close()
            raise
    else:
        # As bytes, or Python loads its tables of foreign alphabets: a tenth of what a short command takes.
        host: Any = place[0].encode() if place[0].isascii() else place[0]
        sock = socket.create_connection((host, place[1]), address.connect_timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if address.is_tls:
            from flowlord.bus.redis_tls import over_tls

            sock = over_tls(sock, address, place[0])
    sock.settimeout(address.timeout_s)
    return sock


def _broken(error: Exception) -> Broken:
    is_silence = isinstance(error, TimeoutError)
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
    cause = error.__cause__ if isinstance(error, Broken) and error.__cause__ else error
    if isinstance(cause, ConnectionResetError | BrokenPipeError) or str(cause) == _CLOSED:
        is_plain = not (address.is_tls or address.path)
        return "it closed the connection", "rediss:// is for a port that speaks TLS" if is_plain else ""
    if address.is_tls:
        from flowlord.bus.redis_tls import told

        if found := told(cause):
            return found
    match cause:
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
