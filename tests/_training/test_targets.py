"""Labels of any kind as a matrix of targets."""

import collections
import datetime
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import DataConversionWarning

from sklearn_cce._checks import as_numbers
from sklearn_cce._training.shares import check_shares
from sklearn_cce._training.targets import (
    check_classes,
    class_masses,
    class_weights,
    make_targets,
    read_labels,
    smooth,
)

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

NAN = np.nan
DAYS = ["2020-01-02", "NaT", "2020-01-01"]


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


MISSING = {
    "None among numbers": [1, None, 0],
    "None among text": ["b", None, "a"],
    "NaN in a list": [1, NAN, 0],
    "NaN among floats": np.array([1.0, NAN, 0.0]),
    "NaN in half precision": np.array([1.0, NAN, 0.0], np.float16),
    "NaN among objects": pd.Series(["b", NAN, "a"], dtype=object),
    "NaN in a deque": collections.deque(["b", NAN, "a"]),
    "NaN in a tensor": torch.tensor([1.0, NAN, 0.0], requires_grad=True),
    "NaN in a bfloat16 tensor": torch.tensor([1.0, NAN, 0.0]).bfloat16(),
    "NA among objects": pd.Series([1, pd.NA, 0], dtype=object),
    "NA in a list": [True, pd.NA, False],
    "string": pd.Series(["b", pd.NA, "a"], dtype="string"),
    "str": pd.Series(["b", None, "a"]),
    "Int64": pd.Series([1, pd.NA, 0], dtype="Int64"),
    "UInt8": pd.Series([1, pd.NA, 0], dtype="UInt8"),
    "Float64": pd.Series([1, pd.NA, 0], dtype="Float64"),
    "boolean": pd.Series([True, pd.NA, False], dtype="boolean"),
    "category of text": pd.Series(["b", None, "a"], dtype="category"),
    "category of numbers": pd.Series(pd.Categorical([1, None, 0])),
    "polars numbers": pl.Series([1, None, 0]),
    "polars bytes": pl.Series([1, None, 0], dtype=pl.UInt8),
    "polars text": pl.Series(["b", None, "a"]),
    "polars categories": pl.Series(["b", None, "a"], dtype=pl.Categorical),
    "polars truth": pl.Series([True, None, False]),
    "polars dates": pl.Series(DAYS).str.to_date(strict=False),
    "masked numbers": np.ma.masked_array([1, 99, 0], mask=[0, 1, 0]),
    "masked text": np.ma.masked_array(["b", "z", "a"], mask=[0, 1, 0]),
    "masked in a list": [1, np.ma.masked, 0],
    "NaT": np.array(DAYS, "datetime64[D]"),
    "NaT in nanoseconds": np.array(DAYS, "datetime64[ns]"),
    "NaT in a list": [np.datetime64(day) for day in DAYS],
    "NaT in a series": pd.Series(pd.to_datetime(DAYS)),
    "NaT among objects": pd.Series(pd.to_datetime(DAYS)).astype(object),
    "None among dates": [datetime.date(2020, 1, 2), None, datetime.date(2020, 1, 1)],
    "NaN in a row": [[0.0, 1.0], [NAN, NAN], [1.0, 0.0]],
    "None in a row": [[0, 1], [None, None], [1, 0]],
    "NA in a row": pd.DataFrame([[0, 1], [pd.NA, pd.NA], [1, 0]], dtype="Int64"),
    "all marks in a row": np.array([[0, 1], [None, pd.NA], [1, 0]], dtype=object),
    "null in a row": pl.DataFrame({"a": [0.0, None, 1.0], "b": [1.0, None, 0.0]}),
    "a masked row": np.ma.masked_array(
        [[0, 1], [7, 7], [1, 0]], mask=[[0, 0], [1, 1], [0, 0]]
    ),
    "a row of a tensor": torch.tensor(
        [[0.0, 1.0], [NAN, NAN], [1.0, 0.0]], requires_grad=True
    ).bfloat16(),
}


@pytest.mark.parametrize("y", MISSING.values(), ids=MISSING)
def test_whatever_marks_a_missing_value_marks_an_unlabelled_sample(y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classes, targets = targets_of(y)
    assert len(classes) == 2
    np.testing.assert_array_equal(targets, [[0, 1], [NAN, NAN], [1, 0]])


@pytest.mark.parametrize(
    ("y", "dtype"),
    [
        ([1.0, NAN, 0.0], np.float64),
        (np.array([1.0, NAN, 0.0], np.float32), np.float32),
        ([1, NAN, 0], np.int64),
        (pd.Series([1, pd.NA, 0], dtype="UInt8"), np.int64),
        ([True, None, False], np.bool_),
        (np.ma.masked_array([1, 9, 0], [0, 1, 0], dtype=np.int8), np.int8),
        (np.array(DAYS, "datetime64[D]"), np.dtype("datetime64[D]")),
    ],
)
def test_classes_keep_the_type_of_the_labels(y, dtype):
    assert targets_of(y)[0].dtype == dtype


@pytest.mark.parametrize(
    "y",
    [
        [1, -1, 0],
        np.array([1.0, -1.0, 0.0]),
        ["b", -1, "a"],
        [1, -1.0, 0],
        np.array([1, -1, 0], np.int8),
        pd.Series([1, -1, 0], dtype="Int64"),
        torch.tensor([1, -1, 0]),
    ],
)
def test_minus_one_beside_several_labels_is_no_label_with_a_warning(y):
    with pytest.warns(UserWarning, match=r"y has labels of -1.*pass y \+ 1") as caught:
        classes, targets = targets_of(y)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert len(classes) == 2
    assert np.isnan(targets).all(1).tolist() == [False, True, False]


@pytest.mark.parametrize("y", [[-1, 1, -1], [-1, NAN, 1], np.array([-1.0, 5.0, NAN])])
def test_minus_one_is_a_class_beside_a_single_other_label(y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classes, targets = targets_of(y)
    assert classes.tolist() == [-1, np.nanmax(y)]
    np.testing.assert_array_equal(targets[0], [1, 0])


def test_minus_one_is_a_class_if_the_classes_say_so():
    assert np.isfinite(targets_of([-1, 0, 1], classes=[-1, 0, 1])[1]).all()
    with pytest.warns(UserWarning, match="labels of -1"):
        assert np.isnan(targets_of([-1, 0, 1], classes=[0, 1])[1]).any()


def test_text_is_always_a_class():
    assert targets_of(["-1", "1", "nan"])[0].tolist() == ["-1", "1", "nan"]


@pytest.mark.parametrize(
    ("classes", "y", "expected"),
    [
        ([0, 1, 2], [1.0, 7.0, 2.0, NAN], [1, -1, 2]),
        ([0.0, 1.0], [True, False, 2, None], [1, 0, -1]),
        ([False, True], [1, 0, 7], [1, 0, -1]),
        ([0, 1], pd.Series(["1", "0"]).astype(int).astype("category"), [1, 0]),
        (["a", "b"], np.array(["b", "z", None, "a"], object), [1, -1, 0]),
        (np.array(["a", "b"], object), np.array(["b", "0", "z"]), [1, -1, -1]),
        ([0, 1], np.array([1, 255], np.uint8), [1, -1]),
        ([-1, 0, 1], [-1, 0, 5, NAN], [0, 1, -1]),
        (
            np.array(["2020-01-01", "2020-01-02"], "datetime64[D]"),
            np.array(["2020-01-02", "NaT", "2020-01-03"], "datetime64[ns]"),
            [1, -1],
        ),
    ],
)
def test_labels_are_found_among_the_classes_by_value(classes, y, expected):
    _, labelled, known = read_labels(y, len(y), np.array(classes), others=True)
    assert known.tolist() == expected and labelled.sum() == len(expected)


@pytest.mark.parametrize(
    ("classes", "y", "kinds"),
    [
        ([0, 1], ["0", "1"], "numbers.*text"),
        (["0", "1"], [0, 1], "text.*numbers"),
        (["0", "1"], [True, False], "text.*numbers"),
        ([0, 1], np.array(DAYS, "datetime64[D]"), "numbers.*dates"),
        ([0, 1], pd.Series(["0", "1"], dtype="category"), "numbers.*text"),
    ],
)
@pytest.mark.parametrize("others", [True, False])
def test_labels_of_another_kind_than_the_classes_are_refused(classes, y, kinds, others):
    with pytest.raises(ValueError, match=f"y must hold labels from .*{kinds}"):
        read_labels(y, len(y), np.array(classes), others=others)


def test_given_classes_may_be_absent_from_y():
    classes, targets = targets_of(["b", "b"], classes=["c", "a", "b"])
    assert classes.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(targets, [[0, 1, 0], [0, 1, 0]])


@given(
    st.lists(st.none() | st.integers(-9, 5), min_size=1, max_size=40).filter(
        lambda y: len(set(y) - {None, -1}) > 1 and -1 not in y
    )
)
def test_the_targets_say_what_the_labels_said(y):
    classes, targets = targets_of(y)
    known = np.isfinite(targets).all(1)
    decoded = np.where(known, classes[targets.argmax(1)], None)
    assert decoded.tolist() == y
    np.testing.assert_array_equal(targets[known].sum(1), 1)


def test_rows_near_a_distribution_are_normalised():
    rows = np.array([[0.3333, 0.6666], [0.5, 0.5]])
    classes, targets = targets_of(rows)
    assert classes.tolist() == [0, 1]
    np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(targets[0], [1 / 3, 2 / 3], rtol=1e-4)


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 0], [0, 1]],
        np.eye(2, dtype=np.uint8),
        np.eye(2, dtype=bool),
        np.eye(2, dtype=np.longdouble),
        np.eye(2).astype(object),
        [[True, False], [0, 1.0]],
        [[Decimal(1), 0], [0, Decimal(1)]],
        pd.DataFrame(np.eye(2)),
        list(torch.eye(2)),
        torch.eye(2).half(),
    ],
)
def test_rows_of_any_real_numbers_are_distributions(rows):
    np.testing.assert_array_equal(targets_of(rows)[1], np.eye(2))


@pytest.mark.filterwarnings("ignore:y has labels of -1")
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
        ([0.0, NAN], "at least 2 classes"),
        ([0.0, np.inf], "infinity"),
        ([-np.inf, np.inf], "infinity"),
        (["a", 1], "mix text and numbers"),
        ([datetime.date(2020, 1, 1), 1], "mix numbers and dates"),
        (np.zeros((2, 2, 2)), "shape"),
        (np.zeros((2, 0)), "shape"),
        ([], "shape"),
        (3, "got int"),
        ("ab", "got str"),
        ({0: 1, 1: 0}, "got dict"),
        ({0, 1}, "got set"),
        ((k for k in (0, 1)), "got generator"),
        (sp.csr_array(np.eye(2)), "got csr_array"),
        (torch.eye(2).to_sparse(), "y must be"),
        (torch.zeros(2, device="meta"), "y must be"),
        (list(torch.eye(2, requires_grad=True)), "y must be"),
        ([{}, {}], "numbers, text or dates .*got dict"),
        ([[0.5, 0.5], None], "must not mix|got list"),
        (pl.Series([[0.5, 0.5], None]), "got ndarray"),
        (np.array([np.zeros(2), -1, None], object), "y must be"),
        ([1j, 2.0], "got complex"),
        (np.array([1j, 2.0]), "got complex128"),
        ([b"a", b"b"], "got .S1"),
        ([Decimal(1), Decimal(2)], "got Decimal"),
        ([Decimal("sNaN"), 1], "y must be"),
        ([10**30, 1], "got int"),
        ([10**400, 1.5], "y must be"),
        ([2**53 + 1, 0.0], "below 2..53"),
        ([1e300, 0.0], "below 2..53"),
        (pd.Series(pd.to_datetime(DAYS[:2])).dt.tz_localize("UTC"), "time zone"),
        (np.zeros(2, [("a", int)]), "y must be"),
        (np.eye(2) + 0j, "no numbers"),
        (np.eye(2).astype(str), "no numbers"),
        ([["1", "0"], ["0", None]], "no numbers"),
        (np.zeros((2, 2), "datetime64[D]"), "no numbers"),
        ([[10**400, 0], [0, 1]], "no numbers"),
        (np.full((2, 2), 1e308), "does not sum to 1"),
        ([[np.inf, -np.inf], [0, 1]], "infinite"),
    ],
)
def test_what_is_wrong_with_y_is_said(y, says):
    n_samples = len(y) if isinstance(y, (list, np.ndarray)) else 2
    with pytest.raises(ValueError, match=says) as caught:
        make_targets(y, n_samples)
    assert "y" in str(caught.value).replace(",", "").split()


@pytest.mark.parametrize(
    ("y", "classes", "says"),
    [
        (["a", "z"], ["a", "b"], "labels from classes only; it has .*z"),
        (["a", "a"], ["a"], "at least 2 class labels"),
        (["a", "b"], ["a", "b", "a"], "each once"),
        (["0", "1"], [0, 1], "which are numbers, .*it has text"),
        ([[0.5, 0.5], [1, 0]], [0, 1, 2], "one column for each of the 3 classes"),
    ],
)
def test_labels_and_classes_must_fit(y, classes, says):
    with pytest.raises(ValueError, match=says):
        targets_of(y, classes)


@pytest.mark.parametrize(
    "classes",
    [
        [0, 1, None],
        [0, 1, NAN],
        [0, 1, pd.NA],
        ["a", "b", None],
        np.ma.masked_array([0, 1, 2], mask=[0, 0, 1]),
        np.array(DAYS, "datetime64[D]"),
        [0, 1, 1],
        [True, 1],
        [0, "a"],
        [0.5, 1.5],
        [0, np.inf],
        [0, 1j],
        [0, 10**30],
        [b"a", b"b"],
        3,
        NAN,
        "ab",
        [],
        [0],
        [[0, 1]],
        [[0], [1]],
        [[0, 1], [2]],
        {0, 1},
        {0: 1, 1: 1},
        (k for k in (0, 1)),
        sp.csr_array([[0, 1]]),
    ],
)
def test_what_is_wrong_with_the_classes_is_said(classes):
    with pytest.raises(ValueError, match="classes"):
        check_classes(classes)


def test_classes_of_any_container_are_sorted():
    for several in ((2, 0, 1), pd.Series([2, 0, 1]), pl.Series([2, 0, 1])):
        assert check_classes(several).tolist() == [0, 1, 2]
    for several in (torch.tensor([2.0, 0.0, 1.0], requires_grad=True), range(3)):
        assert check_classes(several).tolist() == [0, 1, 2]
    assert check_classes(range(1000)).tolist() == list(range(1000))


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
    assert class_weights({"b": np.uint8(2)}, classes, masses).tolist() == [1, 2]


@pytest.mark.parametrize(
    "weight",
    [-1, NAN, np.inf, None, pd.NA, "3", "heavy", 1j, [1, 2], 10**400, 1e300, 1e20],
)
def test_what_is_wrong_with_class_weights_is_said(weight):
    with pytest.raises(ValueError, match="class_weight must give non-negative"):
        class_weights({"a": weight}, np.array(["a", "b"]), np.ones(2))


def test_class_weights_must_be_of_the_classes_and_not_all_zero():
    classes, masses = np.array(["a", "b"]), np.ones(2)
    for wrong in ({"a": 1.0, "z": 2.0}, {0: 1.0}, {"a": 0, "b": 0}):
        with pytest.raises(ValueError, match="class_weight must give non-negative"):
            class_weights(wrong, classes, masses)


def test_balanced_weights_are_finite_in_single_precision():
    masses = np.array([1e-38, 1.0, 0.0])
    weights = class_weights("balanced", np.arange(3), masses).astype(np.float32)
    assert np.isfinite(weights).all() and weights[1] > 0


@pytest.mark.parametrize(
    "given",
    [
        [1, 2.5, True],
        np.array([1, 2.5, 1], np.float16),
        pd.Series([1, 2.5, 1], dtype="Float64"),
        pl.Series([1.0, 2.5, 1.0]),
        torch.tensor([1, 2.5, 1], requires_grad=True),
        torch.tensor([1, 2.5, 1]).bfloat16(),
        np.array([1, 2.5, Decimal(1)], dtype=object),
    ],
)
def test_numbers_of_any_container_are_read(given):
    assert as_numbers(given).tolist() == [1, 2.5, 1]


@pytest.mark.parametrize(
    "given", [["1", "2"], ["1", 2], [1j, 2], np.array([1j]), {1: 2}, {1}, "1", b"1"]
)
def test_what_is_no_number_is_not_read_as_one(given):
    with pytest.raises(TypeError, match="real numbers only"):
        as_numbers(given)


def test_shares_are_read_as_numbers():
    assert check_shares("class_prior", [0.5, 0.5], 2, "class").tolist() == [0.5, 0.5]
    shares = torch.tensor([0.25, 0.75], requires_grad=True)
    assert check_shares("class_prior", shares, 2, "class").tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    "prior",
    [
        [0.5, 0.4],
        [1.5, -0.5],
        [1.0],
        "half",
        [NAN, 1.0],
        [None, 1.0],
        [np.inf, 0.0],
        [1e308, 1e308],
        ["0.5", "0.5"],
        [0.5 + 0j, 0.5],
        np.array([0.5 + 0j, 0.5]),
        [[0.5, 0.5]],
        [[0.5], [0.25, 0.25]],
        np.ma.masked_array([0.5, 0.5], mask=[0, 1]),
        {0: 0.5, 1: 0.5},
        [10**400, 0],
    ],
)
def test_what_is_wrong_with_the_prior_is_said(prior):
    with pytest.raises(ValueError, match="class_prior must be 2 non-negative"):
        check_shares("class_prior", prior, 2, "class")
