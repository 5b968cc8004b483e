"""Landing commits in a SQLite bus: read what they rest on, judge them, write what lands, all in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from flowlord.bus import sqlite_opened
from flowlord.bus.judge import LANDED, Answer, Holder, Verdict, judge, marks_of
from flowlord.bus.landing import QUARANTINE_CAP, Landing, Row, entry_number
from flowlord.bus.lifetimes import OUTCOME_DAYS, SECOND_US, day_of
from flowlord.bus.port import QUARANTINE
from flowlord.bus.sqlite_arrive import News, arrive_rows
from flowlord.bus.sqlite_many import change_in, insert, select_in
from flowlord.model.errors import LeaseLost, Refused
from flowlord.model.plan import Committed, Fact, FrozenBatch, Mark

_SELECT = """SELECT id, topic, rank, due_us, at_us,
    payload, key, priority, timeout_ns, phase, revision, cause, batch, origin, report FROM messages WHERE id IN"""

_FRESH = 5_000
"""Outcomes that gather before they move among those of their day."""

_encode = msgspec.json.Encoder().encode
_decode_answers = msgspec.json.Decoder(list[list[str | None]]).decode


def encode_facts(facts: Sequence[Fact]) -> bytes:
    """Return facts as the inside of a JSON array, so that those of several commits can be joined unread."""
    return _encode(facts)[1:-1] if facts else b""


def known_answers(db: sqlite3.Connection, commit_id: str) -> list[Answer] | None:
    """Return what a commit sent before was answered, None when it did not land."""
    found = db.execute(
        "SELECT answers FROM commits WHERE id = ? ORDER BY seq DESC LIMIT 1", (commit_id,)
    ).fetchone()
    return None if found is None else [_read_answer(*answer) for answer in _decode_answers(found[0])]


def land(
    db: sqlite3.Connection,
    landings: Sequence[Landing],
    *,
    commit_id: str,
    by: str,
    now_us: int,
    news: News,
) -> list[Answer]:
    """Land commits in order and remember the answers under `commit_id`."""
    today = day_of(now_us)
    verdict = _unopposed(db, landings, today) or _judged(db, landings, today)
    change_in(db, "DELETE FROM messages WHERE id IN", [int(entry) for entry in verdict.entries])
    set_marks(db, list(verdict.marks.values()), now_us)
    freed = sqlite_opened.shut(db, verdict.digests)

    rows: list[Row] = []
    told: list[bytes] = []
    quarantined = False
    for place in verdict.landed:
        landing = landings[place]
        rows += landing.rows
        if landing.holds:
            sqlite_opened.hold(db, landing.holds, now_us, [freed.get(each) for each in landing.digests])
        if landing.told:
            told.append(landing.told)
        for batch, messages in landing.frozen:
            _freeze(db, batch, messages)
        quarantined = quarantined or bool(landing.commit.plan.quarantine)
    arrive_rows(db, rows, news)
    if quarantined:
        dropped = _cap_quarantine(db)
        if dropped:
            told.append(encode_facts(dropped))
    tell(db, told, commit_id=commit_id, by=by, now_us=now_us, news=news)
    if not (verdict.landed or verdict.entries):
        return verdict.answers  # nothing was written: sent again, it is judged again
    answers = _encode([_plain_answer(answer) for answer in verdict.answers])
    db.execute("INSERT INTO commits(id, at_us, answers) VALUES (?, ?, ?)", (commit_id, now_us, answers))
    return verdict.answers


def _unopposed(db: sqlite3.Connection, landings: Sequence[Landing], today: int) -> Verdict | None:
    """End the leases and record the outcomes of commits against which nothing speaks, as nearly always.

    To do it and see whether all of it was there to be done takes half as long as to read first and to judge each.
    Returns None, and nothing is changed, when something does speak against one, or may.
    """
    held: dict[tuple[str, str], list[int]] = {}
    entries: list[str] = []
    digests: list[bytes] = []
    for landing in landings:
        commit = landing.commit
        if commit.marks or landing.frozen or commit.plan.opened:
            return None
        for delivery in commit.acknowledge:
            entries.append(delivery.entry)
            held.setdefault((delivery.consumer, delivery.token), []).append(entry_number(delivery.entry))
        digests += landing.digests
    if len(set(entries)) < len(entries) or len(set(digests)) < len(digests):
        return None
    digests.sort()  # along the key, not across it
    db.execute("SAVEPOINT hope")
    try:
        is_so = all(
            change_in(db, "DELETE FROM leases WHERE consumer = ? AND token = ? AND id IN", some, holder)
            == len(some)
            for holder, some in held.items()
        ) and not any(_gone_on(db, digests, today))
        if is_so:
            _record(db, digests, today)
    except sqlite3.IntegrityError:  # one of them is fresh
        is_so = False
    if not is_so:
        db.execute("ROLLBACK TO hope")
    db.execute("RELEASE hope")
    landed = list(range(len(landings)))
    return Verdict([LANDED] * len(landings), landed, entries, {}, digests) if is_so else None


def _judged(db: sqlite3.Connection, landings: Sequence[Landing], today: int) -> Verdict:
    """Judge commits one by one; end the leases and record the outcomes of those that land."""
    values = _values(db, landings)
    recorded = _recorded(db, landings, today)
    verdict = judge(landings, _holders(db, landings), values.get, recorded.__contains__)
    change_in(db, "DELETE FROM leases WHERE id IN", [int(entry) for entry in verdict.entries])
    _record(db, verdict.digests, today)
    return verdict


def tell(
    db: sqlite3.Connection, facts: Sequence[bytes], *, commit_id: str, by: str, now_us: int, news: News
) -> None:
    """Write one journal entry when there is anything to tell.

    There is one writer at a time and `seq` is drawn inside its transaction, so entries appear in the order of
    their numbers and a reader that saw n will never find a smaller one later.
    """
    if facts:
        db.execute(
            "INSERT INTO journal(at_us, by, commit_id, facts) VALUES (?, ?, ?, ?)",
            (now_us, by, commit_id, b"[" + b",".join(facts) + b"]"),
        )
        news.journal = True


def set_marks(db: sqlite3.Connection, marks: Sequence[Mark], now_us: int) -> None:
    """Write marks that were checked."""
    change_in(db, "DELETE FROM marks WHERE key IN", [mark.key for mark in marks])
    insert(
        db,
        "INSERT INTO marks VALUES",
        [(m.key, m.new, now_us + m.ttl_s * SECOND_US if m.ttl_s else 0) for m in marks if m.new is not None],
    )


def _holders(db: sqlite3.Connection, landings: Sequence[Landing]) -> dict[str, Holder]:
    entries = [entry_number(d.entry) for landing in landings for d in landing.commit.acknowledge]
    found = select_in(db, "SELECT id, consumer, token FROM leases WHERE id IN", entries)
    return {str(entry): (consumer, token) for entry, consumer, token in found}


def _values(db: sqlite3.Connection, landings: Sequence[Landing]) -> dict[str, str]:
    keys = [mark.key for landing in landings for mark in marks_of(landing)]
    return dict(select_in(db, "SELECT key, value FROM marks WHERE key IN", keys))


def _recorded(db: sqlite3.Connection, landings: Sequence[Landing], today: int) -> set[bytes]:
    digests = sorted(
        digest for landing in landings for digest in landing.digests
    )  # along the key, not across it
    found = {digest for (digest,) in select_in(db, "SELECT digest FROM fresh WHERE digest IN", digests)}
    found.update(_gone_on(db, digests, today))
    return found


def _gone_on(db: sqlite3.Connection, digests: Sequence[bytes], today: int) -> Iterator[bytes]:
    """Yield those of these outcomes that lie among those of their day by now."""
    if not digests:
        return
    # Only days that exist: a few steps along the key, however many outcomes there are.
    days = db.execute(
        """WITH RECURSIVE days(day) AS (
            SELECT min(day) FROM outcomes
            UNION ALL SELECT (SELECT min(day) FROM outcomes WHERE day > days.day) FROM days WHERE day IS NOT NULL)
        SELECT day FROM days WHERE day >= ?""",
        (today - OUTCOME_DAYS,),
    ).fetchall()
    for (day,) in days:
        query = "SELECT digest FROM outcomes WHERE day = ? AND digest IN"
        yield from (digest for (digest,) in select_in(db, query, digests, (day,)))


def _record(db: sqlite3.Connection, digests: Sequence[bytes], today: int) -> None:
    if not digests:
        return
    insert(db, "INSERT INTO fresh VALUES", [(digest, today) for digest in sorted(digests)])
    [count] = db.execute("SELECT count(*) FROM fresh").fetchone()
    if count >= _FRESH:
        db.execute("INSERT INTO outcomes SELECT day, digest FROM fresh ORDER BY day, digest")
        db.execute("DELETE FROM fresh")


def _freeze(db: sqlite3.Connection, batch: FrozenBatch, messages: Sequence[bytes]) -> None:
    if not messages:
        return
    number = db.execute(
        "INSERT INTO batches(key, total, done) VALUES (?, ?, 0)", (batch.key, len(messages))
    ).lastrowid
    insert(db, "INSERT INTO frozen VALUES", [(number, place, data) for place, data in enumerate(messages)])


def _cap_quarantine(db: sqlite3.Connection) -> list[Fact]:
    [count] = db.execute("SELECT count(*) FROM waiting WHERE topic = ?", (QUARANTINE,)).fetchone()
    if count <= QUARANTINE_CAP:
        return []
    oldest = [
        entry
        for (entry,) in db.execute(
            "SELECT id FROM waiting WHERE topic = ? ORDER BY id LIMIT ?", (QUARANTINE, count - QUARANTINE_CAP)
        )
    ]
    return drop(db, oldest, f"quarantine keeps {QUARANTINE_CAP} messages")


def drop(db: sqlite3.Connection, entries: Sequence[int], reason: str) -> list[Fact]:
    """Take messages that nobody holds off the bus; return what tells of it."""
    dropped = [row.dropped(reason) for _, row in take_off(db, entries)]
    sqlite_opened.shut(db, [member for _, member in dropped])
    return [fact for fact, _ in dropped]


def take_off(db: sqlite3.Connection, entries: Sequence[int]) -> list[tuple[int, Row]]:
    """Remove messages that nobody holds, and return them, the oldest first."""
    found = sorted(select_in(db, _SELECT, entries))
    rows = [Row(*row) for _, *row in found]
    bands: dict[tuple[str, int], list[int]] = {}
    for (entry, *_), row in zip(found, rows, strict=True):
        if row.due_us:
            db.execute("DELETE FROM later WHERE due_us = ? AND id = ?", (row.due_us, entry))
        else:
            bands.setdefault((row.topic, row.rank), []).append(entry)
    for band, some in bands.items():
        change_in(db, "DELETE FROM waiting WHERE topic = ? AND rank = ? AND id IN", some, band)
    change_in(db, "DELETE FROM messages WHERE id IN", entries)
    return [(entry, row) for (entry, *_), row in zip(found, rows, strict=True)]


def _plain_answer(answer: Answer) -> list[str | None]:
    match answer:
        case Committed(duplicate=duplicate):
            return ["duplicate" if duplicate else "landed"]
        case LeaseLost():
            return ["lost", answer.entry]
        case Refused():
            return ["refused", answer.mark, answer.found]


def _read_answer(kind: str | None, about: str | None = None, found: str | None = None) -> Answer:
    match kind:
        case "lost":
            return LeaseLost(about or "")
        case "refused":
            return Refused(about or "", found)
        case _:
            return Committed(duplicate=kind == "duplicate")
