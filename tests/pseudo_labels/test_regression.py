"""What the solvers need for fixed problems: iterations and gaps, which are no seconds.

The limits are a quarter or more above what was needed when they were set, since bits
depend on versions and processors. A change that makes a solver slower, or takes another
way, mostly shows in them.
"""

from functools import partial

import numpy as np
import pytest

from sklearn_cce.pseudo_labels import solve_pseudo_labels
from sklearn_cce.pseudo_labels._exact._solver import Attempts

from .test_basics import softmax_rows
from .test_exact import nearly_one_hot


def skewed_rows(n_samples, n_classes, *, sharpness=3.0):
    """Rows of a softmax with classes of unequal size."""
    rng = np.random.default_rng(n_classes)
    logits = rng.normal(size=(n_samples, n_classes)) + np.linspace(0, 1, n_classes)
    s = np.exp(sharpness * logits)
    return s / s.sum(1, keepdims=True)


def skewed_problem(n_samples, n_classes, **options):
    """Predictions with a prior that rises and weights that differ."""
    rising = np.arange(1.0, n_classes + 1)
    options["prior"] = rising / rising.sum()
    options["sample_weight"] = np.random.default_rng(0).uniform(0.5, 2, n_samples)
    return skewed_rows(n_samples, n_classes), options


def plain_problem(rows, **options):
    """Predictions with equal weights and a uniform prior."""
    return rows, options


# Named by the way that is to lead to the end.
PROBLEMS = {
    "one pass": partial(plain_problem, nearly_one_hot(2000, 4), fairness_weight=1.0),
    "two classes": partial(plain_problem, skewed_rows(1000, 2), tol=1e-8),
    "merged": partial(plain_problem, skewed_rows(2000, 20, sharpness=30.0)),
    "merged, lists": partial(plain_problem, skewed_rows(1500, 100, sharpness=20.0)),
    "Newton from a sample": partial(plain_problem, skewed_rows(20_000, 4)),
    "sample, path": partial(plain_problem, skewed_rows(20_000, 5), tol=1e-5),
    "path": partial(plain_problem, softmax_rows(1000, 20), tol=1e-6),
    "path, K=50": partial(plain_problem, skewed_rows(1000, 50)),
    "path, tight": partial(
        plain_problem, skewed_rows(1000, 10), fairness_weight=1e4, tol=1e-8
    ),
    "path, prior and weights": partial(skewed_problem, 800, 30),
    "lists, K=80": partial(plain_problem, softmax_rows(1000, 80)),
    "lists, prior and weights": partial(skewed_problem, 500, 200),
}


def solve(name, **further):
    rows, options = PROBLEMS[name]()
    options = {"fairness_weight": 10.0} | options | further
    return solve_pseudo_labels(rows, **options)


def relative_gap(result):
    gap = result.objective - result.lower_bound
    return gap / max(1, abs(result.objective))


# The way that ends it, and the steps that all attempts together may take.
EXACT = {
    "one pass": ("guess", 0),
    "two classes": ("search", 15),
    "merged": ("merge", 46),
    "merged, lists": ("merge", 58),
    "Newton from a sample": ("climb", 5),
    "sample, path": ("follow_whole_path", 29),
    "path": ("follow_whole_path", 14),
    "path, K=50": ("follow_whole_path", 24),
    "path, tight": ("follow_whole_path", 29),
    "path, prior and weights": ("follow_whole_path", 17),
    "lists, K=80": ("list_classes", 19),
    "lists, prior and weights": ("list_classes", 68),
}


@pytest.fixture
def ways(monkeypatch):
    """The attempts that have returned an answer, the last one of the whole problem."""
    taken = []

    def watched(name, attempt):
        def run(self):
            answer = attempt(self)
            taken.extend([name] if answer else [])
            return answer

        return run

    for name in {way for way, _ in EXACT.values()}:
        monkeypatch.setattr(Attempts, name, watched(name, getattr(Attempts, name)))
    return taken


@pytest.mark.parametrize("name", PROBLEMS)
def test_steps_of_the_exact_method(name, ways):
    way, most = EXACT[name]
    result = solve(name)
    assert result.converged
    assert relative_gap(result) <= PROBLEMS[name].keywords.get("tol", 1e-4)
    assert result.n_iter <= most
    assert ways[-1] == way


# Relative gaps of EM and of projected gradient after 50 steps, three times as measured.
AFTER_50 = {
    "two classes": (1e-6, 2e-8),
    "merged": (1.3e-3, 5e-2),
    "merged, lists": (7e-3, 0.22),
    "path": (1.2e-6, 7e-4),
    "path, K=50": (5e-3, 0.48),
    "path, prior and weights": (8e-4, 0.7),
    "lists, K=80": (8e-5, 0.26),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", AFTER_50)
def test_gaps_of_the_other_methods_after_50_steps(name):
    for method, most in zip(("em", "pgd"), AFTER_50[name], strict=True):
        assert relative_gap(solve(name, method=method, max_iter=50, tol=0)) <= most
