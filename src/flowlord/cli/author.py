"""Commands for those who write workflows, and about flowlord itself: validate, rule, config, version."""

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
        typer.Argument(
            metavar="[PATH]...", help="Files and folders, also in buckets; - is stdin.", show_default=False
        ),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FORM",
            help="text, concise, json, jsonl, sarif, github, gitlab or junit.",
            show_default=False,
        ),
    ] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    select: Annotated[
        list[str], typer.Option("--select", metavar="CODE,CODE", help="Only problems whose code begins so.")
    ] = [],  # noqa: B006
    ignore: Annotated[
        list[str], typer.Option("--ignore", metavar="CODE,CODE", help="No problems whose code begins so.")
    ] = [],  # noqa: B006
    fix: Annotated[bool, typer.Option("--fix", help="Mend the files; what means something stays.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what --fix would change; exits 1 then.")] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe-fixes", help="Mend also what then does something else.")
    ] = False,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="How often each code was found, instead of where.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again whenever a file changes.")] = False,
    no_file_checks: Annotated[
        bool, typer.Option("--no-file-checks", help="Do not look at meta-files beside the workflows.")
    ] = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")] = False,
    stdin_name: Annotated[
        str, typer.Option("--stdin-name", metavar="NAME", help="What stdin is called; tells its format.")
    ] = "stdin.toml",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No summary.")] = False,
    color: Color = "auto",
    config: Config = "",
) -> None:
    """Tell every problem in workflow files; exits 1 when any is an error.

    \b
      flowlord validate workflows/
      flowlord validate --fix --strict workflows/users.toml
      flowlord validate workflows/ -o github        # in a pull request; sarif for code scanning
      flowlord validate s3://bucket/workflows/
      git show HEAD:workflows/a.toml | flowlord validate -

    `# flowlord: ignore FL034` behind a line or above it keeps a warning quiet.

    See also: rule, run, config.
    """
    settings = settings_of(config=config) if config or not paths else None
    from flowlord.cli import printer
    from flowlord.cli import validate as body
    from flowlord.cli.exits import WRONG_USE
    from flowlord.cli.flag_values import WrongUse, codes_of
    from flowlord.spec.codes import CODES

    try:
        selected, ignored = codes_of(select, "--select", CODES), codes_of(ignore, "--ignore", CODES)
    except WrongUse as error:
        printer.error(str(error), hint=error.hint)
        raise SystemExit(WRONG_USE) from None
    looked_at = paths or [settings.taskmaster.workflows if settings else ""]
    wanted = body.Wanted(
        output=output or "text",
        strict=strict,
        exit_zero=exit_zero,
        select=selected,
        ignore=ignored,
        quiet=quiet,
        statistics=statistics,
        fix="diff" if diff else "fix" if fix else "",
        unsafe=unsafe,
        look_at_files=not no_file_checks,
        stdin_name=stdin_name,
        config=config,
    )
    leave((body.watch if watch else body.run)(looked_at, wanted, color=color))


@app.command()
def rule(
    codes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CODE]...", help="Codes of problems; none lists all.", show_default=False),
    ] = None,
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="FORM", help="text, json, jsonl or name.", show_default=False),
    ] = "",
) -> None:
    """Explain a code of validate: why it is told, a bad example, a good one.

    \b
      flowlord rule FL021
      flowlord rule FL021 -o json
      flowlord rule

    See also: validate.
    """
    from flowlord.cli.rule import run as body

    leave(body(codes or [], output))


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
