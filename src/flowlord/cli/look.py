"""Commands that only look: tasks, task, workers, doctor."""

from __future__ import annotations

from typing import Annotated, Unpack

from flowlord.cli.flags import Commands, argument, option
from flowlord.cli.options import (
    Ascii,
    BusAddress,
    Cache,
    Color,
    Config,
    Namespace,
    NoHeaders,
    Output,
    cache_of,
    leave,
    settings_of,
)
from flowlord.cli.taskflags import TaskFlags

app = Commands()


@app.command()
def tasks(
    group_by: Annotated[
        str,
        option("--group-by", metavar="KIND", help="Count by error, topic, day or state.", show_default=False),
    ] = "",
    sort: Annotated[
        str,
        option(
            "--sort",
            metavar="NAME",
            help="By took, waited, ended, task ...; -took: longest first.",
            show_default=False,
        ),
    ] = "",
    limit: Annotated[
        int | None,
        option("--limit", min=0, metavar="N", help="At most so many; 0 is all.", show_default=False),
    ] = None,
    watch: Annotated[bool, option("-w", "--watch", help="Draw it anew every two seconds.")] = False,
    follow: Annotated[bool, option("-f", "--follow", help="Go on with what happens next.")] = False,
    count: Annotated[bool, option("--count", help="Only how many.")] = False,
    exit_code: Annotated[bool, option("--exit-code", help="Exit 1 when there are any.")] = False,
    wide: Annotated[bool, option("--wide", help="Cut nothing to the width of the terminal.")] = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    no_cache: Annotated[bool, option("--no-cache", help="Answer from the bus alone.")] = False,
    config: Config = "",
    **chosen: Unpack[TaskFlags],
) -> None:
    """List tasks, the newest first: one line for each attempt.

    \b
      flowlord tasks --failed --group-by error
      flowlord tasks --topic load --since 6h -o json
      flowlord tasks --file s3://acme/in/users.csv
      flowlord tasks -f -o jsonl

    See also: task, retry, cancel, topics.
    """
    settings = settings_of(
        config=config, bus=bus, namespace=namespace, cache=cache, no_cache=no_cache or None
    )
    from flowlord.cli.printer import Look
    from flowlord.cli.taskfilter import Chosen
    from flowlord.cli.tasks import Question
    from flowlord.cli.tasks import run as body

    look = Look(output, no_headers, ascii_, color, wide)
    question = Question(Chosen(**chosen), group_by, sort, limit, follow, watch, exit_code, count, look)
    leave(body(settings.bus, cache_of(settings), question))


@app.command()
def task(
    what: Annotated[
        str,
        argument(metavar="ID", help="The beginning of an id, @last or @failed.", show_default=False),
    ],
    events: Annotated[bool, option("--events", help="Everything that happened, in order.")] = False,
    payload: Annotated[bool, option("--payload", help="The message as its worker gets it.")] = False,
    watch: Annotated[bool, option("-w", "--watch", help="Draw it anew until it has ended.")] = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Tell one task's whole story: attempts, times, output, children.

    \b
      flowlord task 9f3
      flowlord task @failed -o json
      flowlord task 9f3 --payload | python load.py

    See also: tasks.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache)
    from flowlord.cli.printer import Look
    from flowlord.cli.task import run as body

    look = Look(output, no_headers, ascii_, color)
    show = "events" if events else "payload" if payload else ""
    leave(body(settings.bus, cache_of(settings), what, look=look, show=show, watch=watch))


@app.command()
def workers(
    output: Output = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
) -> None:
    """List the processes that are alive, and with what.

    \b
      flowlord workers
      flowlord workers -o json

    See also: topics.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    from flowlord.cli.printer import Look
    from flowlord.cli.workers import run as body

    leave(body(settings.bus, look=Look(output, no_headers, ascii_, color)))


@app.command()
def doctor(
    parts: Annotated[
        list[str] | None,
        argument(
            metavar="[PART]...",
            help="Of redis (or bus), clock, workers, cache, alerts, files; default: all.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[bool, option("--strict", help="Warnings fail too.")] = False,
    output: Output = "",
    no_headers: NoHeaders = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    config: Config = "",
) -> None:
    """Look at what flowlord stands on, and tell how to mend it; exits 1 when there is a fault.

    \b
      flowlord doctor
      flowlord doctor redis --bus redis://localhost:6379
      flowlord doctor alerts
      flowlord doctor --strict -o json

    See also: workers, notify, config.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache)
    from flowlord.cli.doctor import run as body
    from flowlord.cli.printer import Look

    leave(body(settings, parts or (), strict=strict, look=Look(output, no_headers, color=color)))
