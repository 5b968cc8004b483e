"""How settings of a worker that cannot be honoured are refused."""

from __future__ import annotations

from flowlord.model.errors import InvalidConfig
from flowlord.model.problem import Problem


def refuse(where: str, text: str, hint: str = "") -> InvalidConfig:
    """Return the error for one setting; `where` names its flag."""
    return InvalidConfig([Problem(where, 0, 0, text, hint)])
