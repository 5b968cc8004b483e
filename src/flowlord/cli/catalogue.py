"""All commands: their section, the module with their flags, and what each is for; and the help that lists them.

To add a command: write its flags into a module of this folder as `app = typer.Typer(rich_markup_mode=None)` with a
function under `@app.command()` whose body imports what it needs, and give it a line here. Its text is the first line of
the function's docstring; a test compares the two. Nothing else has to know of it: a command loads the module that its
line names, and of that module only itself, so that one more command costs the others nothing. A reading command should
answer fast: its module has `app = Commands()` and tells its flags by `option` and `argument` (see `flags` and `look`).
"""

from __future__ import annotations

from collections.abc import Iterator

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "run": ("act", "Run the daemon: load, schedule, hear results, retry."),
        "worker": ("act", "Take tasks and run them."),
        "init": ("drafts", "Start a new project that validates and runs; nothing is overwritten."),
    },
    "Author": {
        "validate": ("author", "Tell every problem in workflow files; exits 1 when any is an error."),
        "rule": ("author", "Explain a code of validate: why it is told, a bad example, a good one."),
        "next": ("drafts", "Tell what is going to start: all schedules in one time line."),
        "graph": ("drafts", "Draw how phases hang together."),
        "convert": ("drafts", "Convert phase files between TOML and YAML, and a crontab into phases."),
        "schema": (
            "drafts",
            "Print the JSON Schema of phase files, of the configuration, or the page of one key.",
        ),
    },
    "Act": {
        "send": ("act", "Send one task, or many from a file."),
        "retry": ("acting", "Send tasks again that failed; what filters choose is shown first."),
        "cancel": ("acting", "Take back tasks that wait, now or later; what runs is not stopped."),
        "pause": ("control", "Pause a phase, a workflow or a topic; without a target list what is paused."),
        "resume": ("control", "Let a paused phase, workflow or topic go on."),
        "backload": ("backload", "Send tasks for past dates; shows them first, --execute sends."),
    },
    "Look": {
        "tasks": ("look", "List tasks, the newest first: one line for each attempt."),
        "task": ("look", "Tell one task's whole story: attempts, times, output, children."),
        "recap": ("answers", "Tell in one page what a day came to, one line for each kind of task."),
        "workflows": ("answers", "List workflows as they are loaded; show one with the values in force."),
        "why": (
            "answers",
            "Tell why a task is as it is, or why something did not start; and what to type.",
        ),
        "trace": (
            "answers",
            "Draw what started a task and what followed from it; or all of a file or a batch.",
        ),
        "gaps": ("answers", "Tell which starts are missing, why, and what fills them."),
        "files": (
            "filelook",
            "List the files that were seen and what they started; test a path; start one again.",
        ),
        "topics": ("queues", "List topics: what waits, is delayed, runs, failed."),
        "quarantine": ("queues", "List messages that nobody could understand; show, replay or drop them."),
        "alerts": (
            "alerts",
            "List alerts, the newest first: what fails, since when, how often, and who was told.",
        ),
        "workers": ("look", "List the processes that are alive, and with what."),
    },
    "Keep": {
        "reload": ("control", "Have every taskmaster look at its workflows now, and wait until they run."),
        "doctor": (
            "look",
            "Look at what flowlord stands on, and tell how to mend it; exits 1 when there is a fault.",
        ),
        "cache": ("keep", "Look after the history: status, backups, questions in SQL, trimming."),
        "notify": (
            "rehearse",
            "Rehearse what people are told: test the channels, look at the digest, send it now.",
        ),
        "config": ("author", "Show every setting with its value and where it came from."),
        "help": ("drafts", "Explain what all commands share: exit codes, times, output, rules."),
        "version": ("author", "Show the version."),
    },
}
COMMANDS: dict[str, str] = {
    word: module for section in SECTIONS.values() for word, (module, _) in section.items()
}
"""Which module has the flags of a command, in the order of the help."""
PURPOSE = "Schedules, chains and retries tasks of data pipelines; never loses or doubles one."


def overview() -> Iterator[str]:
    """Yield the lines of `flowlord --help`, which needs no module of any command."""
    yield "Usage: flowlord COMMAND [OPTIONS] [ARGS]..."
    yield ""
    yield f"  {PURPOSE}"
    yield ""
    yield "    flowlord run workflows/         start here"
    yield "    flowlord validate workflows/    check what is written"
    yield "    flowlord tasks --failed         look at what went wrong"
    yield "    flowlord COMMAND --help         examples and flags of a command"
    wide = max(map(len, COMMANDS))
    yield ""
    for section, commands in SECTIONS.items():  # without blank lines between them all of it fits a screen
        yield f"{section}:"
        for word, (_, text) in commands.items():
            yield f"  {word:<{wide}}  {text}"
    yield ""
    yield "Options: -h, --help shows this, -V, --version the version."


def unknown(word: str) -> str:
    """Return what is wrong with a first word that is no command."""
    from difflib import get_close_matches

    if word.startswith("-"):
        return f"Error: No such option {word!r} before a command."
    close = get_close_matches(word, COMMANDS, n=3)
    meant = f" Did you mean {', '.join(map(repr, close))}?" if close else ""
    return f"Error: No such command {word!r}.{meant}"
