"""What is wrong with a daemon now."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from flowlord.model.problem import Severity


@dataclass(slots=True)
class Health:
    """What is wrong now, by loop or subject; green when nothing is. Thread-safe."""

    _faults: dict[str, tuple[Severity, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, subject: str, text: str, severity: Severity = Severity.ERROR) -> bool:
        """Record a fault; returns whether it is news."""
        with self._lock:
            news = self._faults.get(subject) != (severity, text)
            self._faults[subject] = (severity, text)
            return news

    def is_wrong(self, subject: str) -> bool:
        """Tell whether there is a fault of that subject."""
        return subject in self._faults

    def mended(self, subject: str) -> bool:
        """Forget a fault; returns whether there was one."""
        with self._lock:
            return self._faults.pop(subject, None) is not None

    def faults(self) -> Mapping[str, str]:
        """Return what is wrong, by subject."""
        with self._lock:
            return {subject: text for subject, (_, text) in self._faults.items()}

    def colour(self) -> str:
        """Return `green`, `yellow` (something is degraded) or `red` (something does not work)."""
        with self._lock:
            severities = {severity for severity, _ in self._faults.values()}
        if Severity.ERROR in severities:
            return "red"
        return "yellow" if severities else "green"
