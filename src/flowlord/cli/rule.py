"""`flowlord rule`: what a code means, why it is told, and an example of each side."""

from __future__ import annotations

from collections.abc import Sequence

from flowlord.cli import printer
from flowlord.cli.exits import DONE, NO_SUCH_THING, WRONG_USE
from flowlord.cli.texts import json_text
from flowlord.spec.codes import CODES, SAFE
from flowlord.spec.near import nearest

OUTPUTS = ("text", "json", "jsonl", "name")
FIXES = {
    "": "by hand",
    SAFE: "flowlord validate --fix, where it is clear what was meant",
    "unsafe": "flowlord validate --fix --unsafe-fixes, which changes what the file does",
}


def run(codes: Sequence[str], output: str = "") -> int:
    """Explain some codes, or list all when none is named; returns the exit code."""
    output = output or "text"
    if output not in OUTPUTS:
        printer.error(f"-o {output!r} is no form of output", hint=f"write one of {', '.join(OUTPUTS)}")
        return WRONG_USE
    chosen = [code.upper() for code in codes]
    for code in chosen:
        if code not in CODES:
            like = nearest(code, CODES)
            hint = f"did you mean {like} ({CODES[like].title})?" if like else "flowlord rule lists them"
            printer.error(f"there is no code {code}", hint=hint)
            return NO_SUCH_THING
    match output:
        case "json":
            found = [record(code) for code in chosen or CODES]
            printer.document(found[0] if len(chosen) == 1 else found)
        case "jsonl":
            printer.lines(json_text(record(code)) for code in chosen or CODES)
        case "name":
            printer.lines(chosen or CODES)
        case _ if chosen:
            printer.lines("\n\n".join("\n".join(explained(code)) for code in chosen).split("\n"))
        case _:
            marks = {"": "", SAFE: "  fixable", "unsafe": "  fixable, unsafe"}
            printer.lines(
                f"{code}  {kind.severity:<7}  {kind.title}{marks[kind.fix]}" for code, kind in CODES.items()
            )
    return DONE


def record(code: str) -> dict[str, object]:
    """Return a page as a JSON object."""
    from flowlord.spec.pages import page

    kind, told = CODES[code], page(code)
    return {
        "code": code,
        "title": kind.title,
        "severity": str(kind.severity),
        "fixable": kind.fix or None,
        "why": told.why,
        "bad": told.bad.shown or told.bad.text,
        "good": told.good.shown or told.good.text,
    }


def explained(code: str) -> list[str]:
    """Return a page as lines for people."""
    from textwrap import wrap

    from flowlord.spec.pages import page

    kind, told = CODES[code], page(code)
    return [
        f"{code} {kind.severity}: {kind.title}",
        "",
        *wrap(told.why, 100),
        "",
        "bad:",
        *_example(told.bad.lines(), told.bad.beside),
        "",
        "good:",
        *_example((told.good.shown or told.good.text).rstrip("\n").split("\n"), told.good.beside),
        "",
        f"mended: {FIXES[kind.fix]}",
    ]


def _example(lines: Sequence[str], beside: Sequence[tuple[str, str]]) -> list[str]:
    shown = [f"    {printer.printable(line)}" for line in lines]
    for name, text in beside:
        shown += [f"    # {name}:", *(f"    {line}" for line in text.rstrip("\n").split("\n"))]
    return shown
