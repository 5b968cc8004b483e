"""The vectors of the shared folder as pytest parameters; the project keeps no copy of them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("FLOWLORD_VECTORS") or Path(__file__).resolve().parents[2] / "../shared/vectors")


def cases(file: str, *, where: str = "") -> list[Any]:
    """Return every case of `<file>.json`, each named as it is there.

    Without the folder there is one case that skips at home and fails in CI. Of `deviations`, `where` chooses the
    entries that belong to that vector file.
    """
    path = FOLDER / f"{file}.json"
    if not path.is_file():
        told = f"no vectors at {path}: set FLOWLORD_VECTORS"
        if os.environ.get("CI"):
            raise FileNotFoundError(told)
        return [pytest.param({}, marks=pytest.mark.skip(reason=told), id="absent")]
    found = json.loads(path.read_text("utf-8"))
    return [
        pytest.param(case, id=_name(case)) for case in found if not where or case["file"] == f"{where}.json"
    ]


def _name(case: dict[str, Any]) -> str:
    return "".join(c if c.isprintable() else " " for c in case["name"]) or "empty"
