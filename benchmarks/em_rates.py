"""How EM approaches the optimum: ``python -m benchmarks.em_rates``.

Prints, for random softmax rows, the distance from the certified optimum after n steps,
and the exponent p of ``distance ~ n^-p`` between n and 3 n; the same for the
over-relaxed EM that the package uses. Then the factor of the
error at an optimum in the interior and, for a problem on the boundary, the factor by
which labels vanish in one step beside the factor that the theory gives.
"""

import math
from itertools import islice

import torch

from benchmarks.paper_em import em_step
from sklearn_cce.pseudo_labels import solve_pseudo_labels
from sklearn_cce.pseudo_labels._em import em_steps, first_labels
from sklearn_cce.pseudo_labels._problem import build_problem

STEPS = (30, 100, 300, 1000, 3000)


def paper_steps(problem, labels):
    """Objective after each step of the paper's EM."""
    while True:
        yield problem.objective(em_step(problem, labels, problem.mean_labels(labels)))


def over_relaxed_steps(problem, labels):
    """Objective after each step of the package's EM."""
    return (state.objective for state in em_steps(problem, labels))


def distances(s, fairness_weight, steps, n_steps):
    """Objective minus optimum after each step."""
    problem = build_problem(s, fairness_weight, None, None)
    best = solve_pseudo_labels(s, fairness_weight=fairness_weight, tol=1e-10)
    values = islice(steps(problem, first_labels(problem, None)), n_steps)
    return [value - best.lower_bound for value in values]


def show_distances(found):
    for n in STEPS:
        exponent = ""
        if 3 * n <= len(found) and found[3 * n - 1] > 0:
            ratio = found[n - 1] / found[3 * n - 1]
            exponent = f"  exponent {math.log(ratio) / math.log(3):.2f}"
        print(f"  n = {n:5}  distance {found[n - 1]:.2e}{exponent}")


def vanishing_factors(s, fairness_weight, n_steps):
    """Observed and predicted factors of the labels that go to zero."""
    problem = build_problem(s, fairness_weight, None, None)
    best = solve_pseudo_labels(s, fairness_weight=fairness_weight, tol=1e-10)
    t = 1 / (best.labels * s).sum(1, keepdim=True)
    line = t * s + best.prices
    slack = line.amax(1, keepdim=True) - line
    labels = first_labels(problem, None)
    for _ in range(n_steps):
        before = labels.clone()
        em_step(problem, labels, problem.mean_labels(labels))
    observed = labels / before
    vanishing = slack > 0.05 * fairness_weight
    return observed[vanishing], (best.prices / (best.prices + slack))[vanishing]


def interior_factor(fairness_weight):
    """Factor of the error per step where every row is split at the optimum."""
    first = torch.tensor([0.99, 0.98, 0.97], dtype=torch.double)
    s = torch.stack([first, 1 - first], 1)
    problem = build_problem(s, fairness_weight, None, None)
    best = solve_pseudo_labels(s, fairness_weight=fairness_weight, tol=1e-13)
    labels, errors = first_labels(problem, None), [1.0]
    while errors[-1] > 1e-5:
        em_step(problem, labels, problem.mean_labels(labels))
        errors.append(float((labels - best.labels).abs().max()))
    return errors[-1] / errors[-2], len(errors) - 1


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    s = torch.softmax(2 * torch.randn(1000, 20, dtype=torch.double), 1)
    for steps in (paper_steps, over_relaxed_steps):
        for fairness_weight in (1.0, 10.0, 100.0):
            print(f"{steps.__name__}, fairness weight {fairness_weight:g}")
            show_distances(distances(s, fairness_weight, steps, STEPS[-1]))
    for fairness_weight in (3.0, 10.0, 100.0):
        factor, n = interior_factor(fairness_weight)
        print(f"interior, weight {fairness_weight:g}: factor {factor:.4f}, {n} steps")
    observed, predicted = vanishing_factors(s, 1.0, 1000)
    error = (observed / predicted - 1).abs()
    print(
        f"factors of {len(error)} vanishing labels: {float(predicted.min()):.3f} to"
        f" {float(predicted.max()):.3f}; relative error median"
        f" {float(error.median()):.1e}, largest {float(error.max()):.1e}"
    )


if __name__ == "__main__":
    main()
