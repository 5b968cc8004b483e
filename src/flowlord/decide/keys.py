"""Names that follow from a cause, so that the same cause always names the same thing."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b, sha1
from uuid import UUID, uuid5

from flowlord.model.task import identity_of
from flowlord.rules.stamps import micros_of, stamp_of_micros

_RUNS = UUID("7f0e6a3c-52b1-5a86-9d3e-8a1f0c4b6d27")
KEY = blake2b(digest_size=16)
"""What the hash of a key begins with: a copy of it costs half of a new one."""
FIRST = "\x000"
"""What stands behind a slot in the text of which the key of its first message is the hash."""
_VARIANT = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}
STAMP_STEP_US = 10
"""Created stamps of one plan lie this far apart: the last digit belongs to the daemon, so that two never collide."""


def dispatch_key(slot: str, n: int = 0) -> str:
    """Return the key of the nth message of a slot: 32 hex digits, the same for ever."""
    found = KEY.copy()
    found.update(f"{slot}\x00{n}".encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def run_id(slot: str, n: int = 0) -> str:
    """Return the id of the run whose root is the nth task of a slot: a UUID in text form."""
    return str(uuid5(_RUNS, f"{slot}\x00{n}".encode("utf-8", "surrogatepass").hex()))


def short_token(key: str) -> str:
    """Return the 8 hex digits that `{uuid}` stands for in the task with this key."""
    return blake2b(key.encode(), digest_size=4).hexdigest()


def created(now: datetime, n: int) -> str:
    """Return the `created` of the nth task of a plan decided at `now`."""
    second, micros = begin(now)
    micros += n * STAMP_STEP_US
    if micros < 1_000_000:
        return f"{second}{str(micros + 1_000_000)[1:]}Z"
    return stamp_of_micros(micros_of(now) + n * STAMP_STEP_US)


@lru_cache(maxsize=16)
def begin(now: datetime) -> tuple[str, int]:
    """Return the stamp of a moment up to its point, and the microseconds behind; all tasks of a plan ask for one."""
    text = stamp_of_micros(micros_of(now))
    return text[:-7], int(text[-7:-1])


def after(now: datetime, tasks: int) -> datetime:
    """Return the earliest time at which the next plan may be decided without repeating a stamp."""
    return now + timedelta(microseconds=max(tasks, 1) * STAMP_STEP_US)


class Numbered:
    """The names of many tasks of one slot: what the functions above return, for a third of the time each."""

    def __init__(self, slot: str, now: datetime, first: int = 0) -> None:
        """`first` counts the stamps of `now` that others took."""
        start = f"{slot}\x00".encode("utf-8", "surrogatepass")
        self._keys = blake2b(start, digest_size=16)
        self._runs = sha1(_RUNS.bytes + start.hex().encode(), usedforsecurity=False)
        self._micros = micros_of(now) + first * STAMP_STEP_US

    def dispatch_key(self, n: int) -> str:
        """See `dispatch_key`."""
        found = self._keys.copy()
        found.update(b"%d" % n)
        return found.hexdigest()

    def run_id(self, n: int) -> str:
        """See `run_id`: a UUID of version 5."""
        found = self._runs.copy()
        found.update((b"%d" % n).hex().encode())
        text = found.hexdigest()
        variant = _VARIANT[text[16]]
        return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"

    def created(self, n: int) -> str:
        """See `created`."""
        return stamp_of_micros(self._micros + n * STAMP_STEP_US)


def outcome_identities(key: str, type_: str, job: str, run: str, created_text: str) -> tuple[str, ...]:
    """Return the identities under which a result is remembered, so that it counts once.

    The dispatch key when the worker handed it back, and the (type, job, id, created) of the task for workers that
    return only the JSON; both, so that a task that passed from one kind of worker to the other counts once as well.
    A hand-made task without id or created has only its acknowledgement. Source: docs/reference.md, "Wire".
    """
    identity = identity_of(type_, job, run, created_text)
    if not key:
        return (identity,) if identity else ()
    return (key, identity) if identity else (key,)
