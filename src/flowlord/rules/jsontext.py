"""JSON values as the text that templates and meta carry."""

from __future__ import annotations

import json
import math
from typing import Final

from flowlord.rules.errors import TooLong, Unreadable, quote

MAX_DIGITS: Final = 1000  # of an integer; Python itself refuses 4300
_TOO_MANY_DIGITS: Final = 10**MAX_DIGITS


def json_text(value: object) -> str:
    """Return a decoded JSON value as text: a text as it is, null empty, `true` and `false`, all else compact JSON.

    Integers are exact, other numbers have their shortest digits without an exponent, minus zero is `0`.

    Raises:
        Unreadable: a number that is none (NaN, Infinity), or what JSON does not know.
        TooLong: an integer of more than 1000 digits, or values nested too deeply.
    Source:
        docs/reference.md, "Templates".
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return _compact(value)
    except RecursionError:
        raise TooLong("a value is nested too deeply to become a text") from None


def _compact(value: object) -> str:
    match value:
        case None:
            return "null"
        case True:
            return "true"
        case False:
            return "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case int():
            if abs(value) >= _TOO_MANY_DIGITS:
                raise TooLong(f"an integer has more than {MAX_DIGITS} digits")
            return str(value)
        case float():
            return _plain(value)
        case list() | tuple():
            return "[" + ",".join([_compact(each) for each in value]) + "]"
        case dict():
            pairs = [
                f"{json.dumps(str(key), ensure_ascii=False)}:{_compact(each)}" for key, each in value.items()
            ]
            return "{" + ",".join(pairs) + "}"
        case _:
            raise Unreadable(f"a {type(value).__name__} is no JSON value: {quote(repr(value))}")


def _plain(number: float) -> str:
    """Shortest digits that read back as `number`, written without an exponent."""
    if not math.isfinite(number):
        raise Unreadable("a number is infinite or none at all, which JSON does not know")
    sign = "-" if number < 0 else ""
    digits, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = digits.partition(".")
    point = len(whole) + int(exponent or "0")
    digits = whole + fraction
    if point <= 0:
        whole, fraction = "0", "0" * -point + digits
    else:
        whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole
