"""Loads msgspec without a library that it would use if it finds it, and that Python itself makes needless.

`typing_extensions`, which other libraries bring along, drags `inspect` and much more with it: that would be a tenth of
the time in which a command answers. Whoever needs it later still gets it.
"""

import sys

_NAME = "typing_extensions"

if "msgspec" not in sys.modules and _NAME not in sys.modules:
    sys.modules[_NAME] = None  # type: ignore[assignment]
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules[_NAME]
