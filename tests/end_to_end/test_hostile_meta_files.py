"""One daemon whose phases have every kind of bad meta-file: each is told, and all other phases go on meanwhile."""

from __future__ import annotations

import gzip
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from flowlord.bus.clock import time_of
from flowlord.bus.sqlite import SqliteBus
from flowlord.model.plan import Fact, FactKind
from support.processes import flowlord, running, until, write

LATE = timedelta(seconds=40)
"""No start is later than this, on however slow a machine; reading one of the files through would take much longer."""
LIMIT_S = 90.0
MANY = "the batch makes more than 20 tasks; batch_limit="


def packed(part: bytes, times: int) -> bytes:
    """A small file that unpacks to a very large one."""
    return gzip.compress(part * (10 << 20)) * times


def bad_files(folder: Path) -> dict[str, tuple[str, str]]:
    """Make them; returns for each its path and what must be told of it, a pattern."""
    folder.mkdir()
    texts = {
        "endless.jsonl": (b"x" * (3 << 20), "a line of more than 1 MiB at byte 0"),
        "endless.csv": (b"n\n" + b"1" * (3 << 20), "a line of more than 1 MiB at byte 2"),
        "binary.jsonl": (os.urandom(5_000) + b"\xff", "not UTF-8|not JSON"),
        "binary.csv": (b"n\n\x00\xff\xfe\n", "byte 3 is not UTF-8"),
        "deep.jsonl": (b'{"a":' * 50_000, "line 1: .* JSON"),
        "brackets.jsonl": (b"\n" + b"[" * 100_000, "line 2: .* JSON"),
        "numbers.jsonl": (b'{"n": 1}\n{"n": ' + b"9" * 10_000 + b"}\n", "line 2: "),
        "bad-row.jsonl": (b'{"n": 1}\n\n{"n": 2\n', "line 3: .* is not JSON"),
        "bad-row.csv": (b"n,m\n1,2\n3\n", "line 3: 1 values where 2 columns are named"),
        "quote.csv": (b'n\n1\n"2\n', "line 3: not CSV"),
        "too-many.csv": (b"n\n" + b"1\n" * 30, MANY),
        "cut.jsonl.gz": (gzip.compress(os.urandom(99_999).hex().encode())[:-5_000], "line of|ends in its middle|JSON"),
        "plain.jsonl.gz": (b'{"n": 1}\n', "cannot be read: "),
        "bomb-lines.jsonl.gz": (packed(b"\n", 200), "line 100001: more than 100,000 empty lines"),
        "bomb-lines.csv.gz": (packed(b"\n", 200), "line 100001: more than 100,000 empty lines"),
        "bomb-zeros.jsonl.gz": (packed(b"\0", 200), "a line of more than 1 MiB at byte 0"),
    }  # fmt: skip
    for name, (data, _) in texts.items():
        (folder / name).write_bytes(data)
    with (folder / "sparse.csv").open("wb") as file:
        file.truncate(5 << 30)
    os.mkfifo(folder / "fifo.csv")
    (folder / "folder.csv").mkdir()
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    (folder / "denied.csv").write_text("n\n1\n")
    (folder / "denied.csv").chmod(0)
    may_read_all = os.access(folder / "denied.csv", os.R_OK)
    found = {name: (str(folder / name), words) for name, (_, words) in texts.items()}
    return found | {
        "sparse": (str(folder / "sparse.csv"), "a line of more than 1 MiB at byte 0"),
        "fifo": (str(folder / "fifo.csv"), "is no regular file"),
        "folder": (str(folder / "folder.csv"), "no files found"),
        "loop": (str(folder / "loop.csv"), "Too many levels"),
        "missing": (str(folder / "missing.csv"), "no files found"),
        "device": ("/dev/zero", "is no regular file"),
        # Who may read everything still may not read this one.
        "denied": ("/proc/self/mem", "cannot be read")
        if may_read_all
        else (str(folder / "denied.csv"), "denied"),
    }


@contextmanager
def restless(folder: Path) -> Iterator[list[str]]:
    """Two good files that never stand still: one is written to and one is put there and taken away, all the time."""
    changing, vanishing = folder / "changing.csv", folder / "vanishing.csv"
    done = threading.Event()

    def turn() -> None:
        for n in range(1_000_000):
            with changing.open("a") as out:
                out.write("n\n" if not n else f"{n}\n" * 50)
            if n % 20 == 0:
                changing.write_text("n\n")
            vanishing.write_text("n\n1\n")
            vanishing.unlink()
            if done.wait(0.005):
                return

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield [str(changing), str(vanishing)]
    finally:
        done.set()
        thread.join()


def flow_of(files: list[str]) -> str:
    """A phase that starts each second; and for each file one that starts by the clock and one that follows `go`."""
    text = '[[phase]]\ntask = "good"\nrule = "cron=* * * * * *&catchup=all"\ntemplate = "{ts}"\n\n'
    text += '[[phase]]\ntask = "go"\n\n[[phase]]\ntask = "after"\ndependsOn = "go"\ntemplate = "x"\n\n'
    for n, path in enumerate(files):
        more = f"meta-file={path}&batch_limit=20"
        text += f'[[phase]]\ntask = "bad:{n}"\nrule = "cron=*/5 * * * * *&catchup=last&{more}"\n'
        text += 'template = "{meta:n}"\n\n'
        text += f'[[phase]]\ntask = "kid:{n}"\ndependsOn = "go"\nrule = "{more}"\ntemplate = "{{meta:n}}"\n\n'
    return text


def facts_of(bus: SqliteBus) -> Iterator[tuple[int, Fact]]:
    """The journal: when, and what."""
    after = 0
    while entries := bus.journal(after, 1_000):
        after = entries[-1].seq
        yield from ((entry.at_us, fact) for entry in entries for fact in entry.facts)


@pytest.mark.timeout(300)
def test_bad_meta_files_of_every_kind_are_told_and_hold_up_nobody(tmp_path: Path) -> None:
    bad = bad_files(tmp_path / "meta")
    with socket.create_server(("127.0.0.1", 0)) as mute, restless(tmp_path / "meta") as moving:
        slow = "s3://bucket/rows.csv"
        paths = [path for path, _ in bad.values()] + moving + [slow]
        write(tmp_path, {"workflows/f.toml": flow_of(paths)})
        env = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{mute.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
        flags = ("--worker", "go=builtin:noop", "--no-cache")
        with running("run", "workflows", *flags, cwd=tmp_path, env=env) as daemon:
            daemon.says("tick.sent")
            with closing(SqliteBus(str(tmp_path / ".flowlord" / "bus.db"), by="judge")) as bus:
                assert flowlord("send", "go", cwd=tmp_path).code == 0

                def untold() -> list[str]:
                    told = {
                        f.phase.rpartition("toml:")[2]: f.text
                        for _, f in facts_of(bus)
                        if f.kind is FactKind.ALERT
                    }
                    return [
                        f"{phase}: {told.get(phase, 'nothing')}"
                        for n, words in enumerate(words for _, words in bad.values())
                        for phase in (f"bad:{n}", f"kid:{n}")
                        if not re.search(words, told.get(phase, ""))
                        or (words != MANY and paths[n] not in told[phase])
                    ]

                try:
                    until(lambda: not untold(), "every alert", LIMIT_S, 0.5)
                except AssertionError as late:
                    raise AssertionError("\n".join([*untold(), daemon.err])) from late
                goods = daemon.err.count(" good ")
                until(lambda: daemon.err.count(" good ") > goods + 2, "the others go on", LIMIT_S)
                assert daemon.end() == 0
                found = list(facts_of(bus))
    sent = [(at, f) for at, f in found if f.kind is FactKind.PUBLISHED and f.topic == "good" and f.task]
    planned = [
        (at, datetime.strptime(f.task.info, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)) for at, f in sent if f.task
    ]
    assert all(b - a == timedelta(seconds=1) for (_, a), (_, b) in pairwise(planned)), "a start was missed"
    assert max(time_of(at) - instant for at, instant in planned) < LATE
    assert [
        f.task.info for _, f in found if f.kind is FactKind.PUBLISHED and f.topic == "after" and f.task
    ] == ["x"]
    assert "Traceback" not in daemon.err
    for n, (path, _) in enumerate(bad.values()):
        sent_of = [
            f for _, f in found if f.kind is FactKind.PUBLISHED and f.phase.endswith((f"bad:{n}", f"kid:{n}"))
        ]
        assert not sent_of, f"{path} started something"
