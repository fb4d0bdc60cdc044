"""EM: the objective never rises, and its row problem is solved exactly."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from sklearn_cce.pseudo_labels._em import em_step, first_labels, maximise_rows
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
