"""Values of flags that several commands read alike."""

from __future__ import annotations

from collections.abc import Iterable

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


def codes_of(texts: Iterable[str], flag: str, known: Iterable[str]) -> tuple[str, ...]:
    """Read beginnings of codes, several in one text with commas between. Raises WrongUse for one that no code has."""
    known = tuple(known)
    found = tuple(part.strip().upper() for text in texts for part in text.split(","))
    for each in found:
        if not each or not any(code.startswith(each) for code in known):
            raise WrongUse(
                f"{flag} {each or 'without a code'}: no code begins so", "flowlord rule lists them"
            )
        if flag == "--ignore" and all(code.startswith(each) for code in known):
            raise WrongUse(f"--ignore {each} would hide everything, errors too", "name the codes to ignore")
    return found
