"""`flowlord config`: the effective settings, and where each comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowlord.cli import printer
from flowlord.cli.exits import DONE

if TYPE_CHECKING:
    from flowlord.config import Settings

FIELDS = ("name", "value", "origin", "variable", "help")


def run(settings: Settings, output: str = "", *, no_headers: bool = False, color: str = "auto") -> int:
    """Print every setting with its value and its origin; passwords in addresses are hidden."""
    records = [{name: getattr(entry, name) for name in FIELDS} for entry in settings.entries]
    columns = [printer.Column(name) for name in ("name", "value", "origin", "help")]
    look = printer.Look(output, no_headers=no_headers, color=color)
    printer.rows(records, FIELDS, name="name", columns=columns, look=look)
    return DONE
