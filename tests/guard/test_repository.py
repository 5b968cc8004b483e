"""What a reader of the repository may rely on: no addresses of one machine, small modules, a truthful front page."""

import ast
import re
import subprocess
import tomllib

import pytest

from guard.source import PACKAGE, ROOT, modules

LONGEST_MODULE = 400
# Put together here, so that this file does not hold what it looks for.
REGISTRIES = ["pypi." + "org", "pythonhosted." + "org", "npmjs" + ".", "deb." + "debian", "proxy." + "golang"]
MACHINE_PATHS = [f"/{name}/" for name in ("work", "root", "opt/pypi")]
ADDRESSES = re.compile(
    "|".join([re.escape(name) for name in REGISTRIES] + [r"(?<![\w.}])" + path for path in MACHINE_PATHS]),
    re.IGNORECASE,
)


def tracked() -> list[str]:
    """Paths of what git tracks or would track; of everything when this is no clone."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if listed.returncode == 0:
        return sorted(path for path in set(listed.stdout.splitlines()) if (ROOT / path).is_file())
    return sorted(
        file.relative_to(ROOT).as_posix()
        for file in ROOT.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(ROOT).parts[:-1])
    )


def addresses(text: str) -> list[str]:
    """Every line of `text` that names a registry or a path of one machine."""
    return [line.strip()[:120] for line in text.splitlines() if ADDRESSES.search(line)]


def test_no_file_names_a_registry_or_a_path_of_one_machine():
    found = {}
    for path in tracked():
        try:
            text = (ROOT / path).read_text("utf-8")
        except UnicodeDecodeError:
            continue  # an image, a packed example
        if told := addresses(text):
            found[path] = told
    assert found == {}


@pytest.mark.parametrize(
    "text", [f"see https://{REGISTRIES[0]}/simple", f"cd {MACHINE_PATHS[0]}main", f"x={MACHINE_PATHS[1]}.x"]
)
def test_an_address_is_found(text):
    assert addresses(f"a\n{text}\nb") == [text]


def test_what_is_tracked_is_meant_to_be():
    paths = tracked()
    assert {"pyproject.toml", "README.md", "src/flowlord/__init__.py"} <= set(paths)
    unwanted = re.compile(
        r"(^|/)(\.venv|\.flowlord|__pycache__|\.hypothesis)/|\.(pyc|db|db-wal|db-shm)$|^uv\.lock$"
    )
    assert [path for path in paths if unwanted.search(path)] == []


def test_every_lock_pins_with_hashes_and_holds_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = {re.split(r"[\[<>=! ]", need)[0] for need in project["dependencies"]}
    locks = sorted((ROOT / "requirements").glob("*.lock"))
    assert [lock.name for lock in locks] == ["all.lock", "dev.lock", "run.lock"]
    pins: dict[str, set[str]] = {}
    for lock in locks:
        entries = re.split(r"(?m)^(?=[a-z0-9])", lock.read_text("utf-8"))[1:]
        assert entries
        for entry in entries:
            assert "--hash=sha256:" in entry, f"{lock.name}: {entry.splitlines()[0]}"
            pins.setdefault(lock.name, set()).add(entry.split(" ", 1)[0])
        assert asked <= {entry.partition("==")[0] for entry in entries}, lock.name
    assert pins["run.lock"] < pins["dev.lock"] < pins["all.lock"]


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.path)
def test_a_module_says_what_lives_in_it_and_stays_short(module):
    lines = module.text.count("\n")
    assert lines <= LONGEST_MODULE, f"{lines} lines: which two things are in here?"
    assert ast.get_docstring(module.tree), "the first line says what lives here"
    words = set(module.parts)
    assert not words & {"utils", "helpers", "common", "manager", "misc"}, "name it by what it does"


def test_the_package_is_typed_and_says_its_version():
    assert (PACKAGE / "py.typed").is_file()
    version = re.search(r'^__version__ = "(.+)"$', (PACKAGE / "__init__.py").read_text("utf-8"), re.MULTILINE)
    assert version
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", version[1])


def test_the_changelog_has_unreleased_on_top():
    heads = re.findall(r"(?m)^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert heads[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", head) for head in heads[1:])


def test_make_alone_lists_every_target_that_the_texts_name():
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    listed = set(re.findall(r"(?m)^ +make ([a-z-]+) +\S", done.stdout))
    assert {"run", "test", "check", "check-all", "kill", "bench", "full", "lock", "clean"} <= listed
    for text in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:`|(?m:^))make ([a-z][a-z-]*)", (ROOT / text).read_text("utf-8")))
        assert named, text
        assert named <= listed, text


def test_every_link_of_the_texts_leads_to_a_file():
    pages = [ROOT / path for path in tracked() if path.endswith(".md")]
    assert pages
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
        if not re.match(r"[a-z]+:", link) and not (page.parent / link).exists()
    ]
    assert broken == []


def test_every_test_that_the_page_of_hazards_names_is_there():
    page = (ROOT / "docs" / "hazards.md").read_text("utf-8")
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 50
    assert named - there == set()
    assert [
        path for path in re.findall(r"`((?:tests|bench)/[\w/.]+)`", page) if not (ROOT / path).exists()
    ] == []
