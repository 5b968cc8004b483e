"""Templates: texts with tokens such as `{yyyy}`, `{host}` and `{meta:name}` that become the info of a task."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Final

from flowlord.rules.errors import TooLong, quote
from flowlord.rules.jsontext import json_text

__all__ = ["LONGEST_OUTPUT", "Template", "json_text", "pod"]

LONGEST_OUTPUT: Final = 64 * 1024  # bytes of UTF-8


def _filled(form: str, fields: Callable[[datetime], object], time: datetime) -> str:
    return form % fields(time)


def _year(time: datetime) -> str:
    return f"{time.year:04d}"[2:]


_DAY = ("%04d/%02d/%02d", ("year", "month", "day"))
_HOUR = ("%04d/%02d/%02d/%02d", ("year", "month", "day", "hour"))
_FORMS: Final = {
    "yyyy": ("%04d", ("year",)),
    "mm": ("%02d", ("month",)),
    "dd": ("%02d", ("day",)),
    "hh": ("%02d", ("hour",)),
    "min": ("%02d", ("minute",)),
    "ts": ("%04d%02d%02dT%02d%02d%02d", ("year", "month", "day", "hour", "minute", "second")),
    "slug": _HOUR,
    "hour_slug": _HOUR,
    "day_slug": _DAY,
    "month_slug": ("%04d/%02d", ("year", "month")),
}
"""How time tokens are written, and out of which fields of a time."""
_OF_TIME: Final[dict[str, Callable[[datetime], str]]] = {
    **{word: partial(_filled, form, attrgetter(*fields)) for word, (form, fields) in _FORMS.items()},
    "yy": _year,
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
    _whole: Callable[[datetime], str] | None = (
        None  # writes all of it at once, where a time is all that it takes
    )

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
        whole = _whole_of(pieces, text[at:])
        return cls(text, tuple(names), has_time, has_unique, tuple(pieces), text[at:], whole)

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
        if self._whole is not None and time is not None:
            return _not_too_long(self._whole(time), self.text)
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
    tail: str

    @property
    def gaps(self) -> tuple[tuple[str, str], ...]:
        """Ordinary text and the name of the value behind it, which is empty for `{uuid}`."""
        return tuple((before, name) for before, name, _ in self._pieces)

    def render(self, values: Mapping[str, str], unique: str = "") -> str:
        """Return the text as `Template.render` does."""
        parts: list[str] = []
        for before, name, otherwise in self._pieces:
            parts.append(before)
            parts.append(values.get(name, otherwise) if name else unique or otherwise)
        parts.append(self.tail)
        return _not_too_long("".join(parts), self.text)


def _whole_of(pieces: Sequence[tuple[str, _Token]], tail: str) -> Callable[[datetime], str] | None:
    """Return what writes a whole template out of a time, many times as fast as token by token; None for any other."""
    form = ""
    fields: list[str] = []
    for before, token in pieces:
        if token.word not in _FORMS:
            return None
        written, of = _FORMS[token.word]
        form += before.replace("%", "%%") + written
        fields += of
    return partial(_filled, form + tail.replace("%", "%%"), attrgetter(*fields)) if fields else None


def _not_too_long(rendered: str, text: str) -> str:
    if len(rendered) * 4 > LONGEST_OUTPUT and len(rendered.encode("utf-8", "replace")) > LONGEST_OUTPUT:
        raise TooLong(f"the template {quote(text)} becomes longer than {LONGEST_OUTPUT} bytes")
    return rendered


def pod(host: str) -> str:
    """Return the last two `-` parts of a host name, which tell one pod of a deployment from another."""
    return "-".join(host.split("-")[-2:])
