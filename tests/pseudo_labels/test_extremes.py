"""Extreme numbers and wrong types: a certificate that holds, or an error by name."""

import decimal
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from sklearn.exceptions import ConvergenceWarning

from sklearn_cce.pseudo_labels import (
    initial_prices,
    solve_pseudo_labels,
    update_pseudo_labels,
)
from sklearn_cce.pseudo_labels._batch import UPDATES
from sklearn_cce.pseudo_labels._exact._labels import served_in_order
from sklearn_cce.pseudo_labels._exact._lists import listed
from sklearn_cce.pseudo_labels._problem import build_problem
from sklearn_cce.pseudo_labels._solve import METHODS

from .test_basics import hard_cases, softmax_rows

DENORMAL, HUGE = 5e-324, 1e308
FAIRNESS = [DENORMAL, 1e-320, 1e-300, 1e-150, 1e-30, 1e-8, 1, 1e4, 1e8, 1e12, 1e15]
FAIRNESS += [1e30, 1e150, 1e300, 1.7e308]


def solve(s, **options):
    """The result without the warning that it has not converged."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        return solve_pseudo_labels(s, **options)


def extreme_rows(rng, n_samples, n_classes):
    """Soft, one-hot, equal or nearly one-hot rows, the last with tiny entries."""
    tiny = rng.choice([DENORMAL, 1e-310, 1e-300, 1e-45, 1e-38])
    one_hot = np.eye(n_classes)[rng.integers(n_classes, size=n_samples)]
    soft = rng.dirichlet(np.full(n_classes, rng.choice([0.3, 5.0])), size=n_samples)
    kinds = soft, one_hot, np.full_like(soft, 1 / n_classes), np.maximum(one_hot, tiny)
    return kinds[rng.integers(4)].astype(rng.choice([np.float32, np.float64]))


def extreme_case(rng):
    """Predictions and options of a problem, any of them out of the ordinary."""
    n_samples, n_classes = rng.choice([1, 2, 7, 40]), rng.choice([1, 2, 3, 50])
    options = {"fairness_weight": float(rng.choice(FAIRNESS))}
    options["max_iter"] = int(rng.choice([1, 2, 12]))
    options["tol"] = float(rng.choice([0.0, 1e-16, 1e-9, 1e-4, 1.0]))
    options["method"] = str(rng.choice(list(METHODS)))
    if rng.random() < 0.4:
        prior = rng.choice([DENORMAL, 1e-300, 1e-15, 0.0, 1.0], size=n_classes)
        prior[rng.integers(n_classes)] = 1
        options["prior"] = prior / prior.sum()
    if rng.random() < 0.4:
        weight = rng.choice([DENORMAL, 1e-300, 0.0, 1.0, HUGE], size=n_samples)
        weight[0] = rng.choice([1e-320, 1.0, HUGE])
        options["sample_weight"] = weight
    if rng.random() < 0.4:
        shape = n_classes if rng.random() < 0.5 else (n_samples, n_classes)
        init = rng.choice([DENORMAL, 1e-30, 0.0, 1.0, 1e300, HUGE], size=shape)
        init.flat[0] = rng.choice([1e-320, 1.0, HUGE])
        options["init"] = init
    return extreme_rows(rng, n_samples, n_classes), options


@pytest.mark.parametrize("block", range(10))
def test_certificates_of_extreme_problems_hold(block):
    for seed in range(30):
        s, options = extreme_case(np.random.default_rng([block, seed]))
        result = solve(s, **options)
        gap = result.objective - result.lower_bound
        allowed = options["tol"] * max(1, abs(result.objective))
        assert np.all(result.labels >= 0), seed
        np.testing.assert_allclose(result.labels.sum(1), 1, atol=1e-5)
        assert np.all((0 <= result.prices) & (result.prices < np.inf)), seed
        assert -np.inf < result.lower_bound <= result.objective < np.inf, seed
        assert result.converged == (gap <= allowed), seed


def exact_objective(labels, problem):
    """The objective in 50 digits."""
    with decimal.localcontext(prec=50):
        s, y = (
            [[Decimal(v) for v in row] for row in np.float64(part).tolist()]
            for part in (problem.probabilities, labels)
        )
        weights = [Decimal(v) / len(s) for v in problem.weights.tolist()]
        prior = [Decimal(v) for v in problem.prior.tolist()]
        y = [[v / sum(row) for v in row] for row in y]
        columns = list(zip(*y, strict=True))
        mean = [sum(w * v for w, v in zip(weights, c, strict=True)) for c in columns]
        rows = zip(y, s, strict=True)
        match = [sum(a * b for a, b in zip(*row, strict=True)) for row in rows]
        loss = -sum(w * m.ln() for w, m in zip(weights, match, strict=True))
        pairs = zip(prior, mean, strict=True)
        balance = sum(u * (u / m).ln() for u, m in pairs if u)
        return loss + Decimal(problem.fairness_weight) * balance


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fairness_weight", [2e-8, 1.0, 1e6, 1e12, 1e15])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [(1, 2), (3, 3), (40, 5)])
def test_rounding_does_not_put_the_bound_above_the_true_objective(
    method, fairness_weight, dtype, rows
):
    for scale in (1.0, 6.0):
        s = softmax_rows(*rows, scale=scale, dtype=dtype)
        options = {"fairness_weight": fairness_weight, "method": method}
        result = solve(s, max_iter=20, **options)
        problem = build_problem(torch.tensor(s), fairness_weight, None, None)
        prices = torch.tensor(np.float64(result.prices))
        rounding = Decimal(problem.certify(prices).rounding)
        true = exact_objective(result.labels, problem)
        assert Decimal(result.lower_bound) <= true
        assert true <= Decimal(result.objective) + rounding
        assert abs(true - Decimal(result.objective)) <= rounding


def test_the_bound_stays_below_where_sums_of_many_rows_drift():
    """Equal summands are all rounded to the same side; one row has the same bound."""
    for share in (0.1, 0.3, 0.49):
        row = torch.tensor([[share, 1 - share]], dtype=torch.float64)
        one = build_problem(row, 1e6, None, None)
        many = build_problem(row.repeat(60_000, 1), 1e6, None, None)
        prices = torch.tensor([1e6 + 0.3, 1e6 - 0.1], dtype=torch.float64)
        bound, rounding = many.certify(prices)
        true, slack = one.certify(prices)
        assert bound <= true + 2 * slack
        assert bound + rounding == pytest.approx(true, abs=rounding + slack)
        labels = torch.full((60_000, 2), 0.5, dtype=torch.float64)
        assert many.objective(labels) == pytest.approx(
            one.objective(labels[:1]), abs=rounding
        )


@pytest.mark.parametrize("method", ["exact", "em"])
def test_the_warning_says_where_precision_is_the_limit(method):
    s = softmax_rows(60, 4)
    with pytest.warns(ConvergenceWarning, match="precision of float64 is the limit"):
        result = solve_pseudo_labels(s, fairness_weight=1e15, method=method, max_iter=9)
    assert not result.converged
    assert result.lower_bound <= result.objective
    with pytest.warns(ConvergenceWarning, match="Raise max_iter or tol"):
        solve_pseudo_labels(s, method=method, max_iter=1, tol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fairness_weight", [DENORMAL, 1e-200, 1.0, 1e200])
@pytest.mark.parametrize("init", [HUGE, 1e300, DENORMAL])
def test_the_scale_of_labels_to_start_from_does_not_matter(
    method, fairness_weight, init
):
    s = softmax_rows(12, 3)
    options = {"fairness_weight": fairness_weight, "method": method, "max_iter": 5}
    scaled = solve(s, init=np.full((12, 3), init), **options)
    plain = solve(s, init=np.full((12, 3), 1.0), **options)
    np.testing.assert_allclose(scaled.labels, plain.labels, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("many", [1e18, 1e100, 1.7e308])
def test_beyond_double_precision_the_fairness_weight_makes_no_difference(method, many):
    s = softmax_rows(30, 3)
    largest = solve(s, fairness_weight=1e15, method=method, max_iter=10)
    result = solve(s, fairness_weight=many, method=method, max_iter=10)
    np.testing.assert_array_equal(result.labels, largest.labels)
    if method == "exact":
        np.testing.assert_allclose(result.labels.mean(0), 1 / 3, atol=1e-6)


@pytest.mark.parametrize("few", [DENORMAL, 1e-320, 1e-100])
def test_a_vanishing_fairness_weight_leaves_the_best_class(few):
    s = softmax_rows(30, 3)
    result = solve_pseudo_labels(s, fairness_weight=few, tol=1e-9)
    assert result.objective == pytest.approx(-np.log(s.max(1)).mean(), abs=1e-12)
    np.testing.assert_allclose(result.labels, s == s.max(1, keepdims=True), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tiny", [DENORMAL, 1e-300, 1e-30])
def test_a_vanishing_prior_or_weight_is_zero(method, tiny):
    s = softmax_rows(20, 3)
    prior, weight = np.array([0.5, 0.5, 0.0]), np.ones(20)
    options = {"fairness_weight": 3.0, "method": method, "max_iter": 20}
    weight[4:] = 0
    zero = solve(s, prior=prior, sample_weight=weight, **options)
    prior[2], weight[4:] = tiny, tiny / 10
    result = solve(s, prior=prior, sample_weight=weight, **options)
    np.testing.assert_array_equal(result.labels, zero.labels)
    huge = solve(s, prior=prior, sample_weight=weight * HUGE, **options)
    np.testing.assert_allclose(huge.labels, zero.labels, atol=1e-12)


@pytest.mark.parametrize("pooled", [0.0, 1e-7, 1e-5, 0.5])
def test_a_row_without_weight_keeps_its_labels_from_the_pool(pooled):
    """Its part of the pool is too small to be seen beside those of the others."""
    weight = np.ones(40)
    weight[-1] = 0
    s = torch.tensor(softmax_rows(40, 40))
    problem = build_problem(s, 1.0, None, weight)
    short = listed(problem, torch.ones(40).double(), 8)
    share = torch.full((40, 1), 0.5, dtype=torch.float64)
    share[-1] = pooled
    labels = torch.cat([(1 - share).expand(40, 8) / 8, share], 1)
    served = served_in_order(labels, short, torch.ones(40).double(), torch.float64)
    np.testing.assert_allclose(served[:].sum(1), 1, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_prices_fit_their_dtype(dtype, kind):
    s = kind(softmax_rows(30, 3, dtype=dtype))
    result = solve(s, fairness_weight=1e6, max_iter=5)
    assert result.labels.dtype == s.dtype
    np.testing.assert_allclose(np.float64(result.prices), 1e6, rtol=1e-2)


@pytest.mark.parametrize("method", UPDATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fairness_weight", [*FAIRNESS, 1e3, 1e6])
def test_an_update_with_any_fairness_weight_is_finite(method, dtype, fairness_weight):
    for rows in (hard_cases(6, float), np.eye(4)[[0] * 30 + [1] * 5]):
        s = torch.tensor(rows, dtype=dtype)
        prior = s.new_full((s.shape[1],), 1 / s.shape[1])
        prices = initial_prices(prior, fairness_weight=fairness_weight)
        for _ in range(4):
            labels, prices = update_pseudo_labels(
                s, prices, fairness_weight=fairness_weight, prior=prior, method=method
            )
        ones = torch.ones(len(s), dtype=dtype)
        torch.testing.assert_close(labels.sum(1), ones, atol=1e-5, rtol=0)
        assert bool(torch.isfinite(prices).all()) and bool((labels >= 0).all())


# Wrong types

S = softmax_rows(6, 3)
NO_NUMBER = [None, "1", b"1", 1j, True, np.True_, {}, {1.0}, [], [1.0], np.ones(1)]
NO_NUMBER += [object(), pd.NA, np.datetime64(1, "s"), torch.ones(2), lambda: 0]
NO_ARRAY = ["1", b"1", 1j, {"a": 1}, {1.0}, object(), pd.NA, ["1"] * 6, [1j] * 3]
NO_ARRAY += [[[1.0], [1.0, 2.0]], np.array([1, "a", 2], object), sp.eye_array(6)]
NO_ARRAY += [torch.eye(6).to_sparse(), torch.ones(6, dtype=torch.complex64)]
NO_ARRAY += [np.zeros(3, "M8[s]"), np.ma.masked_array([0.2, 0.3, 0.5], [1, 0, 0])]
NO_ARRAY += [np.array([10**400] * 3, object), np.full(6, np.inf), np.zeros((2, 2, 2))]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("fairness_weight", value) for value in NO_NUMBER),
        *(("fairness_weight", value) for value in (np.nan, -1, 0, np.inf, 10**400)),
        *(("tol", value) for value in NO_NUMBER),
        *(("tol", value) for value in (np.nan, -1e-9, -(10**400))),
        *(("max_iter", value) for value in NO_NUMBER[1:]),
        *(("max_iter", value) for value in (np.nan, 2.0, 0, -3, np.float64(5))),
        *(("sparse_output", value) for value in (None, 1, 0, "yes", [], np.ones(1))),
        *(("method", value) for value in (None, 1, "", ["em"], {"em"}, np.ones(2))),
        *((name, v) for name in ("init", "prior", "sample_weight") for v in NO_ARRAY),
        *(("probabilities", value) for value in (None, 0.5, [], *NO_ARRAY)),
    ],
)
def test_wrong_types_are_refused_by_name(name, value):
    options = {"probabilities": S, name: value}
    with pytest.raises((TypeError, ValueError), match=name):
        solve_pseudo_labels(**options)


@pytest.mark.parametrize(
    "number",
    [np.float32(2), np.float64(2), np.uint8(2), np.array(2.0), torch.tensor(2)],
)
def test_numbers_of_other_libraries(number):
    expected = solve_pseudo_labels(S, fairness_weight=2.0, tol=2.0)
    result = solve_pseudo_labels(S, fairness_weight=number, tol=number)
    np.testing.assert_array_equal(result.labels, expected.labels)
    steps = solve(S, max_iter=np.uint8(200), method="em", fairness_weight=5.0)
    assert steps.converged
    assert solve(S, max_iter=10**30).converged


def series(values):
    return pd.Series(values, index=np.arange(len(values))[::-1] + 7)


@pytest.mark.parametrize(
    "container",
    [list, series, pl.Series, torch.tensor, lambda v: np.array(v.tolist(), object)],
)
@pytest.mark.parametrize("method", METHODS)
def test_containers_are_read_by_position(method, container):
    rng = np.random.default_rng(0)
    given = {
        "prior": np.array([0.5, 0.3, 0.2]),
        "sample_weight": rng.uniform(1, 2, size=6),
        "init": np.array([2.0, 1.0, 1.5]),
    }
    options = {"fairness_weight": 2.0, "method": method, "max_iter": 20}
    expected = solve(S, **given, **options)
    others = {name: container(values) for name, values in given.items()}
    result = solve(S, **others, **options)
    np.testing.assert_array_equal(result.labels, expected.labels)


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(S, index=list("fedcba"), columns=list("zyx")),
        pd.DataFrame(S).astype("Float64"),
        pl.DataFrame(S),
        torch.tensor(S, requires_grad=True),
        np.asfortranarray(S),
        torch.tensor(np.array(S).T.copy()).T,
    ],
)
def test_tables_of_predictions_and_labels(table):
    expected = solve(S, init=S, fairness_weight=2.0, method="em", max_iter=5)
    options = {"fairness_weight": 2.0, "method": "em", "max_iter": 5}
    for probabilities, init in ((table, S), (S, table)):
        result = solve(probabilities, init=init, **options)
        np.testing.assert_array_equal(result.labels, expected.labels)
