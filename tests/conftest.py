"""What every test stands on: a clean environment and how hard hypothesis looks. Fixtures live with their room;
of those that several rooms want there is one, the stand-in for Slack.

How tests find each other: pytest runs with `--import-mode=importlib` and with `tests/` on the path, so no folder needs
an `__init__.py`, two rooms may both have a `test_claim.py`, and a module shared by tests is imported by its path from
`tests/` on: `from vectors.cases import cases` reads `tests/vectors/cases.py`.
"""

import gc
import os
import signal
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from support.slack import StandIn

# What a developer's shell may hold and a test must not see. FLOWLORD_VECTORS says where the vectors are;
# FLOWLORD_TEST_* are for sizes of tests (seeds, kills).
KEPT = ("FLOWLORD_VECTORS", "FLOWLORD_TEST_")
SCRUBBED = ("FLOWLORD_", "TASKFLOW_", "_TYPER_", "_FLOWLORD_")
SCRUBBED_NAMES = {
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "FORCE_COLOR",
    "LINES",
    "NO_COLOR",
    "PYTHONWARNINGS",
    "PY_COLORS",
    "REDIS_URL",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
}


def scrub(environment: "os._Environ[str] | dict[str, str]") -> None:
    """Take out of `environment` whatever would change what flowlord does or prints."""
    for name in list(environment):
        if (name in SCRUBBED_NAMES or name.startswith(SCRUBBED)) and not name.startswith(KEPT):
            del environment[name]
    environment["XDG_CONFIG_HOME"] = str(Path(__file__).parent / "no-configuration-here")
    environment["TZ"] = "Asia/Kathmandu"  # nobody's local time, so that code which relies on it shows


scrub(os.environ)
time.tzset()

# `nohup` and shells that start jobs in the background have signals ignored, which processes of tests would inherit. A
# handler is not inherited, and ignores as well. Workers of xdist that are no main thread leave it as it is.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(number, lambda number, frame: None)

# Collecting makes half a million objects that stay; looking through them for garbage, again and again, took a quarter
# of it. From then on they are left out.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let each worker begin with other files of a folder: it finds the rest compiled by the others.

    A worker collects all that there is, and in a fresh clone two thirds of that are the compilation of its asserts.
    """
    report = yield
    worker = getattr(collector.config, "workerinput", None)
    if worker and isinstance(collector, pytest.Directory):
        number, count = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
        start = len(report.result) * number // count
        report.result = report.result[start:] + report.result[:start]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All workers must have found the same in the same order, before that is shuffled."""
    items.sort(key=lambda item: str(item.path))


# No deadline: the machine is shared, and a slow example is no wrong example. Chance stays chance: a failure prints
# the example and the database in .hypothesis remembers it.
slow = [HealthCheck.too_slow]
settings.register_profile("dev", deadline=None, max_examples=50, suppress_health_check=slow)
settings.register_profile("ci", deadline=None, max_examples=100, print_blob=True, suppress_health_check=slow)
settings.register_profile("full", settings.get_profile("ci"), max_examples=1_000)
settings.load_profile(os.environ.get("FLOWLORD_TEST_EXAMPLES") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(scope="module")
def slack_of_module() -> "Iterator[StandIn]":
    """One process for all tests of a module."""
    from support.slack import standing_in  # not before the environment is clean

    with standing_in() as slack:
        yield slack


@pytest.fixture
def slack(slack_of_module: "StandIn") -> "Iterator[StandIn]":
    """The stand-in for Slack, which takes everything again after the test."""
    yield slack_of_module
    slack_of_module.next()
