"""What people do with batches: ask for one, see how it stands, pause it, let it go on, cancel it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from flowlord.bus.port import Bus
from flowlord.decide.batch import (
    ENDED,
    HALTED,
    OPEN,
    RECIPE,
    batch_fact,
    cancel_commit,
    halt_commit,
    recall_commit,
    resume_commit,
)
from flowlord.decide.keys import Numbered
from flowlord.decide.recipe import File, Position, Recipe, decode_recipe, encode_position, encode_recipe
from flowlord.decide.standing import ASKED, ASKED_S, Asked, Standing, standing_of
from flowlord.model.errors import FlowlordError, Refused
from flowlord.model.plan import Commit, Mark, OpenBatch, Plan
from flowlord.storage.open import Storage
from flowlord.storage.port import Unavailable

_PREFIXES = (OPEN, HALTED, ENDED, ASKED)
_KEYS = 250_000
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # keys have none


def ask(bus: Bus, recipe: Recipe, asked: Asked) -> bool:
    """Put a backload on the bus; returns False when it was asked for before, and then nothing happened."""
    key = recipe.batch
    batch = OpenBatch(key, encode_recipe(recipe), encode_position(Position()), asked.total)
    fact = batch_fact(
        recipe,
        f"{asked.by} asked for {asked.total:,} task{'s' * (asked.total != 1)} of {asked.task}{asked.words}",
    )
    mark = Mark(ASKED + key, None, msgspec.json.encode(asked).decode(), ttl_s=ASKED_S)
    try:
        bus.commit(Plan(opened=(batch,), facts=(fact,)), marks=[mark])
    except Refused:
        return False
    return True


def standings(bus: Bus) -> list[Standing]:
    """Return every batch that was asked for, goes on or waits for a person; the newest first."""
    marks: dict[str, str] = {}
    for prefix in _PREFIXES:
        marks |= bus.marks_like(prefix)
    keys = {name.partition(":")[2] for name, value in marks.items() if not _is_frozen(name, value)}
    found = [standing for key in keys if (standing := _standing(bus, key, marks)) is not None]
    return sorted(found, key=lambda each: (each.at_us, each.id), reverse=True)


def standing(bus: Bus, name: str) -> Standing:
    """Return the batch that a name, or the begin of one, means.

    Raises:
        LookupError: none, or several.
    """
    # A whole name is asked for again and again while tasks are published: it needs no look at all marks.
    if (known := _standing(bus, name, bus.marks([prefix + name for prefix in _PREFIXES]))) is not None:
        return known
    found = [each for each in standings(bus) if each.id.startswith(name) or each.key.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise LookupError(f"{name} is the begin of several: {', '.join(each.id for each in found)}")
    raise LookupError(f"there is no backload {name}")


def pause(bus: Bus, name: str, by: str) -> Standing:
    """Let a batch rest until somebody resumes it; one that does not run is left as it is."""

    def commit(found: Standing, recipe: Recipe) -> Commit | None:
        return halt_commit(found.key, recipe, found.at, "", by=by) if found.state == "running" else None

    return _change(bus, name, commit)


def resume(bus: Bus, name: str, by: str, storage: Storage, *, limit: int = 0) -> Standing:
    """Let a batch go on with the first line that was not published, in its files as they are now.

    Args:
        limit: how many tasks it may make from now on; 0 leaves that as it is.
    Raises:
        FlowlordError: a file that is not there any more, or shorter than what was published of it.
    """

    def commit(found: Standing, recipe: Recipe) -> Commit | None:
        if found.state not in ("paused", "stopped"):
            return None
        recipe, at = _renewed(storage, recipe, found.at)
        # Never at the same position as before: a daemon that saw nothing of the pause has to notice.
        at = msgspec.structs.replace(at, next_us=max(bus.now_us(), at.next_us + 1))
        if limit:
            recipe = msgspec.structs.replace(recipe, limit=limit)
        return resume_commit(found.key, recipe, found.seen, at, by)

    return _change(bus, name, commit)


def cancel(bus: Bus, name: str, by: str) -> tuple[Standing, int]:
    """Stop a batch for good and cancel those of its tasks that still wait; returns how many these were.

    It rests first, so that nothing more comes while what waits is taken away: done halfway, it is done again.
    """
    found = pause(bus, name, by)
    recipe = _recipe(bus, found.key)
    names = Numbered(recipe.slot if recipe else f"{ASKED}{found.key}", _ANY_TIME)
    gone = 0
    for start in range(0, found.at.made, _KEYS):
        keys = [names.dispatch_key(n) for n in range(start, min(start + _KEYS, found.at.made))]
        gone += bus.cancel(keys, reason=f"{found.id} was cancelled by {by}")

    def commit(found: Standing, recipe: Recipe) -> Commit | None:
        return cancel_commit(found.key, recipe, found.seen, found.at, by) if found.seen else None

    if found.state == "published" and gone:  # nothing of it is open any more, and what waited was taken back
        commit_ended = recall_commit(found.key, found.at, by)
        bus.commit(commit_ended.plan, marks=commit_ended.marks)
        return standing(bus, found.key), gone
    return _change(bus, found.key, commit), gone


def _change(bus: Bus, name: str, decide: Callable[[Standing, Recipe], Commit | None]) -> Standing:
    """Land what is decided of a batch as it stands; once more when it moved meanwhile. Returns how it stands then."""
    while True:
        found = standing(bus, name)
        recipe = _recipe(bus, found.key)
        commit = None if recipe is None else decide(found, recipe)
        if commit is None:
            return found
        try:
            bus.commit(commit.plan, marks=commit.marks, outcomes=commit.outcomes)
        except Refused:
            continue
        try:
            return standing(bus, found.key)
        except LookupError:  # a batch of a phase, of which nothing is kept
            return msgspec.structs.replace(found, state="cancelled")


def _standing(bus: Bus, key: str, marks: dict[str, str]) -> Standing | None:
    own = {prefix + key: marks[prefix + key] for prefix in _PREFIXES if prefix + key in marks}
    return standing_of(key, own, _recipe(bus, key))


def _recipe(bus: Bus, key: str) -> Recipe | None:
    text = bus.marks([RECIPE + key]).get(RECIPE + key)
    try:
        return None if text is None else decode_recipe(text)
    except msgspec.MsgspecError as error:
        raise FlowlordError(
            f"the batch {key} cannot be read: {error}", hint="was it opened by a later flowlord?"
        ) from error


def _is_frozen(name: str, value: str) -> bool:
    """Tell whether a mark is that of a batch whose messages the bus has; nobody pauses these."""
    return name.startswith(OPEN) and not value.startswith("[")


def _renewed(storage: Storage, recipe: Recipe, at: Position) -> tuple[Recipe, Position]:
    """Return a recipe with its files as they are now, and the position behind the same line of them."""
    files: list[File] = []
    try:
        for number, file in enumerate(recipe.files):
            now = File(file.path, storage.stat(file.path).version)
            files.append(now)
            if number == at.file and now != file:
                at = msgspec.structs.replace(at, offset=_offset(storage, now, at.line))
    except Unavailable as error:
        raise FlowlordError(
            f"the batch cannot go on: {error}", hint="put the file back, or cancel it"
        ) from error
    return msgspec.structs.replace(recipe, files=tuple(files)), at


def _offset(storage: Storage, file: File, line: int) -> int:
    """Return where a line ends."""
    if not line:
        return 0
    for number, (_, end) in enumerate(storage.lines(file.path, 0, file.version, limit=0), 1):
        if number == line:
            return end
    raise FlowlordError(
        f"{file.path} has fewer than the {line:,} lines that were published before", hint="cancel it instead"
    )
