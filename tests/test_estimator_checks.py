"""All of scikit-learn's checks of estimators, with no expected failure.

Only where X is a graph some fail: their X is none, or they are for other estimators.
"""

import pytest
from sklearn.cluster import KMeans
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_cce import CollisionClassifier, CollisionClusterer

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    f"ignore::{SkipTestWarning.__module__}.{SkipTestWarning.__name__}",
)

QUICK = {"max_epochs": 10, "lr": 0.05, "random_state": 0}
LONGER = QUICK | {"max_epochs": 40}


@parametrize_with_checks(
    [
        CollisionClusterer(module="linear", loss=loss, n_init=2, **QUICK)
        for loss in ("collision", "shannon", "reverse")
    ]
    + [CollisionClusterer(n_init=2, **QUICK)]
    + [
        CollisionClassifier(module="linear", **LONGER),
        CollisionClassifier(loss="generalized", **LONGER),
    ]
)
def test_checks_with_every_loss(estimator, check):
    check(estimator)


NOT_FOR_GRAPHS = {
    CollisionClusterer: {
        "check_clustering": "its X is not square",
        "check_estimator_sparse_array": "takes what has predict_proba for a classifier",
        "check_estimator_sparse_matrix": "the same",
    },
    CollisionClassifier: {
        "check_class_weight_classifiers": "its X links no sample to another",
        "check_classifiers_train": "links of its X tell one angle, for three classes",
        "check_fit2d_1feature": "its X gives one class",
    },
}


@parametrize_with_checks(
    [
        CollisionClusterer(module="linear", views="precomputed", n_init=2, **QUICK),
        CollisionClassifier(module="linear", views="precomputed", **LONGER),
    ]
)
def test_checks_with_graphs(estimator, check):
    if check.func.__name__ in NOT_FOR_GRAPHS[type(estimator)]:
        pytest.skip(NOT_FOR_GRAPHS[type(estimator)][check.func.__name__])
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([CollisionClusterer(), CollisionClassifier()])
def test_checks_with_defaults(estimator, check):
    check(estimator)


def checks_by_status(estimator):
    """Return the names of the checks that pass, skip and fail an estimator."""
    names = {"passed": set(), "skipped": set(), "failed": set(), "xfail": set()}
    for result in check_estimator(estimator, on_skip=None, on_fail=None):
        names[result["status"]].add(result["check_name"])
    return names


def test_the_classifier_skips_nothing_that_logistic_regression_does_not_skip():
    ours = checks_by_status(CollisionClassifier(module="linear", **LONGER))
    assert not ours["failed"] | ours["xfail"]
    assert ours["skipped"] <= checks_by_status(LogisticRegression())["skipped"]


def test_nothing_fails_or_is_skipped_that_kmeans_does_not_skip():
    ours = checks_by_status(CollisionClusterer(module="linear", **QUICK))
    assert not ours["failed"] | ours["xfail"]
    assert ours["skipped"] <= checks_by_status(KMeans(n_init=1))["skipped"]
