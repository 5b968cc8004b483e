r"""Tasks as commands: the task's JSON on stdin and in the environment, the exit status as the answer.

| exit | result |
|---|---|
| 0 | complete, or what a line `flowlord:result warn` on stdout says |
| 75 (EX_TEMPFAIL) | none: the task is tried again later, without counting an attempt, for at most 24 h |
| other, or a signal | error |

The last line of stderr that is not blank is the message. A line `flowlord:meta key=value` on stdout hands meta back;
the value is taken as it is written, a key given again has several values.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Mapping

from flowlord.model.task import Result, encode
from flowlord.rules.durations import short_duration
from flowlord.rules.metastring import parse_meta
from flowlord.worker.handler import Ran, Run, Why
from flowlord.worker.process import KILL_GRACE_NS, Exit, inherited_descriptors, run_process
from flowlord.worker.template import Template, parse_command
from flowlord.worker.text import Tail, Words, one_line, together

log = logging.getLogger("flowlord.worker")

TRY_AGAIN = 75
LONGEST_VALUE = 128 * 1024 - 1
"""What Linux takes as one argument or variable, its name included."""
_ROOMY = LONGEST_VALUE // 8
"""A task that is shorter as JSON has no value that long."""
_SCARCE = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_WELL, _SILENT = Exit(0), Ran()
_ODD = re.compile("[^A-Za-z0-9]")


class Command:
    """Runs one command for each task; raises InvalidConfig when the text of the command cannot be honoured."""

    def __init__(
        self,
        text: str,
        *,
        where: str = "--worker",
        environment: Mapping[str, str] | None = None,
        kill_grace_ns: int = KILL_GRACE_NS,
    ) -> None:
        self._template: Template = parse_command(text, where=where)
        self._fixed = (
            [os.fsencode(each) for each in self._template.arguments] if self._template.is_fixed else None
        )
        self._kill_grace_ns = kill_grace_ns
        self._shut = inherited_descriptors()
        inherited = os.environ if environment is None else environment
        # A worker that was itself started by a task must not hand on that task's.
        self._inherited = {
            os.fsencode(name): os.fsencode(value)
            for name, value in inherited.items()
            if not name.startswith("FLOWLORD_TASK_")
        }

    def run(self, run: Run) -> Ran:
        """Run the command for one task."""
        try:
            argv = self._fixed or [each.encode("utf-8", "replace") for each in self._template.fill(run.task)]
        except ValueError as error:
            return Ran(Result.ERROR, str(error))
        variables = task_variables(run)
        if b"\0" in b"".join((*variables.values(), *argv)):
            return Ran(Result.ERROR, "the task holds a NUL character, which no command can be given")
        out, err, words = Tail(), Tail(), Words()
        try:
            ended = run_process(
                argv,
                self._inherited | variables,
                encode(run.task),
                _Both(out, words),
                err,
                clock=run.clock,
                stop=run.stop,
                deadline_ns=run.deadline_ns,
                kill_grace_ns=self._kill_grace_ns,
                shut=self._shut,
            )
        except OSError as error:
            return self._unstarted(error)
        return _judge(ended, run, out, err, words)

    def _unstarted(self, error: OSError) -> Ran:
        words = f"the command cannot be started: {error.strerror}"
        if error.errno in _SCARCE:  # the machine's fault, not the task's
            return Ran(again=True, msg=words)
        if error.errno == errno.E2BIG:
            return Ran(Result.ERROR, "the task is too large for arguments; a command can read it from stdin")
        return Ran(Result.ERROR, f"{words}: {self._template.arguments[0]}")


class _Both:
    """stdout goes to the kept tail and to the reader of our own lines."""

    def __init__(self, tail: Tail, words: Words) -> None:
        self._tail, self._words = tail, words

    def feed(self, data: bytes) -> None:
        self._tail.feed(data)
        self._words.feed(data)


def task_variables(run: Run) -> dict[bytes, bytes]:
    """Return the environment variables of a task. Names are ours alone, so no task can set LD_PRELOAD or PATH.

    A value that no process could be started with (128 KiB) is left out; stdin has it.
    """
    task, delivery = run.task, run.delivery
    variables = {
        b"FLOWLORD_TASK_TYPE": task.type.encode("utf-8", "replace"),
        b"FLOWLORD_TASK_JOB": task.job.encode("utf-8", "replace"),
        b"FLOWLORD_TASK_INFO": task.info.encode("utf-8", "replace"),
        b"FLOWLORD_TASK_ID": task.id.encode("utf-8", "replace"),
        b"FLOWLORD_TASK_META": task.meta.encode("utf-8", "replace"),
        b"FLOWLORD_TASK_CREATED": task.created.encode("utf-8", "replace"),
        b"FLOWLORD_TASK_KEY": delivery.key.encode("utf-8", "replace"),
        b"FLOWLORD_TASK_DELIVERIES": b"%d" % delivery.deliveries,
    }
    for key, values in parse_meta(task.meta).items():
        name = f"FLOWLORD_TASK_META_{_ODD.sub('_', key).upper()}".encode()
        variables.setdefault(name, values[0].encode("utf-8", "replace"))
    if len(delivery.payload) > _ROOMY:
        return {name: value for name, value in variables.items() if len(name) + len(value) < LONGEST_VALUE}
    return variables


def _judge(ended: Exit, run: Run, out: Tail, err: Tail, words: Words) -> Ran:
    """Tell what the end of the command means for the task."""
    if ended == _WELL and not out.size and not err.size:
        return _SILENT
    if ended.left_behind:
        log.info(
            "%s left a process behind that holds its output; it is left alone",
            run.task.name,
            extra={"action": "command", "task": run.task.id},
        )
    output, last = together(out, err), err.last_line()
    meta, result = _understood(words.end(), run)
    if ended.stopped is Why.TIMEOUT:
        told = f"ran longer than its timeout of {short_duration(run.timeout_ns)} and was ended"
        return Ran(Result.ERROR, _with(told, last), meta, output)
    if ended.stopped is not None:
        return Ran(stopped=ended.stopped, msg=last, output=output)
    if ended.status == 0:
        return Ran(result, last, meta, output)
    if ended.status == TRY_AGAIN:
        return Ran(again=True, msg=last or "exit status 75: try again", output=output)
    if ended.status is None:
        told = _with("its exit status was taken by other code in the worker", last)
    elif ended.status < 0:
        told = _with(f"killed by {_signal(-ended.status)}", last)
    else:
        told = last or f"exit status {ended.status}"
    return Ran(Result.ERROR, told, meta, output)


def _understood(lines: list[str], run: Run) -> tuple[dict[str, list[str]], Result]:
    """Read our lines on stdout. One that says nothing does not make a task fail that is done; the log has it."""
    meta: dict[str, list[str]] = {}
    result = Result.COMPLETE
    for line in lines:
        verb, _, rest = line.partition(" ")
        key, given, value = rest.partition("=")
        if verb == "meta" and given and key.strip():
            meta.setdefault(key.strip(), []).append(value)
        elif verb == "result" and rest.strip() in set(Result):
            result = Result(rest.strip())
        else:
            told = one_line(line, 200)
            log.warning(
                "a line on stdout is not understood: flowlord:%s",
                told,
                extra={"action": "command", "task": run.task.id},
            )
    return meta, result


def _with(told: str, last: str) -> str:
    return one_line(f"{told}: {last}") if last else told


def _signal(number: int) -> str:
    import signal

    try:
        return f"{signal.Signals(number).name} (signal {number})"
    except ValueError:  # real-time signals have no names
        return f"signal {number}"
