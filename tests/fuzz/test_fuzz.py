"""Mutated examples give a problem or a pass; `make fuzz` tries a million for each parser, this what CI has time for."""

import random

import pytest

from fuzz.fuzz import fuzz, targets

# The readers of whole files take about 0.25 ms for an input, so fewer of theirs fit.
COUNTS = {"toml": 5_000, "yaml": 5_000, "rule": 10_000}


def test_every_parser_is_tried():
    assert set(COUNTS) < set(targets())


@pytest.mark.parametrize("seed", ["the same", "a new one"])
@pytest.mark.parametrize("name", targets())
def test_mutated_examples_give_a_problem_or_a_pass(name, seed):
    number = 1 if seed == "the same" else random.SystemRandom().randrange(2**32)
    fuzz(name, COUNTS.get(name, 20_000), number)  # says the seed when it fails
