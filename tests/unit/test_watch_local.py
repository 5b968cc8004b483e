"""Watching real folders: what the kernel tells, and what is done where it does not."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowlord.bus.clock import SystemClock
from flowlord.rules.globs import Glob
from flowlord.rules.places import place_of
from flowlord.watch import inotify
from flowlord.watch.local import LocalWatch
from flowlord.watch.sighting import Sighting
from support.processes import until


@contextmanager
def watching(folder: Path, pattern: str) -> Iterator[LocalWatch]:
    watch = LocalWatch(
        {f"{folder}/": [Glob.compile(f"{folder}/{pattern}")]},
        SystemClock(),
        kind_of=lambda _: "ext4",
        poll_ns=10**9,
    )
    for root in watch.due(SystemClock().monotonic_ns()):
        assert list(watch.scan(root)) == []
    try:
        yield watch
    finally:
        watch.close()


def heard(watch: LocalWatch, count: int) -> list[Sighting]:
    found: list[Sighting] = []

    def enough() -> bool:
        found.extend(watch.hints(100))
        return len(found) >= count

    until(enough, f"{count} sightings", 10.0)
    return found


def test_a_file_that_is_written_is_seen_as_opened_and_then_as_closed(tmp_path: Path) -> None:
    with watching(tmp_path, "*") as watch, (tmp_path / "a").open("wb") as out:
        [made] = heard(watch, 1)
        assert (made.path, made.opened, made.closed) == (f"{tmp_path}/a", True, False)
        out.write(b"1234")
        out.close()
        [done] = heard(watch, 1)
        assert (done.opened, done.closed, done.look.size) == (False, True, 4)


def test_what_is_moved_or_linked_into_place_has_arrived_as_a_whole(tmp_path: Path) -> None:
    folder, aside = tmp_path / "in", tmp_path / "aside"
    folder.mkdir()
    aside.write_bytes(b"x")
    with watching(folder, "*") as watch:
        (folder / "linked").hardlink_to(aside)
        aside.rename(folder / "moved")
        assert [(s.path, s.opened) for s in heard(watch, 2)] == [
            (f"{folder}/linked", False),
            (f"{folder}/moved", False),
        ]


def test_a_new_folder_is_watched_and_what_is_in_it_already_is_found(tmp_path: Path) -> None:
    with watching(tmp_path, "*/*/x") as watch:
        deep = tmp_path / "a" / "b"
        deep.mkdir(parents=True)
        (deep / "x").write_bytes(b"1")
        assert {s.path for s in heard(watch, 1)} == {f"{deep}/x"}
        list(watch.hints(100))
        (deep / "x").write_bytes(b"22")
        assert max(s.look.size for s in heard(watch, 1)) in (0, 2)
        (tmp_path / "a" / "b" / "c" / "d").mkdir(parents=True)
        (tmp_path / "x").write_bytes(b"too high")
        (tmp_path / "a" / "y").mkdir()
        (tmp_path / "a" / "y" / "x").write_bytes(b"1")
        assert f"{tmp_path}/a/y/x" in {s.path for s in heard(watch, 1)}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
def test_a_machine_without_more_watches_is_listed_instead(tmp_path: Path, monkeypatch, number: int) -> None:
    def refuse(self: object, path: bytes, *rest: object) -> None:
        raise OSError(number, "inotify watch limit reached")

    monkeypatch.setattr(inotify.InotifyFD, "add_callback", refuse)
    with watching(tmp_path, "*") as watch:
        [root] = watch.roots.values()
        assert root.polled.startswith("the machine gives no more watches")
        (tmp_path / "a").touch()
        assert [s.path for s in watch.scan(root)] == [f"{tmp_path}/a"]
        assert root.next_ns - SystemClock().monotonic_ns() < 2 * 10**9


def test_events_that_come_in_masses_are_given_up_for_a_listing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("flowlord.watch.local.MOST_QUEUED", 10)
    with watching(tmp_path, "*") as watch:
        for n in range(40):
            (tmp_path / str(n)).touch()
        until(lambda: watch.due(0), "doubt", 10.0)
        assert watch.overflows == 1


def test_names_of_any_bytes_are_heard(tmp_path: Path) -> None:
    with watching(tmp_path, "*") as watch:
        os.close(os.open(os.fsencode(tmp_path) + b"/\xff\n", os.O_CREAT | os.O_WRONLY))
        assert heard(watch, 1)[0].path == f"{tmp_path}/\udcff\n"


@pytest.mark.parametrize(
    "pattern", ["./in/*.csv", "../{here}/in/*.csv", "in/./*.csv", "in//*.csv", "./in/a.csv"]
)
def test_a_folder_that_a_pattern_spells_with_dots_is_watched_and_its_files_are_spelled_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    glob = Glob.compile(pattern.format(here=tmp_path.name))
    root = place_of(glob.pattern).root
    watch = LocalWatch({root: [glob]}, SystemClock(), kind_of=lambda _: "ext4", poll_ns=10**9)
    try:
        assert list(watch.scan(watch.roots[root])) == []
        (tmp_path / "in" / "a.csv").write_bytes(b"1")
        assert {seen.path for seen in heard(watch, 1) if glob.matches(seen.path)} == {f"{root}a.csv"}
        assert [seen.path for seen in watch.scan(watch.roots[root])] == [f"{root}a.csv"]
    finally:
        watch.close()
