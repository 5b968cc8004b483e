"""Flags of `flowlord files`."""

from __future__ import annotations

from typing import Annotated

from flowlord.cli.flags import Commands, Flag, option
from flowlord.cli.options import (
    Ascii,
    BusAddress,
    Cache,
    Color,
    Config,
    Limit,
    Namespace,
    NoHeaders,
    Output,
    Workflows,
    cache_of,
    leave,
    settings_of,
)

app = Commands()


def _text(name: str, metavar: str, told: str) -> Flag:
    return option(name, metavar=metavar, help=told, show_default=False)


@app.command()
def files(
    test: Annotated[str, _text("--test", "PATH", "Explain what a file would start; needs no bus.")] = "",
    rerun: Annotated[str, _text("--rerun", "PATH", "Start a file again, or all that a pattern names.")] = "",
    execute: Annotated[
        bool, option("-y", "--execute", help="With --rerun: start many files, do not only list them.")
    ] = False,
    matched: Annotated[bool, option("--matched", help="Those that started something, or wait to.")] = False,
    unmatched: Annotated[bool, option("--unmatched", help="Those that started nothing, and why.")] = False,
    near_miss: Annotated[
        bool, option("--near-miss", help="Unmatched only for their name or size: the folder fits.")
    ] = False,
    duplicate: Annotated[
        bool, option("--duplicate", help="Notices of what was known already; listings tell none.")
    ] = False,
    pattern: Annotated[str, _text("--pattern", "GLOB", "Those whose path fits.")] = "",
    since: Annotated[str, _text("--since", "WHEN", "Not before: 24h, yesterday, 2026-08-01T05.")] = "",
    until: Annotated[str, _text("--until", "WHEN", "Not after.")] = "",
    limit: Limit = None,
    wide: Annotated[bool, option("--wide", help="Cut nothing to the width of the terminal.")] = False,
    workflows: Workflows = "",
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """List the files that were seen and what they started; test a path; start one again.

    \b
      flowlord files --since 24h --unmatched
      flowlord files --test s3://acme/in/2026/08/01/users.csv.gz
      flowlord files --rerun /data/in/users.csv

    Exits 1 when --test or --rerun finds no phase for the path. See also: tasks, validate.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache, workflows=workflows)
    from flowlord.cli.printer import Look

    look = Look(output, no_headers, ascii_, color, wide)
    if test:
        from flowlord.cli.filetest import run as explain

        leave(explain(settings, test, look))
    elif rerun:
        from flowlord.cli.filerun import run as again

        leave(again(settings, rerun, execute=execute, look=look))
    else:
        from flowlord.cli.files import Question
        from flowlord.cli.files import run as body

        question = Question(since, until, matched, unmatched, near_miss, duplicate, pattern, limit, look)
        leave(body(settings.bus, cache_of(settings), question))
