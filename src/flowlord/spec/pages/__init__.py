"""The page of each code: why it is told, a bad example with the place marked, a good one. Loading never reads it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Final

from flowlord.spec.codes import CODES
from flowlord.spec.pages.page import Example, Page

__all__ = ["Example", "Page", "page", "pages"]

# Which module has the pages whose codes begin so.
_HOMES: Final = {
    "FL00": "files",
    "FL01": "phases",
    "FL02": "rules",
    "FL03": "times",
    "FL04": "templates",
    "FL05": "batches",
    "FL06": "batches",
    "FL07": "watched",
    "FL08": "words",
    "FL09": "words",
    "FL10": "chains",
    "FL20": "settings",
}


def page(code: str) -> Page:
    """Return the page of a known code."""
    return _module(_HOMES[code[:4]])[code]


def pages() -> dict[str, Page]:
    """Return all pages, in the order of their codes."""
    return {code: page(code) for code in CODES}


@cache
def _module(name: str) -> dict[str, Page]:
    found: dict[str, Page] = import_module(f"flowlord.spec.pages.{name}").PAGES
    return found
