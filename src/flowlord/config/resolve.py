"""From flags, variables and a file to settings; every problem at once, every value with its origin."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from flowlord.config.channels import TABLE, Channels
from flowlord.config.fromgo import GONE, TAKEN
from flowlord.config.settings import (
    AlertSettings,
    BusSettings,
    CacheSettings,
    Entry,
    LogSettings,
    Settings,
    StorageSettings,
    TaskmasterSettings,
    WatchSettings,
    WorkerSettings,
)
from flowlord.config.table import LATER, SECTIONS, SETTINGS, VARIABLES_OF_OTHERS, Setting
from flowlord.config.values import Wrong
from flowlord.model.errors import InvalidConfig
from flowlord.model.problem import Problem, Severity


def resolve(
    flags: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] = ".",
) -> Settings:
    """Return the effective settings.

    Args:
        flags: those that were given on the command line, by name; `config` names the file, `no_cache` switches the
            history off.
        environment: the process's own when None; an empty variable counts as not given.
        folder: where `flowlord.toml` or `flowlord.yaml` is looked for.
    Raises:
        InvalidConfig: with everything that is wrong.
    """
    variables = os.environ if environment is None else environment
    found = _Collected()
    file = _file_of(flags.get("config"), variables, os.fspath(folder), found)
    if file:
        from flowlord.config.file import read_file

        read = read_file(file)
        found.problems += read.problems
        for key, value, line, column in read.values:
            _from_file(found, shown(file), key, value, line, column)
    for setting in SETTINGS:
        for name in setting.variables:
            if variables.get(name):
                found.take(setting, variables[name], name, Problem(name, 0, 0, ""))
                if name in setting.aliases:
                    found.note(name, f"is read as {setting.variable}")
                break
        value = flags.get(setting.flag) if setting.flag else None
        if value is not None:
            option = f"--{setting.flag.replace('_', '-')}"
            found.take(setting, value, option, Problem(option, 0, 0, ""))
    if flags.get("no_cache"):
        enabled = next(setting for setting in SETTINGS if setting.name == "cache.enabled")
        found.take(enabled, False, "--no-cache", Problem("--no-cache", 0, 0, ""))
    found.own_history()
    found.one_topic_twice()
    found.half_a_key()
    alerts = found.alerts(shown(file))
    found.misspelt(variables)
    if found.problems:
        problems = [replace(each, path=shown(each.path)) for each in found.problems]
        raise InvalidConfig(sorted(problems, key=lambda each: (each.path, each.line, each.column)))
    return found.settings(shown(file), alerts)


DEFAULT = BusSettings()


class _Collected:
    """What the sources said so far; a later one replaces an earlier one."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[object, str, str]] = {}  # value, as written, origin
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self.channels = Channels()
        self.later: list[tuple[str, Problem]] = []  # settings of other versions, with their places

    def take(self, setting: Setting, value: object, origin: str, place: Problem) -> None:
        try:
            read = setting.read(value)
        except Wrong as error:
            plain = "***" if setting.secret else masked(str(value))
            cut = plain if len(plain) < 60 else f"{plain[:59]}…"
            text = f"{setting.name}: {cut!r} {error}"
            self.problems.append(Problem(place.path, place.line, place.column, text, setting.help, "FL202"))
            return
        written = ("true" if value else "false") if isinstance(value, bool) else str(value)
        self.values[setting.name] = read, written, origin

    def own_history(self) -> None:
        """Give each namespace a history of its own where none is named: that of another bus looks like a lost one.

        Its backups lie below the place that settings name, so that no other namespace restores them or counts them as
        its own. A place that a command line names is that place.
        """
        namespace, _, origin = self.values.get("bus.namespace", (DEFAULT.namespace, "", ""))
        if namespace == DEFAULT.namespace:
            return
        if "cache.path" not in self.values:
            stem, end = os.path.splitext(CacheSettings().path)
            path = f"{stem}-{namespace}{end}"
            self.values["cache.path"] = path, path, origin
        place, _, named = self.values.get("cache.backup_path", ("", "", ""))
        if place and not named.startswith("--"):
            stem, end = os.path.splitext(str(place).rstrip("/"))
            below = f"{stem}-{namespace}{end}" if end == ".db" else f"{stem}{end}/{namespace}"
            self.values["cache.backup_path"] = below, below, named

    def one_topic_twice(self) -> None:
        """Refuse dead letters where results travel: they would be taken for such and be gone."""
        plain = {setting.name: setting.default for setting in SETTINGS}
        done, failed, files = (
            self.values.get(name, (plain[name], plain[name], ""))
            for name in ("taskmaster.done_topic", "taskmaster.failed_topic", "watch.file_topic")
        )
        if done[0] == failed[0]:
            text = f"taskmaster.failed_topic and taskmaster.done_topic are both {done[0]!r}"
            hint = "dead letters would be taken for results: name another topic for one of them"
            self.problems.append(Problem(failed[2] or done[2], 0, 0, text, hint, "FL202"))
        if files[0] and files[0] in (done[0], failed[0]):
            text = f"watch.file_topic is {files[0]!r}, where results or dead letters travel"
            hint = "they would be taken for notices about files: name another topic"
            self.problems.append(Problem(files[2], 0, 0, text, hint, "FL202"))

    def half_a_key(self) -> None:
        """Refuse one half of a pair of keys: with what the machine has for the other, it would only puzzle."""
        halves = [self.values.get(name) for name in ("storage.access_key", "storage.secret_key")]
        if (found := [each for each in halves if each]) and len(found) == 1:
            text = "storage.access_key and storage.secret_key belong together, and only one of them is given"
            self.problems.append(Problem(found[0][2], 0, 0, text, "give both, or none", "FL202"))

    def alerts(self, file: str) -> AlertSettings:
        """Return what is told where; a channel that cannot be is told as a problem."""
        from flowlord.config.alerts import alert_settings

        given = {name: (value, origin) for name, (value, _, origin) in self.values.items()}
        settings, problems = alert_settings(given, self.channels, file)
        self.problems += problems
        return settings

    def misspelt(self, variables: Mapping[str, str]) -> None:
        """Note variables that look like ours and are not."""
        known = {name for setting in SETTINGS for name in setting.variables}
        for name in sorted(variables):
            if not name.startswith("FLOWLORD_") or name in known or name.startswith(VARIABLES_OF_OTHERS):
                continue
            like = _like(name, known, 0.88)
            if like:
                text = f"nobody reads the variable {name}"
                self.note(name, text, f"did you mean {like}?")

    def note(self, path: str, text: str, hint: str = "", line: int = 0, column: int = 0) -> None:
        self.notes.append(Problem(path, line, column, text, hint, "FL203", Severity.NOTE))

    def settings(self, file: str, alerts: AlertSettings) -> Settings:
        if self.later:
            names = ", ".join(name for name, _ in self.later)
            place = self.later[0][1]
            self.note(place.path, f"this version does not read {names}", "", place.line, place.column)
        rooms: dict[str, dict[str, Any]] = {
            room: {} for room in ("bus", "cache", "taskmaster", "watch", "worker", "log", "storage")
        }
        entries: list[Entry] = []
        for setting in SETTINGS:
            value, text, origin = self.values.get(setting.name) or (None, setting.default, "default")
            if origin != "default":
                for room, name in setting.places:
                    if room in rooms:
                        rooms[room][name] = value
            told = "***" if setting.secret and text else shown(masked(text))
            entries.append(Entry(setting.name, told, origin, setting.variable, setting.help))
        return Settings(
            BusSettings(**rooms["bus"]),
            CacheSettings(**rooms["cache"]),
            TaskmasterSettings(**rooms["taskmaster"]),
            WatchSettings(**rooms["watch"]),
            WorkerSettings(**rooms["worker"]),
            LogSettings(**rooms["log"]),
            StorageSettings(**rooms["storage"]),
            alerts,
            (*entries, *self.channels.entries(file)),
            tuple(self.notes),
            file,
        )


def masked(text: str) -> str:
    """Return a text with the passwords of addresses in it hidden.

    What a password is must not depend on whether it is written right: it ends at the last `@`, whatever it holds.
    """
    if (
        "@" not in text and "=" not in text
    ):  # every command has many texts, and hardly ever one with a password
        return text
    text = re.sub(r"(?<=://)([^/@\s:]*):(?:(?!\s\w[\w+]*://).)*@", r"\1:***@", text)
    text = re.sub(r"\A([^/@\s:]*):(?!//)\S*@", r"\1:***@", text)  # without a scheme
    return re.sub(r"(?i)(?<=[?&;])(\w*password)=[^&;#\s]*", r"\1=***", text)


def shown(text: str) -> str:
    """Return a text as it can be printed anywhere: what in a path is no Unicode is written out, as `\\udcff`."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _file_of(flag: object, variables: Mapping[str, str], folder: str, found: _Collected) -> str:
    """Return the configuration file to be read; empty when there is none."""
    named = str(flag) if flag else variables.get("FLOWLORD_CONFIG", "")
    if named:
        if not os.path.isfile(named):
            source = "--config" if flag else "FLOWLORD_CONFIG"
            found.problems.append(
                Problem(named, 0, 0, f"{source} names a file that is not there", "", "FL200")
            )
            return ""
        return named
    home = variables.get("XDG_CONFIG_HOME") or os.path.join(variables.get("HOME", ""), ".config")
    for place in (folder, os.path.join(home, "flowlord")):
        here = [
            os.path.normpath(os.path.join(place, f"flowlord.{suffix}")) for suffix in ("toml", "yaml", "yml")
        ]
        here = [path for path in here if os.path.isfile(path)]
        if len(here) > 1:
            text = f"there is {os.path.basename(here[1])} beside it: one of them must go"
            found.problems.append(Problem(here[0], 0, 0, text, "", "FL200"))
        if here:
            return here[0]
    return ""


def _from_file(found: _Collected, path: str, key: str, value: object, line: int, column: int) -> None:
    """Take one value of the file; `key` is `name` or `section.name` as written."""
    plain = _plain(key)
    if (plain + ".").startswith(f"{TABLE}."):
        name, _, last = key[len(TABLE) + 1 :].partition(".")
        found.channels.take(name, last, value, Problem(path, line, column, ""))
        return
    section, dot, rest = plain.partition(".")
    plain = f"{SECTIONS.get(section, section)}{dot}{rest}"
    for setting in SETTINGS:
        if plain in map(_plain, setting.keys):
            found.take(setting, value, f"{path}:{line}", Problem(path, line, column, ""))
            return
    if plain in TAKEN:
        setting = next(each for each in SETTINGS if each.name == TAKEN[plain])
        given = found.values.get(setting.name)
        if not value or (given and given[2].startswith(f"{path}:")):
            text = "is empty" if not value else f"is not read, since {setting.name} is set"
            found.note(path, f"{key} {text}", "leave it out", line, column)
            return
        found.take(setting, value, f"{path}:{line}", Problem(path, line, column, ""))
        hint = "name a file that is not there yet: the database of the Go program is another kind"
        found.note(path, f"{key} is read as {setting.name}", hint, line, column)
        return
    if plain in GONE:
        text, hint = GONE[plain]
        found.note(path, text.format(key=key), hint, line, column)
        return
    later = {_plain(each) for each in LATER}
    if plain in later or plain.partition(".")[0] in later:
        found.later.append((key, Problem(path, line, column, "")))
        return
    if section == "topics":
        found.problems.append(_topic(key, value, Problem(path, line, column, "")))
        return
    like = _like(plain, {each: _plain(each) for setting in SETTINGS for each in setting.keys}, 0.6)
    hint = f"did you mean {like!r}?" if like else "flowlord config shows all settings"
    found.problems.append(Problem(path, line, column, f"unknown setting {key!r}", hint, "FL201"))


def _topic(key: str, value: object, at: Problem) -> Problem:
    """Return what is wrong with a setting about one topic: there are none, and a plain list would lose much."""
    kinds = value.get("kind") if isinstance(value, dict) else value
    if kinds == "list":
        text = f"{key!r} asks for a plain list, which this version does not have: every topic keeps leases"
        hint = "a list loses the task of a worker that dies, and has no priorities, no time limits and no second try"
    else:
        text, hint = f"unknown setting {key!r}", "a topic needs no setting: it is there when a phase names it"
    return Problem(at.path, at.line, at.column, text, hint, "FL204" if kinds == "list" else "FL201")


def _plain(key: str) -> str:
    """A key as keys are compared: `LocalPath`, `local-path` and `local_path` are one."""
    return key.lower().replace("_", "").replace("-", "")


def _like(word: str, known: Mapping[str, str] | set[str], least: float) -> str:
    from difflib import get_close_matches

    words = known if isinstance(known, Mapping) else {each: each for each in known}
    back = {plain: name for name, plain in words.items()}
    found = get_close_matches(word, back, 1, least)
    return back[found[0]] if found else ""
