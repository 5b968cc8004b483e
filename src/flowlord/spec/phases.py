"""From a document to phases: every field read, everything wrong with it told."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from flowlord.model.problem import Severity
from flowlord.model.workflow import Phase, Rule
from flowlord.spec.document import (
    TABLES,
    Document,
    Fields,
    Finding,
    Findings,
    Item,
    Path,
    kind_of,
    named,
)
from flowlord.spec.elsewhere import OF_FILES, token_for
from flowlord.spec.keys import AUTHORS_OWN, FIELDS, KNOWN_KEYS, MOST_STRAYS, stray_key
from flowlord.spec.known import Known
from flowlord.spec.near import nearest
from flowlord.spec.options import Options
from flowlord.spec.rule import EMPTY, parse_rule, parse_table, rule_text
from flowlord.spec.source import MAX_KEYS

MOST_RETRIES: Final = 1_000_000
_ERROR: Final = Severity.ERROR
RESERVED: Final = {
    "done": "where a task would be taken for a result",
    "quarantine": "where messages are kept that nobody works on",
}
DEAD_LETTERS: Final = "retry-failed"  # as it is when nobody configures another one
_TAKEN: Final = frozenset((*RESERVED, DEAD_LETTERS))
TOKENS: Final = (
    "yyyy", "yy", "mm", "dd", "hh", "min", "ts", "slug", "hour_slug", "day_slug", "month_slug", "host", "pod", "uuid",
)  # fmt: skip

_PLAIN: Final = {key: key for key in ("task", "dependsOn", "rule", "retry", "template")}
_PLAIN_KEYS: Final = _PLAIN.keys()
# A word in braces that is no token of ours; JSON and other text in braces is left alone.
_ODD_TOKEN: Final = re.compile(
    r"\{(?!meta:[0-9A-Za-z_]+\}|(?i:" + "|".join(TOKENS) + r")\})([A-Za-z][0-9A-Za-z_:.-]*)\}", re.ASCII
)
_INTEGER: Final = re.compile(r"0|[1-9][0-9]{0,6}", re.ASCII)
_SIMPLE: Final = re.compile(r"[\w:.-]+", re.ASCII)
_META_TOKEN: Final = re.compile(r"\{meta:([0-9A-Za-z_]+)\}", re.ASCII)
_META_NAME: Final = re.compile(r"[0-9A-Za-z_]+", re.ASCII)
_MOST_LISTS: Final = 20  # names of lists that a misspelt one is compared with
_OWN_META: Final = frozenset(("workflow", "cron", "job"))


class PhaseReader:
    """A walk over the phases of one document; `parents` has the fields of each phase that was made."""

    def __init__(self, document: Document, name: str, known: Known) -> None:
        known.tidy()
        self.known = known
        self.document = document
        self.name = name
        self.in_yaml = name.lower().endswith((".yaml", ".yml"))
        self.findings = Findings()
        self.options = Options(known, self.findings)
        self.parents: list[Fields] = []
        self.left = 0
        self.names: set[str] = set()
        self.counts: dict[str, int] = {}  # of names that came more than once
        self.strays: dict[tuple[str, tuple[str, ...]], tuple[str, str, str | None]] = {}
        self.rules: dict[str, tuple[Rule, tuple[Finding, ...]]] = {"": (EMPTY, ())}
        self.tables: dict[object, tuple[Rule, str]] = {}  # of texts, with nothing to tell

    def tell(
        self,
        code: str,
        path: Path,
        text: str,
        hint: str = "",
        *,
        on_key: bool = False,
        start: int = -1,
        end: int = -1,
        better: str | None = None,
        raw: bool = False,
    ) -> None:
        self.findings.add(Finding(code, path, text, hint, on_key, start, end, better, raw))

    def read(self) -> list[Phase]:
        data = self.document.data
        if len(data) > MAX_KEYS:
            self.tell("FL003", (), f"the file has {len(data):,} keys and tables, more than {MAX_KEYS:,}")
            self.left = len(self.document.items)
            return []
        for key, value in data.items():
            if key.lower() not in TABLES:
                self.stray(key, (key,), TABLES)
            elif not isinstance(value, list):
                text = f"{named(key)} is {kind_of(value)}, not a list of phases"
                begin = "begin each phase with '- task:'" if self.in_yaml else ""
                hint = begin or f"write [[{key}]] for each phase"
                self.tell("FL010", (key,), text, hint, on_key=True)
        if not self.document.items and not self.findings.kept:
            below = "- task: TOPIC below phases:" if self.in_yaml else '[[phase]] and task = "TOPIC" below it'
            self.tell("FL017", (), "the file has no phases", f"a phase is {below}")
        phases: list[Phase] = []
        findings, items = self.findings, self.document.items
        for number, item in enumerate(items):
            if findings.is_enough:
                self.left = len(items) - number
                break
            phase = self.phase(item)
            if phase is not None:
                phases.append(phase)
        return phases

    def stray(self, key: str, path: Path, known: tuple[str, ...]) -> None:
        """A key that nobody reads: misspelt, or just unknown."""
        if key.startswith(AUTHORS_OWN):
            return
        told = self.strays.get((key, known))
        if told is None:
            if len(self.strays) == MOST_STRAYS:
                self.strays["", ()] = "", "", None
                text = f"the file has more than {MOST_STRAYS:,} different unknown keys"
                self.tell("FL003", path, text, on_key=True)
            if len(self.strays) > MOST_STRAYS:  # told once
                return
            told = self.strays[key, known] = stray_key(key, known, hinted=not self.findings.is_full("FL013"))
        code, hint, better = told
        if self.findings.wants(code):
            self.tell(code, path, f"unknown key {named(key)}", hint, on_key=True, better=better)

    def phase(self, item: Item) -> Phase | None:
        findings = self.findings
        errors, before = findings.counts[_ERROR], len(findings.kept)
        fields = self.fields(item)
        if fields is None:
            return None
        values = fields.values
        task = values.get("task")
        if type(task) is not str:
            task = self.text(fields, "task")
        topic, _, job = task.partition(":")
        if not topic.strip():
            self.no_topic(fields, task)
        elif topic in _TAKEN:
            self.reserved(fields, task, topic)
        rule, written = EMPTY, ""
        if "rule" in values:
            rule, written = self.rule(fields)
            job = job or rule.job
        depends_on = parent = parent_job = ""
        if "dependsOn" in values:
            depends_on = self.parent(fields)
            parent, _, parent_job = depends_on.partition(":")
        template = values.get("template", "")
        if type(template) is not str:
            template = self.text(fields, "template")
        retry = values.get("retry", 0)
        if type(retry) is not int or not 0 <= retry <= MOST_RETRIES:
            retry = self.retry(fields.where("retry"), retry)
        if "{" in template and _ODD_TOKEN.search(template):
            self.tokens(fields.where("template"), template, rule)
        if not depends_on and findings.counts[_ERROR] == errors:  # else it may be meant otherwise
            if rule.cron:
                if "{meta:" in template:
                    self.empty_tokens(fields.where("template"), template, rule)
            elif not rule.files and task and not self.is_meant(before) and findings.wants("FL101"):
                hint = "give it a cron or files in its rule, or dependsOn; ignore FL101 if send and backload start it"
                self.tell("FL101", fields.where("task"), f"nothing starts {named(task)} by itself", hint)
        name = f"{topic}:{job}" if job else topic
        if name in self.names:
            name = self.again(fields, name)
        self.names.add(name)
        self.parents.append(fields)
        return Phase(
            self.name, topic, job, name, parent, parent_job, rule, retry, template, task, depends_on, written,
            item.line, item.column,
        )  # fmt: skip

    def is_meant(self, before: int) -> bool:
        """Tell whether one of the findings from a number on says where the schedule that was written belongs."""
        kept = self.findings.kept
        if len(kept) == before:
            return False
        return any(
            found.code == "FL026" or (found.code == "FL013" and "cron=" in found.hint)
            for found in kept[before:]
        )

    def fields(self, item: Item) -> Fields | None:
        """Return the fields of a phase under their own names; None for what is no table."""
        path, table = item.path, item.value
        if not isinstance(table, dict):
            self.tell("FL010", path, f"a phase is a table, not {kind_of(table)}")
            return None
        if table.keys() <= _PLAIN_KEYS:  # as nearly all are
            return Fields(path, _PLAIN, table)
        keys: dict[str, str] = {}
        values: dict[str, object] = {}
        for key, value in table.items():
            field = FIELDS.get(key) or FIELDS.get(key.lower())
            if field is None:
                self.stray(key, (*path, key), KNOWN_KEYS)
            elif field in values:
                text = f"{named(key)} gives {named(field)} a second time; {named(keys[field])} did already"
                self.tell("FL014", (*path, key), text, "keep one of them", on_key=True)
            else:
                values[field] = value
                keys[field] = key
        return Fields(path, keys, values)

    def text(self, fields: Fields, field: str) -> str:
        value = fields.values.get(field)
        if isinstance(value, str):
            return value
        if value is not None:
            hint = better = None
            if isinstance(value, list):
                hint = "name one; give the phase once for each" if field == "task" else ""
            elif not isinstance(value, dict) or self.in_yaml:  # where {yyyy} is a table
                hint = "put it in quotes"
                better = f'"{value}"' if type(value) is int else None
            text = f"{named(fields.keys[field])} is {kind_of(value)}, not text"
            self.tell("FL010", fields.where(field), text, hint or "", better=better, raw=True)
        return ""

    def no_topic(self, fields: Fields, task: str) -> None:
        if task.strip():
            self.tell(
                "FL018",
                fields.where("task"),
                f"the task {named(task)} has no topic in front of the colon",
                'write task = "TOPIC:JOB"',
            )
        elif "task" not in fields.values:
            self.tell("FL011", fields.path, "the phase has no task", 'write task = "TOPIC" or "TOPIC:JOB"')
        elif isinstance(fields.values["task"], str | None):
            self.tell(
                "FL011", fields.where("task"), "the task is empty", 'write task = "TOPIC" or "TOPIC:JOB"'
            )

    def reserved(self, fields: Fields, task: str, topic: str) -> None:
        if topic == DEAD_LETTERS:
            text = f"{named(task)} is on {named(topic)}, where dead letters lie: a worker would take them too"
            hint = "give it another topic, or send dead letters elsewhere: taskmaster.failed_topic"
            self.tell("FL105", fields.where("task"), text, hint)
            return
        text = f"the topic {named(topic)} is flowlord's own, {RESERVED[topic]}"
        self.tell("FL019", fields.where("task"), text, "give it another topic")

    def parent(self, fields: Fields) -> str:
        if isinstance(fields.values["dependsOn"], list):
            text = "a list of parents means waiting for all of them, which this version cannot do yet"
            parents = fields.values["dependsOn"]
            lone = parents[0] if len(parents) == 1 else None
            where = self.document.node(fields.where("dependsOn")).start
            is_inline = self.document.source.text.startswith(
                "[", where
            )  # below its key it is more than a value
            better = f'"{lone}"' if is_inline and isinstance(lone, str) and _SIMPLE.fullmatch(lone) else None
            self.tell("FL016", fields.where("dependsOn"), text, "name one parent", better=better, raw=True)
            return ""
        depends_on = self.text(fields, "dependsOn")
        if depends_on and not depends_on.partition(":")[0].strip():
            text = f"dependsOn names {named(depends_on)}, which has no topic"
            self.tell("FL018", fields.where("dependsOn"), text, 'write dependsOn = "TOPIC:JOB"')
        return depends_on

    def retry(self, where: Path, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            better = value if isinstance(value, str) and _INTEGER.fullmatch(value) else None
            hint = "write it without quotes" if better else "write how often, in digits: retry = 3"
            text = f"retry is {kind_of(value)}, not an integer"
            self.tell("FL010", where, text, hint, better=better, raw=True)
            return 0
        if not 0 <= value <= MOST_RETRIES:
            shown = str(value) if abs(value) < 10**18 else "out of reach"
            self.tell("FL015", where, f"retry is {shown}: 0 to {MOST_RETRIES:,} are possible")
            return 0
        return value

    def rule(self, fields: Fields) -> tuple[Rule, str]:
        value = fields.values["rule"]
        if isinstance(value, str):
            value = value.rstrip("\n")  # as blocks in YAML end with
            written = value
            quiet = self.known.rules.get(value)
            if quiet is not None:
                return quiet, written
            known = self.rules.get(value)
            if known is None:
                known = self.rules[value] = parse_rule(value, self.options)
            rule, found = known
        elif isinstance(value, dict):
            alike = tuple(value.items()) if set(map(type, value.values())) == {str} else None
            if alike in self.tables:
                return self.tables[alike]
            rule, found = parse_table(value, self.options)
            written = rule_text(rule)
            if alike is not None and not found and not rule.has_meta:
                self.tables[alike] = rule, written
        elif value is None:
            return EMPTY, ""
        else:
            hint = 'write rule = "cron=0 6 * * *&offset=-24h"'
            self.tell("FL010", fields.where("rule"), f"rule is {kind_of(value)}, not text or a table", hint)
            return EMPTY, ""
        for each in found:
            if self.findings.wants(each.code):
                self.findings.add(replace(each, path=(*fields.where("rule"), *each.path)))
        if rule.has_meta and len({len(items) for items in rule.meta.values()}) > 1:
            self.unequal(fields.where("rule"), value, rule)
        elif not found and not rule.unknown and isinstance(value, str):
            self.known.rules[value] = rule
        return rule, written

    def unequal(self, where: Path, value: object, rule: Rule) -> None:
        lengths = ", ".join(f"{key} has {len(items)}" for key, items in rule.meta.items())
        text = f"the lists of meta have unequal lengths: {lengths}"
        start = end = -1
        if isinstance(value, str):
            found = re.search(r"(?i)(?:^\??|&)\s*meta\s*=([^&]*)", value)
            start, end = found.span(1) if found else (-1, -1)
        else:
            where = (*where, next(key for key, _ in rule.pairs if key.lower() == "meta"))
        self.tell("FL061", where, text, "row n takes item n of each list", start=start, end=end)

    def tokens(self, where: Path, template: str, rule: Rule) -> None:
        protected = template.find("#")
        for found in _ODD_TOKEN.finditer(template, 0, protected if protected > 0 else len(template)):
            word, better = found[1], None
            if not self.findings.wants("FL040"):
                continue
            if word.lower().startswith("meta:"):
                name = word[5:]
                better = (
                    f"{{meta:{name}}}" if _META_NAME.fullmatch(name) else None
                )  # the word itself is in capitals
                hint = (
                    f"did you mean {better!r}?" if better else "it is {meta:name}, with letters, digits and _"
                )
            else:
                better = _given_by(rule, word) or token_for(word) or _like_token(word) or None
                hint = f"did you mean {better!r}?" if better else "it stays as it is"
            text = f"unknown token {named(found[0])}"
            self.tell("FL040", where, text, hint, start=found.start(), end=found.end(), better=better)

    def empty_tokens(self, where: Path, template: str, rule: Rule) -> None:
        """A scheduled phase has no meta but its own rows; what they do not name is always empty."""
        if rule.meta_file or rule.files:
            return
        for found in _META_TOKEN.finditer(template):
            if found[1] not in rule.meta and found[1] not in _OWN_META and self.findings.wants("FL042"):
                text = f"{named(found[0])} is always empty: the schedule gives no such value"
                like = nearest(found[1], rule.meta) if len(rule.meta) <= _MOST_LISTS else ""
                hint = (
                    f"did you mean '{{meta:{like}}}'?"
                    if like
                    else "give it by meta= or meta-file= in the rule"
                )
                self.tell("FL042", where, text, hint, start=found.start(), end=found.end())

    def again(self, fields: Fields, name: str) -> str:
        number = self.counts.get(name, 1) + 1
        while f"{name}#{number}" in self.names:
            number += 1
        self.counts[name] = number
        if name and self.findings.wants("FL104"):
            text = f"a second phase {named(name)}; it is known as {named(f'{name}#{number}')}"
            hint = "results come back to the first one: give it a job of its own"
            self.tell("FL104", fields.where("task"), text, hint)
        return f"{name}#{number}"


def _given_by(rule: Rule, word: str) -> str:
    """Return the token for a value that what starts a phase gives, when a word is its name; else nothing."""
    if word in rule.meta:
        return f"{{meta:{word}}}" if _META_NAME.fullmatch(word) else ""
    low = word.lower()
    return f"{{meta:{low}}}" if rule.files and low in OF_FILES else ""


@lru_cache(maxsize=1024)
def _like_token(word: str) -> str:
    like = nearest(word, TOKENS)
    return f"{{{like}}}" if like else ""
