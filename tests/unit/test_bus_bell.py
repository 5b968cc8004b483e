"""The bell: who waits hears of news at once, and nothing depends on it."""

import os
import socket
import stat
import threading
from contextlib import closing

import pytest

from flowlord.bus.bell import JOURNAL, Bell


@pytest.fixture
def bell(tmp_path):
    with closing(Bell(str(tmp_path / "bus.db"), "one")) as made:
        yield made


def test_a_waiter_hears_the_names_that_it_listens_for(bell):
    with bell.ear() as ear:
        bell.ring(["a", "b"])
        assert ear.listen({"b"}, 5)
        assert not ear.listen({"b"}, 0.01)


def test_a_ring_for_others_is_not_heard(bell):
    with bell.ear() as ear:
        bell.ring(["a"])
        assert not ear.listen({"b", JOURNAL}, 0.02)
        bell.ring([JOURNAL])
        assert ear.listen({"b", JOURNAL}, 5)


def test_two_processes_hear_each_other(bell, tmp_path):
    with closing(Bell(str(tmp_path / "bus.db"), "two")) as other, bell.ear() as one, other.ear() as two:
        other.ring(["a"])
        assert one.listen({"a"}, 5)
        assert two.listen({"a"}, 5)


def test_a_ring_wakes_who_sleeps(bell):
    heard = []
    ready = threading.Event()

    def wait():
        with bell.ear() as ear:
            ready.set()
            heard.append(ear.listen({"a"}, 5))

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert ready.wait(40)
    bell.ring(["a"])
    waiter.join(40)
    assert heard == [True]


def test_what_rang_before_is_forgotten_when_a_waiter_begins(bell):
    with bell.ear():
        pass
    bell.ring(["a"])
    with bell.ear() as ear:
        assert not ear.listen({"a"}, 0.01)


def test_a_waiter_that_may_have_missed_something_looks(bell):
    with bell.ear() as ear:
        for _ in range(50):  # more than a socket queues
            bell.ring(["other"])
        assert ear.listen({"a"}, 5)


def test_more_names_than_a_message_holds_ring_for_everybody(bell):
    with bell.ear() as ear:
        bell.ring([f"topic-{n}" for n in range(5_000)])
        assert ear.listen({"a"}, 5)


def test_ears_are_used_again(bell):
    for _ in range(3):
        with bell.ear():
            assert len(os.listdir(bell.folder)) == 1
    with bell.ear(), bell.ear():
        assert len(os.listdir(bell.folder)) == 2


def test_the_socket_of_a_dead_process_is_taken_away(bell):
    dead = os.path.join(bell.folder, "dead-1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
        gone.bind(dead)
    assert os.path.exists(dead)
    bell.ring(["a"])
    assert not os.path.exists(dead)


def test_closing_wakes_who_waits_and_leaves_no_socket(bell):
    with bell.ear() as ear:
        bell.close()
        assert ear.listen({"a"}, 5)
    assert os.listdir(bell.folder) == []
    bell.ring(["a"])  # never fails


def test_the_folder_is_its_owners_alone(bell):
    assert stat.S_IMODE(os.stat(bell.folder).st_mode) == 0o700


def test_a_path_that_is_too_long_for_a_socket_has_a_bell_as_well(tmp_path):
    deep = tmp_path / ("x" * 120) / ("y" * 120)
    deep.mkdir(parents=True)
    with closing(Bell(str(deep / "bus.db"), "one")) as bell, bell.ear() as ear:
        bell.ring(["a"])
        assert ear.listen({"a"}, 5)
        assert len(os.listdir(bell.folder)) == 1


def test_without_a_folder_everybody_polls(tmp_path):
    (tmp_path / "bus.db.bells").write_text("in the way")
    with closing(Bell(str(tmp_path / "bus.db"), "one")) as bell, bell.ear() as ear:
        bell.ring(["a"])
        assert not ear.listen({"a"}, 0.01)


def test_a_folder_that_is_taken_away_costs_only_time(bell):
    with bell.ear():
        pass
    for name in os.listdir(bell.folder):
        os.unlink(os.path.join(bell.folder, name))
    os.rmdir(bell.folder)
    bell.ring(["a"])
    with bell.ear() as ear, bell.ear() as other:
        assert not ear.listen({"a"}, 0.01)
        assert not other.listen({"a"}, 0.01)
