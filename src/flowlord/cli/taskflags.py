"""The flags that choose tasks, the same for all commands that do; what they mean is `taskfilter`.

A command takes them as `**chosen: Unpack[TaskFlags]` and hands them on: `Chosen(**chosen)`.
"""

from __future__ import annotations

from typing import Annotated, TypedDict

from flowlord.cli.flags import option


class HistoryFlags(TypedDict, total=False):
    """What can be asked of a task in the history alone."""

    failed: Annotated[bool, option("--failed", help="Those that failed for good.")]
    running: Annotated[bool, option("--running", help="Those that a worker holds now.")]
    waiting: Annotated[bool, option("--waiting", help="Those that wait, for a worker or for their time.")]
    late: Annotated[bool, option("--late", help="Those that were not done in their time.")]
    lost: Annotated[bool, option("--lost", help="Those with which a worker, or the bus, vanished.")]
    state: Annotated[str, option("--state", metavar="S,S", help="Those in these states.", show_default=False)]
    batch: Annotated[str, option("--batch", metavar="ID", help="Of this batch.", show_default=False)]
    topic: Annotated[str, option("--topic", metavar="T", help="Of this topic.", show_default=False)]
    file: Annotated[
        str,
        option(
            "--file",
            metavar="PATH",
            help="What this file started, and all that followed.",
            show_default=False,
        ),
    ]
    error: Annotated[
        str, option("--error", metavar="TEXT", help="Whose message or reason holds this.", show_default=False)
    ]


class MessageFlags(TypedDict, total=False):
    """What can be asked of a message on the bus as well as of a task in the history."""

    job: Annotated[str, option("--job", metavar="J", help="Of this job.", show_default=False)]
    workflow: Annotated[
        str, option("--workflow", metavar="FILE", help="Of this workflow.", show_default=False)
    ]
    info: Annotated[
        str, option("--info", metavar="GLOB", help="Whose whole info fits, as *users*.", show_default=False)
    ]
    since: Annotated[
        str,
        option(
            "--since", metavar="WHEN", help="Not before: 24h, yesterday, 2026-08-01T05.", show_default=False
        ),
    ]
    until: Annotated[str, option("--until", metavar="WHEN", help="Not after.", show_default=False)]
    from_: Annotated[
        str, option("--from", metavar="TIME", help="Data time not before this.", show_default=False)
    ]
    to: Annotated[str, option("--to", metavar="TIME", help="Data time not after this.", show_default=False)]


class TaskFlags(HistoryFlags, MessageFlags, total=False):
    """What can be asked of a task."""
