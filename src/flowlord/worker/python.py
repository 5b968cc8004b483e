"""Tasks as Python functions: how one is called and what its answer means."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from flowlord.model.task import Result
from flowlord.worker.app import Context, Outcome, TryAgain, texts
from flowlord.worker.handler import Ran, Run, Why, overran, raised
from flowlord.worker.text import one_line


class Function:
    """Calls a function for each task, in the thread of the slot; a coroutine gets an event loop of its own.

    A coroutine is cancelled when its time is over. A plain function cannot be ended from outside: it should watch
    `cancelled`. One that does not return is left behind (`flowlord.worker.hanging`).
    """

    def __init__(self, function: Callable[..., object]) -> None:
        import inspect

        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)

    def run(self, run: Run) -> Ran:
        """Do one task."""
        run.can_hang = True
        delivery = run.delivery
        context = Context(run.task, key=delivery.key, deliveries=delivery.deliveries, deadline=_deadline(run))
        ran = self._called(context, run)
        why = run.stop.why
        if why is None:
            return ran
        if why is Why.TIMEOUT:
            return overran(run.timeout_ns, ran.output)
        return Ran(stopped=why, output=ran.output)

    def _called(self, context: Context, run: Run) -> Ran:
        try:
            if self._is_async:
                import asyncio  # 50 ms that a worker without coroutines does not pay

                answer = asyncio.run(self._awaited(context, run))
            else:
                run.stop.watch(context.cancel)
                answer = self._function(context)
            return answered(answer, context)
        except TryAgain as asked:
            return Ran(again=True, msg=one_line(str(asked)) or "try again")
        except BaseException as error:  # noqa: BLE001 - also SystemExit and CancelledError end only the task
            return raised(error)
        finally:
            run.stop.watch(None)

    async def _awaited(self, context: Context, run: Run) -> object:
        import asyncio

        loop, this = asyncio.get_running_loop(), asyncio.current_task()
        assert this is not None

        def end() -> None:
            context.cancel()
            loop.call_soon_threadsafe(this.cancel)

        run.stop.watch(end)
        try:
            answer: object = await self._function(context)  # type: ignore[misc]
            return answer
        finally:
            run.stop.watch(None)


def _deadline(run: Run) -> datetime | None:
    """When the time of a run is over by the wall clock."""
    if not run.deadline_ns:
        return None
    left_ns = run.deadline_ns - run.clock.monotonic_ns()
    return run.clock.now() + timedelta(microseconds=left_ns // 1000)


def answered(answer: object, context: Context) -> Ran:
    """Return what a function's answer means; raises TypeError when it means nothing."""
    added = context.added
    if answer is None:
        return Ran(meta=added)
    if isinstance(answer, Result):  # before str: a Result is one
        return Ran(answer, meta=added)
    if isinstance(answer, str):
        return Ran(msg=one_line(answer), meta=added)
    if isinstance(answer, Outcome):
        return Ran(Result(answer.result), one_line(answer.msg), {**added, **texts(answer.meta)})
    raise TypeError(
        f"a task function returns None, a message, a Result or an Outcome, not {type(answer).__name__}"
    )
