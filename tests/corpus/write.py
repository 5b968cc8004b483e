"""The corpus: a folder for each code, with a faulty file and what `flowlord validate` says of it in each format.

python tests/corpus/write.py      writes what is expected anew; read the difference before you commit it

A folder of a new code is begun with the bad example of its page; from then on the file in the folder is what counts.
The files of LARGE are made from their pages whenever they are needed.
"""

import io
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

from flowlord import __version__
from flowlord.cli import printer, problems
from flowlord.cli.validate import Wanted, run
from flowlord.config import resolve
from flowlord.model.errors import InvalidConfig
from flowlord.model.problem import Problem
from flowlord.spec.codes import CODES
from flowlord.spec.pages import page

HOME = Path(__file__).parent
NOW = datetime(2026, 11, 27, tzinfo=UTC)
ENDINGS = {
    "text": "txt", "concise": "concise.txt", "json": "json", "jsonl": "jsonl", "sarif": "sarif",
    "github": "github.txt", "gitlab": "gitlab.json", "junit": "junit.xml",
}  # fmt: skip
LARGE = 5_000  # bytes; a larger example is not kept


class _Terminal(io.StringIO):
    """Takes what is printed, as a terminal would, so that lines of source and marks are there."""

    def isatty(self) -> bool:
        return True


def expected(code: str, output: str) -> Path:
    return HOME / code / f"expected.{ENDINGS[output]}"


def sources(code: str) -> dict[str, bytes]:
    """The files of a folder, by name; that of the problem first."""
    name = page(code).bad.name
    kept = {
        file.name: file.read_bytes()
        for file in sorted((HOME / code).iterdir())
        if not file.name.startswith("expected.")
    }
    return {name: kept.pop(name, page(code).bad.text.encode()), **kept}


def answer(code: str, output: str, folder: Path) -> str:
    """What is printed about the files of a code in a format; they are written into `folder`, which is empty."""
    files = sources(code)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    first = next(iter(files))
    out = _Terminal() if output == "text" else io.StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(io.StringIO()):
        if code.startswith("FL20"):
            problems.show(_of_settings(first), output, printer.Look(color="never"))
        else:
            select = (code,) if code == "FL009" else ()  # it is told beside a thousand others
            where = first if first == "flowlord.toml" else "."
            run([where], Wanted(output, select=select), color="never", now=NOW)
    return (
        out.getvalue()
        .replace(__version__.replace(".dev", "-dev."), "VERSION")
        .replace(__version__, "VERSION")
    )


def _of_settings(name: str) -> list[Problem]:
    try:
        return list(resolve({"config": name}).notes)
    except InvalidConfig as error:
        return list(error.problems)


def write() -> None:
    for code in CODES:
        home, bad = HOME / code, page(code).bad
        if not home.is_dir():
            home.mkdir()
            for name, text in ((bad.name, bad.text), *bad.beside):
                if len(text) <= LARGE:
                    (home / name).write_bytes(text.encode())
        for output in ENDINGS:
            with tempfile.TemporaryDirectory() as folder:
                expected(code, output).write_text(answer(code, output, Path(folder)), "utf-8")


if __name__ == "__main__":
    write()
