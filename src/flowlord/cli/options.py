"""Flags that several commands share, and the settings and the log that follow from them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from flowlord.cli.flags import option
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.config import Settings

Config = Annotated[str, option("--config", metavar="FILE", help="Configuration file.", show_default=False)]
BusAddress = Annotated[
    str,
    option(
        "--bus",
        "--redis",
        metavar="URL",
        help="Address of the bus: sqlite:///PATH, redis://HOST:6379 or memory:.",
        show_default=False,
    ),
]
Namespace = Annotated[
    str,
    option(
        "--namespace", metavar="NAME", help="Which of several buses on a Redis server.", show_default=False
    ),
]
AcceptLoss = Annotated[bool, option("--accept-loss", help="Use a Redis server that is set up to lose tasks.")]
Cache = Annotated[str, option("--cache", metavar="FILE", help="The history file.", show_default=False)]
Workflows = Annotated[
    str,
    option(
        "--workflows",
        metavar="PATH",
        help="File or folder of workflows; default: configuration, else ./workflows.",
        show_default=False,
    ),
]
Output = Annotated[
    str,
    option(
        "-o", "--output", metavar="FORM", help="table, json, jsonl, csv, tsv or name.", show_default=False
    ),
]
Color = Annotated[str, option("--color", metavar="WHEN", help="auto, always or never.")]
NoHeaders = Annotated[bool, option("--no-headers", help="Leave out the header line.")]
Ascii = Annotated[bool, option("--ascii", help="Letters instead of symbols.")]
Reason = Annotated[
    str, option("--reason", metavar="TEXT", help="Why; the journal keeps it.", show_default=False)
]
Yes = Annotated[bool, option("-y", "--yes", help="Do it unasked.")]
DryRun = Annotated[bool, option("--dry-run", help="Only show what would be done.")]
Limit = Annotated[
    int | None,
    option("--limit", min=0, metavar="N", help="At most so many; 0 is all.", show_default=False),
]
LogForm = Annotated[str, option("--log-format", metavar="FORM", help="text or json.", show_default=False)]
Verbose = Annotated[int, option("-v", "--verbose", count=True, help="More log lines.", show_default=False)]
Quiet = Annotated[bool, option("-q", "--quiet", help="Warnings and errors only.")]


def settings_of(**flags: object) -> Settings:
    """Return the effective settings; flags that were not given leave the other sources in force."""
    from flowlord.config import resolve

    settings = resolve({name: value for name, value in flags.items() if value not in ("", None)})
    if settings.notes:
        from flowlord.cli import printer

        for note in settings.notes:
            printer.problem(note)
    return settings


def set_up_logs(settings: Settings, verbose: int = 0, *, quiet: bool = False) -> None:
    """Send log lines to stderr, as many as were asked for."""
    from flowlord.cli.logs import set_up

    level = "warning" if quiet else "debug" if verbose else settings.log.level
    set_up(settings.log.format, level)


def leave(code: int) -> None:
    """End the command with this exit code."""
    if code:
        sys.exit(code)


def cache_of(settings: Settings) -> str | None:
    """Return the path of the history; None when none is kept."""
    return settings.cache.path if settings.cache.enabled else None


def refuse_memory(settings: Settings, command: str) -> None:
    """Refuse a bus that ends with this process, for commands that hand work to others or take it from them.

    Raises:
        FlowlordError: the address is `memory:`.
    """
    if settings.bus.address.startswith("memory:"):
        raise FlowlordError(
            f"{command} on the bus memory: would be alone: it ends with this process",
            hint="name the bus of the daemon: --bus sqlite:///.flowlord/bus.db",
        )
