"""Commands that make things happen: run, worker, send."""

from __future__ import annotations

from typing import Annotated

import typer

from flowlord.cli.options import (
    AcceptLoss,
    BusAddress,
    Cache,
    Config,
    LogForm,
    Namespace,
    Output,
    Quiet,
    Verbose,
    Workflows,
    leave,
    refuse_memory,
    set_up_logs,
    settings_of,
)

app = typer.Typer(rich_markup_mode=None)


@app.command()
def run(
    path: Annotated[
        str,
        typer.Argument(
            metavar="[PATH]",
            help="A workflow file, or a folder of them, also in a bucket.",
            show_default=False,
        ),
    ] = "",
    once: Annotated[
        bool, typer.Option("--once", help="Decide what is due, work until nothing is left, end.")
    ] = False,
    worker: Annotated[
        list[str],
        typer.Option("--worker", metavar="TYPE=COMMAND", help="Host a worker in this process; repeatable."),
    ] = [],  # noqa: B006
    app_: Annotated[
        str,
        typer.Option(
            "--app", metavar="MODULE", help="Host the Python tasks of a module.", show_default=False
        ),
    ] = "",
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, metavar="N", help="Tasks at a time of hosted workers.")
    ] = 4,
    grace: Annotated[
        str,
        typer.Option(
            "--grace", metavar="TIME", help="How long running tasks may finish.", show_default=False
        ),
    ] = "",
    reload: Annotated[
        str,
        typer.Option(
            "--reload", metavar="TIME", help="How often to look for changed files.", show_default=False
        ),
    ] = "",
    lease: Annotated[
        str,
        typer.Option(
            "--lease",
            metavar="TIME",
            help="A dead worker's task is offered again after this.",
            show_default=False,
        ),
    ] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse to start with any broken file.")] = False,
    bus: BusAddress = "",
    namespace: Namespace = "",
    accept_loss: AcceptLoss = False,
    cache: Cache = "",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no history.")] = False,
    config: Config = "",
    log_format: LogForm = "",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Run the daemon: load, schedule, hear results, retry.

    \b
      flowlord run workflows/
      flowlord run workflows/ --worker 'load=python load.py {info}'
      flowlord run workflows/ --once          # from outside cron
      flowlord run s3://bucket/workflows/     # looked at every minute

    See also: validate, send, tasks, worker.
    """
    settings = settings_of(
        config=config,
        bus=bus,
        namespace=namespace,
        accept_loss=accept_loss or None,
        cache=cache,
        no_cache=no_cache or None,
        workflows=path,
        grace=grace,
        reload=reload,
        lease=lease,
        log_format=log_format,
    )
    set_up_logs(settings, verbose, quiet=quiet)
    from flowlord.cli.run import run as body

    leave(
        body(
            settings,
            settings.taskmaster.workflows,
            once=once,
            strict=strict,
            workers=worker,
            app=app_,
            concurrency=concurrency,
        )
    )


@app.command()
def send(
    name: Annotated[
        str, typer.Argument(metavar="TOPIC[:JOB]", help="The phase, or any topic.", show_default=False)
    ],
    info: Annotated[
        str,
        typer.Argument(
            metavar="[INFO]", help="The task's argument; - reads it from stdin.", show_default=False
        ),
    ] = "",
    workflow: Annotated[
        str,
        typer.Option(
            "--workflow", metavar="FILE", help="The workflow whose children follow.", show_default=False
        ),
    ] = "",
    meta: Annotated[
        list[str], typer.Option("--meta", metavar="K=V", help="Meta that travels with the task; repeatable.")
    ] = [],  # noqa: B006
    priority: Annotated[
        str,
        typer.Option(
            "--priority", metavar="P", help="0-10, or low, normal, high, critical.", show_default=False
        ),
    ] = "",
    delay: Annotated[
        str,
        typer.Option(
            "--delay", metavar="TIME", help="Not before this has passed, such as 30s.", show_default=False
        ),
    ] = "",
    at: Annotated[
        str, typer.Option("--at", metavar="WHEN", help="Not before this moment.", show_default=False)
    ] = "",
    key: Annotated[
        str,
        typer.Option(
            "--key", metavar="TEXT", help="Idempotency key: the same again sends nothing.", show_default=False
        ),
    ] = "",
    from_file: Annotated[
        str,
        typer.Option(
            "--from-file",
            metavar="ROWS",
            help="One task a line: JSON object or info; - is stdin.",
            show_default=False,
        ),
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until it has ended; exit 1 when it failed.")
    ] = False,
    children: Annotated[
        bool, typer.Option("--children", help="With --wait: and everything that follows from it.")
    ] = False,
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout", metavar="TIME", help="Give up waiting after this; exit 124.", show_default=False
        ),
    ] = "",
    workflows: Workflows = "",
    output: Output = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    config: Config = "",
    quiet: Quiet = False,
) -> None:
    """Send one task, or many from a file.

    \b
      flowlord send load:users '?day=2026-08-01' --wait
      flowlord send load:users --from-file rows.jsonl --priority low
      flowlord send report --delay 10m --key report-2026-08-01

    See also: tasks, task, topics.
    """
    settings = settings_of(config=config, bus=bus, namespace=namespace)
    refuse_memory(settings, "send")
    from flowlord.cli.send import Options
    from flowlord.cli.send import run as body

    options = Options(
        workflow,
        workflows,
        tuple(meta),
        priority,
        delay,
        at,
        key,
        wait,
        children,
        timeout,
        from_file,
        output,
        quiet,
    )
    leave(body(settings, name, info, options))


@app.command()
def worker(
    types: Annotated[
        str, typer.Option("--types", metavar="T,T", help="Task types to take.", show_default=False)
    ] = "",
    exec_: Annotated[
        str,
        typer.Option("--exec", metavar="COMMAND", help="What runs each task of --types.", show_default=False),
    ] = "",
    worker_: Annotated[
        list[str], typer.Option("--worker", metavar="TYPE=COMMAND", help="What runs a type; repeatable.")
    ] = [],  # noqa: B006
    app_: Annotated[
        list[str], typer.Option("--app", metavar="MODULE", help="Module with Python tasks; repeatable.")
    ] = [],  # noqa: B006
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, metavar="N", help="Tasks at a time.")
    ] = 4,
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout",
            metavar="TIME",
            help="For tasks that bring no timeout of their own.",
            show_default=False,
        ),
    ] = "",
    max_tasks: Annotated[
        int, typer.Option("--max-tasks", min=0, metavar="N", help="End after so many; 0 never.")
    ] = 0,
    drain: Annotated[bool, typer.Option("--drain", help="End when nothing waits.")] = False,
    id_: Annotated[
        str, typer.Option("--id", metavar="NAME", help="Name of this worker.", show_default=False)
    ] = "",
    lease: Annotated[
        str,
        typer.Option(
            "--lease",
            metavar="TIME",
            help="Its tasks are offered again this long after it died.",
            show_default=False,
        ),
    ] = "",
    grace: Annotated[
        str,
        typer.Option(
            "--grace", metavar="TIME", help="How long running tasks may finish.", show_default=False
        ),
    ] = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    accept_loss: AcceptLoss = False,
    config: Config = "",
    log_format: LogForm = "",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Take tasks and run them.

    \b
      flowlord worker --app steps
      flowlord worker --types load --exec 'python load.py {info}'
      flowlord worker --worker 'load=sh load.sh' --worker 'mail=builtin:echo'

    See also: run, workers, topics.
    """
    settings = settings_of(
        config=config,
        bus=bus,
        namespace=namespace,
        accept_loss=accept_loss or None,
        lease=lease,
        grace=grace,
        log_format=log_format,
    )
    set_up_logs(settings, verbose, quiet=quiet)
    refuse_memory(settings, "worker")
    from flowlord.cli.worker import Options
    from flowlord.cli.worker import run as body
    from flowlord.rules.durations import parse_duration

    try:
        timeout_ns = parse_duration(timeout) if timeout else 0
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--timeout") from None
    options = Options(
        types=tuple(name.strip() for name in types.split(",") if name.strip()),
        command=exec_,
        workers=tuple(worker_),
        apps=tuple(app_),
        concurrency=concurrency,
        timeout_ns=timeout_ns,
        max_tasks=max_tasks,
        name=id_,
        drain=drain,
    )
    leave(body(settings, options))
