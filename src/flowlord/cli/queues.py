"""Flags of what looks at and acts on topics: topics, quarantine."""

from __future__ import annotations

from typing import Annotated, Unpack

from flowlord.cli.flags import Commands, argument, option
from flowlord.cli.options import (
    Ascii,
    BusAddress,
    Cache,
    Color,
    Config,
    DryRun,
    Limit,
    Namespace,
    NoHeaders,
    Output,
    Reason,
    Yes,
    cache_of,
    leave,
    refuse_memory,
    settings_of,
)
from flowlord.cli.taskflags import MessageFlags

app = Commands()
Topic = Annotated[str, argument(metavar="TOPIC", help="The topic.", show_default=False)]
Ids = Annotated[
    list[str] | None, argument(metavar="[ID]...", help="As quarantine lists them.", show_default=False)
]
Origin = Annotated[
    str, option("--origin", metavar="TOPIC", help="Those found on this topic.", show_default=False)
]
Error = Annotated[
    str, option("--error", metavar="TEXT", help="Those whose reason holds this.", show_default=False)
]
All = Annotated[bool, option("--all", help="All that are there.")]


def topics(
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """List topics: what waits, is delayed, runs, failed.

    \b
      flowlord topics
      flowlord topics peek retry-failed -n 5
      flowlord topics tail load -f
      flowlord topics move load load-slow --info '*big*'

    See also: tasks, workers, quarantine.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache)
    from flowlord.cli.printer import Look
    from flowlord.cli.topics import run as body

    leave(body(settings.bus, cache_of(settings), look=Look(output, no_headers, ascii_, color)))


app.groups["topics"] = Commands(alone=topics)


@app.groups["topics"].command()
def peek(
    topic: Topic,
    number: Annotated[int, option("-n", "--number", min=0, help="So many messages.")] = 10,
    newest: Annotated[bool, option("--newest", help="The last ones instead of the first.")] = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """Look at messages of a topic; they stay where they are.

    \b
      flowlord topics peek quarantine
      flowlord topics peek load -n 3 -o jsonl
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    from flowlord.cli.printer import Look
    from flowlord.cli.topics import peek as body

    look = Look(output, no_headers, ascii_, color)
    leave(body(settings.bus, topic, number=number, newest=newest, look=look))


@app.groups["topics"].command()
def tail(
    topic: Topic,
    number: Annotated[int, option("-n", "--number", min=0, help="So many of those that wait.")] = 10,
    follow: Annotated[bool, option("-f", "--follow", help="Go on with what comes.")] = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """Print the newest messages that wait on a topic, and with -f each that comes.

    \b
      flowlord topics tail load -f
      flowlord topics tail done -f -o jsonl
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    from flowlord.cli.printer import Look
    from flowlord.cli.topics_tail import tail as body

    look = Look(output, no_headers, color=color)
    leave(body(settings.bus, topic, number=number, follow=follow, look=look))


@app.groups["topics"].command()
def purge(
    topic: Topic,
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """Drop everything that waits on a topic, now or later; shown first.

    \b
      flowlord topics purge load --dry-run
      flowlord topics purge retry-failed -y --reason 'looked at, not wanted'

    What runs goes on. Each task is recorded as cancelled. See also: cancel.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    refuse_memory(settings, "topics purge")
    from flowlord.cli.printer import Look
    from flowlord.cli.topics_act import Options
    from flowlord.cli.topics_act import purge as body

    leave(body(settings, topic, Options(reason, yes, dry_run, Look(output, no_headers))))


@app.groups["topics"].command()
def move(
    topic: Annotated[str, argument(metavar="FROM", help="Where they wait.", show_default=False)],
    target: Annotated[str, argument(metavar="TO", help="Where they go.", show_default=False)],
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
    **chosen: Unpack[MessageFlags],
) -> None:
    """Move what waits on a topic, now or later, to another one; shown first.

    \b
      flowlord topics move load load-slow
      flowlord topics move load load-slow --info '*big*' --since 6h -y

    Each is on exactly one of the two at any moment, whatever dies meanwhile.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    refuse_memory(settings, "topics move")
    from flowlord.cli.printer import Look
    from flowlord.cli.taskfilter import Chosen
    from flowlord.cli.topics_act import Options
    from flowlord.cli.topics_act import move as body

    options = Options(reason, yes, dry_run, Look(output, no_headers))
    leave(body(settings, topic, target, Chosen(**chosen), options))


def quarantine(
    origin: Origin = "",
    error: Error = "",
    limit: Limit = None,
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """List messages that nobody could understand; show, replay or drop them.

    \b
      flowlord quarantine
      flowlord quarantine show 42
      flowlord quarantine replay 42 --payload mended.json
      flowlord quarantine drop --origin done --error 'not JSON'

    See also: topics, tasks.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    from flowlord.cli.printer import Look
    from flowlord.cli.quarantine import Picked, show_list

    look = Look(output, no_headers, ascii_, color)
    leave(show_list(settings.bus, Picked((), origin=origin, error=error), limit or 0, look=look))


app.groups["quarantine"] = Commands(alone=quarantine)


@app.groups["quarantine"].command("list")
def quarantine_list(
    origin: Origin = "",
    error: Error = "",
    limit: Limit = None,
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """List messages that nobody could understand, the newest first.

    \b
      flowlord quarantine list
      flowlord quarantine list --origin files -o json
    """
    quarantine(origin, error, limit, output, no_headers, ascii_, color, bus, namespace, config)


@app.groups["quarantine"].command()
def show(
    name: Annotated[str, argument(metavar="ID", help="As quarantine lists it.", show_default=False)],
    raw: Annotated[bool, option("--raw", help="Its bytes as they are, into a file or a pipe.")] = False,
    output: Output = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """Tell all of one message; nothing in it can act on the terminal.

    \b
      flowlord quarantine show 42
      flowlord quarantine show 42 --raw > message.json
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    from flowlord.cli.printer import Look
    from flowlord.cli.quarantine import show as body

    leave(body(settings.bus, name, raw=raw, look=Look(output)))


@app.groups["quarantine"].command()
def replay(
    ids: Ids = None,
    all_: All = False,
    origin: Origin = "",
    error: Error = "",
    to: Annotated[
        str, option("--to", metavar="TOPIC", help="Elsewhere than where it was found.", show_default=False)
    ] = "",
    payload: Annotated[
        str, option("--payload", metavar="FILE", help="With these bytes; - is stdin.", show_default=False)
    ] = "",
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Send messages back to where they were found, mended or as they are.

    \b
      flowlord quarantine replay 42
      flowlord quarantine replay 42 --payload mended.json
      flowlord quarantine replay --origin files -y
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache)
    refuse_memory(settings, "quarantine replay")
    from flowlord.cli.printer import Look
    from flowlord.cli.quarantine import Options, Picked
    from flowlord.cli.quarantine import replay as body

    options = Options(to, payload, reason, yes, dry_run, Look(output, no_headers))
    leave(body(settings.bus, cache_of(settings), Picked(ids or (), all_, origin, error), options))


@app.groups["quarantine"].command()
def drop(
    ids: Ids = None,
    all_: All = False,
    origin: Origin = "",
    error: Error = "",
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """Drop messages of the quarantine for good.

    \b
      flowlord quarantine drop 42 43
      flowlord quarantine drop --origin done --error 'not JSON' -y
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    refuse_memory(settings, "quarantine drop")
    from flowlord.cli.printer import Look
    from flowlord.cli.quarantine import Options, Picked
    from flowlord.cli.quarantine import drop as body

    options = Options("", "", reason, yes, dry_run, Look(output, no_headers))
    leave(body(settings.bus, Picked(ids or (), all_, origin, error), options))
