"""Files that count together: how many came, which was the newest, and how a mark on the bus holds that."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from flowlord.decide.files import FilePhase
from flowlord.decide.keys import dispatch_key
from flowlord.rules.moments import time_of_path
from flowlord.rules.places import folder_of
from flowlord.rules.template import Template

GROUP = "group:"
_template = lru_cache(maxsize=1024)(Template.compile)


class Group(msgspec.Struct, frozen=True, omit_defaults=True):
    """What has come of a group since it last started: `files` of them, and which one came last.

    `coming` names who has files of it that are not complete yet: each loop of each daemon as it names itself.
    """

    files: int = 0
    path: str = ""
    version: str = ""
    size: int = 0
    phase: str = ""
    coming: tuple[str, ...] = ()

    def joined(self, path: str, version: str, size: int, phase: str) -> Group:
        """Return the group with one file more."""
        return Group(self.files + 1, path, version, size, phase, self.coming)

    def begun(self) -> Group:
        """Return the group after a start: it counts from nothing again."""
        return Group(phase=self.phase, coming=self.coming)

    def announced(self, who: str, phase: str, *, comes: bool) -> Group:
        """Return the group with it known that `who` has files to come, or has none any more."""
        others = tuple(each for each in self.coming if each != who)
        coming = tuple(sorted((*others, who))) if comes else others
        return msgspec.structs.replace(self, phase=phase or self.phase, coming=coming)


def group_of(rules: FilePhase, path: str) -> str:
    """Return what files of one group have in common: their time as `group=` writes it, else their folder."""
    group = rules.phase.rule.group
    return _template(group).render(time_of_path(path), {}) if group else folder_of(path)


def group_key(rules: FilePhase, path: str) -> str:
    """Return the key of the mark that holds the group of `path`."""
    return GROUP + dispatch_key(f"{rules.phase.identity}\0{group_of(rules, path)}")


def read_group(value: str | None) -> Group:
    """Return the group that a mark holds; an empty one for what is no group."""
    try:
        return msgspec.json.decode(value, type=Group) if value else Group()
    except msgspec.MsgspecError:
        return Group()


def write_group(group: Group) -> str:
    """Return the value of the mark."""
    return msgspec.json.encode(group).decode()
