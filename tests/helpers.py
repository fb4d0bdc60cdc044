"""What the tests of several rooms use: estimators, networks and what to assert."""

import pytest
from torch import nn

from sklearn_cce import CollisionClassifier, CollisionClusterer
from sklearn_cce._graph.neighbors import as_graph, neighbor_table


def cluster(**params):
    """Return a clusterer that makes few steps."""
    defaults = {
        "n_clusters": 3,
        "module": "linear",
        "batch_size": 64,
        "max_epochs": 3,
        "n_init": 2,
        "random_state": 0,
    }
    return CollisionClusterer(**(defaults | params))


def classify(**params):
    """Return a classifier that makes few steps."""
    quick = {"module": "linear", "max_epochs": 4, "batch_size": 16, "random_state": 0}
    return CollisionClassifier(**(quick | params))


def small(in_features, n_outputs):
    """Make a small network."""
    return nn.Sequential(nn.Linear(in_features, 8), nn.Tanh(), nn.Linear(8, n_outputs))


def raising(error):
    """Return what takes two arguments and raises an error."""

    def factory(in_shape, n_outputs):
        raise error

    return factory


def assert_untouched(estimator, fit, error, match):
    """Check an error, and that it leaves an estimator as it was."""
    before = vars(estimator).copy()
    with pytest.raises(error, match=match):
        fit()
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is value for name, value in before.items())


def neighbor_graph(Z, n_neighbors):
    """Return the graph of nearest neighbours."""
    return as_graph(neighbor_table(Z, n_neighbors))
