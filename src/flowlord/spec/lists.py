"""The lists of `meta=`: taken into a rule, and everything that can be wrong with them.

One value may hold thousands of lists. Of what is wrong with them no more is put into words than anybody may read.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, Protocol

from flowlord.rules.batch import parse_lists
from flowlord.rules.errors import Unreadable, quote
from flowlord.spec.document import MOST_FINDINGS, Findings, named
from flowlord.spec.remark import Remark

_MARK: Final = re.compile("[:=]")  # behind the key of a list
_OLD: Final = re.compile(r"(?:^|(?<=\|))[^|:=]*+(=)[^|]*+")  # a list whose mark is an =


class Reader(Protocol):
    """Whoever gathers the values of a rule and what is wrong with them, in a file about which `before` was said."""

    given: dict[str, object]
    remarks: list[Remark]
    before: Findings

    def complain(self, code: str, number: int, value: str, error: Unreadable) -> None:
        """Note that a value could not be read."""
        ...


def meta(options: Reader, number: int, value: str) -> None:
    """Take lists; those of several options add up, and of two with one name the last counts."""
    try:
        lists = parse_lists(value)
    except Unreadable as error:
        options.complain("FL060", number, value, error)
        return
    known = options.given.get("meta", {})
    assert isinstance(known, dict)
    options.given["meta"] = known | lists
    options.given["has_meta"] = True
    if len(lists) <= value.count("|") or known.keys() & lists.keys():
        _again(options, number, value, known)
    if "=" not in value:
        return
    old = list(_OLD.finditer(value))
    for found in old[: worth_words(options, "FL027")]:
        text = f"{quote(found[0])} has '=' behind its key; it is read as ':'"
        start, end = found.span(1)
        options.remarks.append(Remark("FL027", number, text, "write ':'", False, start, end, ":"))
    count(options, "FL027", number, len(old))


def worth_words(options: Reader, code: str) -> int:
    """Return of how many more findings of a kind anybody may read the words."""
    return 0 if options.before.is_full(code) else MOST_FINDINGS


def count(options: Reader, code: str, number: int, all_: int) -> None:
    """Note those of `all_` findings about one value that were not put into words."""
    options.remarks += [Remark(code, number, "")] * (all_ - worth_words(options, code))


def _again(options: Reader, number: int, value: str, known: Collection[str]) -> None:
    """Tell the lists that take the place of others; `known` are the names of those in options before this one."""
    names, at, again = set(known), 0, 0
    most = worth_words(options, "FL024")
    for part in value.split("|"):
        name = _MARK.split(part, 1)[0]
        if name not in names:
            names.add(name)
        elif (again := again + 1) <= most:
            text = f"the list {named(name)} is given again; the last one counts"
            remark = Remark("FL024", number, text, "keep one of them", False, at, at + len(part))
            options.remarks.append(remark)
        at += len(part) + 1
    count(options, "FL024", number, again)
