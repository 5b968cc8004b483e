"""Clock, chance and the outside world come in through a few doors only, so that every test may hold them."""

import ast
import re

import pytest

from guard.source import ROOT, Module, modules, plant

# Where the real thing is called, and what it may call there. A new line here is a decision, not a formality.
CLOCK = r"time\.|datetime\.datetime\.(now|utcnow|today)$|datetime\.date\.today$"
CHANCE = r"random\.|secrets\.|os\.urandom$|uuid\.(uuid1|uuid4)$"
DOORS: dict[str, str] = {
    "bus/clock.py": f"{CLOCK}|{CHANCE}",
    "cli/clock.py": CLOCK,
    "taskmaster/chance.py": CHANCE,
    "taskmaster/clock.py": f"{CLOCK}|{CHANCE}",
}
# Reading a given instant is no look at the clock.
HARMLESS = r"time\.(strftime|strptime|gmtime|struct_time|get_clock_info|tzset|tzname|CLOCK_[A-Z_]+)$"
GUARDED = re.compile(f"({CLOCK}|{CHANCE})")
# Only a module with such a line can use them; the others need not be taken apart.
IMPORTS_THEM = re.compile(r"\b(import|from)\b.*\b(time|datetime|random|secrets|os|uuid)\b")

PURE = {"model", "rules", "spec", "decide"}
# The doors of the pure rooms: workflow files are read here, and the names of time zones.
READS_FILES = {"spec/disk.py", "rules/zonefiles.py"}
OUTSIDE = re.compile(
    r"(asyncio|fcntl|glob|http|httpx|logging|multiprocessing|os|redis|select|selectors|shutil|signal|socket"
    r"|sqlite3|subprocess|sys|tempfile|threading|urllib\.request|watchdog)(\.|$)|builtins\.(open|print|input)$"
)
# Parts of those that only look at values.
INSIDE = re.compile(
    r"os\.path\.(basename|dirname|join|split|splitext|normpath|sep)$|os\.(PathLike|fspath|sep)$"
)
ON_PATHS = {
    "exists", "is_dir", "is_file", "iterdir", "mkdir", "read_bytes", "read_text",
    "rglob", "touch", "unlink", "write_bytes", "write_text",
}  # fmt: skip


def looks_at_clock_or_chance(found: list[Module]) -> list[str]:
    """Tell every use of the real clock or of real chance outside of its door."""
    return [
        f"{module.path}:{line}: {name}"
        for module in found
        if IMPORTS_THEM.search(module.text)
        for line, name in module.uses()
        if GUARDED.match(name)
        and not re.match(HARMLESS, name)
        and not re.match(DOORS.get(module.path, r"(?!)"), name)
    ]


def reaches_outside(found: list[Module]) -> list[str]:
    """Tell every import or call in a pure room that could read or change the world."""
    told: list[str] = []
    for module in found:
        if module.room not in PURE or module.path in READS_FILES:
            continue
        told += [
            f"{module.path}:{line}: {name}"
            for line, name in module.uses()
            if OUTSIDE.match(name) and not INSIDE.match(name)
        ]
        told += [
            f"{module.path}:{line}: .{name}()" for line, name in module.calls_of_methods() if name in ON_PATHS
        ]
    return told


def test_clock_and_chance_have_their_doors():
    assert looks_at_clock_or_chance(modules()) == []


def test_every_door_is_used():
    doors = [module for module in modules() if module.path in DOORS]
    assert doors
    for module in doors:
        assert any(re.match(DOORS[module.path], name) for _, name in module.uses()), (
            f"{module.path} needs no door"
        )


def test_the_pure_rooms_touch_nothing_outside():
    assert reaches_outside(modules()) == []


CHEATS = {
    "plain": "import time\nx = time.time()",
    "renamed module": "import time as t\nx = t.monotonic()",
    "renamed function": "from time import sleep as rest\nrest(1)",
    "inside a function": "def f():\n    import time\n    return time.time_ns()",
    "handed on, not called": "import time\ndef f(clock=time.monotonic): ...",
    "now": "from datetime import datetime, UTC\nx = datetime.now(UTC)",
    "now by its module": "import datetime as dt\nx = dt.datetime.now()",
    "today": "from datetime import date\nx = date.today()",
    "chance": "import random\nx = random.random()",
    "chance by a class": "from random import Random\nx = Random()",
    "urandom": "from os import urandom\nx = urandom(8)",
    "uuid4": "import uuid\nx = uuid.uuid4()",
    "secrets": "import secrets\nx = secrets.token_hex()",
}


@pytest.mark.parametrize("text", CHEATS.values(), ids=CHEATS)
def test_a_look_at_clock_or_chance_is_found(tmp_path, text):
    assert len(looks_at_clock_or_chance(plant(tmp_path, {"worker/claim.py": text}))) == 1


HONEST = {
    "an instant made from parts": "from datetime import datetime, UTC\nx = datetime(2026, 1, 1, tzinfo=UTC)",
    "an instant read": "from datetime import datetime\nx = datetime.fromisoformat('2026-01-01')",
    "a name of one's own": "def f(time):\n    return time.time()",
    "a derived id": "import uuid\nx = uuid.uuid5(uuid.NAMESPACE_URL, 'a')",
    "the type": "from datetime import datetime, time\ndef f(x: datetime) -> datetime: return x",
}


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST)
def test_what_only_computes_is_left_alone(tmp_path, text):
    assert looks_at_clock_or_chance(plant(tmp_path, {"worker/claim.py": text})) == []


REACHING = {
    "a file opened": ("rules/batch.py", "def f(p):\n    return open(p)"),
    "a file read": ("spec/check.py", "from pathlib import Path\ndef f(p: Path):\n    return p.read_text()"),
    "the environment": ("decide/tick.py", "import os\nx = os.environ['HOME']"),
    "a process": ("decide/tick.py", "import subprocess\nsubprocess.run([])"),
    "a socket": ("rules/cron.py", "from socket import gethostname\nx = gethostname()"),
    "a log line": ("decide/done.py", "import logging\nlog = logging.getLogger()"),
    "a print": ("model/task.py", "print('here')"),
}


@pytest.mark.parametrize(("path", "text"), REACHING.values(), ids=REACHING)
def test_a_pure_room_that_reaches_out_is_found(tmp_path, path, text):
    assert reaches_outside(plant(tmp_path, {path: text}))


def test_the_same_is_fine_in_other_rooms_and_in_the_reader_of_files(tmp_path):
    text = "from pathlib import Path\ndef f(p: Path):\n    return p.read_text()"
    assert reaches_outside(plant(tmp_path, {"worker/run.py": text, "spec/disk.py": text})) == []


# --- SQLite ----------------------------------------------------------------------------------------------------
# A deferred BEGIN that turns into a write fails at once with BUSY_SNAPSHOT, whatever the time-out; Python's implicit
# transactions block all writers; executescript commits silently.

READERS_BEGIN: set[str] = set()  # modules that may say a plain BEGIN, to read several tables at one instant
MIGRATIONS = re.compile(r"(bus|cache)/(\w+_)?(schema|migrations)\.py$")
BEGIN = re.compile(
    r"\s*BEGIN(\s+(DEFERRED|IMMEDIATE|EXCLUSIVE|CONCURRENT|TRANSACTION)\b[^;]*)?\s*;?\s*$", re.IGNORECASE
)


def loose_transactions(found: list[Module]) -> list[str]:
    """Tell every BEGIN that is not IMMEDIATE, every implicit transaction, every script outside of migrations."""
    told: list[str] = []
    for module in found:
        if not re.search("begin|connect|executescript", module.text, re.IGNORECASE):
            continue
        for line, text in module.literals():
            plain = text.strip().rstrip(";").upper()
            if not BEGIN.match(text) or plain == "BEGIN IMMEDIATE":
                continue
            if not (plain in {"BEGIN", "BEGIN DEFERRED"} and module.path in READERS_BEGIN):
                told.append(f"{module.path}:{line}: {text.strip()[:40]}")
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            match node.func:
                case ast.Attribute(value=ast.Name(id="sqlite3"), attr="connect"):
                    levels = [k.value for k in node.keywords if k.arg == "isolation_level"]
                    if not (levels and isinstance(levels[0], ast.Constant) and levels[0].value is None):
                        told.append(f"{module.path}:{node.lineno}: connect() without isolation_level=None")
                case ast.Attribute(attr="executescript") if not MIGRATIONS.match(module.path):
                    told.append(f"{module.path}:{node.lineno}: executescript() outside of a schema")
    return told


def test_every_transaction_of_sqlite_says_what_it_is():
    found = modules()
    connecting = {
        module.room
        for module in found
        if "sqlite3" in module.text and any(name == "sqlite3.connect" for _, name in module.uses())
    }
    opening = {module.room for module in found if "sqlite" in module.path and module.room in {"bus", "cache"}}
    assert opening <= connecting, "where is SQLite opened, if not by sqlite3.connect?"
    assert loose_transactions(found) == []


@pytest.mark.parametrize(
    "text",
    [
        "def f(db):\n    db.execute('BEGIN')",
        "def f(db):\n    db.execute('begin exclusive')",
        "import sqlite3\ndb = sqlite3.connect('x')",
        "import sqlite3\ndb = sqlite3.connect('x', isolation_level='IMMEDIATE')",
        "def f(db):\n    db.executescript('DROP TABLE x')",
    ],
)
def test_a_loose_transaction_is_found(tmp_path, text):
    assert len(loose_transactions(plant(tmp_path, {"bus/sqlite.py": text}))) == 1


def test_immediate_transactions_and_triggers_are_left_alone(tmp_path):
    text = (
        "import sqlite3\ndb = sqlite3.connect('x', isolation_level=None)\ndb.execute('BEGIN IMMEDIATE')\n"
        "db.execute('CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; END')"
    )
    assert loose_transactions(plant(tmp_path, {"bus/sqlite.py": text})) == []


# --- Tests -----------------------------------------------------------------------------------------------------


def sleeps(found: list[Module]) -> list[str]:
    """Tell every use of sleep: a test waits for a signal, with a limit."""
    return [
        f"{module.path}:{line}: {name}"
        for module in found
        if "sleep" in module.text
        for line, name in module.uses()
        if name in {"time.sleep", "asyncio.sleep"}
    ]


def test_no_test_sleeps():
    found = modules(ROOT / "tests")
    assert len(found) > 3
    assert sleeps(found) == []


def test_a_sleep_is_found(tmp_path):
    assert sleeps(plant(tmp_path, {"unit/test_x.py": "import time\ndef test_x():\n    time.sleep(0.1)"}))
