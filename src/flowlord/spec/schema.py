"""JSON Schema (2020-12) of phase files, made from what the manual says and the parser knows."""

from __future__ import annotations

from typing import Any, Final

from flowlord.spec.keys import AUTHORS_OWN
from flowlord.spec.kinds import MOST
from flowlord.spec.manual import FIELDS, OPTIONS, Field, Option
from flowlord.spec.phases import MOST_RETRIES, RESERVED
from flowlord.spec.source import MAX_PHASES

Schema = dict[str, Any]
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_UNITS: Final = r"(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h|d|w))+"
_OWN: Final[Schema] = {"description": "The author's own: nobody reads it."}
_OTHER_NAMES: Final = {"dependsOn": ("depends_on",)}


def workflow_schema() -> Schema:
    """Return the schema of a phase file, TOML or YAML.

    Keys of phases are closed, as `validate --strict` takes them; options of rules are open, since those that nobody
    knows travel with the tasks of file phases.
    """
    phases = {"$ref": "#/$defs/phases"}
    return {
        "$schema": DIALECT,
        "$id": "urn:flowlord:workflow",
        "title": "flowlord phase file",
        "description": "One file of phases: recipes for tasks, and what starts them.",
        "type": "object",
        "properties": {"phase": phases, "phases": phases},
        "patternProperties": {f"^{_any_case('phase')}[sS]?$": phases, f"^{AUTHORS_OWN}": _OWN},
        "additionalProperties": False,
        "$defs": {
            "phases": {
                "type": "array",
                "items": {"$ref": "#/$defs/phase"},
                "maxItems": MAX_PHASES,
                "description": "Write [[phase]] for each in TOML, or a list under phases: in YAML.",
            },
            "phase": phase_schema(),
            "rule": rule_schema(),
        },
    }


def phase_schema() -> Schema:
    """Return the schema of one phase."""
    others = {
        f"^{_any_case(name)}$": {"$ref": f"#/$defs/phase/properties/{field.name}"}
        for field in FIELDS
        for name in (field.name, *_OTHER_NAMES.get(field.name, ()))
    }
    return {
        "type": "object",
        "description": "A recipe for tasks.",
        "properties": {field.name: field_schema(field) for field in FIELDS},
        "patternProperties": {**others, f"^{AUTHORS_OWN}": _OWN},
        "additionalProperties": False,
        # In any case; the property names above are what an editor offers.
        "anyOf": [
            {"required": ["task"]},
            {"not": {"propertyNames": {"not": {"pattern": f"^{_any_case('task')}$"}}}},
        ],
    }


def field_schema(field: Field) -> Schema:
    """Return the schema of one field of a phase."""
    told: Schema = {"description": field.meaning}
    match field.name:
        case "task":
            taken = "|".join(RESERVED)
            return told | {"type": "string", "pattern": rf"^(?!(?:{taken})(?::|$))[^:]*[^:\s][^:]*(?::|$)"}
        case "retry":
            return told | {"type": "integer", "minimum": 0, "maximum": MOST_RETRIES, "default": 0}
        case "rule":
            return told | {"$ref": "#/$defs/rule"}
        case _:
            return told | {"type": ["string", "null"]}


def rule_schema() -> Schema:
    """Return the schema of a rule: a string, of which only the parser knows more, or a table."""
    scalar = {"type": ["string", "number", "boolean", "null"]}
    options = {option.name: option_schema(option) for option in OPTIONS}
    return {
        "anyOf": [
            {"type": ["string", "null"]},
            {
                "type": "object",
                "properties": options | {"meta_file": options["meta-file"]},
                "additionalProperties": {"anyOf": [scalar, {"type": "array", "items": scalar}]},
            },
        ]
    }


def option_schema(option: Option) -> Schema:
    """Return the schema of one option in the table of a rule."""
    value = _value(option)
    found: Schema = {"description": option.meaning}
    if option.many:
        found["anyOf"] = [value, {"type": "array", "items": value}]
    else:
        found |= value
    if option.default:
        found["default"] = _typed(option)
    return found


def _value(option: Option) -> Schema:
    match option.kind:
        case "duration":
            return {"anyOf": [{"type": "string", "pattern": rf"^\+?(?:0|{_UNITS})$"}, {"const": 0}]}
        case "signed duration":
            return {"anyOf": [{"type": "string", "pattern": rf"^[-+]?(?:0|{_UNITS})$"}, {"const": 0}]}
        case "number":
            return {
                "anyOf": [
                    {"type": "integer", "minimum": option.least, "maximum": MOST},
                    {"type": "string", "pattern": "^[0-9]{1,12}$"},
                ]
            }
        case "factor":
            return {
                "anyOf": [
                    {"type": "number", "minimum": 1, "maximum": 1000},
                    {"type": "string", "pattern": r"^[0-9]{1,6}(?:\.[0-9]{1,6})?$"},
                ]
            }
        case "word":
            return {"anyOf": [{"enum": list(option.words)}, {"type": "string", "pattern": _words(option)}]}
        case "priority":
            return {
                "anyOf": [
                    {"enum": list(option.words)},
                    {"type": "integer", "minimum": 0, "maximum": 10},
                    {"type": "string", "pattern": f"{_words(option)}|^[0-9]{{1,2}}$"},
                ]
            }
        case "switch":
            return {"type": ["boolean", "string", "integer", "null"]}
        case "size":
            return {"type": ["string", "integer"]}
        case "time":
            return {"type": "string", "pattern": r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?\s*$"}
        case "text":
            return {"type": ["string", "number", "boolean"]}


def _typed(option: Option) -> object:
    match option.kind:
        case "number" | "priority":
            return int(option.default)
        case "switch":
            return option.default == "true"
        case _:
            return option.default


def _words(option: Option) -> str:
    return f"^(?:{'|'.join(map(_any_case, option.words))})$"


def _any_case(word: str) -> str:
    """Return a pattern for a word in any case, in the notation that every reader of schemas knows."""
    return "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else each for each in word)
