"""Whether backups of the history can be made where they are to lie: listed, written, read back and taken away."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar

from flowlord.cache.schema import CacheUnusable
from flowlord.model.finding import Finding, Level
from flowlord.storage.address import is_remote, local_path
from flowlord.storage.port import Unavailable

if TYPE_CHECKING:
    from flowlord.cache.backup import Place
    from flowlord.config import Settings

_T = TypeVar("_T")
LIMIT_S: Final = 20.0
"""How long one step may take; a client that tries again would take longer than anybody waits here."""
PROBE: Final = b"flowlord doctor looked whether backups can be written here; this file may be taken away\n"
_NAME: Final = "doctor"
_RIGHTS: Final = {
    "s3": "the key needs s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject there (docs/storage.md)",
    "gs": "the account needs storage.objects.list, get, create and delete there (docs/storage.md)",
}


def backups(settings: Settings, token: Callable[[], str]) -> Iterator[Finding]:
    """Try the place of backups, if there is one; `token` draws a part of a name that nobody else has."""
    from flowlord.cli.historian import place_of

    place = place_of(settings.cache, settings.storage)
    if place is None:
        return
    if not is_remote(place.path) and not os.path.isdir(local_path(place.path)):
        yield _to_be_made(local_path(place.path))
        return
    yield tried(place, token())


def tried(place: Place, token: str) -> Finding:
    """Write, read and take away a small file; whatever is refused is told with what helps."""
    path = f"{place.path}/{_NAME}-{token}"
    count = 0
    step = "listed"
    try:
        count = len(_within(place.generations))
        step = "written"
        _within(lambda: place.storage.write(path, PROBE, if_absent=True))
        step = "read"
        if _within(lambda: place.storage.read(path, len(PROBE)))[0] != PROBE:
            raise Unavailable(f"{path} holds something else than was written")
        step = "taken away"
        _within(lambda: place.storage.delete(path))
    except (CacheUnusable, OSError) as error:
        left = f"; {path} stays there" if step in ("read", "taken away") else ""
        return Finding("backups", Level.FAULT, f"backups cannot be {step}: {error}{left}", _fix(place.path))
    many = f"{count:,} backup{'' if count == 1 else 's'}"
    return Finding("backups", Level.OK, f"{place.path} takes files and gives them back; {many} there")


def _to_be_made(folder: str) -> Finding:
    """Tell of a folder that the first backup will make: nothing is made here."""
    above = os.path.abspath(folder)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if os.path.isdir(above) and os.access(above, os.W_OK | os.X_OK):
        return Finding("backups", Level.OK, f"{folder} is made by the first backup")
    why = "cannot be written by this user" if os.path.isdir(above) else "is no folder"
    text = f"backups cannot be written: {folder} is not there, and {above} {why}"
    return Finding("backups", Level.FAULT, text, f"ls -ld {above}")


def _fix(path: str) -> str:
    rights = _RIGHTS.get(path.partition("://")[0])
    look = "flowlord config   # cache.backup_path, storage.*"
    return f"{look}\n{rights}" if rights else f"ls -ld {local_path(path)}"


def _within(step: Callable[[], _T]) -> _T:
    """Do a step, for as long as it may take; raises what it raises, and Unavailable when time is over."""
    answers: list[_T] = []
    errors: list[Exception] = []

    def body() -> None:
        try:
            answers.append(step())
        except Exception as error:  # noqa: BLE001 - handed over to who waits
            errors.append(error)

    thread = threading.Thread(target=body, name="flowlord-doctor", daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    if errors:
        raise errors[0]
    if not answers:
        raise Unavailable(f"no answer within {LIMIT_S:g} s")
    return answers[0]
