"""JSON Schema (2020-12) of the configuration file, made from the table of settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flowlord.config import values as v
from flowlord.config.table import LATER, SECTIONS, SETTINGS, Setting

Schema = dict[str, Any]
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_DURATION: Final = r"^(?:[0-9]{1,12}(?:\.[0-9]{1,9})?(?:ns|us|µs|μs|ms|s|m|h|d|w))+$"
# What each way of reading takes; one that is not here takes text, numbers and switches.
_KINDS: Final[dict[Any, Schema]] = {
    v.read_text: {"type": "string", "pattern": r"\S"},
    v.read_address: {"type": "string", "pattern": r"\S"},
    v.read_namespace: {"type": "string", "pattern": r"^[A-Za-z0-9._-]{1,64}$"},
    v.read_path: {"type": "string", "pattern": r"\S"},
    v.read_duration: {"type": "string", "pattern": _DURATION},
    v.read_grace: {"anyOf": [{"type": "string", "pattern": f"{_DURATION}|^0s?$"}]},
    v.read_size: {"type": ["string", "integer"], "pattern": r"^[0-9]{1,15}\s*[KMGTkmgt]?i?[Bb]?$"},
    v.read_backup_path: {"type": ["string", "null"]},
    v.read_number: {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 999_999},
            {"type": "string", "pattern": "^[0-9]{1,6}$"},
        ]
    },
    v.read_switch: {
        "anyOf": [
            {"type": "boolean"},
            {"enum": ["true", "false", "yes", "no", "on", "off", "1", "0", 1, 0]},
        ]
    },
    v.read_done_topic: {"type": "string", "pattern": r"^[^\s:]{1,200}$"},
    v.read_failed_topic: {"type": ["string", "null"], "pattern": r"^[^\s:]{0,200}$"},
    v.read_zone: {"type": "string"},
    v.read_routes: {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    v.read_hours: {
        "type": "string",
        "pattern": r"^$|^[0-9]{1,2}:[0-9]{2}\s*-\s*[0-9]{1,2}:[0-9]{2}(\s+\S+)?$",
    },
    v.read_words: {"type": "string"},
    v.read_variable: {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,199}$"},
    v.read_web_address: {"type": "string", "pattern": "^https?://"},
    v.read_optional_address: {"type": "string", "pattern": "^(https?://.*)?$"},
    v.read_command: {
        "anyOf": [
            {"type": "string", "pattern": r"\S"},
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
        ]
    },
    v.read_frequency: {
        "anyOf": [{"type": "string", "pattern": _DURATION}, {"type": "integer", "minimum": 1_000_000_000}]
    },
}
_ANY: Final[Schema] = {"type": ["string", "number", "boolean", "null", "array"]}


def config_schema() -> Schema:
    """Return the schema of `flowlord.toml` and `flowlord.yaml`.

    It is open: keys may be spelled in other ways (`failedTopic`), which only the program knows.
    """
    sections: dict[str, dict[str, Schema]] = {}
    single: dict[str, Schema] = {}
    for setting in SETTINGS:
        for key in setting.keys:
            section, dot, name = key.partition(".")
            found = setting_schema(setting)
            if dot:
                sections.setdefault(section, {})[name] = found
            else:
                single[key] = found
    for old, new in SECTIONS.items():
        sections[old] = sections[new]
    sections["alerts"]["channels"] = _channels()
    properties: dict[str, Schema] = {}
    for section, inside in sections.items():
        table: Schema = {"type": "object", "properties": inside}
        if section in single:  # `bus = "redis://…"`, and [bus]
            table = {"anyOf": [single.pop(section), table]}
        properties[section] = table
    later = {key: {"deprecated": True} for key in LATER if "." not in key and key not in properties}
    return {
        "$schema": DIALECT,
        "$id": "urn:flowlord:config",
        "title": "flowlord configuration",
        "description": "Settings; a flag comes before a variable, a variable before this file.",
        "type": "object",
        "properties": {**properties, **single, **dict(sorted(later.items()))},
    }


def _channels() -> Schema:
    """Return the schema of `[alerts.channels.NAME]`."""
    from flowlord.config.channels import HELP, READ

    properties = {
        key: {"description": HELP[key.partition("_")[0]], **kind_of(read)} for key, read in READ.items()
    }
    one: Schema = {"type": "object", "properties": properties, "required": ["kind"]}
    return {"description": "Ways to tell people, by name", "type": "object", "additionalProperties": one}


def setting_schema(setting: Setting) -> Schema:
    """Return the schema of one setting."""
    text = f"{setting.help[:1].upper()}{setting.help[1:]}. Variable: {setting.variable}"
    default = {"default": setting.default} if setting.default else {}
    return {"description": text, **default, **kind_of(setting.read)}


def kind_of(read: Callable[[object], object]) -> Schema:
    """Return what a way of reading takes."""
    if isinstance(read, v.OneOf):
        return {"anyOf": [{"enum": list(read.words)}, {"type": "string"}]}
    return _KINDS.get(read, _ANY)
