"""Hostile input: the answer is a right result or an error that names the parameter.

What is tried, and what counts as right, is in ``fuzz``, which also says how a single
case is run again.
"""

import random
import time

import numpy as np
import pytest
from fuzz import judge
from fuzz.judge import Case, pair_cases, run, single_cases
from fuzz.targets import TARGETS, Target

N_CASES = 2_000
"""About so many are tried in the ordinary suite, of all targets alike."""

N_PAIRS = 160
"""So many pairs of bad arguments of every target are tried in the full one."""

N_ALL = sum(len(single_cases(target)) for target in TARGETS.values())


def some_cases(target):
    """Draw cases of a target, always the same ones, and put the good one before."""
    cases = single_cases(target)
    n_drawn = -(-len(cases) * N_CASES // N_ALL)
    drawn = random.Random(target.name).sample(cases, n_drawn)
    return [Case(target, {}), *drawn]


def assert_right(cases):
    faults = {str(case): run(case) for case in cases}
    wrong = [f"{case}: {' '.join(f)}" for case, f in faults.items() if f is not None]
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


# The judge itself.


def raising(error):
    def call(subject, kwargs):
        raise error

    return call


def check_five(result, kwargs):
    assert result == 5, f"result {result}"


class Endless:
    """A sequence, as NumPy sees it, that never ends."""

    def __getitem__(self, i):
        return 0


def judged(call):
    """Return the kind of fault of a call with one bad argument, scale=nan."""
    target = Target("call", {"scale": 1.0}, {"scale": "scalar"}, call, check_five)
    fault = run(Case(target, {"scale": "nan"}))
    return fault and fault.kind


@pytest.mark.parametrize(
    "call",
    [
        lambda subject, kwargs: 5,
        raising(ValueError("scale must be finite; got nan.")),
        raising(TypeError("no real number: scale")),
    ],
)
def test_right_answers(call):
    assert judged(call) is None


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda subject, kwargs: np.nan, "breach"),
        (lambda subject, kwargs: np.random.normal() * 0 + 5, "global state changed"),
        (lambda subject, kwargs: np.array([1e308]) * 10, "RuntimeWarning"),
        (raising(ValueError("rescale, scale_ and scales are not meant")), "unnamed"),
        (raising(IndexError("scale")), "IndexError"),
        (raising(RuntimeError("scale")), "RuntimeError"),
        (raising(FloatingPointError("scale")), "FloatingPointError"),
        (raising(KeyboardInterrupt("scale")), "KeyboardInterrupt"),
    ],
)
def test_wrong_answers(call, kind):
    assert judged(call).startswith(kind)


@pytest.mark.skipif(not hasattr(judge.signal, "setitimer"), reason="no timer")
@pytest.mark.parametrize("endless", [lambda: time.sleep(9), lambda: list(Endless())])
def test_hang(monkeypatch, endless):
    monkeypatch.setattr(judge, "SECONDS", 0.05)
    assert judged(lambda subject, kwargs: endless()) == "Hang"
