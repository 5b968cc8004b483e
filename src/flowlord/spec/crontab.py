"""A crontab as phases: each entry becomes a task with its command, for a worker that runs commands.

What cron does and flowlord does not, or does otherwise, is told; nothing is left out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from flowlord.rules.cron import Cron
from flowlord.rules.durations import short_duration
from flowlord.rules.errors import Unreadable
from flowlord.rules.metastring import format_meta
from flowlord.rules.template import Template
from flowlord.spec.convert import Note
from flowlord.spec.draft import Draft, DraftPhase, Entry
from flowlord.spec.source import MAX_PHASES, Source

LONGEST_LINE: Final = 16 * 1024
_VARIABLE: Final = re.compile(r"""(["']?)([A-Za-z_][A-Za-z0-9_]*)\1\s*=(.*)""", re.ASCII)
_ENTRY: Final = re.compile(r"(-?@\S+|(?:\S+\s+){4}\S+)(?:\s+(.*))?")
# As /etc/crontab of Debian and of Red Hat has it, above its entries or at the end of a drawing of the fields.
_HEADLINE: Final = re.compile(
    r"#[ \t*|]*(?:m\s+h\s+dom\s+mon\s+dow\s+)?(?:user|user-name)\s+command(?:\s+to be executed)?\s*$"
)
_USER: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*\$?)(?::\S+)?\s+(\S.*)", re.ASCII)
_KNOWN: Final = frozenset(("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"))
_USUAL_USERS: Final = frozenset(
    (
        "root", "daemon", "bin", "sys", "nobody", "www-data", "apache", "nginx", "postgres", "mysql", "redis", "mail",
        "news", "uucp", "proxy", "backup", "list", "man", "games", "ubuntu", "debian", "ec2-user", "admin",
    )
)  # fmt: skip
# What is a program and no user, whatever a headline says that was copied out of a system crontab into one's own.
_PROGRAM: Final = re.compile(
    r"\S*/\S*|\S+\.(?:sh|bash|py|pl|rb|php|js|jar)|(?:python|perl|ruby|node|php|java|bash|zsh|ksh|sh)[0-9.]*|cd|\[",
    re.ASCII,
)
# Words in front of the program that a command is about.
_RUNNERS: Final = re.compile(
    r"(?:/\S*/)?(?:env|nice|ionice|chronic|flock|timeout|sudo|exec|time|nohup|sh|bash|dash|zsh|ksh|python[0-9.]*|perl|ruby"
    r"|node|php[0-9.]*|test|\[|cd|/bin/true|true)|[0-9]\S*|-.*|&&|\|\||;|\S*=\S*|\.",
)
_FOLDER: Final = re.compile(r"^\s*cd\s+\S+\s*(?:&&|;)\s*")
_STEPPED: Final = re.compile(r"\*/\d+")  # for cron a star, for us a list of days
_ONE: Final = re.compile(r"\*/0*1")
_HOME: Final = "cron starts commands in the home of the user, a worker in the folder where it was started"


@dataclass(slots=True)
class _Reader:
    """A walk through the lines; `variables` are those that hold for the entries below."""

    zone: str
    system: bool
    draft: Draft = field(default_factory=Draft)
    notes: list[Note] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    topics: dict[str, None] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def note(self, line: int, text: str, *, once: bool = False, lost: bool = True) -> None:
        if once and text in self.told:
            return
        self.told.add(text)
        self.notes.append(Note(line, text, lost))

    def read(self, lines: list[str]) -> None:
        for number, line in enumerate(lines, 1):
            stripped = line.strip()
            if not stripped:
                self._blank()
            elif stripped.startswith("#"):
                self.comments.append(stripped[1:])
            elif len(line) > LONGEST_LINE:
                self._lost(number, stripped[:40], f"it has more than {LONGEST_LINE} characters")
            elif found := _VARIABLE.fullmatch(stripped):
                self._variable(number, found[2], found[3].strip())
            elif len(self.draft.phases) == MAX_PHASES:
                self.note(number, f"a file has at most {MAX_PHASES:,} phases; the rest is left out")
                break
            else:
                self._line(number, stripped)
        self.draft.tail = self.comments

    def _blank(self) -> None:
        """Comments in front of a blank line are about the file, not about the next entry."""
        if not self.draft.phases and self.comments:
            self.draft.head += [*self.comments, ""]
            self.comments = []

    def _variable(self, number: int, name: str, value: str) -> None:
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if name == "MAILTO":
            if value:
                text = f"MAILTO={value}: output is not mailed; its end stays with the task (flowlord task ID)"
                self.note(number, text)
            return
        if name in ("LOGNAME", "USER"):
            self.note(number, f"{name} cannot be set: it is the user of the worker")
            return
        self.variables[name] = value

    def _line(self, number: int, line: str) -> None:
        found = _ENTRY.fullmatch(line)
        if found is None or not found[2]:
            self._lost(number, line, "it is neither a variable nor a schedule with a command")
            return
        # A - in front is of cron on SUSE: nothing is logged.
        schedule, command, user = " ".join(found[1].removeprefix("-").split()), found[2], ""
        if self.system:
            named = _USER.fullmatch(command)
            if named is None:
                self._lost(number, line, "no command follows the user")
                return
            user, command = named[1], named[2]
        if command.startswith("-") and " " in command:  # of newer crons: no mail, no log
            command = command[1:].lstrip()
        cron, wrong = _cron(schedule, self._zone)
        made = "" if wrong else self._command(command)
        if tokens := _tokens(made):
            wrong = f"the command holds {', '.join(tokens)}, which a template fills in"
        if wrong:
            self._lost(number, line, wrong)
        else:
            self._phase(number, cron, f"cron-{_word(user)}" if user else "cron", self._name(command), made)

    @property
    def _zone(self) -> str:
        return self.variables.get("CRON_TZ", self.zone)

    def _lost(self, number: int, text: str, reason: str) -> None:
        """Keep an entry that cannot be carried over as a comment, where its author will look for it."""
        self.comments.append(f" not carried over, {reason}: {text}")
        self.note(number, f"{text[:60]!r} is not carried over: {reason}")

    def _phase(self, number: int, cron: str, topic: str, job: str, command: str) -> None:
        pairs = [("cron", cron)]
        if self._zone not in ("", "UTC", "Etc/UTC"):
            pairs.append(("tz", self._zone))
        pairs.append(("catchup", "none"))
        if delay := self.variables.get("RANDOM_DELAY", ""):
            if delay.isdecimal() and 0 < int(delay[:6]) < 10_000:
                pairs.append(("jitter", short_duration(int(delay[:6]) * 60_000_000_000)))
            else:
                self.note(number, f"RANDOM_DELAY={delay} is no number of minutes", once=True)
        self.note(number, _HOME, once=True, lost=False)
        self.topics[topic] = None
        entries = [
            Entry("task", f"{topic}:{job}"),
            Entry("rule", format_meta(pairs)),
            Entry("template", command),
        ]
        self.draft.phases.append(DraftPhase(entries, self.comments))
        self.comments = []

    def _command(self, command: str) -> str:
        """Return the command with what the lines above it set, and what cron reads into its percent signs."""
        command, given = _percent(command)
        if given is not None:
            lines = " ".join(_shell(line) for line in given)
            command = f"printf '%s\\n' {lines} | ({command})"
        set_here = {
            name: value
            for name, value in self.variables.items()
            if name not in ("SHELL", "CRON_TZ", "RANDOM_DELAY")
        }
        if set_here:
            words = " ".join(f"{name}={_shell(value)}" for name, value in set_here.items())
            command = f"export {words}; {command}"
        shell = self.variables.get("SHELL", "/bin/sh")
        if shell not in ("/bin/sh", "sh", "/usr/bin/sh"):
            command = f"exec {_shell(shell)} -c {_shell(command)}"
        return command

    def _name(self, command: str) -> str:
        """Return a job named after the program, with a number for the second of that name."""
        words = [word.strip("\"'();") for word in _FOLDER.sub("", command).split()]
        program = next((word for word in words if word and not _RUNNERS.fullmatch(word)), "")
        name = _word(program.rstrip("/").rpartition("/")[2].rsplit(".", 1)[0]) or "job"
        self.names[name] = self.names.get(name, 0) + 1
        return name if self.names[name] == 1 else f"{name}-{self.names[name]}"


def read_crontab(
    source: Source, *, zone: str = "", system: bool | None = None, users: Collection[str] = ()
) -> tuple[Draft, list[Note]]:
    """Return a crontab as phases, and what could not be carried over. Never raises.

    Args:
        zone: in which its times are meant, where no CRON_TZ says otherwise; empty is UTC.
        system: whether a user stands in front of each command; None looks.
        users: names of users of this machine, for looking.
    """
    lines = re.split(r"\r\n|[\n\r]", source.text)
    if system is None:
        system = _has_users(lines, frozenset(users) | _USUAL_USERS)
    reader = _Reader(zone, system)
    reader.read(lines)
    draft = reader.draft
    draft.head = [*_explained(list(reader.topics)), *([""] if draft.head else []), *_trimmed(draft.head)]
    draft.tail = _trimmed(draft.tail)
    if system:
        topics = ", ".join(reader.topics) or "cron-USER"
        text = f"read as a system crontab; start a worker as each user, for {topics}"
        reader.notes.insert(0, Note(0, text, lost=False))
    return draft, reader.notes


def _explained(topics: list[str]) -> Iterator[str]:
    yield " From a crontab. A worker that runs the commands, started where they are meant to run:"
    for topic in topics or ["cron"]:
        yield f'   flowlord worker --worker \'{topic}=sh -c "eval \\"$FLOWLORD_TASK_INFO\\""\''
    yield " catchup=none, because cron does not make up for missed starts; take it out and flowlord does."


def _trimmed(comments: list[str]) -> list[str]:
    end = len(comments)
    while end and not comments[end - 1]:
        end -= 1
    return comments[:end]


def _has_users(lines: list[str], users: Collection[str]) -> bool:
    """Tell whether all entries have a user in front of their command: a column in its headline, or known names."""
    commands = [
        found[2]
        for line in lines
        if not line.lstrip().startswith("#")
        and not _VARIABLE.fullmatch(line.strip()[:LONGEST_LINE])
        and (found := _ENTRY.fullmatch(line.strip()[:LONGEST_LINE]))
    ]
    if any(_HEADLINE.match(line[:LONGEST_LINE]) for line in lines):
        return not any(
            _PROGRAM.fullmatch(word) for command in commands for word in (command or "").split()[:1]
        )
    named = [_USER.fullmatch(command or "") for command in commands]
    return bool(named) and all(found is not None and found[1] in users for found in named)


def _cron(schedule: str, zone: str) -> tuple[str, str]:
    """Return what a schedule of cron is here, or why it is nothing here."""
    if schedule.startswith("@"):
        word = schedule.lower()
        if word in _KNOWN:
            return word, ""
        if word == "@every_minute":
            return "* * * * *", ""
        if word == "@reboot":
            return "", "nothing starts when a machine does; flowlord send starts a phase by hand"
        return "", f"{schedule} is no schedule here"
    if "~" in schedule:
        return "", "a random time (~) is not known here; jitter= in the rule spreads starts"
    _, _, day, _, weekday = schedule.split(" ")
    stepped = _STEPPED.fullmatch(day) or _STEPPED.fullmatch(weekday)
    if stepped and "*" not in (day, weekday) and not _ONE.fullmatch(day) and not _ONE.fullmatch(weekday):
        return "", "cron wants day and weekday both to fit here, flowlord takes either"
    try:
        Cron.parse(schedule, zone)
    except Unreadable as error:
        return "", error.text
    return schedule, ""


def _percent(command: str) -> tuple[str, list[str] | None]:
    """Take apart what percent signs mean to cron: the first one ends the command, each ends a line of its input."""
    parts = re.split(r"(?<!\\)%", command)
    parts = [part.replace("\\%", "%") for part in parts]
    given = parts[1:]
    if given and not given[-1]:
        given = given[:-1]
    return parts[0].rstrip() if len(parts) > 1 else parts[0], given if len(parts) > 1 else None


def _tokens(command: str) -> list[str]:
    """Return what a template would fill in; a command may hold it by chance."""
    template = Template.compile(command)
    names = [f"{{meta:{name}}}" for name in template.meta_names]
    words = re.findall(
        r"\{(?:yyyy|yy|mm|dd|hh|min|ts|slug|hour_slug|day_slug|month_slug|host|pod|uuid)\}",
        command,
        re.IGNORECASE,
    )
    if not (template.has_time or template.has_unique or words):
        words = []
    return list(dict.fromkeys([*words, *names]))


def _shell(text: str) -> str:
    """Return a text as one word of a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")
