"""One request to a receiver: bounded in time, never to another host, and told whether it may have arrived."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from flowlord.alert.port import Undelivered

if TYPE_CHECKING:
    import httpx

MOST_BYTES: Final = 64 * 1024
MOST_HOPS: Final = 3
AGENT: Final = "flowlord"
_HERE: Final = threading.local()
_IN_HURRY: Final = "had not answered when this process was to end"
_TOO_LATE: Final = "was not asked any more: this process is to end"


class Unreachable(Undelivered):
    """Nothing answered."""


class Reply(msgspec.Struct, frozen=True):
    """What a receiver answered; the body is cut at MOST_BYTES, and where the connection ended."""

    status: int
    body: str
    retry_after: str = ""
    location: str = ""


class Request(msgspec.Struct, frozen=True):
    """What is asked; `limit_s` bounds all of it, from the connection to the last byte."""

    url: str
    body: bytes = b""
    headers: Mapping[str, str] = {}
    method: str = "POST"
    limit_s: float = 10.0


def host_of(url: str) -> str:
    """Return host and port of an address, which is all of it that may be said."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or "?"
    except ValueError:
        return "?"


class Hurry:
    """Ends what one channel is sending before its time, once the process is to end. One request at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watch: _Watch | None = None
        self.is_over = False

    def begin(self, limit_s: float) -> None:
        """Let what is being sent, and all that follows, go on for so long; may be called by any thread."""
        timer = threading.Timer(limit_s, self.end)
        timer.daemon = True
        timer.start()

    def end(self) -> None:
        """Cut what is being sent; what comes later does not leave any more."""
        with self._lock:
            self.is_over = True
            watch = self._watch
        if watch is not None:
            watch.cut()

    def refuse(self, host: str) -> None:
        """Raise Unreachable when it is too late to begin."""
        if self.is_over:
            raise Unreachable(f"{host} {_TOO_LATE}")

    @contextmanager
    def minding(self, watch: _Watch) -> Iterator[None]:
        """Follow one request."""
        with self._lock:
            self._watch, is_over = watch, self.is_over
        if is_over:
            watch.cut()
        try:
            yield
        finally:
            with self._lock:
                self._watch = None


def ask(request: Request, hurry: Hurry | None = None) -> Reply:
    """Send a request, once; a redirect that keeps the method is followed as long as it stays with the host.

    What is behind a redirect gets a third of the time, so that all of it takes half as long again at most.

    Raises:
        Unreachable: no answer; `doubtful` when the whole request had left.
    """
    hurry = hurry or Hurry()
    reply = _once(request, hurry)
    for _ in range(MOST_HOPS - 1):
        target = urljoin(request.url, reply.location)
        if reply.status not in (307, 308) or not reply.location or not _same_host(request.url, target):
            break
        request = msgspec.structs.replace(request, url=target, limit_s=request.limit_s / MOST_HOPS)
        reply = _once(request, hurry)
    return reply


def _same_host(one: str, other: str) -> bool:
    """Whether both addresses are of one server; from http to https counts as the same."""
    try:
        a, b = urlsplit(one), urlsplit(other)
        if a.hostname != b.hostname:
            return False
        if a.scheme == b.scheme:
            return a.port == b.port
        return (a.scheme, b.scheme) == ("http", "https") and a.port is None and b.port is None
    except ValueError:
        return False


def _once(request: Request, hurry: Hurry) -> Reply:
    import httpx

    host = host_of(request.url)
    hurry.refuse(host)
    watch = _Watch(request.method)

    def exchange() -> Reply:
        with _unlogged(), _client(request) as client:
            return _read(client, request, watch)

    timer = threading.Timer(request.limit_s, watch.cut)
    timer.daemon = True
    timer.start()
    try:
        with hurry.minding(watch):
            return watch.bounded(exchange)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Undelivered(
            f"{host}: the address cannot be used: {type(error).__name__}", lasting=True
        ) from None
    except ImportError:  # a proxy that speaks SOCKS
        text = f"{host}: the proxy of the environment needs a library that is not installed"
        raise Undelivered(text, hint="pip install 'httpx[socks]'", lasting=True) from None
    except (httpx.HTTPError, OSError, ValueError) as error:
        # No cause is kept: its text, and the request in it, hold the address with its secret.
        reason = _IN_HURRY if hurry.is_over else _reason(error, request.limit_s, watch)
        raise Unreachable(f"{host} {reason}", doubtful=watch.is_sent) from None
    finally:
        timer.cancel()


def _client(request: Request) -> httpx.Client:
    """Return a client for one request, with proxies and certificates of the environment."""
    from urllib.request import getproxies

    import httpx

    # To read the certificates takes 40 ms; without TLS on the way there is nothing to verify.
    has_tls = not request.url.lower().startswith("http:") or bool(getproxies())
    return httpx.Client(
        verify=has_tls,
        timeout=httpx.Timeout(request.limit_s),
        follow_redirects=False,
        limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
        headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
    )


def _read(client: httpx.Client, request: Request, watch: _Watch) -> Reply:
    import httpx

    kept, size = [], 0
    with client.stream(
        request.method,
        request.url,
        content=request.body or None,
        headers=dict(request.headers),
        extensions={"trace": watch.trace},
    ) as response:
        try:
            for chunk in response.iter_raw():
                kept.append(chunk)
                size += len(chunk)
                if size >= MOST_BYTES:
                    break
        except (httpx.HTTPError, OSError, ValueError):
            pass  # the status is there, and says more than that the rest is missing
        body = b"".join(kept)[:MOST_BYTES].decode("utf-8", "replace")
        headers = response.headers
        return Reply(response.status_code, body, headers.get("retry-after", ""), headers.get("location", ""))


class _Watch:
    """Follows one request from inside: whether it has left, and which socket to cut when time is over.

    A name that is looked up, a connection that is being made, and the first words of TLS have no socket that could be
    cut. So all of it goes on in a thread, which is left to itself then: a connection that it gets later is cut before
    anything leaves.
    """

    def __init__(self, method: str) -> None:
        self._method = method.encode()
        self._is_ours = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()  # the request, or the patience with it
        self.is_sent = False
        self.is_late = False

    def bounded(self, exchange: Callable[[], Reply]) -> Reply:
        """Return what the exchange returns, or raise what it raises; TimeoutError when it was cut without a socket."""
        replies: list[Reply] = []
        raised: list[BaseException] = []

        def work() -> None:
            try:
                replies.append(exchange())
            except BaseException as error:  # noqa: BLE001 - raised again below
                raised.append(error)
            finally:
                self._ended.set()

        threading.Thread(target=work, name="flowlord-alerts-send", daemon=True).start()
        self._ended.wait()
        if replies:
            return replies[0]
        raise raised[0] if raised else TimeoutError()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear of a step of the client; a proxy gets a request of its own first, which is not ours."""
        if event.endswith("start_tls.started"):
            with self._lock:
                self._socket = None  # TLS takes it away; what is not done in time is cut when it is
                if self.is_late:
                    self._ended.set()
        elif event.endswith(("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")):
            found = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._socket = found
                if self.is_late:
                    _shut(found)
        elif event.endswith("send_request_body.started"):
            self._is_ours = info["request"].method == self._method
        elif event.endswith("send_request_body.complete"):
            self.is_sent = self._is_ours

    def cut(self) -> None:
        """End the connection; called by the timer."""
        with self._lock:
            self.is_late = True
            if self._socket is None:
                self._ended.set()
            else:
                _shut(self._socket)


def _shut(found: socket.socket) -> None:
    try:  # of the plain socket: that of TLS would change what the other thread is reading with
        socket.socket.shutdown(found, socket.SHUT_RDWR)
    except OSError:
        pass


def _reason(error: Exception, limit_s: float, watch: _Watch) -> str:
    """Say why there was no answer, in words that hold nothing of the address."""
    import httpx

    if watch.is_late or isinstance(error, httpx.TimeoutException):
        what = "did not answer" if watch.is_sent else "took nothing"
        return f"{what} within {limit_s:g} s"
    if watch.is_sent:
        return "ended the connection without an answer"
    if isinstance(error, httpx.ProxyError):
        return "cannot be reached through the proxy of the environment"
    if isinstance(error, httpx.ConnectError):
        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return "has a certificate that is not trusted"
        if "SSL" in text:
            return "does not speak TLS as it should"
        if "refused" in text:
            return "refuses connections"
        if "Name or service" in text or "name resolution" in text or "nodename" in text:
            return "is a name that is not known"
        return "cannot be reached"
    return "ended the connection before it had the message"


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the client's own log, which holds addresses, quiet while this thread sends."""
    for name in ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy"):
        logger = logging.getLogger(name)
        if _not_ours not in logger.filters:
            logger.addFilter(_not_ours)
    _HERE.sends = True
    try:
        yield
    finally:
        _HERE.sends = False


def _not_ours(record: logging.LogRecord) -> bool:
    return not getattr(_HERE, "sends", False)
