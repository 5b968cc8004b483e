"""Exit codes of every command; docs/reference.md, "Output", has their table."""

from __future__ import annotations

DONE = 0
ANSWER_IS_BAD = 1
WRONG_USE = 2
UNREACHABLE = 3
NOT_ALLOWED = 4
NO_SUCH_THING = 5
NOT_CONFIRMED = 6
NOT_WRITTEN = 7
TIMED_OUT = 124
INTERRUPTED = 130
TERMINATED = 143
