"""The comparison of clustering methods: what its means are over, and its own TURTLE."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from benchmarks.clustering_report import REFERENCE, against_reference, shared_parts
from benchmarks.peers import TURTLE


def rows(*values):
    """Fits of (data set, method, part, accuracy or what ended the method)."""
    table = pd.DataFrame(values, columns=["data", "method", "seed", "accuracy"])
    failed = table["accuracy"].map(lambda value: isinstance(value, str))
    table["status"] = table["accuracy"].where(failed, "ok")
    table["accuracy"] = table["accuracy"].where(~failed).astype(float)
    table["nmi"] = table["ari"] = table["accuracy"]
    return table.assign(cpu_seconds=1.0, n_samples=100)


def keys(table):
    return set(zip(table["data"], table["method"], table["seed"], strict=True))


def test_parts_are_kept_that_every_method_has():
    both = [("iris", REFERENCE, 0, 0.9), ("iris", "EVoC", 0, 0.8)]
    table = rows(*both, ("iris", REFERENCE, 1, 0.1), ("wine", REFERENCE, 0, 0.1))
    assert keys(shared_parts(table)) == {
        ("iris", name, 0) for name in (REFERENCE, "EVoC")
    }


def test_a_method_that_failed_takes_no_part_from_the_others():
    fits = [("iris", REFERENCE, seed, 0.9) for seed in (0, 1)]
    table = rows(*fits, ("iris", "EVoC", 0, "over 300 s"))
    assert keys(shared_parts(table)) == keys(table)


def test_means_are_over_shared_parts_and_no_result_is_last():
    fits = [("iris", REFERENCE, 0, 0.5), ("iris", REFERENCE, 1, 1.0)]
    others = [("iris", "EVoC", 0, 0.75), ("iris", "Leiden", 0, "failed")]
    table = rows(*fits, *others, ("iris", "Leiden", 1, "failed"))
    summary = against_reference(shared_parts(table[table["seed"] == 0]))
    assert summary["accuracy"].dropna().to_dict() == {REFERENCE: 0.5, "EVoC": 0.75}
    assert list(summary.index) == ["EVoC", REFERENCE, "Leiden"]


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(300, 8, centers=3, cluster_std=0.5, random_state=0)


def test_turtle_finds_blobs(blobs):
    X, y = blobs
    labels = TURTLE(3, random_state=0, n_steps=300).fit_predict(X)
    assert adjusted_rand_score(y, labels) == 1


def test_turtle_repeats_itself_and_leaves_the_scale_of_features_aside(blobs):
    X, _ = blobs
    model = TURTLE(3, random_state=1, n_steps=20)
    labels = model.fit_predict(X)
    np.testing.assert_array_equal(clone(model).fit_predict(X), labels)
    scaled = X * 2.0 ** np.arange(8)
    np.testing.assert_array_equal(clone(model).fit_predict(scaled), labels)
