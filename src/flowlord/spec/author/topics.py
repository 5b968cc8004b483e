"""Topics that other programs would trip over."""

from __future__ import annotations

import re
from typing import Final

from flowlord.spec.author.advice import Advice
from flowlord.spec.document import named

_TOPIC: Final = re.compile(r"[0-9A-Za-z_.-]*", re.ASCII)
_ODD: Final = re.compile(r"[^0-9A-Za-z_.-]+", re.ASCII)
SAFE_LETTERS: Final = "letters, digits and . _ - are safe everywhere: in keys, command lines and file names"


def odd_in(topic: str) -> str:
    """Return what other programs would trip over in a topic; nothing for most."""
    found = _ODD.search(topic)
    return found[0] if found else ""


def check(advice: Advice) -> None:
    """Tell the odd topics of a file."""
    if _TOPIC.fullmatch("".join([phase.topic for phase in advice.phases])):
        return
    for number, phase in enumerate(advice.phases):
        odd = _ODD.search(phase.topic)
        if odd and phase.topic.strip() and advice.wants("FL081"):
            text = f"the topic {named(phase.topic)} holds {named(odd[0])}"
            start, end = odd.span()
            advice.at_field("FL081", number, "task", text, SAFE_LETTERS, start=start, end=end)
