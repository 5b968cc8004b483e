"""`flowlord quarantine`: messages that could not be understood; look at them, send them back, drop them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from flowlord.bus.clock import SystemClock
from flowlord.bus.port import DONE as RESULTS
from flowlord.bus.port import QUARANTINE, Bus, Move, Peeked
from flowlord.cli import printer
from flowlord.cli.buses import bus_at
from flowlord.cli.exits import ANSWER_IS_BAD, DONE, NO_SUCH_THING, WRONG_USE
from flowlord.cli.people import agreed, counted, who, words_of
from flowlord.cli.printer import Look
from flowlord.cli.sources import Sources, opened
from flowlord.cli.table import Column
from flowlord.cli.times import iso, relative, to_us
from flowlord.model.clock import Clock
from flowlord.model.errors import BusError, FlowlordError, InvalidTask
from flowlord.model.message import REPLAYED
from flowlord.model.task import Result, Task, decode

if TYPE_CHECKING:
    from flowlord.config import BusSettings

FIELDS = ("id", "from", "arrived", "reason", "bytes", "payload")
RESULT_FIELDS = ("result", "id", "from", "to", "text")
MOST = 10_000
"""What the quarantine keeps at most."""
HEAD = 2_000  # characters of a payload in a list
Record = Mapping[str, object]


class Picked(msgspec.Struct, frozen=True):
    """Which messages are meant: by id, all, from one topic, or with a text in their reason."""

    ids: Sequence[str] = ()
    all_: bool = False
    origin: str = ""
    error: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said."""
        return not (self.ids or self.all_ or self.origin or self.error)

    def takes(self, found: Peeked) -> bool:
        """Return whether filters choose a message."""
        return self.origin in ("", found.origin) and self.error.casefold() in found.cause.casefold()


class Options(msgspec.Struct, frozen=True):
    """What the command line said of an act; `payload` names a file, `-` is stdin, empty changes nothing."""

    to: str = ""
    payload: str = ""
    reason: str = ""
    yes: bool = False
    dry_run: bool = False
    look: Look = msgspec.field(default_factory=Look)


def id_of(found: Peeked) -> str:
    """Return the short name of a quarantined message."""
    return found.entry.rpartition("/")[2]


def show_list(
    where: BusSettings, picked: Picked, limit: int, *, look: Look | None = None, clock: Clock | None = None
) -> int:
    """List quarantined messages, the newest first; returns the exit code."""
    clock = clock or SystemClock()
    now_us = to_us(clock.now())

    def body() -> int:
        with opened(where, None, clock) as sources:
            lying = [each for each in _lying(sources) if picked.takes(each)]
            shown = lying[: limit or None]
            columns = [
                Column("id"),
                Column("from"),
                Column("when", lambda each, _: relative(int(str(each["arrived_us"])), now_us)),
                Column("reason", gives=True),
                Column("payload", lambda each, _: str(each["payload"])[:HEAD], gives=True),
            ]
            printer.rows(map(_record, shown), FIELDS, name="id", columns=columns, look=look or Look())
            if not lying and printer.on_terminal():
                printer.say(
                    "nothing is in quarantine" if picked.is_empty else "nothing of that is in quarantine"
                )
            if len(lying) > len(shown):
                printer.say(f"… {len(lying) - len(shown)} more, --limit 0 for all")
            return DONE

    return printer.quietly(body)


def show(
    where: BusSettings, name: str, *, raw: bool = False, look: Look | None = None, clock: Clock | None = None
) -> int:
    """Tell all of one quarantined message; `raw` writes its bytes as they are, which no terminal gets to see."""
    clock = clock or SystemClock()

    def body() -> int:
        with opened(where, None, clock) as sources:
            found = _named(_lying(sources), [name])
            if isinstance(found, int):
                return found
            [one] = found
            if raw:
                if printer.on_terminal():
                    raise FlowlordError(
                        "raw bytes could do anything to a terminal", hint="send them to a file: > FILE"
                    )
                sys.stdout.buffer.write(one.payload)
                sys.stdout.buffer.flush()
            elif look is not None and look.form == "json":
                printer.document(_record(one))
            elif look is not None and look.form not in ("", "table"):
                printer.rows([_record(one)], FIELDS, name="id", look=look)
            else:
                printer.lines(_page(one, to_us(clock.now())))
            return DONE

    return printer.quietly(body)


def replay(
    where: BusSettings,
    cache_path: str | None,
    picked: Picked,
    options: Options,
    *,
    clock: Clock | None = None,
) -> int:
    """Send messages back to where they were found, or elsewhere, edited or not; returns the exit code."""
    clock = clock or SystemClock()
    if options.payload and len(picked.ids) != 1:
        printer.error("--payload is for one message", hint="flowlord quarantine replay ID --payload FILE")
        return WRONG_USE
    payload = _read(options.payload) if options.payload else None

    def body() -> int:
        with opened(where, cache_path, clock) as sources:

            def move(found: Peeked) -> Move:
                to = options.to or found.origin
                if not to or to == QUARANTINE:
                    raise FlowlordError(
                        f"nobody knows where {id_of(found)} came from", hint="--to TOPIC says where to"
                    )
                key, cause = _as_result(sources, found, payload) if to == RESULTS else ("", "")
                return Move(QUARANTINE, found.entry, to, payload, key, cause)

            return _act(sources, where, picked, options, "replay", move)

    return printer.quietly(body)


def drop(where: BusSettings, picked: Picked, options: Options, *, clock: Clock | None = None) -> int:
    """Drop messages for good; returns the exit code."""
    clock = clock or SystemClock()

    def body() -> int:
        with opened(where, None, clock) as sources:
            return _act(sources, where, picked, options, "drop", lambda found: Move(QUARANTINE, found.entry))

    return printer.quietly(body)


def _act(
    sources: Sources,
    where: BusSettings,
    picked: Picked,
    options: Options,
    verb: str,
    move: Callable[[Peeked], Move],
) -> int:
    if picked.is_empty:
        printer.error(
            f"say which messages to {verb}",
            hint=f"flowlord quarantine {verb} ID, --all, --origin TOPIC or --error TEXT",
        )
        return WRONG_USE
    lying = _lying(sources)
    found = _named(lying, picked.ids) if picked.ids else [each for each in lying if picked.takes(each)]
    if isinstance(found, int):
        return found
    moves, rows = _moves(found, move)
    done = {"replay": "replayed", "drop": "dropped"}[verb]
    columns = [Column(field) for field in RESULT_FIELDS]
    if moves and (not picked.ids or options.dry_run):
        some = counted(Counter(each.origin or "?" for each, _ in moves))
        refused = f"\n  {len(rows):,} more would be refused" if rows else ""
        said = agreed(
            f"{len(moves):,} in quarantine: from {some}{refused}",
            f"{verb}?",
            yes=options.yes,
            dry_run=options.dry_run,
        )
        if said is not None:
            if options.look.form not in ("", "table"):
                rows += [_result(f"would be {done}", each, to.to) for each, to in moves]
                printer.rows(rows, RESULT_FIELDS, name="id", columns=columns, look=options.look)
            return said
    if moves:
        with closing(bus_at(where, by=who())) as bus:
            rows += _moved(bus, moves, done, words_of(done, who(), options.reason))
    printer.rows(rows, RESULT_FIELDS, name="id", columns=columns, look=options.look)
    counts = Counter(str(row["result"]) for row in rows)
    printer.say(
        f"{counts[done]:,} {done}, {counts['refused']:,} refused" if rows else "nothing of that in quarantine"
    )
    return ANSWER_IS_BAD if counts["refused"] else DONE


def _moves(
    found: Sequence[Peeked], move: Callable[[Peeked], Move]
) -> tuple[list[tuple[Peeked, Move]], list[Record]]:
    """Return what is to be done with each, and of which nothing can be done: one that is bad hinders no other."""
    moves, refused = [], []
    for each in found:
        try:
            moves.append((each, move(each)))
        except BusError:
            raise
        except FlowlordError as error:
            if len(found) == 1:
                raise
            text = f"{error}; {error.hint}" if error.hint else str(error)
            refused.append(_result("refused", each, text=text))
    return moves, refused


def _moved(bus: Bus, moves: Sequence[tuple[Peeked, Move]], done: str, words: str) -> list[Record]:
    """One at a time, so that each is told as it went; there are never many."""
    rows: list[Record] = []
    for each, move in moves:
        went = bus.move([move], reason=words)
        text = "" if went else "it is gone, or somebody holds it"
        rows.append(_result(done if went else "refused", each, move.to, text))
    return rows


def _result(result: str, of: Peeked, to: str = "", text: str = "") -> Record:
    return {"result": result, "id": id_of(of), "from": of.origin, "to": to, "text": text}


def _as_result(sources: Sources, found: Peeked, payload: bytes | None) -> tuple[str, str]:
    """Return the dispatch key and the cause of a result that is sent back.

    Raises:
        FlowlordError: it would be set aside again.
    """
    try:
        task = decode(found.payload if payload is None else payload)
    except InvalidTask as error:
        raise FlowlordError(
            f"{id_of(found)} is no result: {error}", hint="--payload FILE sends it back mended"
        ) from None
    if task.result not in set(Result):
        raise FlowlordError(
            f"{id_of(found)} has the result {task.result[:40]!r}, which is none",
            hint=f"--payload FILE sends it back with one of {', '.join(Result)}",
        )
    return _key_of(sources, task), REPLAYED if _counted(found.payload) else ""


def _counted(payload: bytes) -> bool:
    """Whether the outcome of the task was recorded when it was set aside, as it is for a result that is none."""
    try:
        return decode(payload).result not in set(Result)
    except InvalidTask:
        return False


def _key_of(sources: Sources, task: Task) -> str:
    """Return the key under which history knows the attempt that a result is of."""
    if not task.id:
        return ""
    run = sources.history(fresh=True).run(task.id)
    same = (
        each for each in run if (each.type, each.job, each.created) == (task.type, task.job, task.created)
    )
    return next((each.key for each in same), "")


def _lying(sources: Sources) -> list[Peeked]:
    bus = sources.bus()
    return bus.peek(QUARANTINE, MOST, newest=True) if bus is not None else []


def _named(lying: Sequence[Peeked], names: Sequence[str]) -> list[Peeked] | int:
    by_id = {id_of(each): each for each in lying}
    for name in names:
        if name not in by_id:
            printer.error(f"{name[:100]} is not in quarantine", hint="flowlord quarantine lists what is")
            return NO_SUCH_THING
    return [by_id[name] for name in dict.fromkeys(names)]


def _record(found: Peeked) -> Record:
    return {
        "id": id_of(found),
        "from": found.origin,
        "arrived": iso(found.at_us) or None,
        "arrived_us": found.at_us,
        "reason": found.cause,
        "bytes": len(found.payload),
        "payload": _text(found.payload),
    }


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", "backslashreplace")


def _page(found: Peeked, now_us: int) -> list[str]:
    when = f"{iso(found.at_us)} ({relative(found.at_us, now_us)})"
    told = (("id", id_of(found)), ("from", found.origin or "-"), ("arrived", when), ("reason", found.cause))
    lines = [printer.printable(f"{name:<8}  {text}") for name, text in told]
    lines.append(f"payload   {len(found.payload):,} bytes")
    return [*lines, *(printer.printable(f"  {line}") for line in _text(found.payload).split("\n"))]


def _read(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise FlowlordError(
            f"--payload {path}: {error.strerror}", hint="write the name of a file, or -"
        ) from error
