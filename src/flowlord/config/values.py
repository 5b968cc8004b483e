"""How the value of a setting is read, out of a file, a variable or a flag."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from flowlord.config.settings import DAY, SECOND


class Wrong(ValueError):
    """A value that cannot be; the text goes on after the value and tells what can."""


_UNITS: Final = {
    "ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": SECOND, "m": 60 * SECOND,
    "h": 3_600 * SECOND, "d": DAY, "w": 7 * DAY,
}  # fmt: skip
DONE: Final = "done"
QUARANTINE: Final = "quarantine"
_PART: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?(ns|us|µs|μs|ms|s|m|h|d|w)")
_HOST: Final = r"(?:(?:\A|,)(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})+"
_NAMESPACE: Final = r"[A-Za-z0-9._-]{1,64}"  # braces would break the keys
_TOPIC: Final = r"[^\s\x00-\x1f\x7f:]{1,200}"


def read_text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Wrong("is no text")
    return value


def read_address(value: object) -> str:
    """An address of a bus; `host:port` alone is one of Redis, as `REDIS_URL` is often written."""
    text = read_text(value).strip()
    return f"redis://{text}" if re.fullmatch(_HOST, text, re.ASCII) else text


def read_namespace(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_NAMESPACE, value):
        raise Wrong("is no namespace: 1 to 64 letters, digits, dots, hyphens and underscores")
    return value


def read_path(value: object) -> str:
    if str(value).lower() in ("true", "false", "yes", "no", "on", "off"):
        raise Wrong("is no path; cache.enabled switches the history on and off")
    return read_text(value)


def read_duration(value: object) -> int:
    """Whole nanoseconds of Go's notation; longer than nothing."""
    text = value if isinstance(value, str) else ""
    total = at = 0
    while found := _PART.match(text, at):
        unit = _UNITS[found[3]]
        total += int(found[1]) * unit + int(found[2] or "0") * unit // 10 ** len(found[2] or "")
        at = found.end()
    if not text or at < len(text):
        plain = isinstance(value, int) or text.isdecimal()
        like = f"{value}s" if plain else "90s, 15m or 7d"
        raise Wrong(f"is no duration: write it with its unit, such as {like}")
    if not 0 < total < 2**63:
        raise Wrong("is no duration longer than nothing and shorter than 292 years")
    return total


def read_size(value: object) -> int:
    """Bytes: `20GB`, `512MiB`; a million at least, since a history of less would forget what just happened."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    found = re.fullmatch(r"([0-9]{1,15})\s*([kmgt]?)(i?)b?", text.strip(), re.IGNORECASE)
    if found is None or (found[3] and not found[2]):
        raise Wrong("is no size: write it as 20GB or 512MiB")
    size: int = int(found[1]) * (1024 if found[3] else 1000) ** " kmgt".index(found[2].lower() or " ")
    if not 1_000_000 <= size < 2**63:
        raise Wrong("is no size from 1MB on")
    return size


def read_backup_path(value: object) -> str:
    return "" if value in ("", "-", None) else read_path(value)


def read_refresh(value: object) -> int:
    return 0 if value == "auto" else read_duration(value)


def read_endpoint(value: object) -> str:
    text = read_text(value).strip().rstrip("/")
    if "://" not in text:
        text = f"http://{text}"  # as STORAGE_EMULATOR_HOST is often written
    if not re.fullmatch(r"https?://[^/\s@?#]+", text):
        raise Wrong("is no address of a server: write http://HOST:PORT or https://HOST, without user or path")
    return text


def read_words(value: object) -> str:
    """A text that may be empty."""
    if not isinstance(value, str):
        raise Wrong("is no text")
    return value.strip()


def read_variable(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,199}", value):
        raise Wrong("is no name of a variable")
    return value


def read_web_address(value: object) -> str:
    """An address of HTTP with anything behind the host; it may be a secret, so that no error repeats it."""
    text = read_text(value).strip()
    if not re.fullmatch(r"https?://[^/\s?#]+([/?][^\s\x00-\x1f\x7f]*)?", text):
        raise Wrong("is no address of HTTP: write https://HOST/PATH")
    return text


def read_optional_address(value: object) -> str:
    return "" if value == "" else read_web_address(value)


def read_command(value: object) -> tuple[str, ...]:
    """Words of a command: a list, or a text that is cut as a shell would; no shell runs it."""
    if isinstance(value, list) and value and all(isinstance(each, str) and each for each in value):
        return tuple(value)
    import shlex

    try:
        words = shlex.split(value) if isinstance(value, str) else []
    except ValueError as error:
        raise Wrong(f"is no command: {error}".lower()) from None
    if not words:
        raise Wrong("is no command: write it as a text, or as a list of words")
    return tuple(words)


def read_frequency(value: object) -> int:
    """A duration, or whole nanoseconds, as the configuration of the Go program may have them."""
    if isinstance(value, int) and not isinstance(value, bool) and SECOND <= value < 2**63:
        return value
    return read_duration(value)


_HOURS = r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})(?:\s+(\S+))?"


def read_hours(value: object) -> tuple[int, int, str] | None:
    """Hours of the day, `22:00-07:00`, with a zone behind them or not: two minutes of the day, and the zone."""
    if value == "":
        return None
    found = re.fullmatch(_HOURS, value.strip(), re.ASCII) if isinstance(value, str) else None
    if found is None:
        raise Wrong("names no hours: write 22:00-07:00, or 22:00-07:00 Europe/Berlin")
    hours = [int(part) for part in found.groups()[:4]]
    first, last = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if max(hours[1], hours[3]) > 59 or first >= 1440 or last > 1440 or first == last % 1440:
        raise Wrong("names no hours: both lie on a clock, and are not the same")
    return first, last % 1440, read_zone(found[5] or "")


def read_routes(value: object) -> tuple[tuple[str, str], ...]:
    """`PATTERN = CHANNEL`, several in a list or with commas between them."""
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Wrong("is no list of routes")
    routes = []
    for text in filter(None, map(str.strip, texts)):
        pattern, _, to = map(str.strip, text.partition("="))
        if not pattern or not to:
            raise Wrong("is no route: write them like load:* = oncall, each with the name of a channel")
        routes.append((pattern, to))
    return tuple(routes)


def read_grace(value: object) -> int:
    return 0 if value in ("0", "0s") else read_duration(value)


def read_number(value: object) -> int:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]{1,6}", text) or not int(text):
        raise Wrong("is no number from 1 to 999999")
    return int(text)


def read_switch(value: object) -> bool:
    word = str(value).lower()
    if word not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        raise Wrong("is neither true nor false")
    return word in ("true", "1", "yes", "on")


def read_topic(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_TOPIC, value):
        raise Wrong("is no topic: a word without blanks and colons")
    return value


def read_done_topic(value: object) -> str:
    return _allowed(read_topic(value), QUARANTINE)


def read_failed_topic(value: object) -> str:
    return "" if value in ("", "-", None) else _allowed(read_topic(value), DONE, QUARANTINE)


def read_file_topic(value: object) -> str:
    return "" if value in ("", "-", None) else _allowed(read_topic(value), DONE, QUARANTINE)


def _allowed(topic: str, *reserved: str) -> str:
    """Refuse a topic that has another use; what lands there by mistake would be lost without a word."""
    if topic in reserved:
        use = "results travel" if topic == DONE else "messages are kept that nobody works on"
        raise Wrong(f"is taken: it is where {use}")
    return topic


class OneOf(msgspec.Struct, frozen=True):
    """Reads one of some words, in any case."""

    words: tuple[str, ...]

    def __call__(self, value: object) -> str:
        if str(value).lower() not in self.words:
            raise Wrong(f"is none of {', '.join(self.words)}")
        return str(value).lower()


def one_of(*words: str) -> OneOf:
    return OneOf(words)


def read_zone(value: object) -> str:
    if not isinstance(value, str):
        raise Wrong("is no time zone")
    if value in ("", "UTC"):
        return ""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise Wrong("is no time zone, such as Europe/Berlin or UTC") from None
    return value
