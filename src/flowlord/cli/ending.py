"""How the program ends when somebody presses Ctrl-C, or when nobody can take its answer: quietly, with its own code."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module

from flowlord.cli.exits import ANSWER_IS_BAD, DONE, INTERRUPTED, NOT_WRITTEN

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` takes longer to load than the rest of `--version`
    from types import FrameType
    from typing import TextIO

_IMPORTING = "<frozen importlib._bootstrap>"
LINGER_S = 5.0
"""How long threads that are none of ours may go on when all is done."""


class Interrupt:
    """What SIGINT does: leave at once while modules are loaded and when all is done, else raise KeyboardInterrupt.

    An exception in the middle of an import leaves half a module behind, of which threads and libraries in C have been
    seen to crash. Nothing is lost by leaving there: what was not committed is not begun.
    """

    def __init__(self) -> None:
        self._is_over = False

    def begin(self) -> None:
        """Take SIGINT, unless somebody ignores it or has it already."""
        signal = import_module("_signal")  # without its enumerations, which take a while
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            try:
                signal.signal(signal.SIGINT, self._pressed)
            except ValueError:  # not the main thread, which is not ours then
                return

    def end(self) -> None:
        """From here on there is nothing left to interrupt but the end itself."""
        self._is_over = True

    def _pressed(self, number: int, frame: FrameType | None) -> None:
        if self._is_over or _is_importing(frame):
            os._exit(INTERRUPTED)
        raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False


class Answer(io.TextIOWrapper):
    """Standard output that remembers why it could not be written: the same error may come from anywhere else."""

    failed: OSError | None = None

    def write(self, text: str, /) -> int:
        """Write; what is remembered is the first failure."""
        try:
            return super().write(text)
        except OSError as error:
            self.failed = self.failed or error
            raise

    def write_bytes(self, data: bytes) -> None:
        """Write bytes as they are; what is remembered is the first failure."""
        self.flush()
        try:
            self.buffer.write(data)
        except OSError as error:
            self.failed = self.failed or error
            raise

    def flush(self) -> None:
        """Flush; what is remembered is the first failure."""
        try:
            super().flush()
        except OSError as error:
            self.failed = self.failed or error
            raise


def linger(code: int) -> None:
    """End this process with `code` in a while: the interpreter waits for threads that somebody's functions began.

    A coroutine that was ended leaves what it had handed to a thread, and that may never return.
    """
    from threading import Timer

    timer = Timer(LINGER_S, os._exit, (code,))
    timer.daemon = True
    timer.start()


def streams() -> TextIO:
    """Return standard output, watched over; puts something in place of a stream that was closed before.

    Writing to that fails, as it should, and no file that is opened later gets its number.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            closed = open(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, closed)
            setattr(sys, f"__{name}__", closed)
    out = sys.stdout
    if type(out) is io.TextIOWrapper:
        sys.stdout = Answer(
            out.buffer,
            out.encoding,
            out.errors,
            line_buffering=out.line_buffering,
            write_through=out.write_through,
        )
    return sys.stdout


def finished(code: int, out: TextIO, failed: OSError | None = None) -> int:
    """Write what is still to be written; returns `code`, or another one when the answer cannot be written.

    Args:
        out: what `streams` returned; it is of no use afterwards, and `sys.stdout` what it was before.
        failed: what ended the program, which may come from stdout or from anything else.
    Raises:
        OSError: `failed`, when it does not come from stdout.
    """
    broken = _flushed(out)
    if isinstance(out, Answer):
        broken = out.failed or broken
        try:
            out.detach()  # else it closes the descriptor under what others still have to say
        except (OSError, ValueError):  # it flushes once more, and nothing could be put in its place
            pass
        sys.stdout = sys.__stdout__
    if failed is not None and (broken is None or broken.errno != failed.errno):
        raise failed
    if isinstance(broken, BrokenPipeError):
        code = DONE if code == ANSWER_IS_BAD else code  # nobody wanted to know the rest of it
    elif broken is not None:
        code = NOT_WRITTEN
        try:
            sys.stderr.write(f"error: cannot write the answer: {os.strerror(broken.errno or 0)}\n")
        except (OSError, ValueError):
            pass
    _flushed(sys.stderr)
    return code


def _flushed(stream: TextIO) -> OSError | None:
    """Flush; returns what is wrong with a stream, which from then on takes all and keeps nothing."""
    try:
        stream.flush()
    except OSError as error:
        try:  # what is still in the buffer must not fail once more when the interpreter ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (OSError, ValueError):
            pass
        return error
    except ValueError:  # it was closed
        pass
    return None
