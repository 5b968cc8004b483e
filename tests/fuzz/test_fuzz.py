"""Mutated examples give a problem or a pass; `make fuzz` tries a million for each parser, this what CI has time for.

Two hundred thousand inputs for each parser of a text, a rule among them, take under a minute of one core. A whole file
takes a fifth of a millisecond: of these there are fewer.
"""

import pytest

from fuzz.fuzz import fuzz, targets

COUNT = 200_000
FEWER = {"toml": 30_000, "yaml": 30_000}
PARTS = (
    4  # each tries the same inputs every time: what fails here came with a change. `make fuzz` finds new ones
)


def test_every_parser_is_tried():
    assert set(FEWER) < set(targets())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", targets())
def test_mutated_examples_give_a_problem_or_a_pass(name, part):
    fuzz(name, FEWER.get(name, COUNT) // PARTS, seed=part)
