"""Commands that touch no task: next, graph, schema, convert, init, help."""

from __future__ import annotations

from typing import Annotated

from flowlord.cli.flags import Commands, argument, option
from flowlord.cli.options import Ascii, BusAddress, Color, Config, NoHeaders, leave, settings_of

app = Commands()


@app.command("next")
def next_(
    path: Annotated[
        str, argument(metavar="[PATH]", help="File or folder of workflows.", show_default=False)
    ] = "",
    length: Annotated[
        str,
        option("--for", metavar="LENGTH", help="How far to look: 24h (default), 7d.", show_default=False),
    ] = "",
    number: Annotated[
        int | None,
        option("-n", "--number", min=0, metavar="N", help="So many starts; 0 is all.", show_default=False),
    ] = None,
    start: Annotated[
        str,
        option(
            "--from", metavar="WHEN", help="From then on: now (default), +2h, 2026-10-25.", show_default=False
        ),
    ] = "",
    topic: Annotated[
        str, option("--topic", metavar="T", help="Only this TOPIC or TOPIC:JOB.", show_default=False)
    ] = "",
    explain: Annotated[
        str,
        option("--explain", metavar="CRON", help="Put a schedule into words instead.", show_default=False),
    ] = "",
    tz: Annotated[
        str, option("--tz", metavar="ZONE", help="Show local times of this zone.", show_default=False)
    ] = "",
    local: Annotated[bool, option("--local", help="Show times of this machine's zone.")] = False,
    offline: Annotated[bool, option("--offline", help="Do not ask the bus what is paused.")] = False,
    output: Annotated[
        str,
        option(
            "-o",
            "--output",
            metavar="FORM",
            help="table, json, jsonl, csv, tsv, name; or ics, a calendar.",
            show_default=False,
        ),
    ] = "",
    no_headers: NoHeaders = False,
    ascii_: Ascii = False,
    color: Color = "auto",
    wide: Annotated[bool, option("--wide", help="Cut nothing to the width of the terminal.")] = False,
    bus: BusAddress = "",
    config: Config = "",
) -> None:
    """Tell what is going to start: all schedules in one time line.

    \b
      flowlord next workflows/
      flowlord next --for 7d --topic load -o json
      flowlord next --for 31d -o ics > starts.ics
      flowlord next --explain "0 0 1 * * MON-FRI" --tz Europe/Berlin

    See also: validate, graph, run.
    """
    from flowlord.cli.printer import Look

    is_calendar = output == "ics" and not explain
    look = Look("json" if is_calendar else output, no_headers, ascii_, color, wide)
    settings = settings_of(config=config, bus=bus, workflows=path)
    if explain:
        from flowlord.cli.explain import run as explained

        default = settings.taskmaster.zone
        leave(
            explained(explain, zone=tz, default=default, number=number, start=start, local=local, look=look)
        )
        return
    from flowlord.cli.next import Question
    from flowlord.cli.next import run as body

    question = Question(length, number, start, topic, tz, local, offline, look, is_calendar)
    leave(body(settings, settings.taskmaster.workflows, question))


@app.command()
def graph(
    path: Annotated[
        str, argument(metavar="[PATH]", help="File or folder of workflows.", show_default=False)
    ] = "",
    topic: Annotated[
        str,
        option(
            "--topic", metavar="T", help="Only the chains of this TOPIC or TOPIC:JOB.", show_default=False
        ),
    ] = "",
    output: Annotated[
        str,
        option("-o", "--output", metavar="FORM", help="text, json, mermaid or dot.", show_default=False),
    ] = "",
    ascii_: Ascii = False,
    color: Color = "auto",
    config: Config = "",
) -> None:
    """Draw how phases hang together.

    \b
      flowlord graph workflows/
      flowlord graph --topic load -o mermaid
      flowlord graph -o dot | dot -Tsvg > chains.svg

    See also: validate, next.
    """
    settings = settings_of(config=config, workflows=path)
    from flowlord.cli.graph import run as body
    from flowlord.cli.printer import Look

    look = Look(ascii=ascii_, color=color)
    path, where = settings.taskmaster.workflows, settings.storage
    leave(body(path, where=where, topic=topic, output=output, look=look))


@app.command()
def schema(
    key: Annotated[
        str,
        argument(
            metavar="[KEYPATH]", help="One key, such as phase.rule.catchup, or config.", show_default=False
        ),
    ] = "",
    output: Annotated[
        str,
        option("-o", "--output", metavar="FORM", help="json, or text for a page.", show_default=False),
    ] = "",
) -> None:
    """Print the JSON Schema of phase files, of the configuration, or the page of one key.

    \b
      flowlord schema > flowlord.schema.json
      flowlord schema phase.rule.catchup
      flowlord schema config -o text

    See also: validate, config.
    """
    from flowlord.cli.schema import run as body

    leave(body(key, output))


@app.command()
def convert(
    source: Annotated[
        str, argument(metavar="SRC", help="A phase file or a crontab; - is stdin.", show_default=False)
    ],
    to: Annotated[
        str,
        option("--to", metavar="FORMAT", help="toml or yaml; default: the other one.", show_default=False),
    ] = "",
    kind: Annotated[str, option("--from", metavar="FORMAT", help="auto, flowlord or crontab.")] = "auto",
    check: Annotated[
        bool, option("--check", help="Print nothing; exit 1 when something cannot be carried over.")
    ] = False,
    out: Annotated[
        str, option("-o", "--output", metavar="FILE", help="Write a new file.", show_default=False)
    ] = "",
    tz: Annotated[
        str,
        option(
            "--tz", metavar="ZONE", help="Zone of a crontab; default: this machine's.", show_default=False
        ),
    ] = "",
) -> None:
    """Convert phase files between TOML and YAML, and a crontab into phases.

    \b
      flowlord convert workflows/users.toml -o workflows/users.yaml
      crontab -l | flowlord convert - --from crontab > workflows/cron.toml
      flowlord convert --check /etc/crontab

    See also: validate, next.
    """
    from flowlord.cli.convert import run as body

    leave(body(source, to=to, source=kind, check=check, out=out, zone=tz))


@app.command()
def init(
    folder: Annotated[str, argument(metavar="[DIR]", help="Where; default: here.", show_default=False)] = ".",
    template: Annotated[
        str, option("--template", metavar="NAME", help="minimal, files, batch or etl.")
    ] = "minimal",
    yaml: Annotated[bool, option("--yaml", help="Phase files in YAML instead of TOML.")] = False,
    ci: Annotated[
        str,
        option(
            "--ci", metavar="WHERE", help="Add a check for github, gitlab or pre-commit.", show_default=False
        ),
    ] = "",
) -> None:
    """Start a new project that validates and runs; nothing is overwritten.

    \b
      flowlord init pipelines
      flowlord init --template etl --ci github pipelines

    See also: validate, run.
    """
    from flowlord.cli.init import run as body

    leave(body(folder, template=template, yaml=yaml, ci=ci))


@app.command("help")
def help_(
    topic: Annotated[str, argument(metavar="[TOPIC]", help="A topic or a command.", show_default=False)] = "",
) -> None:
    """Explain what all commands share: exit codes, times, output, rules.

    \b
      flowlord help
      flowlord help exit-codes
      flowlord help tasks
    """
    from flowlord.cli.guides import run as body

    leave(body(topic))
