"""One file's bytes to its workflow; pure, so that the text kept on the bus is read just the same."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from flowlord.model.problem import Problem
from flowlord.model.workflow import Workflow
from flowlord.spec.check import Parsed, check
from flowlord.spec.codes import problem
from flowlord.spec.document import Document
from flowlord.spec.known import Known
from flowlord.spec.source import Refused, Source

SUFFIXES: Final = (".toml", ".yaml", ".yml")


def parse(text: bytes, name: str, path: str = "") -> tuple[Workflow | None, tuple[Problem, ...]]:
    """Return the workflow that `text` holds, None when it has errors, and every problem, sorted by place.

    Never raises, whatever the bytes are.

    Args:
        name: of the workflow; TOML unless it ends in `.yaml` or `.yml`.
        path: as people know the file, for the problems; `name` when empty.
    """
    parsed = parse_file(text, name, path or name)
    return parsed.workflow, parsed.problems


def reader() -> Callable[[bytes, str, str], Parsed]:
    """Return what reads files one after another, as `parse_file` does, and remembers what they have in common."""
    known = Known()

    def read(text: bytes, name: str, path: str) -> Parsed:
        return parse_file(text, name, path, known)

    return read


def parse_file(text: bytes, name: str, path: str, known: Known | None = None) -> Parsed:
    """Do what `parse` does and keep what only the other files can tell."""
    try:
        return check(read_document(text, name, path), name, revision_of(text), known)
    except Refused as error:
        return Parsed(None, (error.problem,))
    except RecursionError:
        return Parsed(None, (problem("FL004", path, text="the file is nested too deeply"),))


def read_document(text: bytes, name: str, path: str) -> Document:
    """Return what a file says, before anybody looks for phases in it.

    Raises:
        Refused: it is none, or more than flowlord takes.
    """
    source = Source.decode(path, text)
    if is_yaml(name):
        from flowlord.spec.yaml import read  # 25 ms, for those who write YAML
    else:
        from flowlord.spec.toml import read
    return read(source)


def is_yaml(name: str) -> bool:
    """Tell the format by the name of a file."""
    return name.lower().endswith((".yaml", ".yml"))


def revision_of(text: bytes) -> str:
    """Return the digest that tells one version of a file from another."""
    return sha256(text).hexdigest()[:16]
