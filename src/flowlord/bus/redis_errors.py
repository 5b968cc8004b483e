"""What can go wrong between us and a Redis, told in words, and whether what was asked may have happened."""

from __future__ import annotations

from typing import Final

import msgspec

from flowlord.model.errors import BusUnavailable

LONGEST = 300
"""Characters of a server's words that are told on."""


class NotSent(BusUnavailable):
    """What was asked did not happen: nobody could be reached, or the server turned it away before it began."""


class OutcomeUnknown(BusUnavailable):
    """It was sent, wholly or in part, and no full answer came: it may have happened or not."""


class ServerError(BusUnavailable):
    """The server's own words for a wrong command or a script that failed midway; `code` is the first of them."""

    def __init__(self, text: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(text, hint=hint)
        self.code = code


class Wrong(msgspec.Struct, frozen=True):
    """A reply that is an error: its first word and the rest, as sent."""

    code: str
    text: str

    @property
    def is_midway(self) -> bool:
        """Whether a script had begun when it came about: the commands before it have happened.

        Redis 7 puts the script's name behind such an error.
        """
        return " script: " in self.text and "@user_" in self.text

    @property
    def meaning(self) -> Meaning | None:
        """Return what it means when nothing happened; None when that is not known."""
        if self.code == "ERR":
            return next(
                (meaning for words, meaning in _BY_WORDS.items() if self.text.startswith(words)), None
            )
        return None if self.is_midway else _BY_CODE.get(self.code)


class Meaning(msgspec.Struct, frozen=True):
    """An error after which nothing happened.

    Args:
        moves: another server may be the right one by now.
        for_all: nobody gets anything done there, so that nobody's silence says anything.
    """

    text: str
    hint: str = ""
    moves: bool = False
    for_all: bool = False


_WAIT: Final = "this passes by itself; flowlord tries again"
_LOGIN: Final = "put user and password into the address: redis://user:password@host:6379"
_BY_CODE: Final = {
    "LOADING": Meaning("it is still loading its data", _WAIT, for_all=True),
    "BUSY": Meaning("it is busy with a script that takes too long", "`redis-cli SCRIPT KILL` ends it", for_all=True),
    "UNKILLABLE": Meaning("it is busy with a script that has written and cannot be ended", _WAIT, True, True),
    "READONLY": Meaning("it is a replica, or was made one: it takes no writes", "address the primary", True, True),
    "UNBLOCKED": Meaning("it has become a replica while we waited on it", _WAIT, True, True),
    "MASTERDOWN": Meaning("it is a replica that has lost its primary", "see why the primary is down", True, True),
    "CLUSTERDOWN": Meaning("none of its cluster serves our keys now", "`redis-cli CLUSTER INFO`", True, True),
    "TRYAGAIN": Meaning("our keys are moving to another node of the cluster", _WAIT, for_all=True),
    "MOVED": Meaning("the nodes of the cluster send us to each other", "`redis-cli CLUSTER NODES`", True, True),
    "ASK": Meaning("the nodes of the cluster send us to each other", "`redis-cli CLUSTER NODES`", for_all=True),
    "OOM": Meaning("its memory is full", "raise its maxmemory, or let workers finish what waits there"),
    "MISCONF": Meaning(
        "it takes no writes since it cannot save to its disk", "see its log: is the disk full?", for_all=True
    ),
    "NOREPLICAS": Meaning(
        "it takes no writes since too few replicas follow it (min-replicas-to-write)", "start its replicas",
        for_all=True,
    ),
    "NOAUTH": Meaning("it wants a user and a password", _LOGIN, for_all=True),
    "WRONGPASS": Meaning("it does not accept this user and password", _LOGIN, for_all=True),
    "NOPERM": Meaning("this user may not do that", "docs/redis.md tells the rights that flowlord needs"),
    "FORM": Meaning(  # our own scripts say so
        "this process has parts of two versions of flowlord", "flowlord was replaced as it began: start it anew"
    ),
    "DENIED": Meaning("it is in protected mode and takes local clients only", "give it a password, or bind it"),
}  # fmt: skip
_BY_WORDS: Final = {
    "max number of clients reached": Meaning(
        "it has as many clients as it takes", "raise its maxclients, or end clients that are not needed"
    ),
}


def error_of(wrong: Wrong, shown: str) -> NotSent | ServerError:
    """Return what to raise for a reply; `shown` is the address for people."""
    meaning = wrong.meaning
    said = safe(f"{wrong.code} {wrong.text}".strip())
    if meaning is not None:
        return NotSent(f"the bus at {shown} did nothing: {meaning.text} ({said})", hint=meaning.hint)
    hint = ""
    if "can't run this command" in wrong.text or "can't access at least one" in wrong.text:
        hint = "docs/redis.md tells the rights that flowlord needs"
    return ServerError(f"the bus at {shown} says: {said}", code=wrong.code, hint=hint)


def safe(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Return a text on one line, not too long, without control characters and without these secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
