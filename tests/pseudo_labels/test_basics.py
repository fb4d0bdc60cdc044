"""Contract of solve_pseudo_labels and update_pseudo_labels that every method meets."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from sklearn_cce.pseudo_labels import (
    initial_prices,
    solve_pseudo_labels,
    update_pseudo_labels,
)
from sklearn_cce.pseudo_labels._batch import UPDATES
from sklearn_cce.pseudo_labels._solve import METHODS


def softmax_rows(n_samples, n_classes, *, scale=2.0, seed=0, dtype=np.float64):
    logits = np.random.default_rng(seed).normal(size=(n_samples, n_classes)) * scale
    s = np.exp(logits - logits.max(1, keepdims=True))
    return (s / s.sum(1, keepdims=True)).astype(dtype)


def hard_cases(n_classes, dtype):
    """Rows that are one-hot, equal, tiny; a column that nobody predicts."""
    s = softmax_rows(60, n_classes, scale=4.0)
    s[:, 0] = 0
    s[:5] = 0
    s[:5, 1] = 1
    s[5:10] = s[10]
    s[20:30] = np.maximum(s[20:30] * 1e-30, 1e-30)
    s[20:30, -1] = 1
    s[30:40] = 1 / n_classes
    return (s / s.sum(1, keepdims=True)).astype(dtype)


def plain_objective(labels, s, fairness_weight, prior, weight):
    labels, s = np.float64(labels), np.float64(s)
    labels = labels / labels.sum(1, keepdims=True)
    weight = weight / weight.mean()
    mean = (weight[:, None] * labels).mean(0)
    used = prior > 0
    balance = np.sum(prior[used] * np.log(prior[used] / mean[used]))
    agreement = -np.mean(weight * np.log((labels * s).sum(1)))
    return agreement + fairness_weight * balance


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 30, 1000])
@pytest.mark.parametrize("fairness_weight", [1e-3, 1.0, 1e4])
def test_hard_input_gives_finite_rows_on_the_simplex(
    method, dtype, n_classes, fairness_weight
):
    s = hard_cases(n_classes, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = solve_pseudo_labels(
            s, fairness_weight=fairness_weight, method=method, max_iter=8
        )
    assert result.labels.dtype == dtype
    assert np.all(result.labels >= 0)
    np.testing.assert_allclose(result.labels.sum(1), 1, atol=1e-5)
    assert np.all(np.isfinite(result.prices))
    slack = 1e-7 * max(1, abs(result.objective))
    assert result.lower_bound <= result.objective + slack < np.inf


@pytest.mark.parametrize("method", METHODS)
def test_objective_is_the_formula_with_weights_and_prior(method):
    rng = np.random.default_rng(1)
    s, weight = softmax_rows(80, 5), rng.uniform(size=80)
    weight[:7] = 0
    prior = np.array([0.4, 0.3, 0.1, 0.1, 0.1])
    result = solve_pseudo_labels(
        s, fairness_weight=3.0, prior=prior, sample_weight=weight, method=method
    )
    expected = plain_objective(result.labels, s, 3.0, prior, weight)
    assert result.objective == pytest.approx(expected, rel=1e-12)
    assert result.converged


@pytest.mark.parametrize("method", METHODS)
def test_zero_weight_is_the_same_as_leaving_out(method):
    s = softmax_rows(60, 4)
    weight = np.ones(60)
    weight[40:] = 0
    with_zeros = solve_pseudo_labels(
        s, sample_weight=weight, fairness_weight=2.0, method=method, tol=1e-6
    )
    without = solve_pseudo_labels(s[:40], fairness_weight=2.0, method=method, tol=1e-6)
    assert with_zeros.objective == pytest.approx(without.objective, abs=2e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_class_of_zero_prior_is_allowed(method):
    prior = np.array([0.5, 0.5, 0.0])
    result = solve_pseudo_labels(
        softmax_rows(50, 3), fairness_weight=50.0, prior=prior, method=method, tol=1e-2
    )
    assert result.labels.mean(0)[2] < 0.02
    assert result.prices[2] == 0


@pytest.mark.parametrize("method", METHODS)
def test_kind_dtype_and_layout_of_the_input_are_kept(method):
    s = softmax_rows(40, 6)
    options = {"fairness_weight": 1.0, "method": method}
    base = solve_pseudo_labels(s, **options)
    for same in (np.asfortranarray(s), s.astype(">f8"), s.tolist()):
        result = solve_pseudo_labels(same, **options)
        np.testing.assert_array_equal(result.labels, base.labels)
    frozen = s.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(
        solve_pseudo_labels(frozen, **options).labels, base.labels
    )
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        result = solve_pseudo_labels(torch.tensor(s, dtype=dtype), **options)
        assert result.labels.dtype == dtype
        assert result.objective == pytest.approx(base.objective, abs=2e-2)


@pytest.mark.parametrize("method", METHODS)
def test_the_input_is_not_changed(method):
    s = softmax_rows(30, 4)
    before = s.copy()
    solve_pseudo_labels(s, method=method, tol=1e-2, init=s)
    np.testing.assert_array_equal(s, before)


GOOD = softmax_rows(6, 3)


@pytest.mark.parametrize(
    ("probabilities", "options", "error", "name"),
    [
        (GOOD[0], {}, ValueError, "probabilities"),
        (GOOD[:0], {}, ValueError, "probabilities"),
        (GOOD * 2, {}, ValueError, "probabilities"),
        (np.where(GOOD > 0.9, np.nan, np.nan), {}, ValueError, "probabilities"),
        (GOOD - 0.5, {}, ValueError, "probabilities"),
        (GOOD.astype(complex), {}, TypeError, "probabilities"),
        (torch.ones(3, 1, dtype=torch.int64), {}, TypeError, "probabilities"),
        (GOOD, {"fairness_weight": 0}, ValueError, "fairness_weight"),
        (GOOD, {"fairness_weight": np.nan}, ValueError, "fairness_weight"),
        (GOOD, {"prior": [0.5, 0.5]}, ValueError, "prior"),
        (GOOD, {"prior": [0.5, 0.5, 0.5]}, ValueError, "prior"),
        (GOOD, {"prior": [1.5, -0.5, 0.0]}, ValueError, "prior"),
        (GOOD, {"sample_weight": np.zeros(6)}, ValueError, "sample_weight"),
        (GOOD, {"sample_weight": -np.ones(6)}, ValueError, "sample_weight"),
        (GOOD, {"sample_weight": np.ones(5)}, ValueError, "sample_weight"),
        (GOOD, {"method": "newton"}, ValueError, "method"),
        (GOOD, {"max_iter": 0}, ValueError, "max_iter"),
        (GOOD, {"tol": -1.0}, ValueError, "tol"),
        (GOOD, {"init": np.ones(4)}, ValueError, "init"),
        (GOOD, {"init": np.full(3, np.nan)}, ValueError, "init"),
    ],
)
def test_bad_input_is_refused_by_name(probabilities, options, error, name):
    with pytest.raises(error, match=name):
        solve_pseudo_labels(probabilities, **options)


@pytest.mark.parametrize("method", METHODS)
def test_a_warning_tells_the_gap_when_stopped_early(method):
    with pytest.warns(ConvergenceWarning, match="relative gap"):
        result = solve_pseudo_labels(
            softmax_rows(200, 8), method=method, max_iter=1, tol=1e-9
        )
    assert not result.converged


@pytest.mark.parametrize("method", UPDATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_classes", [2, 30, 1000])
@pytest.mark.parametrize("fairness_weight", [1e-3, 1.0, 1e4])
def test_update_stays_on_the_simplex(method, dtype, n_classes, fairness_weight):
    s = torch.tensor(hard_cases(n_classes, np.float64), dtype=dtype)
    prior = torch.full((n_classes,), 1 / n_classes, dtype=dtype)
    prices = initial_prices(prior, fairness_weight=fairness_weight)
    for _ in range(5):
        labels, prices = update_pseudo_labels(
            s, prices, fairness_weight=fairness_weight, prior=prior, method=method
        )
        assert bool((labels >= 0).all()) and bool(torch.isfinite(prices).all())
        torch.testing.assert_close(
            labels.sum(1), torch.ones(60, dtype=dtype), atol=1e-5, rtol=0
        )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("method", METHODS)
def test_cuda_in_cuda_out_and_the_same_answer(method):
    s = torch.tensor(softmax_rows(300, 10))
    options = {"fairness_weight": 1.0, "method": method}
    on_host = solve_pseudo_labels(s, **options)
    on_device = solve_pseudo_labels(s.cuda(), **options)
    assert on_device.labels.is_cuda and on_device.prices.is_cuda
    assert on_device.objective == pytest.approx(on_host.objective, rel=2e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("method", UPDATES)
def test_update_never_waits_for_the_device(method):
    s = torch.tensor(softmax_rows(300, 10), device="cuda")
    prior = torch.full((10,), 0.1, dtype=s.dtype, device="cuda")
    prices = initial_prices(prior, fairness_weight=10.0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        update_pseudo_labels(
            s, prices, fairness_weight=10.0, prior=prior, method=method
        )
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("method", UPDATES)
@pytest.mark.parametrize("weighted", [False, True])
def test_processes_that_share_a_batch_move_the_prices_as_one_does(method, weighted):
    generator = torch.Generator().manual_seed(0)
    s = torch.rand(50, 6, generator=generator, dtype=torch.float64)
    s = s / s.sum(1, keepdim=True)
    weight = torch.rand(50, generator=generator, dtype=torch.float64)
    given = {"fairness_weight": 3.0, "prior": torch.full((6,), 1 / 6).double()}
    given |= {"method": method}
    prices = 3 + torch.rand(6, generator=generator, dtype=torch.float64)
    weights = weight if weighted else None
    labels, moved = update_pseudo_labels(s, prices, sample_weight=weights, **given)
    barrier, sums = threading.Barrier(2, timeout=60), {}

    def all_sum(own):
        sums[threading.get_ident()] = own.clone()
        barrier.wait()
        total = sum(sums[key] for key in sorted(sums))
        barrier.wait()
        return total

    def part(rows):
        own = weight[rows] if weighted else None
        return update_pseudo_labels(
            s[rows], prices, sample_weight=own, all_sum=all_sum, **given
        )

    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(part, [slice(0, 20), slice(20, 50)])
    assert torch.allclose(torch.cat([one[0], two[0]]), labels, atol=1e-9)
    assert torch.equal(one[1], two[1])
    assert torch.allclose(one[1], moved, atol=1e-9)
