"""Addresses of Redis: how they are written, read, and shown without their secrets."""

from __future__ import annotations

import math
import re
from typing import Any, Final, NoReturn

import msgspec

from flowlord.model.errors import FlowlordError

FORM: Final = "redis://user:password@host:6379/0"
SENTINEL_FORM: Final = "redis+sentinel://host:26379,host:26379/service"
HINT: Final = f"write {FORM}, rediss://... for TLS, unix:///path.sock or {SENTINEL_FORM}"
ENCODE: Final = "in a user or a password write % as %25, @ as %40, ? as %3F, / as %2F and : as %3A"

TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
_LONGEST_S: Final = 3600.0
_HIDDEN: Final = "***"
_ALIASES: Final = {"redis+unix": "unix", "redis+socket": "unix", "valkey+unix": "unix", "unix": "unix"}
_STORES: Final = ("redis", "rediss", "valkey", "valkeys")
_SENTINELS: Final = tuple(f"{store}+sentinel" for store in _STORES)
_SCHEMES: Final = (*_STORES, *_SENTINELS, *_ALIASES)
_CERT_REQS: Final = ("none", "optional", "required")
_TLS_OPTIONS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")
_OPTIONS: Final = (
    "db", "username", "password", *_TLS_OPTIONS, *_SENTINEL_OPTIONS, "timeout", "connect_timeout",
)  # fmt: skip
_HOST: Final = r"[^\s/?#@%:,\[\]\\]{1,253}"
_BARE: Final = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}(,\S+)?"
_SECONDS: Final = r"[0-9]{1,9}(\.[0-9]{0,9})?"
_PLAIN: Final = r"[A-Za-z0-9_.~/-]*"

Place = tuple[str, int]
"""Host and port."""


class Address(msgspec.Struct, frozen=True):
    """Where a Redis is and how one gets in; what is secret appears in no text of it.

    Either `path` (a Unix socket), or `hosts`: one server, seeds of a cluster, or with a `service` its sentinels.
    Times are in seconds.
    """

    scheme: str
    hosts: tuple[Place, ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str = ""
    password: str = ""
    sentinel_username: str = ""
    sentinel_password: str = ""
    ssl_ca_certs: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    ssl_cert_reqs: str = "required"
    timeout_s: float = TIMEOUT_S
    connect_timeout_s: float = CONNECT_TIMEOUT_S

    @property
    def is_tls(self) -> bool:
        """Whether everything that it says goes over TLS, sentinels included."""
        return self.scheme.partition("+")[0] in ("rediss", "valkeys")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must appear in no text."""
        return tuple(filter(None, (self.password, self.sentinel_password)))

    @property
    def shown(self) -> str:
        """The address for people, with *** for each password; without one, parsing it gives this address again."""
        login = _quoted(self.username) + (f":{_HIDDEN}" if self.password else "")
        where = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        where += _quoted(self.path, "/")
        if self.service:
            where += f"/{_quoted(self.service)}"
        options: list[str] = []
        if self.path and self.db:
            options.append(f"db={self.db}")
        elif self.db:
            where += f"/{self.db}"
        told = {name: getattr(self, name) for name in (*_TLS_OPTIONS, "sentinel_username")}
        options += [
            f"{name}={_quoted(value, '/')}" for name, value in told.items() if value not in ("", "required")
        ]
        if self.sentinel_password:
            options.append(f"sentinel_password={_HIDDEN}")
        for name, seconds, default in (
            ("timeout", self.timeout_s, TIMEOUT_S),
            ("connect_timeout", self.connect_timeout_s, CONNECT_TIMEOUT_S),
        ):
            if seconds != default:
                options.append(f"{name}={seconds:.9f}".rstrip("0").rstrip("."))
        return f"{self.scheme}://{login}{'@' * bool(login)}{where}{'?' * bool(options)}{'&'.join(options)}"

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"Address({self.shown})"


def looks_like_redis(text: str) -> bool:
    """Tell whether a text is meant as an address of a Redis: by its scheme, or as bare `host:port`."""
    scheme, separator, _ = text.partition("://")
    return scheme.lower() in _SCHEMES if separator else bool(re.fullmatch(_BARE, text))


def parse(text: str) -> Address:
    """Read an address.

    Forms: `redis://[user[:password]@]host[:port][/db]`, the same with `rediss` (TLS), `valkey` and `valkeys`; several
    `host:port` with commas (seeds of a cluster); `unix:///path.sock`; `redis+sentinel://host,host/service[/db]`; and
    bare `host[:port]`. Options follow as `?name=value&...`.

    Raises:
        FlowlordError: what is wrong; quotes nothing that may be a part of a password.
    """
    text = text.strip()
    if not text.isprintable():
        _wrong("it has characters that cannot be printed")
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "redis", text
    scheme = scheme.lower()
    if scheme not in _SCHEMES:
        _wrong(
            "it does not begin with redis://, rediss://, valkey://, valkeys://, unix:// or redis+sentinel://"
        )
    body, _, query = rest.partition("?")
    options = _options(query, has_login="@" in body)
    if scheme in _ALIASES:
        return _socket(body, options)
    login, _, where = body.rpartition("@")
    username, password = _login(login, options)
    hosts_text, _, tail = where.partition("/")
    is_sentinel = scheme in _SENTINELS
    hosts = tuple(_host(each, 26379 if is_sentinel else 6379) for each in hosts_text.split(","))
    service = ""
    if is_sentinel:
        service_text, _, tail = tail.partition("/")
        service = _decoded(service_text, "the service")
        if not service:
            _wrong("the name of the service that the sentinels watch is missing", f"write {SENTINEL_FORM}")
    db = _db(tail, options)
    if db and len(hosts) > 1 and not is_sentinel:
        _wrong("several hosts are a cluster, and a cluster has database 0 only", "leave out the database")
    address = Address(
        scheme, hosts, service=service, db=db, username=username, password=password, **_times(options),
        sentinel_username=options.pop("sentinel_username", ""),
        sentinel_password=options.pop("sentinel_password", ""),
    )  # fmt: skip
    if not is_sentinel and (address.sentinel_username or address.sentinel_password):
        _wrong("sentinel_username and sentinel_password are for sentinels only", f"write {SENTINEL_FORM}")
    return _with_tls(address, options)


def _wrong(text: str, hint: str = HINT) -> NoReturn:
    raise FlowlordError(f"this is no address of a Redis: {text}", hint=hint)


def _decoded(text: str, what: str) -> str:
    """Undo the percent-encoding."""
    if "%" not in text and "\0" not in text:
        return text
    from urllib.parse import unquote

    found: str | None = None
    try:
        found = unquote(text, errors="strict")
    except UnicodeDecodeError:
        pass  # it holds what it could not read, so it must not become the context of ours
    if found is None:
        _wrong(f"{what} is no text in UTF-8 once its percent-encoding is undone", ENCODE)
    if "\0" in found:
        _wrong(f"{what} holds a zero byte", ENCODE)
    return found


def _options(query: str, *, has_login: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    if has_login and "@" in query:  # one of the two is a piece of a password: nobody can tell which
        _wrong("there is an @ on both sides of the ?", ENCODE)
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name not in _OPTIONS:
            if "@" in query or not re.fullmatch(r"[a-z_]{1,30}", name):
                _wrong("what follows the ? is no list of options", ENCODE)
            _wrong(f"there is no option {name!r}", f"the options are {', '.join(_OPTIONS)}")
        if name in found:
            _wrong(f"the option {name} is there twice", "leave one out")
        found[name] = _decoded(value, f"the option {name}")
    return found


def _login(text: str, options: dict[str, str]) -> tuple[str, str]:
    name, _, password = text.partition(":")
    found: list[str] = []
    for option, value in (
        ("username", _decoded(name, "the user")),
        ("password", _decoded(password, "the password")),
    ):
        asked = options.pop(option, "")
        if asked and value and asked != value:
            _wrong(f"the {option} is told twice", f"tell the {option} before the @ or as an option, not both")
        found.append(asked or value)
    return found[0], found[1]


def _host(text: str, port: int) -> Place:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        host = _decoded(host, "the host")
        import ipaddress

        try:
            if not bracket or rest[:1] not in ("", ":"):
                raise ValueError
            ipaddress.IPv6Address(host)
        except ValueError:
            _wrong("what stands in [ ] is no IPv6 address", "write redis://[::1]:6379")
        port_text = rest[1:]
        has_port = bool(rest)
    else:
        host, colon, port_text = text.partition(":")
        has_port = bool(colon)
        if not host:
            _wrong("a host is missing")
        if not re.fullmatch(_HOST, host, re.ASCII):
            _wrong("a host has characters that no host has", ENCODE)
    if has_port:
        # Not quoted: in an address whose @host was forgotten, this is the password.
        if not re.fullmatch(r"[0-9]{1,5}", port_text) or not 0 < int(port_text) < 65_536:
            _wrong("a port is no number from 1 to 65535", f"write {FORM}; {ENCODE}")
        port = int(port_text)
    return host, port


def _db(text: str, options: dict[str, str]) -> int:
    found: set[int] = set()
    for each in filter(None, (text.rstrip("/"), options.get("db"))):
        if not re.fullmatch(r"[0-9]{1,6}", each):
            _wrong("the database is no number", f"write {FORM}; {ENCODE}")
        found.add(int(each))
    if "db" in options and not options.pop("db"):
        _wrong("the option db is empty", f"write {FORM}")
    if len(found) > 1:
        _wrong("two databases are told", "tell it behind the host or as db=, not both")
    return found.pop() if found else 0


def _times(options: dict[str, str]) -> dict[str, Any]:
    found: dict[str, float] = {}
    for name in ("timeout", "connect_timeout"):
        if name not in options:
            continue
        value = options.pop(name)
        seconds = float(value) if re.fullmatch(_SECONDS, value) else math.nan
        if not 0.001 <= seconds <= _LONGEST_S:
            _wrong(
                f"the option {name} is no number of seconds up to {_LONGEST_S:g}",
                f"write {name}=10 or {name}=0.5",
            )
        found[f"{name}_s"] = seconds
    return found


def _with_tls(address: Address, options: dict[str, str]) -> Address:
    """Return the address with its TLS options, the last that are left."""
    if options and not address.is_tls:
        name = next(iter(options))
        if name in _SENTINEL_OPTIONS:
            _wrong(f"the option {name} is for sentinels only", f"write {SENTINEL_FORM}")
        _wrong(f"the option {name} is for TLS only", "write rediss:// or rediss+sentinel://")
    checked = options.get("ssl_cert_reqs", "required")
    if checked not in _CERT_REQS:
        _wrong("ssl_cert_reqs is none, optional or required", "leave it out: required is the default")
    if options.get("ssl_keyfile") and not options.get("ssl_certfile"):
        _wrong("there is an ssl_keyfile without an ssl_certfile", "tell both")
    values = {name: getattr(address, name) for name in Address.__struct_fields__}
    return Address(**(values | options))


def _socket(body: str, options: dict[str, str]) -> Address:
    """Read what follows `unix://`."""
    login, at, path = ("", "", body) if body.startswith("/") else body.rpartition("@")
    if not path.startswith("/") or (at and not login):
        _wrong("the path of a socket begins with /", "write unix:///path.sock")
    username, password = _login(login, options)
    address = Address(
        "unix", path=_decoded(path, "the path"), db=_db("", options), username=username, password=password,
        **_times(options),
    )  # fmt: skip
    return _with_tls(address, options)


def _quoted(text: str, safe: str = "") -> str:
    """Return a text percent-encoded; what does that is loaded only for one that needs it."""
    if re.fullmatch(_PLAIN, text) and (safe or "/" not in text):
        return text
    from urllib.parse import quote

    return quote(text, safe=safe)
