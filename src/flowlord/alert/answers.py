"""What an answer means: delivered, later, or never. No I/O in here."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from flowlord.alert.http import Reply
from flowlord.alert.port import Undelivered
from flowlord.model.inert import printable

LONGEST_REST_S: Final = 3_600.0
"""A receiver that asks for more is tried after this long nevertheless."""
_LATER: Final = frozenset((408, 423, 425, 429))
_PERHAPS: Final = frozenset((502, 504))
_WORDS: Final = 120


def rest_of(retry_after: str, now: datetime) -> float:
    """Return how many seconds a `Retry-After` asks for, a number or an HTTP date; 0.0 when it cannot be read."""
    text = retry_after.strip()
    try:
        if text.isascii() and text.replace(".", "", 1).isdigit():
            seconds = float(text)
        else:
            until = parsedate_to_datetime(text)
            seconds = (
                until if until.tzinfo else until.replace(tzinfo=now.tzinfo)
            ).timestamp() - now.timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_REST_S)


def failure(who: str, reply: Reply, now: datetime, hint: str = "") -> Undelivered | None:
    """Return what a status says of the delivery; None when the notice was taken.

    `who` names the receiver. Later may help for 408, 423, 425, 429 and all of 5xx; a gateway that gave up (502, 504)
    leaves open whether it arrived.
    """
    status = reply.status
    if 200 <= status < 300:
        return None
    words = said(reply.body)
    text = f"{who} answered {status}{f': {words}' if words else ''}"
    if 300 <= status < 400:
        return Undelivered(
            f"{who} answered {status}: it has moved, and other hosts are not followed",
            hint=hint or "put the new address into the configuration",
            lasting=True,
        )
    later = status in _LATER or status >= 500
    return Undelivered(
        text,
        hint=hint,
        retry_after_s=rest_of(reply.retry_after, now) if later else 0.0,
        lasting=not later,
        doubtful=status in _PERHAPS,
    )


def said(body: str) -> str:
    """Return the beginning of an answer's text on one line; nothing of a page of HTML."""
    line = " ".join(body[: 4 * _WORDS].split())
    if line.startswith("<"):
        return ""
    return printable(line[:_WORDS])
