"""Network mounts: told apart without touching them, and each watched by a loop that may hang alone."""

import os
import threading

import pytest

from flowlord.bus.sqlite_place import Mount
from flowlord.model.plan import FactKind
from flowlord.taskmaster.files import FileLoop, Watching
from flowlord.taskmaster.mountloops import LOOP, MountLoops
from flowlord.taskmaster.mounts import Mounts, Share
from flowlord.taskmaster.supervisor import Supervisor
from support.farm import Farm
from support.files import phases, put
from support.flows import flows_of
from support.processes import until

LIMIT_S = 40


def test_a_folder_is_on_the_mount_that_its_links_lead_to_and_nothing_there_is_touched(tmp_path, monkeypatch):
    point = tmp_path / "nfs"
    (tmp_path / "link").symlink_to("nfs/deep")
    (tmp_path / "round").symlink_to("round")
    mounts = Mounts(
        lambda: [Mount("/", "overlay"), Mount(str(point), "nfs4"), Mount(str(tmp_path / "disk"), "ext4")]
    )
    real = os.lstat

    def lstat(path, **more):
        assert not f"{os.fspath(path)}/".startswith(f"{point}/"), "what hangs is not touched"
        return real(path, **more)

    monkeypatch.setattr(os, "lstat", lstat)
    nfs = Mount(str(point), "nfs4")
    assert [mounts.of(each) for each in (f"{point}/in/", f"{tmp_path}/link/in/", str(point))] == [nfs] * 3
    assert [mounts.of(f"{tmp_path}/{name}/") for name in ("disk", "nfs2", "round", "gone/../nfs/..")] == [
        None
    ] * 4
    monkeypatch.chdir(tmp_path)
    assert (mounts.of("nfs/in/"), mounts.of("")) == (nfs, None)


def test_folders_change_their_share_when_something_is_mounted():
    table = [Mount("/in", "ext4")]
    mounts = Mounts(lambda: table)
    here, there = Share(mounts), Share(mounts, Mount("/in", "fuse.sshfs"))
    before = here.turn
    assert (here.holds("/in/a/"), there.holds("/in/a/")) == (True, False)
    table.append(Mount("/in", "fuse.sshfs"))
    mounts.refresh()
    assert (here.holds("/in/a/"), there.holds("/in/a/")) == (False, True)
    assert here.turn != before
    mounts.refresh()
    assert here.turn == before + 1


def test_below_an_autofs_each_name_is_a_mount_of_its_own_and_nothing_there_is_touched(monkeypatch):
    table = [Mount("/net", "autofs", 7), Mount("/net/up", "nfs4", 8), Mount("/net/disk", "ext4", 9)]
    mounts = Mounts(lambda: table)
    real = os.lstat

    def lstat(path, **more):
        assert not os.fspath(path).startswith(("/net/up", "/net/down")), "it would wait for who mounts"
        return real(path, **more)

    monkeypatch.setattr(os, "lstat", lstat)
    down = Mount("/net/down", "autofs", 7)
    folders = "/net", "/net/up/in/", "/net/down/in/", "/net/down", "/net/disk/in/"
    assert [mounts.of(each) for each in folders] == [table[0], table[1], down, down, None]
    assert mounts.has(down)
    before = mounts.turn
    table.append(Mount("/net/down", "nfs4", 10))
    mounts.refresh()
    assert (mounts.has(down), mounts.of("/net/down/in/"), mounts.turn) == (False, table[-1], before + 1)


@pytest.fixture
def hanging(tmp_path, monkeypatch):
    """A folder that does not answer until the event is set; `entered` tells that somebody waits for it."""
    point, entered, answers = tmp_path / "nfs", threading.Event(), threading.Event()
    real = os.scandir

    def scandir(path):
        if os.fspath(path).startswith(str(point)):
            entered.set()
            assert answers.wait(LIMIT_S)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    yield point, entered, answers
    answers.set()


def test_a_mount_that_hangs_holds_up_no_other_folder_and_is_told(tmp_path, hanging):
    point, entered, answers = hanging
    put(point / "late.csv")
    farm = Farm()
    rules = f"files={tmp_path}/disk/*.csv", f"files={point}/*.csv"
    around = farm.daemon(flows_of({"f.toml": phases(*rules)}), "d1", 1)
    watching = Watching(initial="run", poll_ns=1_000_000_000, events=False)
    mounts = Mounts(lambda: [Mount(str(point), "nfs4")])
    supervisor = Supervisor(around.health, farm.clock)
    loops = MountLoops(around, watching, mounts, supervisor.start, supervisor.end, supervisor.steps)
    main = FileLoop(around, watching, share=Share(mounts))
    try:
        loops.step()
        assert entered.wait(LIMIT_S)
        put(tmp_path / "disk" / "a.csv")
        for _ in range(3):
            main.look()
            farm.clock.advance(3)
        assert [each.task().info for each in farm.bus.claim(["t0"], "w", 9)] == [f"{tmp_path}/disk/a.csv"]

        farm.clock.advance(61)
        loops.step()
        loops.step()
        told = [
            fact.text
            for entry in farm.bus.journal(0, 99)
            for fact in entry.facts
            if fact.kind is FactKind.ALERT
        ]
        assert told == [
            f"files are not seen: network mount {point} has not answered for 60 s; other folders go on"
        ]
        assert around.health.colour() == "yellow"

        began_ns = supervisor.steps[f"{LOOP}{point} #1"]
        answers.set()
        until(lambda: supervisor.steps[f"{LOOP}{point} #1"] != began_ns, "the loop goes on", limit_s=LIMIT_S)
        loops.step()
        assert around.health.colour() == "green"

        def comes():
            farm.clock.advance(3)
            return [each.task().info for each in farm.bus.claim(["t1"], "w", 9)]

        assert until(comes, "the file there is seen", limit_s=LIMIT_S) == [f"{point}/late.csv"]
    finally:
        answers.set()
        assert supervisor.join(LIMIT_S) == []


def test_a_folder_whose_link_leads_to_another_mount_now_is_watched_by_the_loop_of_that_one(tmp_path):
    disk, point, link = tmp_path / "disk", tmp_path / "nfs", tmp_path / "in"
    disk.mkdir()
    point.mkdir()
    link.symlink_to(disk)
    farm = Farm()
    around = farm.daemon(flows_of({"f.toml": phases(f"files={link}/*.csv")}), "d1", 1)
    watching = Watching(initial="run", poll_ns=1_000_000_000, events=False)
    mounts = Mounts(lambda: [Mount(str(point), "nfs4")])
    started: list[str] = []
    steps: dict[str, int] = {}

    def start(name, step):
        started.append(name)
        steps[name] = 0

    loops = MountLoops(around, watching, mounts, start, lambda name, close: None, steps)
    main = FileLoop(around, watching, share=Share(mounts))
    loops.step()
    main.look()
    assert started == []

    link.unlink()
    link.symlink_to(point)
    loops.step()
    assert started == [f"{LOOP}{point} #1"]
    put(point / "a.csv")
    for _ in range(3):
        farm.clock.advance(3)
        main.look()
    assert farm.bus.claim(["t0"], "w", 9) == [], "what may hang is left to the loop of its mount"


def test_a_file_that_comes_to_another_loop_before_it_stands_still_is_not_told_as_gone(tmp_path):
    table: list[Mount] = []
    nfs = Mount(str(tmp_path), "nfs4")
    mounts = Mounts(lambda: table)
    farm = Farm()
    around = farm.daemon(flows_of({"f.toml": phases(f"files={tmp_path}/*.csv&settle=10s")}), "d1", 1)
    watching = Watching(initial="run", poll_ns=1_000_000_000, events=False)
    loops = [FileLoop(around, watching, share=Share(mounts, mount)) for mount in (None, nfs)]

    def look():
        farm.clock.advance(5)
        for loop in loops:
            loop.look()

    look()
    put(tmp_path / "a.csv")
    look()
    table.append(nfs)
    mounts.refresh()
    for _ in range(5):
        look()
    told = [
        fact.text for entry in farm.bus.journal(0, 99) for fact in entry.facts if fact.kind is FactKind.FILE
    ]
    assert told == [f"{tmp_path}/a.csv started t0"]


@pytest.mark.parametrize("is_seen", [True, False], ids=["seen between", "not seen between"])
def test_what_is_mounted_anew_is_watched_though_a_call_to_what_was_there_hangs_for_ever(
    tmp_path, monkeypatch, is_seen
):
    point, entered, answers = tmp_path / "nfs", threading.Event(), threading.Event()
    point.mkdir()
    real, hangs = os.scandir, [True]

    def scandir(path):
        if hangs and os.fspath(path).startswith(str(point)):
            entered.set()
            assert answers.wait(LIMIT_S)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    farm = Farm()
    around = farm.daemon(flows_of({"f.toml": phases(f"files={point}/*.csv")}), "d1", 1)
    watching = Watching(initial="run", poll_ns=1_000_000_000, events=False)
    table = [Mount(str(point), "nfs4", 50)]
    mounts = Mounts(lambda: table)
    supervisor = Supervisor(around.health, farm.clock)

    def start(name, step):
        supervisor.start(name, lambda: step(0.01) and None)

    loops = MountLoops(around, watching, mounts, start, supervisor.end, supervisor.steps)
    try:
        loops.step()
        assert entered.wait(LIMIT_S)
        farm.clock.advance(61)
        loops.step()
        subject = f"network mount {point}"
        assert around.health.is_wrong(subject)

        hangs.clear()
        table.clear()
        if is_seen:
            loops.step()
            assert not around.health.is_wrong(subject)
        table.append(Mount(str(point), "nfs4", 51))
        put(point / "a.csv")
        loops.step()

        def comes():
            farm.clock.advance(3)
            loops.step()
            return [each.task().info for each in farm.bus.claim(["t0"], "w", 9)]

        assert until(comes, "the file there is seen", limit_s=LIMIT_S) == [f"{point}/a.csv"]
        farm.clock.advance(3)
        until(
            lambda: supervisor.steps[f"{LOOP}{point} #2"] == farm.clock.monotonic_ns(),
            "the new one goes on",
            limit_s=LIMIT_S,
        )
        loops.step()
        assert around.health.faults() == {}
        assert list(supervisor.steps) == [f"{LOOP}{point} #2"]

        answers.set()
        ended = f"flowlord-{LOOP}{point} #1"
        until(
            lambda: ended not in {thread.name for thread in threading.enumerate()},
            "the old one ends",
            limit_s=LIMIT_S,
        )
        assert list(supervisor.steps) == [f"{LOOP}{point} #2"]
    finally:
        answers.set()
        assert supervisor.join(LIMIT_S) == []


def test_a_mount_whose_name_is_no_utf_8_can_be_told_when_its_loop_fails(tmp_path):
    point = os.fsdecode(b"/mnt/\xff")
    (tmp_path / "link").symlink_to(point)
    farm = Farm()
    around = farm.daemon(flows_of({"f.toml": phases(f"files={tmp_path}/link/*.csv")}), "d1", 1)
    mounts = Mounts(lambda: [Mount(point, "nfs4")])
    started: list[str] = []
    steps: dict[str, int] = {}

    def start(name, step):
        started.append(name)
        steps[name] = 0

    loops = MountLoops(around, Watching(), mounts, start, lambda name, close: None, steps)
    loops.step()
    assert [name.encode() for name in started] == [b"mount /mnt/%FF #1"]
