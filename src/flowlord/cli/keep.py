"""The command cache: how the history is, its backups, and questions to it in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from flowlord.cli.flags import Commands, argument, option
from flowlord.cli.options import (
    BusAddress,
    Cache,
    Color,
    Config,
    DryRun,
    Namespace,
    NoHeaders,
    Output,
    Quiet,
    Yes,
    leave,
    settings_of,
)
from flowlord.model.errors import FlowlordError

if TYPE_CHECKING:
    from flowlord.config import Settings

app = Commands()
From = Annotated[
    str,
    option(
        "--from", metavar="URL", help="Where backups lie; default: cache.backup_path.", show_default=False
    ),
]
Since = Annotated[
    str, option("--since", metavar="WHEN", help="Not before: 24h, yesterday, 2026-08-01.", show_default=False)
]
Until = Annotated[str, option("--until", metavar="WHEN", help="Not after.", show_default=False)]


def _settings(cache: str, config: str, bus: str = "", namespace: str = "", backup_path: str = "") -> Settings:
    settings = settings_of(config=config, bus=bus, namespace=namespace, cache=cache, backup_path=backup_path)
    if not settings.cache.enabled:
        raise FlowlordError("no history is kept", hint="cache.enabled switches it on")
    return settings


def cache() -> None:
    """Look after the history: status, backups, questions in SQL, trimming.

    \b
      flowlord cache status
      flowlord cache backup
      flowlord cache query "SELECT state, count(*) FROM tasks GROUP BY state"

    See also: tasks, doctor, config.
    """
    from flowlord.cli import printer
    from flowlord.cli.exits import WRONG_USE

    printer.error(
        "cache what? status, backup, restore, verify, export, query, trim, rebuild or migrate",
        hint="flowlord cache --help",
    )
    leave(WRONG_USE)


app.groups["cache"] = group = Commands(alone=cache)


@group.command()
def status(
    output: Output = "",
    bus: BusAddress = "",
    namespace: Namespace = "",
    path: Cache = "",
    config: Config = "",
) -> None:
    """Tell how large the history is, how far it reaches, and when it was backed up.

    \b
      flowlord cache status
      flowlord cache status -o json
    """
    settings = _settings(path, config, bus, namespace)
    from flowlord.cli.cachelook import status as body

    leave(body(settings, output=output))


@group.command()
def verify(
    name: Annotated[
        str,
        argument(metavar="[NAME]", help="A backup to look at; default: the file.", show_default=False),
    ] = "",
    every: Annotated[bool, option("--backups", help="All backups, and the file.")] = False,
    deep: Annotated[bool, option("--deep", help="Compare indexes with rows; slow.")] = False,
    place: From = "",
    output: Output = "",
    no_headers: NoHeaders = False,
    color: Color = "auto",
    path: Cache = "",
    config: Config = "",
) -> None:
    """Check the history, or backups of it, page by page; exits 1 when one is damaged.

    \b
      flowlord cache verify
      flowlord cache verify --backups
      flowlord cache verify 20260801T020000Z-1f2e3d4c --from s3://acme/history
    """
    settings = _settings(path, config, backup_path=place)
    from flowlord.cli.cachelook import verify as body
    from flowlord.cli.printer import Look

    leave(body(settings, name, every=every, deep=deep, look=Look(output, no_headers, color=color)))


@group.command()
def query(
    sql: Annotated[
        str, argument(metavar="SQL", help="One SELECT; - reads it from stdin.", show_default=False)
    ],
    values: Annotated[
        list[str],
        option("-p", "--param", metavar="NAME=VALUE", help="What :NAME stands for.", show_default=False),
    ] = [],  # noqa: B006
    timeout: Annotated[str, option("--timeout", metavar="TIME", help="Give up after this.")] = "30s",
    output: Output = "",
    no_headers: NoHeaders = False,
    color: Color = "auto",
    path: Cache = "",
    config: Config = "",
) -> None:
    """Ask the history in SQL; nothing but reading is allowed. Tables are told in docs/history.md.

    \b
      flowlord cache query "SELECT * FROM attempts ORDER BY run_us DESC LIMIT 10"
      flowlord cache query "SELECT msg, count(*) FROM tasks WHERE topic = :t GROUP BY 1" -p t=load
      flowlord cache query "SELECT * FROM days" -o csv
    """
    settings = _settings(path, config)
    from flowlord.cli.cacheask import query as body
    from flowlord.cli.printer import Look

    look = Look(output, no_headers, color=color)
    leave(body(settings, sql, values, timeout=timeout, look=look))


@group.command()
def export(
    table: Annotated[str, option("--table", metavar="NAME", help="Which table.")] = "tasks",
    since: Since = "",
    until: Until = "",
    output: Output = "jsonl",
    no_headers: NoHeaders = False,
    path: Cache = "",
    config: Config = "",
) -> None:
    """Write a table of the history to stdout, the oldest row first, however large it is.

    \b
      flowlord cache export -o jsonl > tasks.jsonl
      flowlord cache export --since 2026-08-01 --until 2026-08-31 -o csv > august.csv
      flowlord cache export --table days -o csv
    """
    settings = _settings(path, config)
    from flowlord.cli.cacheask import export as body
    from flowlord.cli.printer import Look

    leave(body(settings, table, since=since, until=until, look=Look(output, no_headers)))


@group.command()
def backup(
    to: Annotated[
        str, option("--to", metavar="URL", help="Where to; default: cache.backup_path.", show_default=False)
    ] = "",
    output: Output = "",
    quiet: Quiet = False,
    dry_run: DryRun = False,
    path: Cache = "",
    config: Config = "",
) -> None:
    """Back the history up now; daemons go on writing.

    \b
      flowlord cache backup
      flowlord cache backup --to s3://acme/history
      flowlord cache backup --to /mnt/backups -o json
    """
    settings = _settings(path, config, backup_path=to)
    from flowlord.cli.cachekeep import backup as body

    leave(body(settings, output=output, quiet=quiet, dry_run=dry_run))


@group.command()
def restore(
    name: Annotated[
        str,
        argument(
            metavar="[NAME]", help="Which backup; default: the newest that is whole.", show_default=False
        ),
    ] = "",
    listing: Annotated[bool, option("--list", help="Only list the backups.")] = False,
    force: Annotated[bool, option("--force", help="Also where a history is; it is set aside.")] = False,
    place: From = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "",
    quiet: Quiet = False,
    path: Cache = "",
    config: Config = "",
) -> None:
    """Put a backup in the place of the history; daemons take it up by themselves.

    \b
      flowlord cache restore --list
      flowlord cache restore
      flowlord cache restore 20260801T020000Z-1f2e3d4c --force -y
    """
    settings = _settings(path, config, backup_path=place)
    from flowlord.cli.cachekeep import backups, restore_one

    if listing:
        leave(backups(settings, output=output))
    else:
        leave(restore_one(settings, name, force=force, yes=yes, dry_run=dry_run, quiet=quiet, output=output))


@group.command()
def trim(
    keep: Annotated[
        str, option("--keep", metavar="TIME", help="Default: cache.retention.", show_default=False)
    ] = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "",
    quiet: Quiet = False,
    path: Cache = "",
    config: Config = "",
) -> None:
    """Remove what is older than it is to be kept; daemons do that by themselves.

    \b
      flowlord cache trim --keep 30d --dry-run
      flowlord cache trim --keep 30d -y
    """
    settings = _settings(path, config)
    from flowlord.cli.cachemend import trim as body

    leave(body(settings, keep, yes=yes, dry_run=dry_run, output=output, quiet=quiet))


@group.command()
def rebuild(
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "",
    quiet: Quiet = False,
    bus: BusAddress = "",
    namespace: Namespace = "",
    path: Cache = "",
    config: Config = "",
) -> None:
    """Make the history anew out of what the journal of the bus still tells; the file is set aside.

    \b
      flowlord cache rebuild --dry-run
      flowlord cache rebuild -y
    """
    settings = _settings(path, config, bus, namespace)
    from flowlord.cli.cachemend import rebuild as body

    leave(body(settings, yes=yes, dry_run=dry_run, quiet=quiet, output=output))


@group.command()
def migrate(
    dry_run: DryRun = False,
    output: Output = "",
    path: Cache = "",
    config: Config = "",
) -> None:
    """Bring the tables of the history up to date, after a copy of it; daemons do that by themselves.

    \b
      flowlord cache migrate --dry-run
      flowlord cache migrate
    """
    settings = _settings(path, config)
    from flowlord.cli.cachemend import migrate as body

    leave(body(settings, dry_run=dry_run, output=output))
