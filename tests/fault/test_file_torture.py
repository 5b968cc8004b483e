"""Thousands of files, by every way in which files come, while events are lost and daemons are killed.

None is missed, and none starts twice.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from flowlord.bus.clock import SystemClock
from flowlord.bus.sqlite import SqliteBus
from flowlord.taskmaster.chance import Chance, Stamps
from flowlord.taskmaster.files import FileLoop, Watching
from flowlord.taskmaster.surroundings import Surroundings
from support.files import phases
from support.flows import flows_of
from support.processes import Running, running, until, write
from support.torrent import Torrent

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
SMALL = 256
LIMIT_S = 240.0


@contextmanager
def small_queue() -> Iterator[None]:
    """Let the kernel hold few events for those who begin to watch now."""
    before = QUEUE.read_text()
    try:
        QUEUE.write_text(f"{SMALL}\n")
    except OSError as error:
        told = f"{QUEUE} cannot be set, so no events are lost here: {error}"
        if os.environ.get("CI"):
            raise AssertionError(told) from error
        pytest.skip(told)
    try:
        yield
    finally:
        QUEUE.write_text(before)


def flow(folder: Path) -> str:
    return f"""
    [[phase]]
    task = "load"
    rule = "files={folder}/**.csv&settle=300ms"
    template = "{{meta:file}}"
    """


def started(bus: SqliteBus) -> Counter[str]:
    return Counter(
        found.payload.decode().split('"info":"')[1].split('"')[0] for found in bus.peek("load", 1_000_000)
    )


def count(bus: SqliteBus) -> int:
    return next((state.waiting for state in bus.topics() if state.topic == "load"), 0)


def judge(bus: SqliteBus, torrent: Torrent) -> None:
    """Wait until as many have started as must, and see that they are those, each once."""
    until(
        lambda: count(bus) >= len(torrent.due), f"{len(torrent.due)} files, {count(bus)} came", LIMIT_S, 0.2
    )
    found = started(bus)
    assert set(found) == torrent.due
    assert {path: n for path, n in found.items() if n > 1} == {}


def daemon(home: Path, **env: str) -> AbstractContextManager[Running]:
    return running("run", "workflows", "-q", cwd=home, env=env)


def begin(home: Path, folder: Path) -> SqliteBus:
    write(home, {"workflows/a.toml": flow(folder)})
    folder.mkdir()
    with daemon(home) as first:
        bus_file = home / ".flowlord" / "bus.db"
        until(bus_file.exists, "the bus")
        bus = SqliteBus(str(bus_file), by="judge")
        until(lambda: bus.marks_like("watch:"), "the first look")
        assert first.end() == 0
    return bus


def torture(home: Path, files: int) -> None:
    folder = home / "in"
    bus = begin(home, folder)
    torrent = Torrent(folder, home / "aside", seed=files)
    share = files // 4
    done = threading.Event()

    def pour(start: int, limit: int) -> None:
        for _ in torrent.pour(limit, start):
            pass
        done.set()

    # Two daemons, of which one is killed while files pour in, and one dies between deciding and landing.
    with daemon(home) as one, daemon(home, FLOWLORD_CRASHPOINT="files.decided:3") as other:
        writer = threading.Thread(target=pour, args=(0, share * 2))
        writer.start()
        until(lambda: count(bus) > share // 4 or done.is_set(), "the first files", LIMIT_S)
        one.process.kill()
        writer.join()
        other.process.kill()
    # Nobody is there.
    pour(share * 2, share)
    # One that dies right after landing, and one that stays.
    with daemon(home, FLOWLORD_CRASHPOINT="files.landed:2") as one:
        pour(share * 3, share)
        until(lambda: one.is_gone, "its death", LIMIT_S)
    with daemon(home) as last:
        judge(bus, torrent)
        assert last.end() == 0
    with daemon(home) as again:  # finds what is new since, and nothing of the old
        marker = folder / "last.csv"
        marker.write_text("x")
        torrent.due.add(str(marker))
        judge(bus, torrent)
        assert again.end() == 0
    bus.close()


def test_no_file_is_missed_and_none_starts_twice_with_a_small_queue_and_kills(tmp_path: Path) -> None:
    with small_queue():
        torture(tmp_path, 4_000)


@pytest.mark.full
def test_no_file_of_twenty_thousand_is_missed(tmp_path: Path) -> None:
    with small_queue():
        torture(tmp_path, 20_000)


def test_no_file_is_missed_where_the_kernel_tells_nothing(tmp_path: Path) -> None:
    clock = SystemClock()
    bus = SqliteBus(str(tmp_path / "bus.db"), by="d")
    folder = tmp_path / "in"
    torrent = Torrent(folder, tmp_path / "aside", seed=1)
    around = Surroundings(
        bus=bus,
        clock=clock,
        chance=Chance(1),
        stamps=Stamps(clock, 1),
        consumer="d",
        workflows=flows_of({"f.toml": [phases(f"files={folder}/**.csv&settle=300ms")[0] | {"task": "load"}]}),
    )
    loop = FileLoop(around, Watching(poll_ns=200_000_000, events=False))
    loop.look()
    for _ in torrent.pour(500):
        loop.look()
    until(lambda: loop.step(0.05) * 0 + count(bus) >= len(torrent.due), "the files", 60.0)
    judge(bus, torrent)
    loop.close()
    bus.close()


def test_the_queue_really_ran_over(tmp_path: Path) -> None:
    """The test above shows something only if events are lost under it."""
    from flowlord.rules.globs import Glob
    from flowlord.watch.local import LocalWatch

    folder = tmp_path / "in"
    folder.mkdir()
    with small_queue():
        watch = LocalWatch(
            {f"{folder}/": [Glob.compile(f"{folder}/*")]},
            SystemClock(),
            kind_of=lambda _: "ext4",
            poll_ns=10**9,
        )
        [root] = watch.due(SystemClock().monotonic_ns())
        assert list(watch.scan(root)) == []
    assert watch._inotify is not None
    reader = watch._inotify._reader
    with reader._lock:  # the reader stands still, as a busy process does
        for n in range(3 * SMALL):
            (folder / str(n)).touch()
    until(lambda: watch.due(0), "the word that events were lost")
    assert watch.overflows == 1
    assert len(list(watch.scan(root))) == 3 * SMALL
    watch.close()
