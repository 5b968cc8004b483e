"""Mutated examples give a problem or a pass: two hundred thousand for each parser here, `make fuzz` a million each.

These begin with small examples, the ways of writing a phase and rules of two options, of which many can be tried in
the time that CI has. `make fuzz` begins with whole files.

Each part tries the same inputs every time: what fails here came with a change. `make fuzz` finds new ones.
"""

import pytest

from fuzz.fuzz import fuzz, targets

COUNT = 200_000
PARTS = 2


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", targets())
def test_mutated_examples_give_a_problem_or_a_pass(name, part):
    fuzz(name, COUNT // PARTS, seed=part, small=True)
