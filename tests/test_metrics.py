from itertools import permutations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from sklearn_cce.metrics import (
    clustering_accuracy,
    expected_calibration_error,
    match_clusters,
)

pairs = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30
)


@given(pairs)
def test_accuracy_is_the_best_over_all_renamings(labels):
    true, pred = np.transpose(labels)
    best = max(accuracy_score(true, np.take(p, pred)) for p in permutations(range(4)))
    assert clustering_accuracy(true, pred) == pytest.approx(best)


@given(pairs)
def test_accuracy_is_symmetric_and_at_least_that_of_the_largest_pair(labels):
    true, pred = np.transpose(labels)
    accuracy = clustering_accuracy(true, pred)
    assert accuracy == clustering_accuracy(pred, true)
    assert accuracy >= max(labels.count(pair) for pair in labels) / len(labels)


@pytest.mark.parametrize("n_clusters", [1, 3, 5, 20])
def test_any_number_of_clusters(n_clusters):
    true = np.repeat(np.arange(5), 20)
    pred = np.arange(100) * n_clusters // 100
    matched = min(5, n_clusters) * min(20, 100 // n_clusters)
    assert clustering_accuracy(true, pred) == pytest.approx(matched / 100, abs=0.15)
    assert len(match_clusters(true, pred)) == min(5, n_clusters)


def test_more_clusters_than_classes_cost_accuracy():
    assert clustering_accuracy([0] * 6, [0, 0, 0, 1, 1, 2]) == 0.5


@pytest.mark.parametrize(
    "container", [list, np.array, pd.Series, pd.Categorical, pl.Series]
)
@pytest.mark.parametrize("names", [["a", "b", "c"], [-7.5, 0.25, 3.0], [10, 20, 30]])
def test_label_types(names, container):
    codes = np.random.default_rng(0).integers(3, size=50)
    labels = container([names[code] for code in codes])
    assert clustering_accuracy(labels, (codes + 1) % 3) == 1.0
    expected = {(code + 1) % 3: names[code] for code in range(3)}
    assert match_clusters(labels, (codes + 1) % 3) == expected


def test_booleans_and_noise_labels():
    assert clustering_accuracy([True, True, False], [-1, -1, 0]) == 1.0


@given(pairs)
def test_matching_attains_the_accuracy(labels):
    true, pred = np.transpose(labels)
    matching = match_clusters(true, pred)
    renamed = [matching.get(cluster, -1) for cluster in pred.tolist()]
    assert accuracy_score(true, renamed) == pytest.approx(
        clustering_accuracy(true, pred)
    )


NO_LABELS = [
    *((value, ValueError) for value in (None, 3, "ab", 1j, {0: 1}, {0, 1}, object())),
    *((value, ValueError) for value in (np.array(1), [[0], [1, 2]], np.ones((2, 2)))),
    *((value, ValueError) for value in ([0, np.nan], np.full(2, np.nan), [np.nan])),
    *((value, ValueError) for value in ([None], np.array(["NaT", "2020"], "M8[s]"))),
    *((value, ValueError) for value in (pd.Categorical([1, None]),)),
    *((value, TypeError) for value in ([None, None], [None, "a"], [{}, {}])),
    *((value, TypeError) for value in (pd.Series([1, pd.NA]), [pd.NA])),
    (sp.eye_array(2), ValueError),
    (torch.ones(2, requires_grad=True), ValueError),
    (torch.ones(2, dtype=torch.bfloat16), ValueError),
]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.float16])
def test_labels_of_a_small_dtype_do_not_overflow(dtype):
    codes = np.arange(600) % 100
    true, pred = codes.astype(dtype), codes[::-1].astype(dtype)
    assert clustering_accuracy(true, pred) == 1.0
    assert match_clusters(true, pred) == {99 - code: code for code in range(100)}
    probabilities = np.eye(100)[codes]
    assert expected_calibration_error(true, probabilities) == 0.0


@pytest.mark.parametrize("function", [clustering_accuracy, match_clusters])
@pytest.mark.parametrize(
    ("true", "pred", "error", "message"),
    [
        ([0, 1], [0, 1, 2], ValueError, "inconsistent numbers of samples"),
        ([], [], ValueError, "at least one label"),
        ([[0, 1], [1, 0]], [0, 1], ValueError, "1d array"),
        (np.array([0, "a"], dtype=object), [0, 1], TypeError, "labels_true"),
        ([0, 1], np.array([0, "a"], dtype=object), TypeError, "labels_pred"),
        ([0, 1], [0, 1, 2], ValueError, "labels_true and labels_pred"),
        *(([0, 1], labels, error, "labels_pred") for labels, error in NO_LABELS),
        *((labels, [0, 1], error, "labels_true") for labels, error in NO_LABELS),
    ],
)
def test_bad_labels(function, true, pred, error, message):
    with pytest.raises(error, match=message):
        function(true, pred)


def binned_error(correct, confidence, n_bins):
    """Expected calibration error by its definition."""
    error = 0.0
    for low in np.arange(n_bins) / n_bins:
        inside = (confidence > low) & (confidence <= low + 1 / n_bins)
        if inside.any():
            gap = correct[inside].mean() - confidence[inside].mean()
            error += inside.mean() * abs(gap)
    return error


@pytest.mark.parametrize("n_bins", [1, 4, 15])
@pytest.mark.parametrize("n_clusters", [2, 4, 7])
def test_calibration_error_by_definition(n_bins, n_clusters):
    rng = np.random.default_rng(n_bins)
    probabilities = rng.dirichlet(np.ones(n_clusters), size=300)
    pred = probabilities.argmax(axis=1)
    true = np.where(rng.random(300) < 0.6, (pred + 1) % 4, rng.integers(4, size=300))
    matching = match_clusters(true, pred)
    correct = np.array([matching.get(k) == t for k, t in zip(pred, true, strict=True)])
    expected = binned_error(correct, probabilities.max(axis=1), n_bins)
    assert expected_calibration_error(
        true, probabilities, n_bins=n_bins
    ) == pytest.approx(expected)


def test_calibration_error_of_calibrated_probabilities_vanishes():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), size=20_000)
    true = (rng.random((20_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    assert expected_calibration_error(true, probabilities) < 0.02


@pytest.mark.parametrize("wrong", [0, 1, 4])
def test_calibration_error_of_certain_predictions_is_their_error_rate(wrong):
    probabilities = np.eye(2)[[0] * 10 + [1] * 10]
    true = ["b"] * wrong + ["a"] * (10 - wrong) + ["b"] * 10
    assert expected_calibration_error(true, probabilities) == pytest.approx(wrong / 20)


@pytest.mark.parametrize(
    ("true", "probabilities", "options", "message"),
    [
        ([0, 1], [[0.5, 0.5]], {}, "inconsistent numbers"),
        ([0], [[0.5, 0.6]], {}, "probabilities .* sum to 1"),
        ([0], [[1.5, -0.5]], {}, "probabilities .* non-negative"),
        ([0], [[np.nan, 1.0]], {}, "probabilities contains NaN"),
        ([0], [0.5, 0.5], {}, "2D array"),
        ([0], [[0.5, 0.5]], {"n_bins": 0}, "n_bins"),
        ([0], [[0.5, 0.5]], {"n_bins": 10**12}, "n_bins"),
        ([0, 1], [[0.5, 0.5]], {}, "labels_true and probabilities"),
        ([np.nan], [[0.5, 0.5]], {}, "labels_true"),
    ],
)
def test_bad_calibration_input(true, probabilities, options, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(true, probabilities, **options)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "probabilities",
    [
        *(
            None,
            0.5,
            "a",
            1j,
            {},
            object(),
            np.array(1.0),
            [],
            [[]],
            [[1.0], [0.5, 0.5]],
        ),
        *([["a", "b"]], [[None, 1.0]], [[1j, 1.0]], [[1e308, 1e308]], [[{}, {}]]),
        *(sp.eye_array(1), np.ones((1, 1, 1)), np.array([["4e999"]], np.longdouble)),
        torch.ones(1, 1, requires_grad=True),
        torch.ones(1, 1, dtype=torch.bfloat16),
    ],
)
def test_probabilities_that_are_none(probabilities):
    with pytest.raises(ValueError, match="probabilities"):
        expected_calibration_error([0], probabilities)


@pytest.mark.parametrize("n_bins", [None, True, 2.5, 15.0, "a", [15], np.float64(2)])
def test_numbers_of_bins_that_are_no_integer(n_bins):
    with pytest.raises(TypeError, match="n_bins"):
        expected_calibration_error([0], [[0.5, 0.5]], n_bins=n_bins)


@pytest.mark.parametrize("n_bins", [np.uint8(200), np.int8(100), np.int64(7)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_of_bins_of_a_small_dtype(n_bins, dtype):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), size=50).astype(dtype)
    true = rng.integers(3, size=50)
    assert expected_calibration_error(
        true, probabilities, n_bins=n_bins
    ) == expected_calibration_error(true, probabilities, n_bins=int(n_bins))
