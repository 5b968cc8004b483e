"""Makes the tasks of one start, a few at a time: as messages, or in the form in which they travel.

A batch is dates x rows. Whether it is made at once or bit by bit, over days, by one daemon or by many, it is made
here and comes out the same: everything about a task follows from the recipe and its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from flowlord.decide.keys import Numbered, short_token
from flowlord.decide.recipe import OURS, RESERVED, Cell, Recipe, Row, compiled, numbers_of, own_meta
from flowlord.model.message import Message
from flowlord.model.plan import Series
from flowlord.model.task import Task, encode, encode_text, identity_of
from flowlord.rules.metastring import escape_key, escape_value, format_meta
from flowlord.rules.moments import format_hour
from flowlord.rules.template import LONGEST_OUTPUT

# What some writing of a value would change, be it in a meta string or in JSON, or what no text may hold.
_changing: Final = re.compile('[\x00-\x1f\x7f-\x9f"\\\\&%+;#\u2028\u2029\ud800-\udfff]').search


_MISSING = "%"
"""Stands for a value that a row lacks: one that is not written as it is."""


class Form:
    """The JSON of a task in pieces, some of which are to be filled in: `created`, `id`, and `values` by their names.

    A value has all its places beside its name, which is empty for `{uuid}`.
    """

    def __init__(self) -> None:
        self.pieces = [""]
        self.values: list[tuple[str, list[int]]] = []
        self.created = self.id = 0
        self.run = ""  # what all belong to, as it is written; empty: each is a run of its own

    def write(self, written: str, text: str = "") -> None:
        """Add what is JSON already, and a text; raises UnicodeEncodeError when that is none."""
        self.pieces[-1] += written + encode_text(text)

    def gap(self) -> int:
        """Leave a gap; returns its place."""
        self.pieces += ("", "")
        return len(self.pieces) - 2

    def value(self, name: str) -> None:
        """Leave a gap for a value."""
        places = next((places for known, places in self.values if known == name), None)
        if places is None:
            places = []
            self.values.append((name, places))
        places.append(self.gap())


class Maker:
    """Makes the tasks of one recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._names = Numbered(recipe.slot, recipe.now, recipe.first)
        self._template = compiled(recipe.template)
        self._chosen = None if not recipe.chosen else frozenset(numbers_of(recipe.chosen))
        self._lenient = recipe.owns_first or bool(recipe.carried)
        self._kept = [name for name in self._template.meta_names if not self._is_ours(name)]
        self._time: datetime | None = None
        self._for_time(None)

    def messages(self, n: int, some: Iterable[tuple[datetime | None, Row]]) -> list[Message]:
        """Return the messages of consecutive cells, the first of which has the number `n`.

        Raises:
            TooLong: a template that becomes longer than 64 KiB.
        """
        recipe, names, chosen = self._recipe, self._names, self._chosen
        cause = recipe.cause or recipe.slot
        found: list[Message] = []
        for n, (time, row) in enumerate(some, n):  # noqa: B020 - counts on from where it begins
            if time is not self._time:
                self._for_time(time)
            if chosen is not None and n not in chosen:
                continue
            key = names.dispatch_key(n)
            found.append(
                Message(
                    recipe.topic,
                    self._task(n, key, row),
                    key,
                    recipe.priority,
                    None,
                    recipe.timeout_ns,
                    recipe.phase,
                    recipe.revision,
                    cause,
                    recipe.batch,
                    None,
                    recipe.holds,
                )
            )
        return found

    def series(self, n: int, some: Iterable[Cell]) -> Series:
        """Return the same messages in the form in which they travel, for a third of the time.

        Raises:
            ValueError: a template that becomes longer than 64 KiB, or text that is no Unicode.
        """
        recipe, names, chosen = self._recipe, self._names, self._chosen
        run_id, dispatch_key, created_of = names.run_id, names.dispatch_key, names.created
        run, holds = recipe.run, recipe.holds
        keys: list[str] = []
        payloads: list[bytes] = []
        identities: list[str] = []
        for n, (_, time, row, _, _, _) in enumerate(some, n):  # noqa: B020 - counts on from where it begins
            if time is not self._time:
                self._for_time(time)
            if chosen is not None and n not in chosen:
                continue
            key = dispatch_key(n)
            created, id_, payload = created_of(n), run or run_id(n), b""
            form = self._form
            if form is not None:
                pieces = form.pieces
                for name, places in form.values:
                    value = row.get(name, _MISSING) if name else short_token(key)
                    if not value.isalnum() and _changing(value):
                        break
                    for place in places:
                        pieces[place] = value
                else:
                    pieces[form.created], pieces[form.id] = created, form.run or id_
                    payload = "".join(pieces).encode()
            keys.append(key)
            payloads.append(
                payload if 0 < len(payload) <= LONGEST_OUTPUT else encode(self._task(n, key, row))
            )
            if holds:
                identities.append(identity_of(recipe.topic, recipe.job, id_, created) or key)
        return Series(
            recipe.topic,
            tuple(keys),
            tuple(payloads),
            recipe.priority,
            recipe.timeout_ns,
            recipe.phase,
            recipe.revision,
            recipe.cause or recipe.slot,
            recipe.batch,
            holds,
            tuple(identities),
        )

    @property
    def has_unique(self) -> bool:
        """Whether no two infos are the same."""
        return self._template.has_unique

    @property
    def chooses(self) -> bool:
        """Whether some tasks are left out."""
        return self._chosen is not None

    def is_chosen(self, n: int) -> bool:
        """Tell whether the task with this number is made."""
        return self._chosen is None or n in self._chosen

    def _is_ours(self, name: str) -> bool:
        return name in (RESERVED if self._lenient else OURS)

    def _task(self, n: int, key: str, row: Row) -> Task:
        recipe = self._recipe
        return Task(
            type=recipe.topic,
            info=self._half.render(row, short_token(key) if self._template.has_unique else ""),
            job=recipe.job,
            created=self._names.created(n),
            id=recipe.run or self._names.run_id(n),
            meta=self._meta(row),
        )

    def _for_time(self, time: datetime | None) -> None:
        """Work out what the tasks of one time have in common."""
        recipe = self._recipe
        self._time = time
        cron = format_hour(time) if recipe.tells_time and time is not None else recipe.cron
        own = own_meta(recipe.workflow, cron, recipe.job)
        self._half = self._template.half(time, {**recipe.under, **own}, recipe.host)
        constant = dict(recipe.carried)
        self._lead = ""
        if recipe.owns_first:
            self._lead = format_meta(own.items())
        else:
            constant |= {name: (value,) for name, value in own.items()}
        self._constant = constant
        names = self._kept if recipe.has_rows else []
        self._always = frozenset(names)
        pieces: list[tuple[str, str]] = []
        text = f"{self._lead}&" if self._lead else ""
        for name in sorted({*constant, *names}):
            if name in self._always:
                pieces.append((f"{text}{escape_key(name)}=", name))
                text = "&"
            elif constant[name]:
                text += format_meta((name, value) for value in constant[name]) + "&"
        self._pieces, self._end = pieces, text.removesuffix("&")
        self._form = self._form_of_all()

    def _form_of_all(self) -> Form | None:
        """Return the JSON of the tasks of one time with gaps; None when it holds what is no text."""
        recipe, half, form = self._recipe, self._half, Form()
        try:
            form.write('{"type":"', recipe.topic)
            if recipe.job:
                form.write('","job":"', recipe.job)
            form.write('","info":"')
            for before, name in half.gaps:
                form.write("", before)
                form.value(name)
            form.write("", half.tail)
            form.write('","created":"')
            form.created = form.gap()
            form.run = encode_text(recipe.run)  # a parent of others may have any text there
            form.write('","id":"')
            form.id = form.gap()
            if self._pieces or self._end:
                form.write('","meta":"')
            for before, name in self._pieces:
                form.write("", before)
                form.value(name)
            form.write("", self._end)
        except UnicodeEncodeError:
            return None
        form.write('"}')
        return form

    def _meta(self, row: Row) -> str:
        if not self._pieces:
            return self._end
        if self._lenient and not self._always <= row.keys():
            return self._meta_of_some(row)
        parts: list[str] = []
        for before, name in self._pieces:
            parts.append(before)
            parts.append(escape_value(row.get(name, "")))
        parts.append(self._end)
        return "".join(parts)

    def _meta_of_some(self, row: Row) -> str:
        """The meta of a task that goes by its parent or file, whose row lacks values: they are left out, not empty."""
        values: dict[str, tuple[str, ...]] = {**self._constant}
        values |= {name: (row[name],) for name in self._always if name in row}
        more = format_meta((name, value) for name in sorted(values) for value in values[name])
        return f"{self._lead}&{more}" if self._lead and more else self._lead or more
