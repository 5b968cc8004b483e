"""Mutated examples give a problem or a pass: two hundred thousand for each parser here, a million by `make fuzz`.

Here they are made of small examples, single phases and rules of two options, so that all of them together take less
than a minute of one core. `make fuzz` begins with whole files.
"""

import pytest

from fuzz.fuzz import fuzz, targets

COUNT = 200_000
PARTS = (
    4  # each tries the same inputs every time: what fails here came with a change. `make fuzz` finds new ones
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", targets())
def test_mutated_examples_give_a_problem_or_a_pass(name, part):
    fuzz(name, COUNT // PARTS, seed=part, small=True)
