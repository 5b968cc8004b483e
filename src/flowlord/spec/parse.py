"""One file's bytes to its workflow; pure, so that the text kept on the bus is read just the same."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from flowlord.model.problem import Problem
from flowlord.model.workflow import Workflow
from flowlord.spec.check import Parsed, check
from flowlord.spec.codes import problem
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


def parse_file(text: bytes, name: str, path: str) -> Parsed:
    """Do what `parse` does and keep what only the other files can tell."""
    try:
        source = Source.decode(path, text)
        if name.lower().endswith((".yaml", ".yml")):
            from flowlord.spec.yaml import read  # 25 ms, for those who write YAML
        else:
            from flowlord.spec.toml import read
        return check(read(source), name, sha256(text).hexdigest()[:16])
    except Refused as error:
        return Parsed(None, (error.problem,))
    except RecursionError:
        return Parsed(None, (problem("FL004", path, text="the file is nested too deeply"),))
