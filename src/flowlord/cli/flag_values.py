"""Values of flags that several commands read alike."""

from __future__ import annotations

from flowlord.model.message import BANDS

PRIORITIES = dict(zip(BANDS, (2, 5, 7, 9), strict=True))


class WrongUse(ValueError):
    """An option that cannot be understood; the text names it, the hint tells what to write."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


def priority_of(text: str) -> int | None:
    """Read `--priority`: a name or a number; None when it is empty. Raises WrongUse."""
    if not text:
        return None
    if text in PRIORITIES:
        return PRIORITIES[text]
    if text.isascii() and text.isdigit() and int(text) <= 10:
        return int(text)
    raise WrongUse(f"--priority {text!r} is none; write 0 to 10, or {', '.join(BANDS)}")
