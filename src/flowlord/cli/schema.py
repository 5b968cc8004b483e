"""`flowlord schema`: JSON Schema of phase files and of the configuration, or the page of one key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from textwrap import wrap

from flowlord.cli import printer
from flowlord.cli.exits import DONE, NO_SUCH_THING, WRONG_USE
from flowlord.config.schema import config_schema, setting_schema
from flowlord.config.table import SETTINGS, Setting
from flowlord.config.values import OneOf
from flowlord.spec.manual import FIELDS, OPTIONS, Field, Option
from flowlord.spec.near import nearest
from flowlord.spec.schema import (
    Schema,
    field_schema,
    option_schema,
    rule_schema,
    workflow_schema,
)

FORMS = ("json", "text")
WIDE = 90


@dataclass(frozen=True, slots=True)
class Page:
    """What there is to say about one key."""

    path: str
    schema: Callable[[], Schema]
    lines: Callable[[], Iterator[str]]


def run(key: str = "", output: str = "") -> int:
    """Print a schema or a page; returns the exit code.

    Args:
        key: empty for the schema of phase files, `config` for that of the configuration, else a path of keys such as
            `phase.rule.catchup` or its end.
        output: json or text; without it the two whole schemas are JSON and a key is a page.
    """
    if output not in ("", *FORMS):
        printer.error(f"-o {output!r} is no form of a schema", hint=f"write one of {', '.join(FORMS)}")
        return WRONG_USE
    known = {page.path: page for page in pages()}
    page = known["phase"] if not key else find(key, known)
    if page is None:
        _tell_unknown(key, known)
        return NO_SUCH_THING

    def body() -> int:
        if output == "json" or (not output and (not key or page.path == "config")):
            printer.lines(json.dumps(page.schema(), indent=2, ensure_ascii=False).split("\n"))
        else:
            printer.lines(page.lines())
        return DONE

    return printer.quietly(body)


def pages() -> Iterator[Page]:
    """Yield the pages of all keys, those of phase files first."""
    yield Page("phase", workflow_schema, _phase_lines)
    for field in FIELDS:
        if field.name == "rule":
            yield Page("phase.rule", rule_schema, _rule_lines)
        else:
            yield Page(f"phase.{field.name}", partial(field_schema, field), partial(_field_lines, field))
    for option in OPTIONS:
        path = f"phase.rule.{option.name}"
        yield Page(path, partial(option_schema, option), partial(_option_lines, option))
    yield Page("config", config_schema, _config_lines)
    for setting in SETTINGS:
        yield Page(
            f"config.{setting.name}", partial(setting_schema, setting), partial(_setting_lines, setting)
        )


def find(key: str, known: dict[str, Page]) -> Page | None:
    """Return the page of a path of keys, written in any case, or of the end of one; the first that fits."""
    wanted = [part for part in re.sub(r"\[\d*\]", "", key).split(".") if part]
    wanted = [_plain("phase" if part.lower() == "phases" else part) for part in wanted]
    if not wanted:
        return None
    plain = {path: [_plain(part) for part in path.split(".")] for path in known}
    for path, parts in plain.items():
        if parts == wanted:
            return known[path]
    for path, parts in plain.items():
        if parts[-len(wanted) :] == wanted:
            return known[path]
    return None


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def _tell_unknown(key: str, known: dict[str, Page]) -> None:
    like = nearest(key, known)
    if not like:
        ends: dict[str, str] = {}
        for path in known:
            ends.setdefault(path.rpartition(".")[2], path)
        end = nearest(key.rpartition(".")[2], ends)
        like = ends[end] if end else ""
    hint = (
        f"did you mean {like}?"
        if like
        else "flowlord schema phase, schema phase.rule and schema config list all"
    )
    printer.error(f"there is no key {key}", hint=hint)


# --- pages ------------------------------------------------------------------------------------------------------------


def _phase_lines() -> Iterator[str]:
    yield "phase    a recipe for tasks; [[phase]] for each in TOML, a list under phases: in YAML"
    yield ""
    for field in FIELDS:
        yield from _listed(field.name, field.meaning + (" Required." if field.required else ""))
    yield ""
    yield "one of them:  flowlord schema phase.task      docs/phase-files.md"


def _rule_lines() -> Iterator[str]:
    yield "phase.rule    text key=value&key=value, or a table with the same keys"
    group = ""
    for option in OPTIONS:
        if option.group != group:
            group = option.group
            yield ""
            yield f"{group}:"
        yield from _listed(option.name, option.meaning)
    yield ""
    yield "one of them:  flowlord schema phase.rule.cron      docs/rules.md"


def _config_lines() -> Iterator[str]:
    yield "config    flowlord.toml or flowlord.yaml; a flag comes before a variable, a variable before the file"
    yield ""
    for setting in SETTINGS:
        yield from _listed(setting.name, f"{setting.help} [{setting.default}]", wide=24)
    yield ""
    yield "one of them:  flowlord schema config.bus.lease      docs/configuration.md"


def _field_lines(field: Field) -> Iterator[str]:
    yield from _head(
        f"phase.{field.name}", field.kind + (", required" if field.required else ""), field.meaning
    )
    yield from _facts(
        default=field.default,
        example=field.example,
        see=[f"phase.{name}" for name in field.see],
        page="phase-files",
    )


def _option_lines(option: Option) -> Iterator[str]:
    kind = f"{option.kind}, may be given several times" if option.many else option.kind
    yield from _head(f"phase.rule.{option.name}", kind, option.meaning)
    allowed = {
        "word": ", ".join(option.words),
        "priority": f"{', '.join(option.words)}, or 0 to 10",
        "number": f"from {option.least} on",
        "factor": "1 to 1000",
        "duration": "90s, 5m, 1h30m, 2d, 1w; not negative",
        "signed duration": "90s, 5m, 1h30m, 2d, 1w, and -24h",
        "time": "2026-08-01, or 2026-08-01T05:30 with Z or an offset if wanted",
        "size": "bytes, or 10kB, 5MiB",
        "switch": "nothing behind it, true or false",
    }.get(option.kind, "")  # fmt: skip
    yield from _facts(
        allowed=allowed,
        default=option.without or option.default,
        example=f'rule = "{option.example}"',
        see=[f"phase.rule.{name}" for name in option.see],
        page="rules",
    )


def _setting_lines(setting: Setting) -> Iterator[str]:
    yield from _head(f"config.{setting.name}", "setting", f"{setting.help[:1].upper()}{setting.help[1:]}.")
    section, _, name = setting.name.partition(".")
    yield from _facts(
        allowed=", ".join(setting.read.words) if isinstance(setting.read, OneOf) else "",
        default=setting.default,
        example=f'[{section}] {name} = "{setting.default}"',
        variables=", ".join(setting.variables),
        also=", ".join(setting.keys[1:]),
        page="configuration",
    )


def _head(path: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"{path}    {kind}"
    yield ""
    for line in wrap(meaning, WIDE):
        yield f"  {line}"
    yield ""


def _facts(*, see: list[str] | None = None, page: str, **facts: str) -> Iterator[str]:
    for name, value in facts.items():
        if value:
            yield f"  {name:<10} {value}"
    yield f"  {'see also':<10} {', '.join([*(see or []), f'docs/{page}.md'])}"


def _listed(name: str, text: str, wide: int = 16) -> Iterator[str]:
    for at, line in enumerate(wrap(text, WIDE - wide)):
        yield f"  {name if at == 0 else '':<{wide}} {line}"
