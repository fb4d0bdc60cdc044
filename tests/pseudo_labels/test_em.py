"""EM: the objective never rises, and its row problem is solved exactly."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from benchmarks.paper_em import em_step
from sklearn_cce.pseudo_labels import solve_pseudo_labels
from sklearn_cce.pseudo_labels._batch import maximise_rows
from sklearn_cce.pseudo_labels._em import em_steps, first_labels, raised
from sklearn_cce.pseudo_labels._problem import build_problem

from .test_basics import hard_cases, softmax_rows


@pytest.mark.parametrize("fairness_weight", [1e-3, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("rows", [softmax_rows(150, 12), hard_cases(12, float)])
def test_objective_never_rises(fairness_weight, rows):
    weight = np.random.default_rng(0).uniform(size=len(rows))
    problem = build_problem(torch.tensor(rows), fairness_weight, None, weight)
    labels = first_labels(problem, None)
    values = [problem.objective(labels)]
    for _ in range(40):
        labels = em_step(problem, labels, problem.mean_labels(labels))
        values.append(problem.objective(labels))
    assert np.all(np.diff(values) <= 1e-12 * fairness_weight + 1e-12)


@pytest.mark.parametrize("fairness_weight", [1e-3, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("rows", [softmax_rows(150, 12), hard_cases(12, float)])
def test_over_relaxed_steps_never_raise_the_objective(fairness_weight, rows):
    weight = np.random.default_rng(0).uniform(size=len(rows))
    problem = build_problem(torch.tensor(rows), fairness_weight, None, weight)
    steps = em_steps(problem, first_labels(problem, None))
    states = [next(steps) for _ in range(2)]
    values = [states[-1].objective, *(next(steps).objective for _ in range(60))]
    assert np.all(np.diff(values) <= 0)
    last = next(steps)
    assert last.objective == pytest.approx(problem.objective(last.labels), rel=1e-11)


def test_the_plain_step_is_the_closed_form():
    """With power 1, y_k is multiplied by (t s_k + prices_k) / (1 + prices . y)."""
    s = torch.tensor(softmax_rows(30, 5))
    problem = build_problem(s, 3.0, None, None)
    labels = first_labels(problem, None)
    after = next(em_steps(problem, labels.clone())).labels
    prices = 3.0 / 5 / labels.mean(0)
    factor = s / (labels * s).sum(1, keepdim=True) + prices
    expected = labels * factor / (1 + labels @ prices)[:, None]
    torch.testing.assert_close(expected.sum(1), torch.ones(30, dtype=s.dtype))
    torch.testing.assert_close(after, expected)


def test_raising_labels_to_a_power_keeps_them_on_the_simplex():
    s = torch.tensor(hard_cases(6, float))
    problem = build_problem(s, 3.0, None, None)
    growth = torch.randn(s.shape, generator=torch.Generator().manual_seed(0)).double()
    for power in (0.0, 1.0, 1e3, 1e8):
        state = raised(problem, s.clone(), growth, power, torch.empty_like(s))
        torch.testing.assert_close(state.labels.sum(1), torch.ones(60).double())
        assert np.isfinite(state.objective)


@pytest.mark.parametrize("fairness_weight", [1.0, 10.0])
def test_over_relaxation_saves_most_of_the_steps(fairness_weight):
    """To a gap of 1e-4, in a third of the steps of the paper's EM, or fewer."""
    s = torch.tensor(softmax_rows(400, 10))
    fast = solve_pseudo_labels(s, fairness_weight=fairness_weight, method="em")
    assert fast.converged
    problem = build_problem(s, fairness_weight, None, None)
    labels = first_labels(problem, None)
    for _ in range(3 * fast.n_iter):
        em_step(problem, labels, problem.mean_labels(labels))
    assert problem.objective(labels) > fast.objective


@pytest.mark.parametrize("seed", range(5))
def test_row_problem_against_scipy(seed):
    rng = np.random.default_rng(seed)
    s, a = rng.dirichlet(np.ones(4)), rng.gamma(1.0, 5.0, size=4)
    ours, _ = maximise_rows(torch.tensor(s)[None], torch.tensor(a)[None], n_newton=30)

    def loss(z):
        y = np.exp(z) / np.exp(z).sum()
        return -np.log(s @ y) - a @ np.log(y)

    best = minimize(loss, np.zeros(4), tol=1e-14)
    value = loss(np.log(ours.numpy()[0]))
    assert value <= best.fun + 1e-12
    assert value == pytest.approx(best.fun, abs=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_newton_climbs_to_the_root_and_needs_few_steps(dtype):
    s = torch.tensor(softmax_rows(500, 20, scale=4.0), dtype=dtype)
    a = 100 * s * torch.tensor(softmax_rows(1, 20, scale=1.0, seed=1), dtype=dtype)
    excess = [maximise_rows(s, a, n_newton=n)[1] for n in range(9)]
    rounding = 100 * torch.finfo(dtype).eps
    for before, after in zip(excess, excess[1:], strict=False):
        assert bool((after <= before + rounding).all())
        assert bool((after >= -rounding).all())
    assert float(excess[-1].abs().max()) <= rounding
