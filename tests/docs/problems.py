"""The page of all codes, docs/problems.md, made from the pages that `flowlord rule` shows.

python tests/docs/problems.py      writes it anew
"""

from collections.abc import Iterator
from pathlib import Path

from flowlord.spec.codes import CODES, SAFE
from flowlord.spec.pages import Example, pages

PAGE = Path(__file__).resolve().parents[2] / "docs" / "problems.md"
BEGIN = "<!-- made from src/flowlord/spec/pages by tests/docs/problems.py; change those, then run it -->"
FIXES = {"": "", SAFE: "fixable", "unsafe": "fixable, unsafe"}
SECTIONS = {
    "FL00": "The file",
    "FL01": "Phases",
    "FL02": "Rules",
    "FL03": "Schedules",
    "FL04": "Templates",
    "FL05": "Durations",
    "FL06": "Batches",
    "FL07": "Files, alerts",
    "FL08": "Words",
    "FL09": "Ignore comments",
    "FL10": "Chains",
    "FL20": "Configuration",
}


def written() -> str:
    """The generated part of the page."""
    return "\n".join(lines()) + "\n"


def lines() -> Iterator[str]:
    yield "| code | severity | problem | |"
    yield "|---|---|---|---|"
    for code, kind in CODES.items():
        yield f"| [{code}](#{code.lower()}) | {kind.severity} | {kind.title} | {FIXES[kind.fix]} |"
    section = ""
    for code, told in pages().items():
        if SECTIONS[code[:4]] != section:
            section = SECTIONS[code[:4]]
            yield ""
            yield f"## {section}"
        kind = CODES[code]
        yield ""
        yield f"### {code}"
        yield ""
        fix = f", {FIXES[kind.fix]}" if kind.fix else ""
        yield f"**{kind.title[:1].upper()}{kind.title[1:]}** ({kind.severity}{fix}). {told.why}"
        yield ""
        yield "Bad:"
        yield ""
        yield from block("text", told.bad.lines(), told.bad)
        yield ""
        yield "Good:"
        yield ""
        language = "text" if told.good.shown else "yaml" if told.good.name.endswith("yaml") else "toml"
        yield from block(language, (told.good.shown or told.good.text).rstrip("\n").split("\n"), told.good)


def block(language: str, shown: list[str], example: Example) -> Iterator[str]:
    yield f"```{language}"
    yield from shown
    for name, text in example.beside:
        yield f"# {name}:"
        yield from (f"# {line}" for line in text.rstrip("\n").split("\n"))
    yield "```"


if __name__ == "__main__":
    head, mark, _ = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(head + (mark or BEGIN) + "\n\n" + written(), "utf-8")
