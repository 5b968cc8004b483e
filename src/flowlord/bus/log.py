"""A log that is loaded by its first line: `logging` takes longer to load than a question of the history lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from logging import Logger


class _Later:
    """Stands for a logger until something is asked of it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, word: str) -> Any:
        import logging

        return getattr(logging.getLogger(self._name), word)


def log_of(name: str) -> Logger:
    """Return the logger of that name, for modules that reading commands load."""
    return cast("Logger", _Later(name))
