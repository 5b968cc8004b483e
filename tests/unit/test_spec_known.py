"""Files that are read one after another share what was found out about their texts, and answers stay the same."""

from datetime import UTC, datetime

import pytest

from flowlord.spec import known, parse
from flowlord.spec.author.inspect import inspect, reader
from flowlord.spec.pages import pages

NOW = datetime(2026, 11, 27, tzinfo=UTC)
FILES = [each for page in pages().values() for each in (page.good, page.bad)]


def answers(order):
    read = reader(NOW)
    return {each: read(each.text.encode(), each.name, "f") for each in order}


def test_a_file_that_was_read_after_all_others_says_what_it_says_alone():
    alone = {each: inspect(each.text.encode(), each.name, "f", NOW) for each in FILES}
    assert answers(FILES) == answers(FILES[::-1]) == answers(FILES * 2) == alone


def test_loading_many_files_reads_each_as_if_it_were_the_only_one():
    read = parse.reader()
    for each in FILES * 2:
        text = each.text.encode()
        assert read(text, each.name, "f") == parse.parse_file(text, each.name, "f")


def test_what_was_found_out_is_forgotten_when_it_becomes_too_much(monkeypatch):
    monkeypatch.setattr(known, "MOST_TEXTS", 10)
    memory = known.Known()
    for number in range(30):
        text = f'[[phase]]\ntask = "a"\nrule = "cron=@every {number + 1}m&offset={number}h"\n'
        assert inspect(text.encode(), "f.toml", "f", NOW, memory).problems == ()
        assert max(map(len, (memory.durations, memory.schedules, memory.rules))) <= 11


def test_what_could_not_be_read_does_not_keep_its_file_in_memory():
    memory = known.Known()
    inspect(b'[[phase]]\ntask = "a"\nrule = "cron=soon&offset=1x"\n', "f.toml", "f", NOW, memory)
    errors = [*memory.durations.values(), *memory.schedules.values()]
    assert len(errors) == 2
    assert [each.__traceback__ for each in errors] == [None, None]


@pytest.mark.parametrize(
    "text", ["cron=soon", "cron=@daily&offest=1h", "cron=@daily&region=eu", "meta=a:1|b:1,2&cron=@daily"]
)
def test_a_rule_about_which_there_is_something_to_say_is_read_again_for_each_file(text):
    memory = known.Known()
    file = f'[[phase]]\ntask = "a"\nrule = "{text}"\n'.encode()
    first, second = (inspect(file, "f.toml", "f", NOW, memory) for _ in range(2))
    assert first == second
    assert first.problems
    assert memory.rules == {}
