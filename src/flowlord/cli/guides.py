"""`flowlord help`: short pages about what all commands share, and the help of one command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from flowlord.cli import catalogue, exits, printer
from flowlord.cli.exits import DONE, NO_SUCH_THING

EXIT_CODES: Final = {
    exits.DONE: "done; or nothing was found",
    exits.ANSWER_IS_BAD: "it worked, the answer is bad: errors were found, the task failed, a check has a fault",
    exits.WRONG_USE: "wrong use, or settings that cannot be",
    exits.UNREACHABLE: "the bus, or a bucket, cannot be reached or used",
    exits.NO_SUCH_THING: "no such task, phase, topic or key",
    exits.NOT_CONFIRMED: "it would change things, and nobody said yes",
    exits.NOT_WRITTEN: "the answer could not be written: the disk behind stdout is full, or it is closed",
    exits.TIMED_OUT: "--timeout passed while waiting",
    exits.INTERRUPTED: "interrupted (Ctrl-C)",
    exits.TERMINATED: "terminated (SIGTERM)",
}
TOKENS: Final = {
    "{yyyy} {yy} {mm} {dd} {hh} {min}": "parts of the data time, in the zone of the rule",
    "{ts}": "20260801T040000",
    "{slug} {hour_slug}": "2026/08/01/04",
    "{day_slug} {month_slug}": "2026/08/01, 2026/08",
    "{host} {pod}": "the name of the machine; its last two parts",
    "{uuid}": "8 hex digits, one value for each task",
    "{meta:name}": "a value of the row or of the parent's meta, empty without; also workflow, cron, job",
}
TASK_VARIABLES: Final = "TYPE JOB INFO ID META CREATED KEY DELIVERIES"


def run(topic: str = "") -> int:
    """Print a topic, the help of a command, or what there is; returns the exit code."""
    if topic in catalogue.COMMANDS:
        from flowlord.cli.program import program

        program(topic)([topic, "--help"], prog_name="flowlord", standalone_mode=False)
        return DONE
    if topic and topic not in TOPICS:
        from flowlord.spec.near import nearest

        like = nearest(topic, (*TOPICS, *catalogue.COMMANDS))
        hint = (
            f"did you mean {like}?"
            if like
            else f"topics are {', '.join(TOPICS)}; flowlord --help has the commands"
        )
        printer.error(f"there is no help about {topic}", hint=hint)
        return NO_SUCH_THING
    page = TOPICS[topic][1] if topic else _overview
    return printer.quietly(lambda: _print(page()))


def _print(lines: Iterator[str]) -> int:
    printer.lines(lines)
    return DONE


def _overview() -> Iterator[str]:
    yield "Topics:"
    yield from _table({name: told for name, (told, _) in TOPICS.items()})
    yield ""
    yield "flowlord help TOPIC, flowlord help COMMAND; flowlord --help lists the commands."
    yield "flowlord schema phase.rule.cron is the page of one key of a phase file."


def _exit_codes() -> Iterator[str]:
    yield "Exit codes are the same for every command:"
    yield ""
    yield from _table({str(code): told for code, told in EXIT_CODES.items()})
    yield ""
    yield "    flowlord validate workflows/ || exit 1"
    yield "    flowlord tasks --failed --exit-code    # 1 when there are any"


def _environment() -> Iterator[str]:
    from flowlord.config.table import SETTINGS

    yield "A flag comes before a variable, a variable before the file. flowlord config shows what is in force, and why."
    yield ""
    yield from _table({setting.variable: setting.help for setting in SETTINGS})
    yield ""
    yield from _table(
        {
            "FLOWLORD_CONFIG": "the configuration file; default: flowlord.toml or .yaml here, or in ~/.config/flowlord",
            "NO_COLOR CLICOLOR_FORCE": "no colour; colour also in a pipe",
            "COLUMNS": "the width of tables",
        }
    )
    yield ""
    yield "Commands of workers get FLOWLORD_TASK_ and one of"
    yield f"  {TASK_VARIABLES}, and META_<KEY> for each key of the meta."


def _rules() -> Iterator[str]:
    from flowlord.spec.manual import OPTIONS

    yield 'rule = "cron=0 6 * * *&offset=-24h", or a table with the same keys. More: flowlord schema phase.rule'
    group = ""
    for option in OPTIONS:
        if option.group != group:
            group = option.group
            names = [each.name for each in OPTIONS if each.group == group]
            yield ""
            yield f"{group}: {', '.join(names)}"
            yield f"    {option.example}"
    yield ""
    yield "In a string + is a space, %2B %26 %25 stand for + & %. Durations are 90s, 5m, 1h30m, 2d, 1w."


def _templates() -> Iterator[str]:
    yield 'template = "s3://lake/{meta:name}/{yyyy}/{mm}/{dd}.csv" becomes the info of the task.'
    yield ""
    yield from _table(TOKENS)
    yield ""
    yield "In any case. From a # on only {meta:name} is filled in. A word in braces that is no token stays."
    yield "The data time: of a schedule the planned time plus offset; of a child that of its parent; of a task that"
    yield "is sent what its info tells (day=2026-08-01, hour=2026-08-01T05, or a path with 2026/08/01)."


def _time() -> Iterator[str]:
    yield "Times that flags take (--since, --until, --from, --at):"
    yield ""
    yield from _table(
        {
            "now, today, yesterday, tomorrow": "days begin at midnight, UTC",
            "24h, -24h": "so long before now",
            "+30m": "so long after now",
            "2026, 2026-08, 2026-08-01, 2026-08-01T05": "a whole year, month, day, hour: --until means its end",
            "2026-08-01T05:30:00+02:00": "an ISO time; UTC without a zone",
        }
    )
    yield ""
    yield "Durations: ns us ms s m h d w, such as 90s, 1h30m, 7d. Times in pipes are UTC, with Z."
    yield "flowlord next --tz ZONE and --local show local times beside them."


def _output() -> Iterator[str]:
    yield "Data goes to stdout, words to stderr. Lists are tables on a terminal and lines of tabs in a pipe;"
    yield "-o asks for one form by name:"
    yield ""
    yield from _table(
        {
            "table": "aligned, cut to the width of the terminal",
            "json": "one document; [] when nothing was found",
            "jsonl": "a document on each line, as it comes",
            "csv, tsv": "with a header line; --no-headers leaves it out",
            "name": "only the names, for xargs",
        }
    )
    yield ""
    yield "Texts of tasks are escaped: none of them can act on a terminal. --color auto|always|never, --ascii."


TOPICS: Final[dict[str, tuple[str, Callable[[], Iterator[str]]]]] = {
    "exit-codes": ("what a command tells the shell", _exit_codes),
    "environment": ("variables that flowlord reads, and those that workers get", _environment),
    "rules": ("the options of a phase", _rules),
    "templates": ("tokens, and the data time they stand for", _templates),
    "time": ("times and durations as flags take them", _time),
    "output": ("forms of lists, colour, pipes", _output),
}


def _table(rows: dict[str, str]) -> Iterator[str]:
    wide = max(map(len, rows))
    for name, told in rows.items():
        yield f"  {name:<{wide}}  {told}"
