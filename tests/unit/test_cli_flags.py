"""Reading usual words without the command line library: the same values, or none at all."""

from importlib import import_module

import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowlord.cli.catalogue import COMMANDS
from flowlord.cli.flags import Commands, argument, flags_of, option, read
from flowlord.cli.program import program

APPS = {module: import_module(f"flowlord.cli.{module}").app for module in set(COMMANDS.values())}
READING = {word: APPS[module] for word, module in COMMANDS.items() if isinstance(APPS[module], Commands)}
USUAL = {word: app.usual(word, ())[0] for word, app in READING.items()} | {
    f"{word} {below}": body
    for word, app in READING.items()
    for below, body in (app.groups[word].bodies.items() if word in app.groups else ())
}


@pytest.fixture(scope="module")
def library():
    """What the library makes of words behind a command; None when it complains or helps."""
    tree = typer.main.get_command(program())
    top = tree.make_context("flowlord", [], resilient_parsing=True)

    def parse(word, words):
        word, _, below = word.partition(" ")
        command = tree.commands[word].commands[below] if below else tree.commands[word]
        try:
            context = command.make_context(word, list(words), parent=top)
        except BaseException:  # usage errors, and the exit of --help
            return None
        left = [*context._protected_args, *context.args] if hasattr(command, "commands") else []
        return None if left else context.params

    return parse


def words_of(word):
    """Words that are near to what is right for a command."""
    flags = [flag for _, flag in flags_of(USUAL[word]).values() if flag]
    names = [name for flag in flags for name in flag.names]
    texts = st.sampled_from(
        ["a", "", "-", "--", "0", "12", "-3", " 7", "1_0", "x y", "--failed", "-6h", "@last", "ü"]
    )
    one = st.sampled_from([*names, "-h", "--help", "--no-failed", "--nope", "-ojson", "-fo", "peek"])
    glued = st.builds("{}={}".format, st.sampled_from([*names, "--nope"]), texts)
    return st.lists(st.one_of(one, texts, glued, st.builds("{}".format, one)), max_size=6)


@pytest.mark.parametrize("word", USUAL)
def test_what_is_read_without_the_library_is_what_the_library_reads(word, library):
    body = USUAL[word]
    read_at_all = 0

    @settings(max_examples=settings().max_examples // 2)  # for each of fifty commands
    @given(words_of(word))
    @example([])
    @example(["a"])
    @example(["a", "b"])  # chance alone may find none that are right for a command with names
    def same(words):
        nonlocal read_at_all
        values = read(body, words)
        if values is None:
            return
        read_at_all += 1
        expected = library(word, words)
        assert expected is not None, "the library would have complained"
        assert values == {name: listed(expected[name]) for name in values}
        for name in expected.keys() - values.keys():
            default = default_of(body, name)
            assert expected[name] == default or not (
                expected[name] or default
            )  # no words are () there, None here

    same()
    arguments = [flag for _, flag in flags_of(body).values() if flag and not flag.names]
    assert read_at_all or len(arguments) > 1  # which those that are read here never have


def listed(value):
    return list(value) if isinstance(value, tuple) else value


def default_of(body, name):
    names = body.__code__.co_varnames[: body.__code__.co_argcount]
    defaults = dict(zip(reversed(names), reversed(body.__defaults__ or ()), strict=False))
    return defaults.get(name)


def test_a_command_of_a_group_is_found_by_its_second_word_and_the_group_alone_without_one():
    app = READING["topics"]
    body, rest = app.usual("topics", ["peek", "load", "-n", "3"])
    assert (body, rest) == (USUAL["topics peek"], ["load", "-n", "3"])
    assert app.usual("topics", ["-o", "json"]) == (USUAL["topics"], ["-o", "json"])


@pytest.mark.parametrize(
    ("word", "words", "values"),
    [
        ("tasks", [], {}),
        ("tasks", ["--failed", "-o", "json", "--limit=3"], {"failed": True, "output": "json", "limit": 3}),
        ("tasks", ["--since", "-6h"], {"since": "-6h"}),
        ("task", ["@failed", "--bus", "redis://h:6379"], {"what": "@failed", "bus": "redis://h:6379"}),
        ("topics", ["--redis", "h:1"], {"bus": "h:1"}),
        ("doctor", ["redis", "--strict", "clock"], {"parts": ["redis", "clock"], "strict": True}),
    ],
)
def test_usual_words_are_read(word, words, values):
    assert read(USUAL[word], words) == values


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("tasks", ["--help"]),
        ("tasks", ["-ojson"]),
        ("tasks", ["--limit", "many"]),
        ("tasks", ["--limit", "-1"]),
        ("tasks", ["--since"]),
        ("tasks", ["--failed=yes"]),
        ("tasks", ["stray"]),
        ("tasks", ["--", "stray"]),
        ("task", []),
        ("task", ["one", "two"]),
        ("topics", ["peek", "load"]),
    ],
)
def test_what_is_not_usual_is_left_to_the_library(word, words):
    assert read(USUAL[word], words) is None


def test_a_command_with_flags_that_are_counted_is_left_to_the_library():
    from typing import Annotated

    def body(loud: Annotated[int, option("-v", count=True)] = 0) -> None:
        """Count."""

    def two(a: Annotated[str, argument()], b: Annotated[str, argument()]) -> None:
        """Take two."""

    assert read(body, []) is None
    assert read(two, ["a", "b"]) is None
