"""The exact method against other solvers, limits and closed forms."""

import warnings

import cvxpy as cp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog, minimize_scalar
from sklearn.exceptions import ConvergenceWarning
from torch.utils._python_dispatch import TorchDispatchMode

from sklearn_cce.pseudo_labels import solve_pseudo_labels
from sklearn_cce.pseudo_labels._exact._labels import served_in_order, without_dust
from sklearn_cce.pseudo_labels._exact._lists import listed, reach_of_shares
from sklearn_cce.pseudo_labels._exact._merge import merge_rows
from sklearn_cce.pseudo_labels._exact._newton import dual_pass
from sklearn_cce.pseudo_labels._exact._path import InteriorPath, follow_path
from sklearn_cce.pseudo_labels._exact._two_classes import two_class_prices
from sklearn_cce.pseudo_labels._problem import build_problem, relative_gap
from sklearn_cce.pseudo_labels._rows import solve_rows
from sklearn_cce.pseudo_labels._solve import METHODS

from .test_basics import hard_cases, plain_objective, softmax_rows


def reference_optimum(s, fairness_weight, prior, weight):
    """The optimum by a general conic solver."""
    n_samples, n_classes = s.shape
    labels = cp.Variable((n_samples, n_classes), nonneg=True)
    weight = weight / weight.mean()
    match = cp.sum(cp.multiply(s, labels), axis=1)
    mean = labels.T @ weight / n_samples
    balance = prior @ np.log(np.where(prior > 0, prior, 1)) - prior @ cp.log(mean)
    loss = -(weight @ cp.log(match)) / n_samples + fairness_weight * balance
    problem = cp.Problem(cp.Minimize(loss), [cp.sum(labels, axis=1) == 1])
    return problem.solve(solver=cp.CLARABEL)


def degenerate_rows(rng, n_samples, n_classes):
    """Ties, one-hot rows, equal rows and empty columns, mixed at random."""
    kind = rng.integers(5)
    s = rng.dirichlet(np.full(n_classes, rng.choice([0.2, 1.0, 5.0])), size=n_samples)
    if kind == 1:
        s = np.round(s * 4) + 1
    elif kind == 2:
        s = np.eye(n_classes)[rng.integers(n_classes, size=n_samples)]
    elif kind == 3:
        s[:] = s[0]
    elif kind == 4:
        s[:, 0] = 0
        s[:, -1] += 1e-3
    return s / s.sum(1, keepdims=True)


@pytest.mark.parametrize("seed", range(200))
def test_optimum_of_small_problems_by_a_conic_solver(seed):
    rng = np.random.default_rng(seed)
    n_samples, n_classes = rng.integers(1, 13), rng.integers(2, 6)
    s = degenerate_rows(rng, n_samples, n_classes)
    prior, weight = (
        rng.dirichlet(np.full(n_classes, 5.0)),
        rng.uniform(0.1, 2, n_samples),
    )
    fairness_weight = 10.0 ** rng.uniform(-2, 2)
    result = solve_pseudo_labels(
        s,
        fairness_weight=fairness_weight,
        prior=prior,
        sample_weight=weight,
        tol=1e-7,
    )
    best = reference_optimum(s, fairness_weight, prior, weight)
    slack = 1e-6 * max(1, abs(best))
    assert result.converged
    assert result.lower_bound <= best + slack
    assert result.objective == pytest.approx(best, abs=2 * slack)


@st.composite
def small_rows(draw):
    """Rows of few different values: ties, one-hot and equal rows, empty columns."""
    shape = draw(st.tuples(st.integers(1, 8), st.integers(2, 5)))
    values = st.sampled_from([0.0, 0.0, 1e-9, 1e-3, 0.5, 1.0])
    s = draw(arrays(float, shape, elements=values))
    s[s.sum(1) == 0, 0] = 1
    return s / s.sum(1, keepdims=True)


@settings(max_examples=40)
@given(s=small_rows(), log_weight=st.floats(-2, 2))
def test_bounds_and_optimum_of_awkward_problems_by_a_conic_solver(s, log_weight):
    n_samples, n_classes = s.shape
    fairness_weight = 10.0**log_weight
    best = reference_optimum(
        s, fairness_weight, np.full(n_classes, 1 / n_classes), np.ones(n_samples)
    )
    slack = 2e-6 + 1e-7 * fairness_weight  # of the conic solver
    for method in METHODS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            result = solve_pseudo_labels(
                s, fairness_weight=fairness_weight, method=method, tol=1e-7, max_iter=60
            )
        assert result.lower_bound - slack <= best <= result.objective + slack
        assert result.converged or method != "exact"


@settings(max_examples=60)
@given(
    n_samples=st.integers(1, 40),
    n_classes=st.integers(1, 12),
    log_weight=st.floats(-3, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_problem_is_certified(n_samples, n_classes, log_weight, seed):
    s = degenerate_rows(np.random.default_rng(seed), n_samples, n_classes)
    result = solve_pseudo_labels(s, fairness_weight=10.0**log_weight, tol=1e-6)
    assert result.converged
    np.testing.assert_allclose(result.labels.sum(1), 1, rtol=1e-12)
    np.testing.assert_array_less(-1e-15, result.labels)


def transport_plan(cost):
    """The cheapest assignment with exactly equal class sizes, by linear programming."""
    n_samples, n_classes = cost.shape
    rows = np.kron(np.eye(n_samples), np.ones(n_classes))
    columns = np.kron(np.ones(n_samples), np.eye(n_classes))
    sums = np.r_[np.ones(n_samples), np.full(n_classes, n_samples / n_classes)]
    return linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=sums)


def test_large_fairness_weight_gives_an_optimal_transport_plan():
    """The labels are balanced, and no balanced plan is cheaper at their own slopes."""
    s = softmax_rows(40, 4)
    result = solve_pseudo_labels(s, fairness_weight=1e6, tol=1e-7)
    np.testing.assert_allclose(result.labels.mean(0), 0.25, atol=1e-5)
    assert result.objective <= transport_plan(-np.log(s)).fun / 40 + 1e-6
    match = (result.labels * s).sum(1, keepdims=True)
    assert transport_plan(-s / match).fun / 40 == pytest.approx(-1, abs=1e-3)


def test_small_fairness_weight_gives_argmax():
    s = softmax_rows(200, 6, scale=4.0)
    result = solve_pseudo_labels(s, fairness_weight=1e-3, tol=1e-8)
    gap = np.diff(np.sort(s, axis=1)[:, -2:], axis=1)[:, 0] / s.max(1)
    clear = gap > 0.05
    hard = np.eye(6)[s.argmax(1)]
    np.testing.assert_allclose(result.labels[clear], hard[clear], atol=1e-5)


@pytest.mark.parametrize("fairness_weight", [0.1, 1.0, 10.0, 1000.0])
def test_two_classes_against_a_search_over_one_price(fairness_weight):
    """For K = 2 the dual is a function of one price difference."""
    s = softmax_rows(300, 2)

    def bound(difference):
        def shifted(base):
            return lower_bound(s, fairness_weight, np.array([base, base + difference]))

        low = max(0.0, -difference) + 1e-9
        best = minimize_scalar(
            lambda base: -shifted(base),
            bounds=(low, low + 4 * fairness_weight + 4),
            method="bounded",
            options={"xatol": 1e-9},
        )
        return best.fun

    search = minimize_scalar(
        bound, bounds=(-5 * fairness_weight, 5 * fairness_weight), method="bounded"
    )
    result = solve_pseudo_labels(s, fairness_weight=fairness_weight, tol=1e-8)
    assert -search.fun == pytest.approx(result.objective, rel=1e-5)


def lower_bound(s, fairness_weight, prices):
    """The dual function, its rows by a fine search over the two-class labels."""
    share = np.linspace(0, 1, 2001)[:, None]
    value = np.log(share * s[:, 0] + (1 - share) * s[:, 1])
    value = (value + share * prices[0] + (1 - share) * prices[1]).max(0)
    balance = fairness_weight * np.mean(1 - np.log(fairness_weight) + np.log(prices))
    return balance - value.mean()


@pytest.mark.parametrize("fairness_weight", [1e-3, 0.1, 1.0, 100.0, 1e6])
@pytest.mark.parametrize("share", [0.5, 0.05])
def test_prices_of_two_classes_certify_their_labels_to_rounding(fairness_weight, share):
    s = torch.tensor(softmax_rows(500, 2))
    weight = np.random.default_rng(0).uniform(size=500)
    problem = build_problem(s, fairness_weight, [1 - share, share], weight)
    prices, n_iter = two_class_prices(problem, 100)
    assert n_iter <= 40
    rounding = 1e-10 + 2e-15 * fairness_weight
    allowed = problem.certify(prices).rounding
    assert abs(dual_pass(problem, prices).gap - allowed) <= rounding


@pytest.mark.parametrize("fairness_weight", [1.0, 100.0, 1e6])
@pytest.mark.parametrize("rows", [softmax_rows(400, 30), hard_cases(30, float)])
def test_em_and_exact_agree_to_their_certificates(fairness_weight, rows):
    options = {"fairness_weight": fairness_weight, "max_iter": 200}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        em = solve_pseudo_labels(rows, method="em", tol=1e-3, **options)
    exact = solve_pseudo_labels(rows, method="exact", tol=1e-6, **options)
    assert exact.converged
    slack = 1e-6 * max(1, abs(exact.objective))
    assert em.lower_bound <= exact.objective + slack
    assert exact.lower_bound <= em.objective + slack


def test_few_rows_use_more_than_two_classes():
    """At most 2 N + K - 1 labels are non-zero in a best solution."""
    result = solve_pseudo_labels(softmax_rows(500, 20), fairness_weight=10.0, tol=1e-9)
    used = (result.labels > 1e-5).sum(1)
    assert used.sum() <= 2 * 500 + 19
    assert np.mean(used <= 2) > 0.95


def test_prices_are_the_derivative_of_the_balance_term():
    result = solve_pseudo_labels(softmax_rows(300, 7), fairness_weight=5.0, tol=1e-9)
    np.testing.assert_allclose(
        result.prices, 5.0 / 7 / result.labels.mean(0), rtol=1e-4
    )


def test_prices_handed_in_are_used_where_they_certify():
    s = softmax_rows(3000, 4, scale=1.0)
    first = solve_pseudo_labels(s, fairness_weight=1.0, tol=1e-8)
    again = solve_pseudo_labels(s, fairness_weight=1.0, tol=1e-4, init=first.prices)
    assert again.n_iter == 0 and again.converged
    assert ((again.labels > 0).sum(1) <= 2).all()


def test_sparse_labels_are_the_dense_ones():
    s = softmax_rows(300, 40)
    dense = solve_pseudo_labels(s, fairness_weight=10.0)
    sparse = solve_pseudo_labels(s, fairness_weight=10.0, sparse_output=True)
    np.testing.assert_array_equal(sparse.labels.toarray(), dense.labels)
    assert sparse.labels.nnz < 0.1 * s.size
    tensor = solve_pseudo_labels(
        torch.tensor(s), fairness_weight=10.0, sparse_output=True
    )
    np.testing.assert_array_equal(tensor.labels.to_dense().numpy(), dense.labels)


class LargestStorage(TorchDispatchMode):
    """The bytes of the largest tensor made, views of what there was left out."""

    def __init__(self, given):
        super().__init__()
        self.given, self.bytes = given.untyped_storage().data_ptr(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided:
                storage = tensor.untyped_storage()
                if storage.data_ptr() != self.given:
                    self.bytes = max(self.bytes, storage.nbytes())
        return made


@pytest.mark.parametrize("kind", ["soft", "nearly one-hot"])
def test_sparse_labels_need_no_matrix_of_the_size_of_the_predictions(kind):
    n_samples, n_classes = 40_000, 64
    rows = {"soft": softmax_rows, "nearly one-hot": nearly_one_hot}[kind]
    s = torch.tensor(rows(n_samples, n_classes)).float()
    with LargestStorage(s) as largest:
        result = solve_pseudo_labels(
            s, fairness_weight=10.0, tol=1e-2, sparse_output=True
        )
    assert result.converged and result.n_iter > 0
    assert largest.bytes <= s.nbytes / 1.5


def nearly_one_hot(n_samples, n_classes, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_samples, n_classes))
    logits[np.arange(n_samples), rng.integers(n_classes, size=n_samples)] += 12
    s = np.exp(logits - logits.max(1, keepdims=True))
    return s / s.sum(1, keepdims=True)


@pytest.mark.parametrize("fairness_weight", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("n_classes", [4, 40])
def test_merged_rows_are_certified_on_the_whole_problem(fairness_weight, n_classes):
    s = nearly_one_hot(400, n_classes)
    problem = build_problem(torch.tensor(s), fairness_weight, None, None)
    distance = 1 - s.max(1)
    budget = np.mean(distance**2) / 4
    groups = merge_rows(problem, budget=budget, most=399)
    rows, index = groups.merged.probabilities, groups.group.numpy()
    shares = groups.merged.weights / rows.shape[0]
    np.testing.assert_allclose(shares @ rows[:], s.mean(0), rtol=1e-9)
    np.testing.assert_array_equal(rows[3:50], rows[:][3:50])
    merged = index < len(rows.centres)
    np.testing.assert_array_equal(rows[:][index[~merged]], s[~merged])
    assert 0 < distance[merged].max() <= distance[~merged].min()
    assert np.sum(distance[merged] ** 2) / 400 <= budget
    rough = solve_pseudo_labels(s, fairness_weight=fairness_weight, tol=1e-4)
    fine = solve_pseudo_labels(s, fairness_weight=fairness_weight, tol=1e-7)
    assert rough.converged and fine.converged
    assert rough.lower_bound <= fine.objective <= rough.objective + 1e-7
    expected = plain_objective(
        rough.labels,
        s,
        fairness_weight,
        np.full(n_classes, 1 / n_classes),
        np.ones(400),
    )
    assert rough.objective == pytest.approx(expected, rel=1e-12)


def test_rows_by_active_sets_are_the_maximum_over_pairs_of_classes():
    """phi(prices) by a fine search over all two-class labels."""
    s, prices = torch.tensor(softmax_rows(40, 6)), torch.linspace(1.0, 3.0, 6).double()
    low, high = torch.combinations(torch.arange(6), 2).T
    share = torch.linspace(0, 1, 2001).double()[:, None]
    row = solve_rows(s, prices)
    best = row.height - torch.log(row.t) - 1
    for i in range(40):
        match = share * s[i, high] + (1 - share) * s[i, low]
        value = match.log() + share * prices[high] + (1 - share) * prices[low]
        assert float(best[i]) == pytest.approx(float(value.max()), abs=1e-6)
        assert float(best[i]) >= float(value.max()) - 1e-12


def test_one_pass_over_the_rows_tells_objective_and_bound():
    s = softmax_rows(300, 8)
    weight = np.random.default_rng(0).uniform(size=300)
    problem = build_problem(torch.tensor(s), 2.0, None, weight)
    state = dual_pass(problem, torch.linspace(1.5, 2.5, 8).double())
    assert state.objective == pytest.approx(problem.objective(state.labels), rel=1e-12)
    assert state.bound == pytest.approx(problem.lower_bound(state.prices), rel=1e-12)


def test_sure_predictions_in_balance_need_no_step():
    s = nearly_one_hot(2000, 4)
    result = solve_pseudo_labels(s, fairness_weight=1.0, tol=1e-2)
    assert result.n_iter == 0 and result.converged


@pytest.mark.parametrize("width", [2, 5])
def test_lists_hold_the_best_class_once(width):
    problem = build_problem(torch.tensor(softmax_rows(200, 40)), 10.0, None, None)
    prices = torch.linspace(9, 11, 40, dtype=torch.float64)
    short = listed(problem, prices, width, reach_of_shares(problem, prices))
    assert all(len(set(row.tolist())) == width + 1 for row in short.lists)
    assert (short.lists[:, -1] == 40).all() and (short.values[:, -1] == 0).all()
    lists = short.lists[:, :-1]
    torch.testing.assert_close(
        short.values[:, :-1], problem.probabilities.gather(1, lists)
    )
    row = solve_rows(problem.probabilities, prices)
    lines = prices + row.t[:, None] * problem.probabilities
    torch.testing.assert_close(lines.gather(1, lists).amax(1), lines.amax(1))


def test_classes_in_use_stay_on_the_lists():
    s = torch.tensor(softmax_rows(200, 40))
    problem = build_problem(s, 10.0, None, None)
    prices, used = torch.full((40,), 10.0).double(), s.topk(2, largest=False).indices
    short = listed(problem, prices, 4, reach_of_shares(problem, prices), used)
    on_list = (short.lists[:, None] == used[:, :, None]).any(2)
    assert on_list.all()
    assert all(len(set(row.tolist())) == 5 for row in short.lists)


@pytest.mark.parametrize("fairness_weight", [0.1, 10.0, 1e4])
def test_the_pool_makes_lists_of_one_class_a_valid_problem(fairness_weight):
    """With one class a list, the prices certify one-hot rows: the pool does the rest.

    For one-hot rows a label is worth what it has of the row's class, so nothing is
    lost by lists of that class alone.
    """
    rng = np.random.default_rng(0)
    classes = rng.choice(40, p=rng.dirichlet(np.ones(40)), size=300)
    problem = build_problem(
        torch.eye(40)[classes].double(), fairness_weight, None, None
    )
    short = listed(problem, torch.full((40,), fairness_weight).double(), 1)
    path = InteriorPath(short)
    path.point, _ = follow_path(short, tol=1e-7, max_iter=100)
    point, (_, bound) = path.point, path.linearise()
    prices = point.prices[:-1]
    assert problem.lower_bound(prices) == pytest.approx(bound, abs=1e-5)
    labels = served_in_order(
        without_dust(point.labels, 0.0), short, point.received, torch.float64
    )
    objective = problem.objective(labels)
    assert relative_gap(objective, problem.lower_bound(prices)) <= 1e-5
    np.testing.assert_allclose(labels[:].sum(1), 1, rtol=1e-9)
    served = labels[:] * (1 - problem.probabilities)
    np.testing.assert_allclose(
        served.sum(0) / served.sum(), point.received / point.received.sum(), atol=0.02
    )
    some = torch.tensor([5, 290, 17])
    torch.testing.assert_close(labels[some], labels[:][some])
    assert (labels[:] > 1e-9).sum() <= 300 + 300 + 40


def test_the_number_of_steps_hardly_depends_on_accuracy_or_weight():
    s = softmax_rows(1000, 20)
    steps = [
        solve_pseudo_labels(s, fairness_weight=w, tol=tol).n_iter
        for w in (1e-3, 1.0, 1e3, 1e6)
        for tol in (1e-2, 1e-6)
    ]
    assert max(steps) <= 40


def test_one_class_and_one_sample():
    assert solve_pseudo_labels(np.ones((5, 1))).objective == pytest.approx(0, abs=1e-6)
    prior = np.array([0.2, 0.3, 0.5])
    result = solve_pseudo_labels(
        np.full((1, 3), 1 / 3), prior=prior, fairness_weight=10.0, tol=1e-9
    )
    np.testing.assert_allclose(result.labels[0], prior, atol=1e-4)
    expected = plain_objective(
        result.labels, np.full((1, 3), 1 / 3), 10.0, prior, 1.0 + np.zeros(1)
    )
    assert result.objective == pytest.approx(expected)


@pytest.mark.parametrize("fairness_weight", [1.0, 100.0, 1e6])
def test_a_tolerance_beyond_rounding_ends_with_finite_labels(fairness_weight):
    """The last point before rounding takes over is returned, with its warning."""
    s = np.array([[0.99, 0.01], [0.98, 0.02], [0.97, 0.03]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = solve_pseudo_labels(s, fairness_weight=fairness_weight, tol=0.0)
    np.testing.assert_allclose(result.labels.sum(1), 1, rtol=1e-12)
    assert abs(result.objective - result.lower_bound) < 1e-7
