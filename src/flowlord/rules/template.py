"""Templates: texts with tokens such as `{yyyy}`, `{host}` and `{meta:name}` that become the info of a task."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flowlord.rules.errors import TooLong, quote
from flowlord.rules.jsontext import json_text

__all__ = ["LONGEST_OUTPUT", "Template", "json_text", "pod"]

LONGEST_OUTPUT: Final = 64 * 1024  # bytes of UTF-8


def _slug(time: datetime) -> str:
    return f"{time.year:04d}/{time.month:02d}/{time.day:02d}/{time.hour:02d}"


def _stamp(time: datetime) -> str:
    day = f"{time.year:04d}{time.month:02d}{time.day:02d}"
    return f"{day}T{time.hour:02d}{time.minute:02d}{time.second:02d}"


_OF_TIME: Final[dict[str, Callable[[datetime], str]]] = {
    "yyyy": lambda time: f"{time.year:04d}",
    "yy": lambda time: f"{time.year:04d}"[2:],
    "mm": lambda time: f"{time.month:02d}",
    "dd": lambda time: f"{time.day:02d}",
    "hh": lambda time: f"{time.hour:02d}",
    "min": lambda time: f"{time.minute:02d}",
    "ts": _stamp,
    "slug": _slug,
    "hour_slug": _slug,
    "day_slug": lambda time: f"{time.year:04d}/{time.month:02d}/{time.day:02d}",
    "month_slug": lambda time: f"{time.year:04d}/{time.month:02d}",
}
_OF_PLACE: Final = ("host", "pod", "uuid")
_TOKEN: Final = re.compile(
    # The meta token first: its prefix is lower case only. The others are written in any case.
    r"\{(?:meta:(?P<meta>[0-9A-Za-z_]+)|(?P<word>(?i:" + "|".join((*_OF_TIME, *_OF_PLACE)) + r")))\}",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class _Token:
    written: str
    read: Callable[[datetime], str] | None  # of a time token
    name: str  # of a meta token
    word: str  # of any other, in lower case

    def known(self, time: datetime | None, host: str) -> str:
        """The value of a token that is neither a meta token nor `{uuid}`; the token itself when there is none."""
        if self.read is not None:
            return self.written if time is None else self.read(time)
        return (host if self.word == "host" else pod(host)) or self.written


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was taken apart once, to be rendered often.

    Tokens are read in any case: `{yyyy} {yy} {mm} {dd} {hh} {min} {ts} {slug} {hour_slug} {day_slug} {month_slug}
    {host} {pod} {uuid}`; `{meta:name}` only as written here, with a name of ASCII letters, digits and `_`. From the
    first `#` on only meta tokens are replaced, unless the `#` is the first character. All else is ordinary text.

    Source:
        docs/reference.md, "Templates".
    """

    text: str
    meta_names: tuple[str, ...]  # in order of appearance, each once
    has_time: bool  # some token needs a time
    has_unique: bool  # some token is `{uuid}`
    _pieces: tuple[tuple[str, _Token], ...]  # ordinary text and the token behind it
    _tail: str

    @classmethod
    def compile(cls, text: str) -> Template:
        """Return the compiled `text`; every text is a template."""
        protected = text.find("#")
        if protected <= 0:
            protected = len(text)
        pieces: list[tuple[str, _Token]] = []
        known: dict[str, _Token] = {}
        at = 0
        for found in _TOKEN.finditer(text):
            word = (found["word"] or "").lower()
            if word and found.start() > protected:
                continue
            token = known.get(found[0])
            if token is None:
                token = known[found[0]] = _Token(found[0], _OF_TIME.get(word), found["meta"] or "", word)
            pieces.append((text[at : found.start()], token))
            at = found.end()
        names = dict.fromkeys(token.name for _, token in pieces if token.name)
        has_time = any(token.read is not None for _, token in pieces)
        has_unique = any(token.word == "uuid" for _, token in pieces)
        return cls(text, tuple(names), has_time, has_unique, tuple(pieces), text[at:])

    def render(
        self, time: datetime | None, values: Mapping[str, str], *, unique: str = "", host: str = ""
    ) -> str:
        """Return the text with every token replaced, in one pass: what a value holds is never expanded again.

        Args:
            time: its fields are taken in its own zone; None leaves time tokens as they are written.
            values: for meta tokens; a missing key is empty.
            unique: for `{uuid}`, 8 hex digits, the same for every occurrence; the token stays when empty.
            host: name of this machine for `{host}` and `{pod}`; the tokens stay when empty.
        Raises:
            TooLong: more than 64 KiB would come out.
        """
        parts: list[str] = []
        for before, token in self._pieces:
            parts.append(before)
            if token.read is not None and time is not None:
                parts.append(token.read(time))
            elif token.name:
                parts.append(values.get(token.name, ""))
            elif token.word == "uuid":
                parts.append(unique or token.written)
            else:
                parts.append(token.known(time, host))
        parts.append(self._tail)
        return _not_too_long("".join(parts), self.text)

    def half(self, time: datetime | None, defaults: Mapping[str, str], host: str = "") -> HalfRendered:
        """Return what is left of the template when all is filled in that many tasks have in common.

        Args:
            time, host: as for `render`.
            defaults: for meta tokens of which a task brings no value.
        """
        pieces: list[tuple[str, str, str]] = []
        text = ""
        for before, token in self._pieces:
            text += before
            if token.name or token.word == "uuid":
                pieces.append(
                    (text, token.name, defaults.get(token.name, "") if token.name else token.written)
                )
                text = ""
            else:
                text += token.known(time, host)
        return HalfRendered(self.text, tuple(pieces), text + self._tail)


@dataclass(frozen=True, slots=True)
class HalfRendered:
    """A template in which only the values of single tasks are missing."""

    text: str  # as it is written in the phase
    _pieces: tuple[
        tuple[str, str, str], ...
    ]  # ordinary text, the name of the value behind it, what stands for it
    _tail: str

    def render(self, values: Mapping[str, str], unique: str = "") -> str:
        """Return the text as `Template.render` does."""
        parts: list[str] = []
        for before, name, otherwise in self._pieces:
            parts.append(before)
            parts.append(values.get(name, otherwise) if name else unique or otherwise)
        parts.append(self._tail)
        return _not_too_long("".join(parts), self.text)


def _not_too_long(rendered: str, text: str) -> str:
    if len(rendered) * 4 > LONGEST_OUTPUT and len(rendered.encode("utf-8", "replace")) > LONGEST_OUTPUT:
        raise TooLong(f"the template {quote(text)} becomes longer than {LONGEST_OUTPUT} bytes")
    return rendered


def pod(host: str) -> str:
    """Return the last two `-` parts of a host name, which tell one pod of a deployment from another."""
    return "-".join(host.split("-")[-2:])
