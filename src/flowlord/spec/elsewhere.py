"""Words that authors bring along from other systems, or put in the wrong place, and what they are called here."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from flowlord.rules.cron import DESCRIPTORS
from flowlord.rules.errors import Unreadable, quote
from flowlord.spec.near import nearest

TRAVELS: Final = "it only travels into the meta of file tasks"
_TASK: Final = 'the name of a phase is its task: task = "TOPIC" or "TOPIC:JOB"'
_PARENT: Final = 'write dependsOn = "TOPIC" or "TOPIC:JOB"'
_NOTE: Final = "nobody reads it: write it as a comment, or begin it with x-"
_RETRY: Final = "write retry = 3"
_TEMPLATE: Final = 'what a task is about is its template: template = "…"'
_WORKER: Final = "what a task does is told to its worker: flowlord worker --exec"
_RULE: Final = 'it belongs into the rule: rule = "{}=…"'
_FIELDS: Final = {
    **dict.fromkeys(("name", "type", "topic", "id", "title"), _TASK),
    **dict.fromkeys(("parent", "parents", "after", "needs", "upstream", "requires"), _PARENT),
    **dict.fromkeys(("retries", "max_retries", "attempts", "max_attempts", "tries"), _RETRY),
    **dict.fromkeys(("info", "uri", "url", "path", "args", "params", "payload"), _TEMPLATE),
    **dict.fromkeys(("command", "cmd", "run", "script", "exec", "image", "steps"), _WORKER),
    **dict.fromkeys(("schedule", "schedules", "crontab", "when"), _RULE.format("cron")),
    **dict.fromkeys(("every", "interval"), 'it belongs into the rule: rule = "cron=@every 5m"'),
    **dict.fromkeys(("timezone", "time_zone", "zone"), _RULE.format("tz")),
    **dict.fromkeys(("enabled", "disabled", "paused"), "flowlord pause holds a phase up; here it changes nothing"),
    **dict.fromkeys(("description", "comment", "owner", "doc"), _NOTE),
}  # fmt: skip
_OPTIONS: Final = {
    **dict.fromkeys(("schedule", "crontab", "when"), "did you mean 'cron'?"),
    **dict.fromkeys(("timezone", "time_zone", "zone"), "did you mean 'tz'?"),
    **dict.fromkeys(("every", "interval"), "write cron=@every 5m"),
    **dict.fromkeys(("retry", "retries", "max_retries"), "it is a field of the phase: write retry = 3 beside the rule"),
    **dict.fromkeys(("dependson", "depends_on"), "it is a field of the phase: write dependsOn beside the rule"),
    **dict.fromkeys(("task", "template"), "it is a field of the phase: write it beside the rule"),
    **dict.fromkeys(("concurrency", "max_active_runs"), "overlap=skip or overlap=queue hold back a second start"),
    "": "the name of the option is missing",
}  # fmt: skip
OF_FILES: Final = frozenset(("file", "filename", "files", "dir", "count"))
"""What a task of files has in its meta; the last two when several came together."""
_DAY: Final = "{yyyy}-{mm}-{dd}"
_TOKENS: Final = {
    **dict.fromkeys(("year", "yr"), "{yyyy}"),
    "month": "{mm}",
    "day": "{dd}",
    "hour": "{hh}",
    "minute": "{min}",
    **dict.fromkeys(("date", "ds", "today", "yyyy-mm-dd"), _DAY),
    **dict.fromkeys(("timestamp", "datetime", "now"), "{ts}"),
    **dict.fromkeys(("hostname", "machine"), "{host}"),
    **dict.fromkeys(("id", "guid"), "{uuid}"),
    "yyyymmdd": "{yyyy}{mm}{dd}",
    "job": "{meta:job}",
}
# What Jenkins and Quartz know and cron does not.
_OTHER_CRON: Final = re.compile(
    r"(?:^|[ ,])(?:(H(?:\([^)]*\))?(?:/\d+)?)|\d*L[W\d-]*|\d*W\d*|\w+#\d|[A-Z]{3}L)(?=[ ,]|$)"
)
_OFFSET: Final = re.compile(r"(?:UTC|GMT)?[+-]?\d{1,2}(?::?\d\d)?", re.ASCII)
_LONGEST_VALUE: Final = 200
_LONGEST_ZONE: Final = 40
_SHORTEST_ZONE: Final = 5  # letters of what is compared: two of the shorter ones are soon alike
_OTHER_MARK: Final = re.compile(r"[;,|\s]\s*[a-z][a-z_-]+=")
_BEAT: Final = re.compile(r"every\s+((?:\d+[smhdw])+)", re.ASCII | re.IGNORECASE)
_LISTS: Final = frozenset(("task", "tasks", "job", "jobs", "step", "steps", "workflow", "workflows", "dag"))


def key_hint(key: str, known: tuple[str, ...], *, in_phase: bool) -> str:
    """Return what to write instead of an unknown key of a phase, or of a file; empty when nobody knows.

    Args:
        known: the names of all rule options.
    """
    low = key.lower()
    if not in_phase:
        return "write [[phase]], or 'phases:' in YAML" if low in _LISTS else ""
    if low == "job":
        return 'write it behind the topic: task = "TOPIC:JOB"'
    return _FIELDS.get(low, "") or (
        _RULE.format(low) if low.replace("_", "-") in known or low in known else ""
    )


def schedule_in_words(text: str) -> str:
    """Return the schedule that a word such as `daily` or `every 5m` was meant for; empty when it is none."""
    if beat := _BEAT.fullmatch(text):
        return f"@every {beat[1].lower()}"
    return word if (word := f"@{text.lower()}") in DESCRIPTORS else ""


def option_hint(name: str) -> str:
    """Return what to write instead of an unknown rule option; empty when nobody knows."""
    if name.startswith("cron:"):
        return f"did you mean 'cron={name[5:].strip()}'?" if name.isprintable() else "write cron="
    return _OPTIONS.get(name, "")


def token_for(word: str) -> str:
    """Return the tokens that an unknown one stands for, in their braces; empty when nobody knows."""
    low = word.lower()
    if low.startswith(("meta.", "meta-")) and low[5:].replace("_", "").isalnum() and low.isascii():
        return f"{{meta:{word[5:]}}}"
    return _TOKENS.get(low, "")


def span_of(value: str, error: Unreadable) -> tuple[int, int]:
    """Return the characters of a value that an error is about.

    They are those that it names, the piece that it quotes, or all from its place on.
    """
    start = error.offset if error.offset < len(value) else 0
    if start < error.end <= len(value):
        return start, error.end
    piece = re.match(r"\S+(?= )|.+", value[start:], re.DOTALL)
    quoted = piece is not None and len(piece[0]) < len(value) and str(error).startswith(quote(piece[0]))
    return start, start + len(piece[0]) if piece and quoted else len(value)


def hint_of(code: str, value: str) -> str:
    """Return what may be wrong with a value that could not be read, beside what was told."""
    if len(value) > _LONGEST_VALUE:
        return ""
    bare = value.strip()
    if _OTHER_MARK.search(value):
        return "options are joined by '&'"
    if value[:1] in ("'", '"') and len(value) > 1 and value[-1] == value[0]:
        return "take the quotes out: what stands behind '=' is the value"
    if code == "FL030" and bare.startswith("@"):
        like = "@every 5m" if bare.startswith("@every") else nearest(bare, DESCRIPTORS)
        return f"did you mean {like!r}?" if like else ""
    if code == "FL030" and (words := schedule_in_words(bare)):
        return f"did you mean {words!r}?"
    if code == "FL030" and (found := _OTHER_CRON.search(value)):
        if found[1]:
            return "jitter= spreads the starts of many phases"
        return "L, W and # are not known here: start daily, and let the worker look at the date"
    if code == "FL031" and len(bare) <= _LONGEST_ZONE:
        return _zone_hint(bare)
    return "take out the blanks around it" if bare and value != bare else ""


@lru_cache(maxsize=256)
def _zone_hint(name: str) -> str:
    if _OFFSET.fullmatch(name):
        return "an offset is no zone; Etc/GMT-2 is two hours before UTC, all the year"
    low, zones = name.lower().replace(" ", "_"), _zones()
    like = zones[low] if low in zones else _like_zone(low)
    return f"did you mean {like!r}?" if like else ""


def _like_zone(low: str) -> str:
    """Return the zone of which a name differs by a letter or by two that are swapped; nothing when there is none."""
    if len(low) < _SHORTEST_ZONE:
        return ""
    known = _zones_less_a_letter()
    if low in known:
        return known[low]
    for number in range(len(low)):
        less = low[:number] + low[number + 1 :]
        if less in known:
            return known[less]
    return ""


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    """All zones, by their names and by the names of their cities, in small letters."""
    from flowlord.rules.zonefiles import zone_names

    names = sorted(zone_names(), key=lambda each: (each.count("/") != 1, each), reverse=True)
    cities = {name.rpartition("/")[2].lower(): name for name in names if "/" in name}
    return cities | {name.lower(): name for name in names}


@lru_cache(maxsize=1)
def _zones_less_a_letter() -> dict[str, str]:
    """The same without the short ones, by what is left of each when any one letter is taken out, and whole.

    So one wrong letter is found by a look for each letter of a word, however many zones there are.
    """
    known = {low: name for low, name in _zones().items() if len(low) >= _SHORTEST_ZONE}
    less: dict[str, str] = {}
    for low, name in known.items():
        for number in range(len(low)):
            less.setdefault(low[:number] + low[number + 1 :], name)
    return less | known
