"""Loads msgspec without what a command that answers does not ask of it: a fifth of the time in which one does.

`typing_extensions`, which other libraries bring along, drags `inspect` and much more with it; Python itself makes it
needless here. `platform` is loaded by `uuid` for one name of the system. What tells of types and their JSON schemas is
loaded when somebody asks for it. Whoever needs any of these later still gets it.
"""

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_EXTENSIONS = "typing_extensions"
_PLATFORM = "platform"


class _Later(ModuleType):
    """Stands for a module of msgspec until something of it is used, and loads it then."""

    def __getattr__(self, word: str) -> Any:
        if word.startswith("__"):
            raise AttributeError(word)

        def call(*values: Any, **named: Any) -> Any:
            return getattr(import_module(self.__name__), word)(*values, **named)

        # Its functions are imported by name while msgspec loads: they must not load anything before they are called.
        return call if word.islower() else getattr(import_module(self.__name__), word)


def _load() -> None:
    system = ModuleType(_PLATFORM)
    system.system = lambda: os.uname().sysname  # type: ignore[attr-defined]
    stand_ins: dict[str, ModuleType | None] = {
        _EXTENSIONS: None,
        _PLATFORM: system,
        "msgspec.inspect": _Later("msgspec.inspect"),
        "msgspec._json_schema": _Later("msgspec._json_schema"),
    }
    missing = {name: module for name, module in stand_ins.items() if name not in sys.modules}
    sys.modules.update(missing)  # type: ignore[arg-type]
    try:
        import msgspec  # noqa: F401
    finally:
        for name in missing:
            del sys.modules[name]


if "msgspec" not in sys.modules:
    _load()
