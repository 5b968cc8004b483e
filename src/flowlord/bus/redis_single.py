"""A commit of one message as the script takes it that knows nothing else: what is published or completed by itself."""

from __future__ import annotations

from collections.abc import Sequence

from flowlord.bus import redis_claim
from flowlord.bus.landing import Landing
from flowlord.bus.port import QUARANTINE
from flowlord.bus.redis_commit import FORM, Advance, token_of
from flowlord.bus.redis_entry import about_of
from flowlord.bus.redis_link import Word
from flowlord.bus.redis_names import names_of


def pack(
    commit_id: str, by: str, now_us: int, landings: Sequence[Landing], advance: Advance | None
) -> tuple[str, list[Word]] | None:
    """Return the script and its arguments; None when there is more to land than it can.

    Args:
        commit_id: under which it is known that it landed.
        by: who writes.
        now_us: by the bus's clock.
        landings: what to land.
        advance: what this takes off a frozen batch.
    """
    if len(landings) > 1 or advance is not None:
        return None
    [landing] = landings
    commit, rows, facts = landing.commit, landing.rows, landing.told
    if (
        len(rows) != 1
        or landing.digests
        or landing.frozen
        or landing.holds
        or commit.marks
        or commit.plan.opened
    ):
        return None
    [row] = rows
    if row.due_us or row.topic == QUARANTINE or len(commit.acknowledge) > 1:
        return None
    name = names_of(row.topic)[row.rank]
    told = b"[%b]" % facts if facts else b""
    about = about_of(row, landing.commons[0])
    words: list[Word] = [
        FORM, commit_id, by, now_us, name, row.topic, row.rank, row.key, row.payload, about, told
    ]  # fmt: skip
    for held in commit.acknowledge:
        stream, _, entry_id = held.entry.rpartition("/")
        is_first = held.deliveries == 1 and held.token.split("|", 2)[1:2] == [redis_claim.START]
        words += (stream, entry_id, token_of(held), int(not is_first))
    return "end" if commit.acknowledge else "single", words
