"""The pure parts of the link to a Redis: steadiness, meanings of errors, routes in a cluster, readings of a clock."""

import pytest

from flowlord.bus.redis_clock import Reading, better
from flowlord.bus.redis_dial import Route, redirect
from flowlord.bus.redis_errors import LONGEST, NotSent, ServerError, Wrong, error_of, safe
from flowlord.bus.redis_link import Script
from flowlord.bus.redis_steady import LONGEST_GAP_NS, Steadiness

S = 1_000_000_000
SHOWN = "redis://h:6379"


def test_nothing_is_steady_before_the_first_answer():
    assert Steadiness().since_ns(7 * S) == 7 * S


def test_answers_without_a_gap_are_one_steady_time():
    steady = Steadiness()
    for at in (5, 10, 20, 30):
        steady.answered(at * S)
    assert steady.since_ns(31 * S) == 5 * S


def test_a_gap_begins_anew_also_while_it_lasts():
    steady = Steadiness()
    steady.answered(5 * S)
    assert steady.since_ns(5 * S + LONGEST_GAP_NS) == 5 * S
    assert steady.since_ns(5 * S + LONGEST_GAP_NS + 1) == 5 * S + LONGEST_GAP_NS + 1
    steady.answered(16 * S)
    assert steady.since_ns(17 * S) == 16 * S


def test_a_failure_begins_anew_with_the_next_answer():
    steady = Steadiness()
    steady.answered(5 * S)
    steady.failed()
    assert steady.since_ns(6 * S) == 6 * S
    steady.answered(7 * S)
    assert steady.since_ns(9 * S) == 7 * S


@pytest.mark.parametrize(
    "code",
    [
        "LOADING", "BUSY", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM", "MISCONF", "NOREPLICAS",
        "NOAUTH", "WRONGPASS", "NOPERM", "MOVED", "ASK", "UNBLOCKED", "DENIED",
    ],
)  # fmt: skip
def test_what_was_turned_away_did_not_happen_and_says_so_in_words(code):
    error = error_of(Wrong(code, "said the server"), SHOWN)
    assert isinstance(error, NotSent)
    assert f"({code} said the server)" in str(error)
    assert SHOWN in str(error)
    assert error.hint


def test_too_many_clients_is_turned_away_too():
    assert isinstance(error_of(Wrong("ERR", "max number of clients reached"), SHOWN), NotSent)


@pytest.mark.parametrize("code", ["OOM", "READONLY", "WRONGTYPE", "ERR"])
def test_an_error_in_the_middle_of_a_script_never_passes_for_nothing_happened(code):
    text = "command not allowed. script: 623d12f71bcba649fcc6af6345cc480e268e867d, on @user_script:2."
    error = error_of(Wrong(code, text), SHOWN)
    assert isinstance(error, ServerError)
    assert error.code == code


def test_an_unknown_error_has_the_servers_words():
    error = error_of(Wrong("WRONGTYPE", "Operation against a key"), SHOWN)
    assert str(error) == f"the bus at {SHOWN} says: WRONGTYPE Operation against a key"


def test_a_text_of_a_server_is_one_short_line_without_secrets():
    assert safe("a\r\nb\x1b[31m\x00 pw", ("pw",)) == r"a\r\nb\x1b[31m\x00 ***"
    assert len(safe("x" * 1_000)) == LONGEST + 3


@pytest.mark.parametrize(
    ("code", "text", "place"),
    [
        ("MOVED", "3999 10.0.0.2:7001", ("10.0.0.2", 7001)),
        ("ASK", "3999 10.0.0.2:7001", ("10.0.0.2", 7001)),
        ("MOVED", "3999 ::1:7001", ("::1", 7001)),
        ("MOVED", "3999 :7001", ("via", 7001)),  # the node does not tell the other one's host
        ("MOVED", "3999 ?:7001", ("via", 7001)),
        ("MOVED", "3999", None),
        ("MOVED", "3999 host:port", None),
        ("ERR", "3999 10.0.0.2:7001", None),
    ],
)
def test_a_cluster_names_the_place_to_go_to(code, text, place):
    assert redirect(Wrong(code, text), ("via", 7000)) == place


def test_a_route_begins_at_home_and_falls_back_to_seeds_and_known_nodes():
    a, b, c = ("a", 1), ("b", 2), ("c", 3)
    route = Route((a, b))
    assert route.places() == [a, b]
    route.learn([[0, 99, [b"c", 3, b"id"], [b"a", 1, b"id", []]], [100, 200, [None, 9, b"id"]]], a)
    assert route.settle(c)
    assert not route.settle(c)
    assert route.places() == [c, a, b, ("a", 9)]
    route.leave(b)
    assert route.home == c
    route.leave(c)
    assert route.places() == [a, b, c, ("a", 9)]


def test_a_script_is_known_by_its_sha1():
    assert Script("one", "return 1").sha == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"


def test_a_reading_holds_until_a_new_one_contradicts_it_or_is_closer():
    old = Reading(server_us=1_000_000, at_ns=0, error_ns=500_000)
    assert better(None, old) is old
    assert better(old, agrees := Reading(2_000_400, S, 600_000)) is old, agrees
    assert better(old, jumped := Reading(2_000_700, S, 600_000)) is jumped
    assert better(old, closer := Reading(2_000_100, S, 400_000)) is closer
    assert old.server_us_at(2 * S) == 3_000_000
