"""One option of a rule as it was written, and what is wrong with it."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

# One option as it was written, decoded: its place in the rule, key and value. A plain tuple, for there are many.
Pair: TypeAlias = tuple[int, str, str]


class Remark(NamedTuple):
    """Something wrong with the option of that number; `start` and `end` count in its value, -1 is the whole.

    `better` is what should stand there instead, in characters that nobody has to escape.
    """

    code: str
    number: int
    text: str
    hint: str = ""
    on_key: bool = False
    start: int = -1
    end: int = -1
    better: str | None = None
