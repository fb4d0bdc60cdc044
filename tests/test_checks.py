"""Warnings that name the line of the user, once."""

import warnings

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sklearn_cce import CollisionClusterer, _checks


@pytest.mark.parametrize("action", ["default", "always"])
def test_many_fits_of_a_search_warn_once(action, monkeypatch):
    monkeypatch.setattr(_checks, "_said", set())
    X = np.random.default_rng(0).normal(size=(120, 3))
    quick = CollisionClusterer(init="random", max_epochs=3, random_state=0)
    search = GridSearchCV(quick, {"n_clusters": [2, 3]}, cv=2, error_score="raise")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        search.fit(X)
    (said,) = (str(w.message) for w in caught if "not converged" in str(w.message))
    assert "after 3 epochs of 1 gradient step each" in said
