"""What each command may import before it answers: starting fast is a feature, lost by one careless import."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flowlord.bus.clock import SystemClock
from flowlord.bus.open import NAMESPACE, open_bus
from flowlord.bus.port import JournalEntry
from flowlord.cache.historian import Historian
from flowlord.cli.catalogue import COMMANDS
from flowlord.model.message import Message
from flowlord.model.plan import Fact, FactKind
from flowlord.model.task import Task
from guard.source import PACKAGE, ROOT
from support.redis_servers import drop_namespace, fresh_namespace, shared_server

WORKFLOW = '[[phase]]\ntask = "extract"\nrule = "cron=0 0 1 * * *"\n'
# typer draws on these two; it brings click inside itself.
TYPER = {"typer", "annotated_doc", "shellingham", "typing_extensions"}
READS = {"msgspec", "tomli", "typing_extensions"}
DATA = {"msgspec", "tomli", "yaml", "_yaml", "tzdata"}
# Packages that each command may load, besides the standard library and flowlord itself. redis, httpx, starlette,
# pydantic, sqlite_utils, obstore and rich.console in a pipe are missing on purpose.
MAY_LOAD: dict[str, tuple[list[str], set[str]]] = {
    "--version": (["--version"], set()),
    "version": (["version"], TYPER),
    "--help": (["--help"], set()),
    "validate": (["validate", "one.toml"], TYPER | DATA),
    "config": (["config"], TYPER | DATA),
    "next": (["next", "one.toml", "-n", "1"], TYPER | READS),
    "graph": (["graph", "one.toml"], TYPER | READS),
    "schema": (["schema", "catchup"], TYPER | READS),
    "help": (["help", "time"], TYPER | READS),
    "tasks": (["tasks"], READS),
    "topics": (["topics"], READS),
    "workers": (["workers"], READS),
    "doctor": (["doctor"], READS),
    "files": (["files"], READS),
    "alerts": (["alerts"], READS),
    "gaps": (["gaps"], READS),
    "recap": (["recap"], READS),
    "quarantine": (["quarantine"], READS),
    "cache": (["cache", "status"], READS),
}
# Rooms of ours that an offline command does not need.
NOT_OURS: dict[str, set[str]] = {
    "--version": {"model", "rules", "spec", "decide", "bus", "cache", "worker", "taskmaster", "config"},
    "version": {"rules", "spec", "decide", "bus", "cache", "worker", "taskmaster"},
    "--help": {"model", "rules", "spec", "decide", "bus", "cache", "worker", "taskmaster", "config"},
    "validate": {"decide", "bus", "cache", "worker", "taskmaster"},
    "config": {"rules", "spec", "decide", "bus", "cache", "worker", "taskmaster"},
    "next": {"cache", "worker", "taskmaster"},
    "graph": {"decide", "bus", "cache", "worker", "taskmaster"},
    "schema": {"decide", "bus", "cache", "worker", "taskmaster"},
    "help": {"rules", "spec", "decide", "bus", "cache", "worker", "taskmaster", "config"},
    "tasks": {"spec", "decide", "worker", "taskmaster"},
    "topics": {"spec", "decide", "worker", "taskmaster"},
    "workers": {"spec", "decide", "worker", "taskmaster"},
    "doctor": {"rules", "spec", "decide", "worker", "taskmaster"},
    "files": {"spec", "decide", "worker", "taskmaster"},
    "alerts": {"spec", "worker"},
    "gaps": {"worker", "taskmaster"},
    "recap": {"spec", "decide", "worker", "taskmaster"},
    "quarantine": {"rules", "spec", "decide", "worker", "taskmaster"},
    "cache": {"spec", "decide", "worker", "taskmaster"},
}
# Of the standard library: 51, 30 and 25 ms.
HEAVY = {"asyncio", "ssl", "http.client", "multiprocessing", "concurrent.futures", "unittest", "xml.etree"}
NOT_AT_NIGHT = {"dataclasses", "pathlib", "urllib.parse", "json", "logging", "platform", "typer"}
"""What an answer out of the history can do without: 28 ms together."""
NOT_TO_ASK = NOT_AT_NIGHT | {"hashlib", "inspect", "signal", "encodings.idna", "msgspec.inspect"}
"""What one of a bus can do without, too: 20 ms more."""
LINE = re.compile(r"import time:\s*\d+ \|\s*\d+ \|\s*(\S+)")


def loaded(arguments: list[str], where: Path) -> set[str]:
    """Run Python with `arguments` in `where`; return the names of all modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=where,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "COVERAGE_PROCESS_START": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 0, "\n".join(said)
    return set(LINE.findall(done.stderr))


def outside(names: set[str]) -> set[str]:
    """The top packages among `names` that neither Python nor flowlord brings."""
    top = {name.partition(".")[0] for name in names}
    # `org`: the standard library's copy asks whether it runs on the JVM. `_sysconfigdata_...` is its own too, named
    # after the machine; zoneinfo reads its search path there.
    known = {"flowlord", "org", *(name for name in top if name.startswith("_sysconfigdata_"))}
    known |= {
        name for name in top if name.endswith("__mypyc")
    }  # the compiled part of tomli, named by a digest
    return top - sys.stdlib_module_names - known


def strayed(command: str, names: set[str]) -> list[str]:
    """What `command` loaded and should not have."""
    packages = outside(names) - MAY_LOAD[command][1]
    rooms = {f"flowlord.{room}" for room in NOT_OURS[command]} & names
    heavy = names & HEAVY
    return sorted(packages | rooms | heavy)


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """What an interpreter of this environment loads by itself."""
    return loaded(["-c", "pass"], tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="session")
def known(tmp_path_factory):
    """The commands that `flowlord --help` lists, and the two flags that answer for themselves."""
    if not (PACKAGE / "cli" / "main.py").exists():
        return set()
    done = subprocess.run(
        [sys.executable, "-m", "flowlord", "--help"],
        cwd=tmp_path_factory.mktemp("help"), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return {"--help", "--version"} | set(re.findall(r"(?m)^  ([a-z]+)\b", done.stdout))


def test_every_command_of_the_table_exists(known):
    if not known:
        pytest.skip("no command line yet")
    assert set(MAY_LOAD) <= known


@pytest.mark.parametrize("command", MAY_LOAD)
def test_a_command_loads_only_what_it_needs(command, bare, known, tmp_path):
    if command not in known:
        pytest.skip("no such command yet")
    (tmp_path / "one.toml").write_text(WORKFLOW)
    names = loaded(["-m", "flowlord", *MAY_LOAD[command][0]], tmp_path) - bare
    assert any(name.startswith("flowlord") for name in names)
    assert strayed(command, names) == []


@pytest.mark.parametrize("words", [["tasks"], ["tasks", "--failed"], ["task", "@last"]], ids=" ".join)
def test_what_is_asked_of_the_history_at_night_is_answered_without_slow_modules(words, bare, tmp_path):
    (tmp_path / ".flowlord").mkdir()
    historian = Historian(tmp_path / ".flowlord" / "tasks.db", SystemClock())
    fact = Fact(FactKind.PUBLISHED, key="k", topic="load", task=Task(type="load", info=""))
    historian.follow([JournalEntry(1, 1, "t", "c", (fact,))])
    historian.close()
    names = loaded(["-m", "flowlord", *words], tmp_path) - bare
    assert "flowlord.cache.queries" in names
    assert not names & NOT_AT_NIGHT
    assert (
        "inspect" not in names
    )  # which typing_extensions brings, unless msgspec is told that it is not there


@pytest.mark.parametrize("where", ["a file", "a server"])
def test_a_history_that_has_everything_is_not_compared_with_its_bus_by_opening_that(where, bare, tmp_path):
    (tmp_path / ".flowlord").mkdir()
    is_file = where == "a file"
    address = f"sqlite:///{tmp_path}/.flowlord/bus.db" if is_file else shared_server().url
    namespace = NAMESPACE if is_file else fresh_namespace()
    bus = open_bus(address, by="t", namespace=namespace)
    bus.publish([Message("load", Task(type="load", info=""), key="k")])
    historian = Historian(tmp_path / ".flowlord" / "tasks.db", SystemClock())
    historian.attach(bus.generation())
    historian.follow(bus.journal(0, 10))
    historian.close()
    bus.close()
    words = ["tasks", "--failed", "--bus", address, "--namespace", namespace, "--cache", ".flowlord/tasks.db"]
    names = loaded(["-m", "flowlord", *words], tmp_path) - bare
    if not is_file:
        drop_namespace(namespace, [shared_server()])
    assert "flowlord.bus.ends" in names
    assert names & {"flowlord.bus.sqlite", "flowlord.bus.redis", "flowlord.cache.fold", *NOT_TO_ASK} == set()


@pytest.mark.parametrize("module", sorted(set(COMMANDS.values())))
def test_a_command_loads_the_flags_of_its_own_module_and_builds_none_but_its_own(module):
    word = next(word for word, where in COMMANDS.items() if where == module)
    asked = (
        "import sys, typer\n"
        "from flowlord.cli.program import program\n"
        f"print(*typer.main.get_command(program({word!r})).commands)\n"
        "print(*(name for name in sys.modules if name.startswith('flowlord.cli.')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    built, names = done.stdout.splitlines()
    assert built == word
    assert {f"flowlord.cli.{other}" for other in COMMANDS.values()} & set(names.split()) == {
        f"flowlord.cli.{module}"
    }


@pytest.mark.parametrize("command", ["topics", "tasks", "workers"])
def test_a_command_that_asks_redis_loads_the_parser_of_its_replies_and_no_more(command, bare, tmp_path):
    url, namespace = shared_server().url, fresh_namespace()
    open_bus(url, by="t", namespace=namespace).close()
    words = ["-m", "flowlord", command, "--bus", url, "--namespace", namespace]
    names = loaded(words, tmp_path) - bare
    drop_namespace(namespace, [shared_server()])
    assert "hiredis" in names
    assert outside(names) - READS == {"hiredis"}
    assert names & {*HEAVY, *(NOT_TO_ASK if command == "topics" else ())} == set()


ENDING = """
import atexit, sys, threading
class Part:
    def __del__(self): print("taken apart", flush=True)
part = Part()
atexit.register(print, "told at the end")
if "threads" in sys.argv[1]: threading.Thread(target=threading.Event().wait, daemon=True).start()
sys.argv = ["flowlord", *sys.argv[2:]]
from flowlord.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("how", "words", "code", "taken_apart"),
    [
        ("alone", ["tasks", "-o", "json"], 0, False),
        ("alone", ["task", "nobody", "-o", "json"], 5, False),
        ("with threads", ["tasks", "-o", "json"], 0, True),
        ("alone", ["tasks", "--help"], 0, True),
    ],
)
def test_a_short_command_ends_without_taking_apart_what_it_loaded(how, words, code, taken_apart, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ENDING, how, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env=os.environ | {"COVERAGE_PROCESS_START": ""}, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "told at the end" in done.stdout
    assert ("taken apart" in done.stdout) is taken_apart
    assert words != ["tasks", "-o", "json"] or done.stdout.startswith("[]")


def test_a_stray_import_is_found(bare, tmp_path):
    names = loaded(["-c", "import redis, asyncio, flowlord.model.task"], tmp_path) - bare
    assert {"asyncio", "redis", "flowlord.model"} <= set(strayed("--version", names))


def test_the_cap_on_typer_holds():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.search(r'"typer>=[\d.]+,<0\.29"', text)
    for lock in (ROOT / "requirements").glob("*.lock"):
        assert re.search(r"^typer==0\.2[678]\.", lock.read_text("utf-8"), re.MULTILINE), lock.name


def test_no_module_of_the_command_line_imports_at_its_head_what_only_a_body_needs():
    heads = {
        f"{file.name}: {line.strip()}"
        for file in sorted((PACKAGE / "cli").rglob("*.py"))
        for line in file.read_text("utf-8").splitlines()
        if re.match(r"(from|import) (redis|httpx|starlette|uvicorn|sqlite_utils|rich|yaml|asyncio)\b", line)
    }
    assert heads == set()
