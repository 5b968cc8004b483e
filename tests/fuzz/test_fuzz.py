"""Mutated examples give a problem or a pass: what CI has time for. `make full` tries more, `make fuzz` a million each.

Of each parser of a text, a rule among them, two hundred thousand inputs are tried here, in half a minute of one
core. A file takes as long as five of them, even where it is a phase and nothing else; of these there are fewer, and
`make full` makes two hundred thousand of them, too. `make fuzz` begins with whole files.

Each part tries the same inputs every time: what fails here came with a change. `make fuzz` finds new ones.
"""

import pytest

from fuzz.fuzz import fuzz, targets

COUNT = 200_000
OF_FILES = {"toml": 60_000, "yaml": 60_000}
PARTS = 4


def test_every_parser_is_tried():
    assert set(OF_FILES) < set(targets())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", targets())
def test_mutated_examples_give_a_problem_or_a_pass(name, part):
    fuzz(name, OF_FILES.get(name, COUNT) // PARTS, seed=part, small=True)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS, 2 * PARTS))
@pytest.mark.parametrize("name", OF_FILES)
def test_more_mutated_files_give_a_problem_or_a_pass(name, part):
    fuzz(name, (COUNT - OF_FILES[name]) // PARTS, seed=part, small=True)
