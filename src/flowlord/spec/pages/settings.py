"""FL200 to FL209: the configuration file, which is told by every command that reads it."""

from __future__ import annotations

from typing import Final

from flowlord.spec.pages.page import Example, Page

_GOOD: Final = Example('[bus]\naddress = "sqlite:///bus.db"\n', "flowlord.toml")

PAGES: Final = {
    "FL200": Page(
        "The configuration is TOML or YAML of at most 64 KiB; from this place on it is neither.",
        Example("[bus\n", "flowlord.toml"),
        _GOOD,
    ),
    "FL201": Page(
        "There is no such setting. A misspelt one would leave the default in force without a word.",
        Example('[bus]\nadress = «"sqlite:///bus.db"»\n', "flowlord.toml"),
        _GOOD,
    ),
    "FL202": Page(
        "The setting cannot have this value; the problem says what it can have.",
        Example('[bus]\nlease = «"soon"»\n', "flowlord.toml"),
        Example('[bus]\nlease = "60s"\n', "flowlord.toml"),
    ),
    "FL203": Page(
        "The setting belongs to a part that this version does not have yet. It changes nothing.",
        Example("[http]\nport = «8080»\n", "flowlord.toml"),
        _GOOD,
    ),
    "FL204": Page(
        "A plain list hands a task over by taking it away. What a worker held that dies is lost; nobody sees that a "
        "task runs, or how often it was tried; priorities, time limits, cancelling and pausing end there, and so do "
        "waits before a further try. A worker that can only take from a list is better started by one of flowlord's: "
        "`flowlord worker --exec` keeps the lease and runs any command.",
        Example('«[topics.load]»\nkind = "list"\n', "flowlord.toml"),
        _GOOD,
    ),
}
