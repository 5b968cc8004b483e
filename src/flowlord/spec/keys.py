"""The keys of a phase in all their spellings, and what an unknown key was meant to be."""

from __future__ import annotations

from typing import Final

from flowlord.spec.elsewhere import key_hint
from flowlord.spec.near import is_sure, near_miss, nearest
from flowlord.spec.options import KNOWN, NO_MISSES

FIELDS: Final = {
    "task": "task",
    "dependsOn": "dependsOn",
    "dependson": "dependsOn",
    "depends_on": "dependsOn",
    "rule": "rule",
    "retry": "retry",
    "template": "template",
}
MOST_STRAYS: Final = 500  # different keys of one file that nobody knows; more are no slips
AUTHORS_OWN: Final = "x-"
"""How keys begin that nobody reads and nobody wonders about: notes, and a place for the anchors of YAML."""
KNOWN_KEYS: Final = ("dependsOn", "dependson", "depends_on", "rule", "retry", "task", "template")


def stray_key(key: str, known: tuple[str, ...], *, hinted: bool) -> tuple[str, str, str | None]:
    """Return code, hint and the better key for an unknown key.

    Args:
        known: the keys that could stand there; `KNOWN_KEYS` in a phase.
        hinted: whether there is time to look for a like one.
    """
    low = key.lower()
    meant = "" if low in NO_MISSES else near_miss(low, known)
    if meant:
        others = [each.lower() for each in known if FIELDS.get(each, each) != FIELDS.get(meant, meant)]
        sure = is_sure(low, meant.lower(), others)
        return "FL012", f"did you mean {meant!r}?", meant if sure else None
    if elsewhere := key_hint(key, KNOWN, in_phase=known == KNOWN_KEYS):
        return "FL013", elsewhere, None
    like = nearest(key, known) if hinted else ""
    hint = f"did you mean {like!r}?" if like else "nobody reads it"
    return "FL013", hint, like if like and low not in NO_MISSES else None
