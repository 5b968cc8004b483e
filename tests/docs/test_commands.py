"""Every command has help with an example that fits a screen, and a page that says the same."""

import re
import shlex

import pytest

from docs.reference import BEGIN, PAGE, commands, program, told, written
from flowlord.cli.catalogue import COMMANDS, SECTIONS, overview
from flowlord.cli.program import part_of, word_of

ALL = [pytest.param(path, command, id=" ".join(path)) for path, command in commands()]
SCREEN = 50  # lines


def test_the_commands_of_the_first_release_are_there():
    found = {" ".join(path) for path, _ in commands()}
    assert {
        "run",
        "worker",
        "send",
        "tasks",
        "task",
        "topics",
        "topics peek",
        "workers",
        "validate",
        "config",
        "version",
    } <= found


def test_the_overview_lists_every_command_with_the_first_line_of_its_own_help():
    told = {word: text for section in SECTIONS.values() for word, (_, text) in section.items()}
    assert told == {name: command.help.partition("\n")[0] for name, command in program().commands.items()}
    lines = list(overview())
    assert [line.split()[0] for line in lines if line.endswith(tuple(told.values()))] == list(told)
    assert len(lines) <= SCREEN
    assert max(map(len, lines)) <= 110


def test_every_command_of_a_module_is_in_the_catalogue():
    for module in sorted(set(COMMANDS.values())):
        app = part_of(module)
        found = {word_of(one) for one in app.registered_commands}
        found |= {one.name for one in app.registered_groups}
        assert found == {word for word, where in COMMANDS.items() if where == module}


@pytest.mark.parametrize(("path", "command"), ALL)
def test_help_says_what_it_is_for_shows_an_example_and_fits_a_screen(path, command):
    text = told()[" ".join(path)]
    lines = text.splitlines()
    assert len(lines) <= SCREEN, f"{len(lines)} lines"
    assert max(map(len, lines)) <= 110
    assert re.search(rf"(?m)^ +flowlord {' '.join(path)}\b", text), "an example that can be pasted"
    assert "\x1b" not in text
    for option in command.params:
        if option.param_type_name == "option" and not option.hidden:
            assert option.help, f"{option.opts} says nothing"


@pytest.mark.parametrize(("path", "command"), ALL)
def test_the_examples_of_the_help_can_be_parsed(path, command):
    for line in re.findall(r"(?m)^ +(flowlord .+)$", told()[" ".join(path)]):
        parse(line)


def parse(line: str) -> None:
    """Parse a command line as the program would; an unknown command or flag, or a missing argument fails."""
    words = shlex.split(line, comments=True)
    assert words.pop(0) == "flowlord"
    for stop in ("|", ">", "&&", ";", "2>"):
        if stop in words:
            words = words[: words.index(stop)]
    if words[0] in ("--help", "--version", "-h", "-V"):
        return
    command = program()
    context = command.context_class(command, info_name="flowlord")
    while words and words[0] in getattr(command, "commands", {}):
        name = words.pop(0)
        command = command.commands[name]
        context = command.context_class(command, info_name=name, parent=context)
    assert not hasattr(command, "commands") or command.invoke_without_command, f"{line!r}: no such command"
    if hasattr(command, "commands"):
        assert not [word for word in words if not word.startswith("-")], f"{line!r}: no such command"
    if "--help" in words:
        return
    try:
        command.make_context(command.name, list(words), parent=context.parent)
    except Exception as error:
        raise AssertionError(f"{line!r}: {error}") from error


@pytest.mark.timeout(300)  # it makes every help
def test_the_page_says_what_the_help_says():
    _, mark, found = PAGE.read_text("utf-8").partition(BEGIN)
    assert mark
    assert found.strip() == written().strip(), "run: python tests/docs/reference.py"


def test_a_command_line_that_is_wrong_is_found():
    for line in ("flowlord taks", "flowlord tasks --faild", "flowlord send"):
        with pytest.raises(AssertionError):
            parse(line)
