"""Which time zones there are: files of the machine, and the list that tzdata brings along."""

from __future__ import annotations

from functools import cache
from os.path import isdir, isfile, join


def is_there(name: str) -> bool:
    """Tell whether zoneinfo may know a zone: of one that it does not know it looks for modules, which takes long."""
    return any(isfile(join(folder, name)) for folder in _folders()) or name in zone_names()


@cache
def zone_names() -> frozenset[str]:
    """Return the names of tzdata; zoneinfo opens six hundred files for the same answer, which takes 80 ms."""
    from importlib.resources import files

    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


@cache
def _folders() -> list[str]:
    from zoneinfo import TZPATH

    return [each for each in TZPATH if isdir(each)]
