"""Runs in a process of its own: races another one for tick marks. Arguments: bus path, name, ticks, ticks a commit.

Says `ready` before each hundred ticks, which it begins with at a line of its input, and ends with how many ticks it won
and how many it was refused.
"""

import sys

from flowlord.bus.sqlite import SqliteBus
from flowlord.model.message import Message
from flowlord.model.plan import Commit, Committed, Mark, Plan
from flowlord.model.task import Task

ROUND = 100  # ticks


def main(path: str, name: str, ticks: int, size: int) -> None:
    bus = SqliteBus(path, by=name)
    won = 0
    for start in range(0, ticks, size):
        if start % ROUND == 0:
            print("ready", flush=True)
            sys.stdin.readline()
        commits = [
            Commit(
                Plan(
                    publish=(
                        Message("extract", Task(type="extract", info=str(tick)), f"tick-{tick}", cause=name),
                    )
                ),
                marks=(Mark(f"tick:{tick % 7}", str(tick - 7) if tick >= 7 else None, str(tick)),),
            )
            for tick in range(start, min(start + size, ticks))
        ]
        won += sum(isinstance(answer, Committed) for answer in bus.commit_many(commits))
    print(won, ticks - won, flush=True)
    bus.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
