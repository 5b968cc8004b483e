"""The wire message that workers in any language speak, and its JSON.

The field order is the order in which the fields are written; `type` and `info` are always written, the others only
when they are not empty. Nothing may be added: existing workers read this.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from flowlord.model.errors import InvalidTask

MAX_TASK_BYTES = 1 << 20


class Result(StrEnum):
    """What a worker may answer; anything else is quarantined."""

    COMPLETE = "complete"
    ERROR = "error"
    WARN = "warn"
    ALERT = "alert"


class Task(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One unit of work.

    `created`, `started` and `ended` are RFC 3339 texts in UTC; `meta` is a query string; `result` is a `Result`
    or empty while the task is open. Texts are kept as received, whatever they hold.
    """

    type: str
    job: str = ""
    info: str
    created: str = ""
    id: str = ""
    meta: str = ""
    result: str = ""
    msg: str = ""
    started: str = ""
    ended: str = ""

    @property
    def name(self) -> str:
        """`type` or `type:job`, as phases are named."""
        return f"{self.type}:{self.job}" if self.job else self.type

    @property
    def identity(self) -> str:
        """What tells this dispatch from every other by its JSON alone; empty for a hand-made task without it."""
        return identity_of(self.type, self.job, self.id, self.created)


class _Exact(Task, frozen=True, kw_only=True, omit_defaults=True, gc=False, forbid_unknown_fields=True):
    """A task in JSON that holds nothing else."""


def identity_of(type_: str, job: str, run: str, created: str) -> str:
    """Return `Task.identity` of these fields: it outlives workers that hand back only the JSON."""
    return f"{type_}\x00{job}\x00{run}\x00{created}" if run and created else ""


FIELDS = Task.__struct_fields__
_encoder = msgspec.json.Encoder()
_strict = msgspec.json.Decoder(Task)
_any = msgspec.json.Decoder()
_exact = msgspec.json.Decoder(_Exact)
# A lone half of a surrogate pair is legal JSON for the workers that exist and no text for Python.
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\u(?:[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u)[dD][c-fC-F][0-9a-fA-F]{2})"
)


def encode(task: Task) -> bytes:
    """Return the task as one line of JSON, as every worker reads it (docs/reference.md, "Wire")."""
    data = _encoder.encode(task)
    return data if data.isascii() else _on_one_line(data)


def encode_text(text: str) -> str:
    """Return a text as `encode` writes it, without quotes; raises UnicodeEncodeError when it is none."""
    return _on_one_line(_encoder.encode(text))[1:-1].decode()


def _on_one_line(data: bytes) -> bytes:
    """Line separators end a line in some readers."""
    return data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")


def decode(payload: bytes) -> Task:
    """Read a task; strictly first, then once more with the liberties that existing workers take.

    Keys match in any case, the last of two wins, unknown keys are dropped, `null` leaves a field empty.

    Raises:
        InvalidTask: not JSON, not an object, a field of another type, or more than 1 MiB.
    """
    if len(payload) > MAX_TASK_BYTES:
        raise InvalidTask(f"the message has {len(payload)} bytes, more than {MAX_TASK_BYTES}", payload)
    try:
        return _strict.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _tolerant(payload)
    except RecursionError:
        raise InvalidTask("the message is nested too deeply", payload) from None


def as_written(text: str) -> Task | None:
    """Return the task in JSON that may go on as it is, written as ours is: on one line, with nothing else in it.

    None for any other, which `decode` may still read. What is returned is for looking at its fields: it equals no task.
    """
    if "\n" in text or "\r" in text or not (text.isascii() or text == _on_one_line(text.encode()).decode()):
        return None
    try:
        return _exact.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _tolerant(payload: bytes) -> Task:
    text = payload
    try:
        try:
            found = _any.decode(text)
        except msgspec.DecodeError:
            text = _LONE_SURROGATE.sub(rb"\1\\ufffd", payload)
            if text == payload:
                raise
            found = _any.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        told = str(error).removeprefix("JSON is malformed: ")
        raise InvalidTask(f"the message is not JSON: {told}", payload) from error
    if found is None:
        return Task(type="", info="")
    if not isinstance(found, dict):
        raise InvalidTask(f"the message is a JSON {_kind(found)}, not an object", payload)
    fields: dict[str, str] = {"type": "", "info": ""}
    for key, value in found.items():
        field = key.lower()
        if field not in FIELDS or value is None:
            continue
        if not isinstance(value, str):
            raise InvalidTask(f"field {key!r} is a JSON {_kind(value)}, not a string", payload)
        fields[field] = value
    return Task(**fields)


def _kind(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")
