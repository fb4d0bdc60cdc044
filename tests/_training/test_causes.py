"""What is said at the end of a fit."""

import warnings

import numpy as np
import pytest
import torch

from sklearn_cce._training.causes import OTHERWISE, Outcome, likely_cause
from sklearn_cce._training.sources import TensorSource

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def said(fit):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit()
    return [str(w.message) for w in caught]


@pytest.mark.parametrize(
    ("batch_size", "max_epochs", "steps"),
    [
        (512, 2, "2 epochs of 1 gradient step each"),
        (16, 3, "3 epochs of 4 gradient steps"),
    ],
)
def test_steps_are_said_not_epochs_alone(batch_size, max_epochs, steps, X, quick):
    params = {"batch_size": batch_size, "max_epochs": max_epochs, "lr": 1e-3}
    found = {m for seed in range(3) for m in said(lambda: quick(**params).fit(X))}
    assert len(found) == 1
    assert f"not converged after {steps}" in found.pop()


CAUSES = {
    "different": (lambda X: np.repeat(X[:2], 30, 0), {}, "only 2 different samples"),
    "of weight": (lambda X: X, {"n_weighted": 2}, "only 2 different samples"),
    "steps": (
        lambda X: X,
        {"max_epochs": 1, "n_clusters": 30},
        "max_epochs=1 came to, 1,",
    ),
    "other": (
        lambda X: np.random.default_rng(0).normal(size=(60, 4)),
        {
            "max_epochs": 700,
            "n_clusters": 20,
            "lr": 0.5,
            "fairness_weight": 1e-6,
            "init": "random",
        },
        "Increase fairness_weight or max_epochs, try another random_state",
    ),
}


@pytest.mark.parametrize(("change", "params", "cause"), CAUSES.values(), ids=CAUSES)
def test_the_likely_cause_of_missing_clusters(change, params, cause, X, quick):
    weight = (np.arange(60) < params.get("n_weighted", 60)).astype(float)
    params = {"max_epochs": 300} | params
    params.pop("n_weighted", None)
    clusterer = quick(**params)
    (message,) = said(lambda: clusterer.fit(change(X), sample_weight=weight))
    assert message.startswith("Only ")
    assert "clusters are used. " in message
    assert cause in message


@pytest.mark.parametrize(
    ("prior", "match"),
    [
        ([0.495, 0.495, 0.01], "less than one sample, 0.01 of 60"),
        ([0.5, 0.5, 0.0], OTHERWISE),
    ],
)
def test_a_share_of_less_than_a_sample(prior, match, X):
    source = TensorSource(torch.tensor(X))
    assert match in likely_cause(Outcome(source, None, np.array(prior), 10, None))
