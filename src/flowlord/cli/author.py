"""Commands for those who write workflows, and about flowlord itself: validate, config, version."""

from __future__ import annotations

from typing import Annotated

import typer

from flowlord.cli.options import (
    BusAddress,
    Cache,
    Color,
    Config,
    Namespace,
    NoHeaders,
    Output,
    Workflows,
    leave,
    settings_of,
)

app = typer.Typer(rich_markup_mode=None)


@app.command()
def validate(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Files and folders; - is stdin.", show_default=False),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    select: Annotated[
        list[str], typer.Option("--select", metavar="CODE", help="Only problems whose code begins so.")
    ] = [],  # noqa: B006
    ignore: Annotated[
        list[str], typer.Option("--ignore", metavar="CODE", help="No problems whose code begins so.")
    ] = [],  # noqa: B006
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")] = False,
    stdin_name: Annotated[
        str, typer.Option("--stdin-name", metavar="NAME", help="What stdin is called; tells its format.")
    ] = "stdin.toml",
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="FORM", help="text, concise, json or jsonl.", show_default=False
        ),
    ] = "",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No summary.")] = False,
    color: Color = "auto",
    config: Config = "",
) -> None:
    """Tell every problem in workflow files; exits 1 when any is an error.

    \b
      flowlord validate workflows/
      flowlord validate --strict workflows/users.toml
      git show HEAD:workflows/a.toml | flowlord validate -

    See also: run, config.
    """
    settings = None if paths else settings_of(config=config)
    from flowlord.cli.validate import run as body

    looked_at = paths or [settings.taskmaster.workflows if settings else ""]
    leave(
        body(
            looked_at,
            output,
            strict=strict,
            exit_zero=exit_zero,
            select=select,
            ignore=ignore,
            color=color,
            quiet=quiet,
            stdin_name=stdin_name,
        )
    )


@app.command()
def config(
    output: Output = "",
    no_headers: NoHeaders = False,
    color: Color = "auto",
    bus: BusAddress = "",
    namespace: Namespace = "",
    cache: Cache = "",
    workflows: Workflows = "",
    file: Config = "",
) -> None:
    """Show every setting with its value and where it came from.

    \b
      flowlord config
      FLOWLORD_LEASE=30s flowlord config -o json

    See also: run.
    """
    settings = settings_of(config=file, bus=bus, namespace=namespace, cache=cache, workflows=workflows)
    from flowlord.cli.config import run as body

    leave(body(settings, output, no_headers=no_headers, color=color))


@app.command()
def version(output: Output = "") -> None:
    """Show the version.

    \b
      flowlord version
      flowlord version -o json
    """
    from flowlord.cli.version import run as body

    leave(body(output))
