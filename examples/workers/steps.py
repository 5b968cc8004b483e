"""Workers as Python functions: flowlord worker --app examples.workers.steps"""

import asyncio
from pathlib import Path

from flowlord.worker import Context, Outcome, TryAgain, task


@task("count")
def count(task: Context) -> str:
    """Count the lines of a file. What is returned is the message; what is raised makes the task an error."""
    lines = len(Path(task.info).read_text("utf-8").splitlines())
    task.add_meta(lines=lines)  # for the phases that follow: {meta:lines}
    return f"{lines} lines"


@task("fetch")
async def fetch(task: Context) -> Outcome:
    """Wait without keeping others waiting. An Outcome tells result, message and meta at once."""
    await asyncio.sleep(0)
    return Outcome("warn", f"nothing new for {task.params.get('day', 'today')}")


@task("load:hourly")
def load(task: Context) -> None:
    """Do one job of a type only. TryAgain brings the task back later and counts no try."""
    marker = Path(task.info)
    if not marker.exists():
        raise TryAgain(f"{marker} is not there yet")
    for line in marker.read_text("utf-8").splitlines():
        if task.cancelled.is_set():  # its time is over, or the worker has to leave
            return
        task.log.info("loaded %s", line)
