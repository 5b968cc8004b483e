"""An answer to "why": sentences, what will happen by itself, and what to type; and how it is printed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flowlord.cli import printer
from flowlord.cli.printer import Look
from flowlord.cli.texts import printable
from flowlord.cli.times import iso

FIELDS = ("at", "kind", "text")


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence; `at_us` when that was, 0 for how things are now. `kind` is a word for machines."""

    text: str
    kind: str = "is"
    at_us: int = 0


@dataclass(slots=True)
class Answer:
    """What is told: `head` in a word or two, the sentences, what happens by itself, and commands to paste."""

    head: str
    said: list[Said] = field(default_factory=list)
    then: str = ""
    commands: list[str] = field(default_factory=list)

    def add(self, text: str, kind: str = "is", at_us: int = 0) -> None:
        """Say one more."""
        self.said.append(Said(text, kind, at_us))

    def also(self, other: Answer, indent: str = "") -> None:
        """Say what another answer says, below its head."""
        self.said.append(Said(f"{indent}{other.head}", "about"))
        self.said += [Said(f"{indent}  {each.text}", each.kind, each.at_us) for each in other.said]
        self.then = self.then or other.then
        self.commands += [each for each in other.commands if each not in self.commands]


def show(answer: Answer, what: str, look: Look) -> None:
    """Print an answer in the form that is asked for."""
    form = look.form or "table"
    if form == "table":
        printer.lines(_page(answer))
    elif form == "json":
        printer.document(
            {
                "what": what,
                "answer": answer.head,
                "said": [_record(each) for each in answer.said],
                "then": answer.then,
                "commands": answer.commands,
            }
        )
    else:
        printer.rows([_record(each) for each in answer.said], FIELDS, name="text", look=look)


def _record(each: Said) -> dict[str, object]:
    return {"at": iso(each.at_us) or None, "kind": each.kind, "text": each.text.strip()}


def _page(answer: Answer) -> Iterator[str]:
    yield printable(answer.head)
    for each in answer.said:
        when = f"{iso(each.at_us)[:19]}Z  " if each.at_us else ""
        yield printable(f"  {when}{each.text}")
    if answer.then:
        yield printable(answer.then)
    for command in answer.commands:
        if printable(command) == command:  # what would not survive being pasted is not offered
            yield f"  {command}"
