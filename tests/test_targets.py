"""Labels of any kind as a matrix of targets."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import DataConversionWarning

from sklearn_cce._targets import (
    check_prior,
    class_masses,
    class_weights,
    make_targets,
    smooth,
)

NAN = np.nan


def targets_of(y, classes=None):
    return make_targets(y, len(y), classes)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([2, 0, 2, 7], [0, 2, 7]),
        (np.array([2.0, 0.0, 2.0, 7.0]), [0.0, 2.0, 7.0]),
        (["b", "a", "b", "c"], ["a", "b", "c"]),
        (np.array(["b", "a", "b", "c"], dtype=object), ["a", "b", "c"]),
        (pd.Series(["b", "a", "b", "c"], dtype="category"), ["a", "b", "c"]),
        (torch.tensor([5, -7, 5, 9]), [-7, 5, 9]),
        ([True, False, True, False], [False, True]),
    ],
)
def test_labels_of_any_type_become_one_hot_rows(y, classes):
    found, targets = targets_of(y)
    assert found.tolist() == classes
    assert targets.dtype == np.float32
    expected = [classes.index(label) for label in np.asarray(y).tolist()]
    np.testing.assert_array_equal(targets, np.eye(len(classes))[expected])


@pytest.mark.parametrize(
    "y",
    [
        [1, -1, 0],
        np.array([1.0, -1.0, 0.0]),
        ["b", -1, "a"],
        ["b", None, "a"],
        pd.Series(["b", NAN, "a"], dtype=object),
        pd.Series(["b", pd.NA, "a"], dtype="string"),
        pd.Series([1, pd.NA, 0], dtype="Int64"),
        [[0.25, 0.75], [NAN, NAN], [1.0, 0.0]],
    ],
)
def test_marks_of_unlabelled_samples(y):
    classes, targets = targets_of(y)
    assert len(classes) == 2
    assert np.isnan(targets).all(1).tolist() == [False, True, False]


def test_minus_one_is_a_class_beside_a_single_other_label():
    classes, targets = targets_of([-1, 1, -1])
    assert classes.tolist() == [-1, 1]
    np.testing.assert_array_equal(targets, [[1, 0], [0, 1], [1, 0]])


def test_minus_one_is_a_class_if_the_classes_say_so():
    assert np.isfinite(targets_of([-1, 0, 1], classes=[-1, 0, 1])[1]).all()
    assert np.isnan(targets_of([-1, 0, 1], classes=[0, 1])[1]).any()


def test_text_is_always_a_class():
    assert targets_of(["-1", "1", "nan"])[0].tolist() == ["-1", "1", "nan"]


def test_given_classes_may_be_absent_from_y():
    classes, targets = targets_of(["b", "b"], classes=["c", "a", "b"])
    assert classes.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(targets, [[0, 1, 0], [0, 1, 0]])


@given(
    st.lists(st.integers(-1, 5), min_size=1, max_size=40).filter(
        lambda y: len(set(y) - {-1}) > 1
    )
)
def test_the_targets_say_what_the_labels_said(y):
    classes, targets = targets_of(y)
    known = np.isfinite(targets).all(1)
    decoded = np.where(known, classes[targets.argmax(1)], -1)
    assert decoded.tolist() == y
    np.testing.assert_array_equal(targets[known].sum(1), 1)


def test_rows_near_a_distribution_are_normalised():
    rows = np.array([[0.3333, 0.6666], [0.5, 0.5]])
    classes, targets = targets_of(rows)
    assert classes.tolist() == [0, 1]
    np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(targets[0], [1 / 3, 2 / 3], rtol=1e-4)


def test_one_hot_integers_are_distributions():
    np.testing.assert_array_equal(targets_of([[1, 0], [0, 1]])[1], np.eye(2))


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (None, "requires y to be passed"),
        ([[0.2, 0.7], [0.5, 0.5]], "row 0, .* does not sum to 1"),
        ([[0.5, 0.5], [-0.2, 1.2]], "row 1, .* has a negative entry"),
        ([[0.5, 0.5], [NAN, 1.0]], "row 1, .* has NaN beside numbers"),
        ([[0.5, 0.5], [np.inf, 0.0]], "row 1, .* has an infinite entry"),
        ([[1.0, 0.0], [1.0, 0.0]], "every class some probability.* column 1"),
        ([[NAN, NAN], [NAN, NAN]], "all rows are NaN"),
        ([[1, 1, 0], [0, 1, 0]], "does not sum to 1"),
        ([[0.4], [0.6]], "one column"),
        ([["a", "b"], ["b", "a"]], "no numbers"),
        ([[0.5, 0.5], [1.0]], "y must be"),
        ([-1, -1], "all are unlabelled"),
        ([None, None], "all are unlabelled"),
        ([1, 1], "at least 2 classes"),
        ([0.5, 1.2], "continuous"),
        ([0.0, NAN], "NaN"),
        ([0.0, np.inf], "infinity"),
        (["a", 1], "mix text and numbers"),
        (np.zeros((2, 2, 2)), "shape"),
        ([], "shape"),
    ],
)
def test_what_is_wrong_with_y_is_said(y, says):
    with pytest.raises(ValueError, match=says):
        make_targets(y, 0 if y is None else len(y))


@pytest.mark.parametrize(
    ("y", "classes", "says"),
    [
        (["a", "z"], ["a", "b"], "labels from classes only; it has .*z"),
        (["a", "a"], ["a"], "at least 2 class labels"),
        (["a", "b"], ["a", "b", "a"], "each once"),
        ([[0.5, 0.5], [1, 0]], [0, 1, 2], "one column for each of the 3 classes"),
    ],
)
def test_labels_and_classes_must_fit(y, classes, says):
    with pytest.raises(ValueError, match=says):
        targets_of(y, classes)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="X has 3 samples, y has 2"):
        make_targets([0, 1], 3)


def test_a_column_of_labels_is_taken_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        classes, targets = targets_of([[0], [1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        flat = targets_of([0, 1])
    np.testing.assert_array_equal(targets, flat[1])
    np.testing.assert_array_equal(classes, flat[0])


def test_smoothing_keeps_rows_on_the_simplex_and_the_unlabelled_apart():
    targets = np.array([[1, 0, 0, 0], [NAN] * 4], np.float32)
    smoothed = smooth(targets, 0.4)
    np.testing.assert_allclose(smoothed[0], [0.7, 0.1, 0.1, 0.1], rtol=1e-6)
    assert np.isnan(smoothed[1]).all()
    assert smooth(targets, 0.0) is targets


def test_masses_leave_out_the_unlabelled():
    targets = np.array([[0.5, 0.5], [NAN, NAN], [0, 1]], np.float32)
    np.testing.assert_allclose(class_masses(targets, None), [0.5, 1.5])
    weight = np.array([2.0, 5.0, 1.0])
    np.testing.assert_allclose(class_masses(targets, weight), [1, 2])


def test_balanced_weights_give_every_class_the_same_mass():
    masses = np.array([1.0, 3.0, 8.0])
    weights = class_weights("balanced", np.arange(3), masses)
    np.testing.assert_allclose(weights * masses, masses.sum() / 3)
    np.testing.assert_allclose(
        class_weights("balanced", np.arange(2), np.array([0.0, 4.0])), [0, 1]
    )


def test_class_weights_go_by_class():
    classes, masses = np.array(["a", "b"]), np.ones(2)
    assert class_weights(None, classes, masses) is None
    weights = class_weights({"b": 3.0, "a": 1.0}, classes, masses)
    assert weights.tolist() == [1.0, 3.0]
    for wrong in ({"a": 1.0, "z": 2.0}, {"a": -1.0, "b": 1.0}, {"a": NAN, "b": 1.0}):
        with pytest.raises(ValueError):
            class_weights(wrong, classes, masses)


def test_prior_is_the_shares_unless_given():
    classes, masses = np.arange(2), np.array([29.0, 9.0])
    np.testing.assert_allclose(check_prior(None, classes, masses), [0.75, 0.25])
    assert check_prior([0.5, 0.5], classes, masses).tolist() == [0.5, 0.5]
    for wrong in ([0.5, 0.4], [1.5, -0.5], [1.0], "half", [NAN, 1.0]):
        with pytest.raises(ValueError, match="class_prior must be 2 non-negative"):
            check_prior(wrong, classes, masses)
