"""Hostile input: the answer is a right result or an error that names the parameter.

What is tried, and what counts as right, is in ``fuzz``, which also says how a single
case is run again.
"""

import random

import pytest
from fuzz.judge import pair_cases, run, single_cases
from fuzz.targets import TARGETS

N_CASES = 2_000
"""About so many are tried in the ordinary suite, of all targets alike."""

N_PAIRS = 160
"""So many pairs of bad arguments of every target are tried in the full one."""

N_ALL = sum(len(single_cases(target)) for target in TARGETS.values())


def some_cases(target):
    """Draw cases of a target, always the same ones."""
    cases = single_cases(target)
    n_drawn = -(-len(cases) * N_CASES // N_ALL)
    return random.Random(target.name).sample(cases, n_drawn)


def assert_right(cases):
    verdicts = {str(case): run(case) for case in cases}
    wrong = [f"{case}: {said}" for case, said in verdicts.items() if said is not None]
    assert not wrong, f"{len(wrong)} of {len(cases)} cases:\n" + "\n".join(wrong)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_some_bad_arguments(target):
    assert_right(some_cases(target))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_bad_argument(target):
    assert_right(single_cases(target))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_pairs_of_bad_arguments(target):
    assert_right(pair_cases(target, N_PAIRS))
