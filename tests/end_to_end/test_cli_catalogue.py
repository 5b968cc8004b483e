"""Every command with `-o` where nothing is: data on stdout or nothing, words on stderr, no escape codes."""

import json

import pytest

from flowlord.cli.catalogue import COMMANDS
from flowlord.cli.program import part_of
from support.forks import FORKS
from support.processes import flowlord

# What a command needs to have an answer at all.
WORDS = {
    "task": ["@last"],
    "validate": ["."],
    "next": ["."],
    "graph": ["."],
    "backload": ["list"],
    "retry": ["--failed"],
    "cancel": ["--waiting"],
    "reload": ["--no-wait"],
}
ANSWERS = {0, 1, 2, 3, 5, 6}


def with_output(word: str) -> bool:
    """Whether a command has the flag `-o`."""
    part = part_of(COMMANDS[word])
    found = [one.callback for one in part.registered_commands if (one.name or one.callback.__name__) == word]
    found += [
        one.typer_instance.registered_callback.callback
        for one in part.registered_groups
        if one.name == word and one.typer_instance.registered_callback
    ]
    return any("output" in (each.__annotations__ or {}) for each in found)


READING = [word for word in COMMANDS if word not in ("run", "worker", "init") and with_output(word)]


def test_the_commands_that_read_are_found():
    assert {"tasks", "task", "topics", "quarantine", "retry", "cancel", "workers", "files"} <= set(READING)


@pytest.mark.parametrize("word", READING)
def test_in_an_empty_folder_a_command_answers_in_json_or_says_why_not(word, tmp_path, monkeypatch):
    monkeypatch.setenv(FORKS, "no")  # started as a user does, once each: what it lacks nobody else has loaded
    found = flowlord(word, *WORDS.get(word, []), "-o", "json", cwd=tmp_path)
    assert found.code in ANSWERS, found.err
    assert "\x1b" not in found.out + found.err
    assert "Traceback" not in found.err
    if found.code in (0, 1) and found.out:
        json.loads(found.out)
    else:
        assert found.out == ""
        assert found.err


@pytest.mark.parametrize("words", [("tasks",), ("task",), ("retry", "--dry-run"), ("cancel", "--dry-run")])
def test_texts_that_mean_something_elsewhere_are_only_texts(words, tmp_path):
    for text in ("'; DROP TABLE tasks; --", "%", "\x1b[2J\x1b]0;owned\x07", "-"):
        more = (text,) if words[0] == "task" else ("--topic", text, "--info", text, "--error", text)
        found = flowlord(*words, *more, "-o", "json", cwd=tmp_path)
        assert found.code in (0, 2, 5), found.err
        assert "\x1b" not in found.out + found.err
        assert "Traceback" not in found.err
