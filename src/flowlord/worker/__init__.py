"""What a task function needs: `from flowlord.worker import task`. Cheap to import; the machinery is in the modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowlord.worker.app import Context, Outcome, TryAgain, task

if TYPE_CHECKING:
    from flowlord.model.task import Result

__all__ = ["Context", "Outcome", "Result", "TryAgain", "task"]


def __getattr__(name: str) -> object:
    if name == "Result":  # msgspec is imported only by those who name a result
        from flowlord.model.task import Result

        return Result
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
