"""Worker processes: how they leave when told to, keep what they hold, and lose what they cannot keep."""

import signal
from contextlib import contextmanager

import pytest

from flowlord.bus.open import open_bus
from flowlord.model.plan import Plan
from support.processes import Running, flowlord, ran, running, until, write
from support.workers import done_messages, infos, message

APP = """
    import hashlib, os, threading
    from flowlord.worker import Context, TryAgain, task

    def told(text):
        with open("log", "a") as log:
            log.write(text + "\\n")

    @task("load")
    def load(task: Context):
        told(f"begin {task.info} {os.getpid()}")
        while not os.path.exists("open") and not task.cancelled.wait(0.01):
            pass
        told(f"end {task.info} {'cancelled' if task.cancelled.is_set() else 'done'}")

    @task("deaf")
    def deaf(task: Context):
        told(f"begin {task.info} {os.getpid()}")
        threading.Event().wait()

    @task("compute")
    def compute(task: Context):
        told(f"begin {task.info} {os.getpid()}")
        digest = b""
        while not os.path.exists("open"):
            digest = hashlib.sha256(digest).digest()

    @task("sleepy")
    async def sleepy(task: Context):
        import asyncio
        told(f"begin {task.info} {os.getpid()}")
        await asyncio.Event().wait()
"""


@pytest.fixture
def here(tmp_path):
    return write(tmp_path, {"work.py": APP})


@pytest.fixture
def bus(here):
    opened = open_bus(f"sqlite:///{here}/bus.db", by="test")
    yield opened
    opened.close()


def flags(here, **options) -> list[str]:
    """The command line of a worker: `app=("work",)` is `--app work`, `drain=True` is `--drain`."""
    options = {"app": ("work",), "concurrency": 2, "bus": f"sqlite:///{here}/bus.db"} | options
    given = ["worker", "-v"]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        for each in value if isinstance(value, tuple) else (value,):
            given += [flag] if each is True else [flag, str(each)]
    return given


@contextmanager
def worker(here, **options):
    """A worker process, as long as the block lasts."""
    with running(*flags(here, **options), cwd=here) as process:
        yield process


def told(here) -> list[str]:
    """What the tasks wrote down."""
    log = here / "log"
    return log.read_text().splitlines() if log.exists() else []


def begun(here, count: int, process: Running) -> None:
    until(lambda: sum(line.startswith("begin") for line in told(here)) >= count or process.is_gone)
    assert not process.is_gone, process.err


def states(bus, topic):
    return next(((t.waiting, t.running) for t in bus.topics() if t.topic == topic), (0, 0))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_running_tasks_finish_and_claims_no_more(here, bus, number):
    bus.publish([message("load", str(n)) for n in range(5)])
    with worker(here) as process:
        begun(here, 2, process)
        process.tell(number)
        process.says("leaving: finishing what runs")
        (here / "open").touch()
        assert process.wait() == 0
    assert len(done_messages(bus)) == 2
    assert states(bus, "load") == (3, 0)
    assert bus.presences() == []


def test_a_worker_whose_only_slot_hangs_tells_the_error_and_ends_for_a_supervisor(here, bus):
    bus.publish([message("deaf", "a", timeout_ns=1)])
    with worker(here, concurrency=1, grace="300ms") as process:
        process.says("as many functions hang as there are slots")
        assert process.wait() == 1
    [task] = done_messages(bus)
    assert (task.result, task.msg.startswith("ran longer than its timeout of")) == ("error", True)
    assert states(bus, "deaf") == (0, 0)
    assert bus.presences() == []


@pytest.mark.slow
def test_a_daemon_whose_worker_is_stuck_ends_too(here):
    flow = '[[phase]]\ntask = "deaf"\nrule = "cron=* * * * * *&timeout=1ms"\ntemplate = "x"\n'
    write(here, {"flows/a.toml": flow})
    with running("run", "flows", "--app", "work", "--concurrency", "1", cwd=here) as daemon:
        assert daemon.wait() == 1
        assert "functions hang in as many threads as the hosted worker has slots" in daemon.err


@pytest.mark.slow
def test_a_thread_that_a_coroutine_left_behind_does_not_keep_the_daemon(here, bus):
    app = (
        "import asyncio, threading\nfrom flowlord.worker import task\n"
        "@task('own')\nasync def own(task):\n    await asyncio.to_thread(threading.Event().wait)\n"
    )
    write(here, {"own.py": app, "flows/a.toml": '[[phase]]\ntask = "own"\nrule = "files=in/*"\n'})
    bus.publish([message("own", "a", timeout_ns=1)])
    with running("run", "flows", "--app", "own", "--bus", f"sqlite:///{here}/bus.db", cwd=here) as daemon:
        daemon.says("ran longer than its timeout")
        assert daemon.end() == 0


def test_after_the_grace_tasks_are_handed_back_uncounted(here, bus):
    bus.publish([message("load", "a"), message("sleepy", "b")])
    with worker(here, grace="300ms") as process:
        begun(here, 2, process)
        assert process.end() == 0
    assert "end a cancelled" in told(here)
    again = bus.claim(["load", "sleepy"], "next", 10)
    assert sorted((each.key, each.deliveries) for each in again) == [("a", 1), ("b", 1)]
    assert done_messages(bus) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_second_signal_leaves_at_once_and_leaves_no_command_behind(here, bus, number, code):
    bus.publish([message("job", "a"), message("load", "b")])
    script = 'trap "" TERM; echo begin $FLOWLORD_TASK_INFO $$ >> log; sleep 300'
    with worker(here, grace="10m", worker=(f"job=sh -c '{script}'",)) as process:
        begun(here, 2, process)
        process.tell(signal.SIGTERM)
        process.says("leaving: finishing what runs")
        assert process.end(number) == code
    assert (states(bus, "job"), states(bus, "load")) == ((1, 0), (1, 0))
    group = next(int(line.split()[2]) for line in told(here) if line.startswith("begin a"))
    until(lambda: ran(["pgrep", "-g", str(group)], cwd=here).code == 1, "the end of the command's group")


def test_a_function_that_never_ends_does_not_keep_the_process(here, bus):
    bus.publish([message("deaf", "a")])
    with worker(here, grace="100ms") as process:
        begun(here, 1, process)
        assert process.end() == 0
    assert states(bus, "deaf") == (1, 0)


def test_a_lease_outlives_a_task_that_computes_all_the_time(here, bus):
    bus.publish([message("compute", "a")])
    with worker(here, lease="1500ms", concurrency=1) as process:
        begun(here, 1, process)
        beats = set()

        def enough_beats():
            assert bus.reclaim("thief", 10) == []
            beats.update(presence.beat_us for presence in bus.presences())
            return len(beats) >= 8  # of half a second each: more than two leases

        until(enough_beats)
        (here / "open").touch()
        until(lambda: done_messages(bus))
        assert process.end() == 0
    assert infos(done_messages(bus)) == ["a"]


@pytest.mark.parametrize("topic", ["load", "job"])
def test_a_worker_that_slept_through_its_lease_completes_nothing(here, bus, topic):
    """T-5: stopped past its lease, another one finishes, continued: there is no second completion."""
    script = (
        "echo begin $FLOWLORD_TASK_INFO $$ >> log; while [ ! -e open ]; do sleep 0.01; done; echo late >> log"
    )
    bus.publish([message(topic, "a")])
    with worker(here, lease="500ms", concurrency=1, worker=(f"job=sh -c '{script}'",)) as zombie:
        begun(here, 1, zombie)
        zombie.stand_still(here / "bus.db")
        taken = until(lambda: bus.reclaim("reaper", 10))
        assert [each.deliveries for each in taken] == [1]
        bus.release(taken)
        [second] = bus.claim([topic], "second", 10)
        bus.commit(Plan(publish=(message("done", "by the second"),)), acknowledge=[second])
        zombie.tell(signal.SIGCONT)
        zombie.says("its lease has passed on")
        (here / "open").touch()
        assert zombie.end() == 0
    assert infos(done_messages(bus)) == ["by the second"]
    assert "late" not in told(here)


def test_a_worker_drains_its_topics_and_ends(here, bus):
    bus.publish([message("echo", str(n)) for n in range(50)])
    ended = flowlord(*flags(here, app=(), types="echo,noop", drain=True), cwd=here)
    assert ended.code == 0, ended.err
    assert infos(done_messages(bus)) == sorted(str(n) for n in range(50))
    assert ended.out == ""


def test_a_worker_ends_after_as_many_tasks_as_it_was_told(here, bus):
    bus.publish([message("echo", str(n)) for n in range(50)])
    assert flowlord(*flags(here, app=(), types="echo", max_tasks=7), cwd=here).code == 0
    assert len(done_messages(bus)) == 7
    assert states(bus, "echo") == (43, 0)


def test_the_name_of_a_worker_shows_in_its_reports(here, bus):
    bus.publish([message("echo", "a")])
    flowlord(*flags(here, app=(), types="echo", drain=True, id="north"), cwd=here)
    [report] = bus.claim(["done"], "test", 10)
    assert report.report is not None
    assert report.report.worker.startswith("north-")


def test_a_worker_killed_at_any_place_loses_nothing(here, bus):
    for place in ("worker.claimed", "worker.ran", "worker.completed"):
        bus.publish([message("echo", place)])
        given = flags(here, app=(), types="echo", drain=True, lease="300ms")
        killed = flowlord(*given, cwd=here, env={"FLOWLORD_CRASHPOINT": place})
        assert killed.code == -signal.SIGKILL, killed.err
        if place != "worker.completed":
            bus.release(until(lambda: bus.reclaim("reaper", 10)))
            assert flowlord(*given, cwd=here).code == 0
    assert infos(done_messages(bus)) == ["worker.claimed", "worker.completed", "worker.ran"]


def test_what_cannot_be_done_is_told_before_anything_is_opened(here):
    ended = flowlord(*flags(here, worker=("a=sh -c {info}",)), cwd=here)
    assert ended.code == 2
    assert "{info} lies inside text that sh runs as a program" in ended.err
    assert "hint" in ended.err
    assert not (here / "bus.db").exists()
