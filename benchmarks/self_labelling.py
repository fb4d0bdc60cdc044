r"""Self-labelling losses on one network: only the loss differs.

An MLP with one hidden layer of 512 units on at most 100 principal components (scaled
by one number), from a random start. A step takes 500 samples and for each of them one
of its 10 nearest neighbours at random: two views. Initial weights, batches and views
of a seed are the same for every loss. AdamW, rate 3e-3, cosine to 0.

With predictions :math:`s_i`, labels :math:`y_i`, uniform :math:`u`, means
:math:`\bar y` and :math:`\bar s`, and Shannon's :math:`H(y, s) = -\sum_k y_k \ln s_k`,
the labels of the 1,000 predictions of a step minimise, and the network then descends,
each view with the label of the other:

- ``collision``: labels and network :math:`-\ln y_i^\top s_i`, balance
  :math:`\lambda KL(u, \bar y)`; labels by 3 steps of EM (`update_pseudo_labels`).
- ``shannon``: labels and network :math:`H(y_i, s_i)`, balance
  :math:`\lambda KL(u, \bar y)`; 3 steps of EM on the same bound of the balance.
- ``reverse``: labels and network :math:`H(s_i, y_i)`, balance
  :math:`\lambda KL(u, \bar y)`; 3 steps of EM, in closed form; the network's
  :math:`\ln y` is cut at -13.8.
- ``miadm``: labels :math:`KL(y_i, s_i) + \lambda KL(\bar y, u)`, whose first fixed
  point step is the closed form :math:`y_{ik} \propto s_{ik} / \bar s_k^{\lambda /
  (1 + \lambda)}`; 10 such steps. Network :math:`H(y_i, s_i)`. The original starts
  from a network trained as an autoencoder; here it starts from random weights.
- ``sela``: one-hot labels of equal number: 10 Sinkhorn iterations on
  :math:`s^{25}`, then the largest of a row. Network :math:`H(y_i, s_i)`. No
  :math:`\lambda`.
- ``mutual information``: no labels. Gradient descent on :math:`H(p_i) + \lambda
  KL(\bar p, u)`, where :math:`p_i` is the mean prediction of both views: for
  :math:`\lambda = 1`, up to a constant, the negative mutual information of pair and
  cluster.
- ``imsat``: no labels. :math:`H(s_i) + \lambda KL(\bar s, u)` of all predictions, and
  the :math:`KL` from each view's prediction, held fixed, to the other's.
- ``shannon on collision labels``: the labels of ``collision``, but the network's
  :math:`H(y_i, s_i)`: what changes if the network copies the labels' uncertainty.

What an EM or fixed point iteration knows about the balance is carried to the next step.

References
----------
.. [1] Z. Zhang and Y. Boykov, arXiv:2303.07321, 2023 (collision).
.. [2] A. Krause, P. Perona and R. Gomes, "Discriminative Clustering by Regularized
   Information Maximization", NeurIPS 2010.
.. [3] W. Hu et al., "Learning Discrete Representations via Information Maximizing
   Self-Augmented Training", ICML 2017.
.. [4] Y. M. Asano, C. Rupprecht and A. Vedaldi, "Self-labelling via Simultaneous
   Clustering and Representation Learning", ICLR 2020.
.. [5] M. Jabi et al., "Deep Clustering: On the Link between Discriminative Models and
   K-means", IEEE Transactions on Pattern Analysis and Machine Intelligence 43, 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from sklearn_cce.losses import (
    collision_cross_entropy,
    reverse_cross_entropy,
    shannon_cross_entropy,
)
from sklearn_cce.pseudo_labels import update_pseudo_labels

N_NEIGHBORS, BATCH_SIZE, N_HIDDEN, LEARNING_RATE = 10, 500, 512, 3e-3
EM_STEPS, NEWTON_STEPS, FIXED_POINT_STEPS, SINKHORN_POWER = 3, 6, 10, 25
TINY = torch.finfo(torch.float32).tiny

# Predictions (n, K), ln(u / mean of y) of the classes so far, weight -> both anew.
Solver = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
# Logits (2, n, K), ln(u / mean of y), weight -> loss, and the logarithms anew.
Objective = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]


class Setting:
    """What all trainings on one data set share: features, neighbours, classes.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Data.
    y : array of shape (n_samples,)
        Classes; only their number is used for training.
    """

    def __init__(self, X: np.ndarray, y: np.ndarray):
        n_components = min(100, X.shape[1])
        features = PCA(n_components, random_state=0).fit_transform(X)
        features = (features / features.std()).astype(np.float32)
        nearest = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(features)
        self.neighbors = torch.from_numpy(nearest.kneighbors(return_distance=False))
        self.features = torch.from_numpy(features)
        self.y, self.n_classes = y, len(np.unique(y))


def mean_log(labels: Tensor) -> Tensor:
    """Logarithm of the uniform prior over the mean of the labels."""
    return -(labels.mean(0) * labels.shape[1]).clamp_min(TINY).log()


def solve_collision(s: Tensor, known: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    prior = torch.full_like(known, 1 / len(known))
    labels, prices = update_pseudo_labels(
        s,
        weight * known.exp(),
        fairness_weight=weight,
        prior=prior,
        method="em",
        n_steps=EM_STEPS,
    )
    return labels, (prices / weight).log()


def shannon_rows(s: Tensor, pull: Tensor) -> Tensor:
    """Minimise ``sum_k -y_k ln s_k - pull_k ln y_k`` over the simplex.

    The solution is ``pull / (d - ln(s / max s))`` with the d that makes it sum to 1;
    Newton on the inverse of the sum climbs to it from the most probable class's pull.
    """
    cost = -s.clamp_min(TINY).log()
    low, best = cost.min(1, keepdim=True)
    cost, pull = cost - low, pull.clamp_min(TINY)
    d = pull.gather(1, best)
    for _ in range(NEWTON_STEPS):
        y = pull / (d + cost)
        total = y.sum(1, keepdim=True)
        d = d + total * (total - 1) / (y / (d + cost)).sum(1, keepdim=True)
    y = pull / (d + cost)
    return y / y.sum(1, keepdim=True)


def reverse_rows(s: Tensor, pull: Tensor) -> Tensor:
    """Minimise ``sum_k -(s_k + pull_k) ln y_k`` over the simplex."""
    y = s + pull
    return y / y.sum(1, keepdim=True)


def em(maximise: Callable[[Tensor, Tensor], Tensor]) -> Solver:
    """Return EM from the predictions, with the balance bounded by Jensen."""

    def solve(s: Tensor, known: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        labels = s
        for _ in range(EM_STEPS):
            labels = maximise(s, labels * weight * known.exp())
            known = mean_log(labels)
        return labels, known

    return solve


def solve_miadm(s: Tensor, known: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    log_s = s.clamp_min(TINY).log()
    for _ in range(FIXED_POINT_STEPS):
        labels = (log_s + weight * known).softmax(1)
        known = known + (mean_log(labels) - known) / (1 + weight)
    return (log_s + weight * known).softmax(1), known


def solve_sela(s: Tensor, known: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    sharpened = SINKHORN_POWER * s.clamp_min(TINY).log()
    for _ in range(FIXED_POINT_STEPS):
        known = known + mean_log((sharpened + known).softmax(1))
    best = (sharpened + known).argmax(1)
    return torch.zeros_like(s).scatter_(1, best[:, None], 1.0), known


def labelled(solve: Solver, criterion: Callable[[Tensor, Tensor], Tensor]) -> Objective:
    """Return the loss of each view with the label solved for the other."""

    def objective(logits: Tensor, known: Tensor, weight: float):
        flat = logits.flatten(0, 1)
        with torch.no_grad():
            labels, known = solve(flat.softmax(1), known, weight)
        swapped = labels.view_as(logits).flip(0).flatten(0, 1)
        return criterion(flat, swapped), known

    return objective


def entropy(p: Tensor) -> Tensor:
    return -(p * p.clamp_min(TINY).log()).sum(-1)


def information(p: Tensor, weight: float) -> Tensor:
    """Mean entropy of predictions (n, K) and weighted imbalance of their mean."""
    return entropy(p).mean() + weight * (math.log(p.shape[1]) - entropy(p.mean(0)))


def mutual_information(logits: Tensor, known: Tensor, weight: float):
    return information(logits.softmax(-1).mean(0), weight), known


def imsat(logits: Tensor, known: Tensor, weight: float):
    log_s = logits.log_softmax(-1)
    s = log_s.exp()
    fixed = s.detach().flip(0)
    divergence = -(fixed * log_s).sum(-1).mean() - entropy(fixed).mean()
    return divergence + information(s.flatten(0, 1), weight), known


LOSSES: dict[str, Objective] = {
    "collision": labelled(solve_collision, collision_cross_entropy),
    "shannon": labelled(em(shannon_rows), shannon_cross_entropy),
    "reverse": labelled(em(reverse_rows), reverse_cross_entropy),
    "miadm": labelled(solve_miadm, shannon_cross_entropy),
    "sela": labelled(solve_sela, shannon_cross_entropy),
    "mutual information": mutual_information,
    "imsat": imsat,
    "shannon on collision labels": labelled(solve_collision, shannon_cross_entropy),
}
# Their balance is a constraint: they have no fairness weight.
WEIGHTLESS = {"sela"}


def network(n_features: int, n_classes: int, seed: int) -> nn.Module:
    """Return an MLP whose weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(n_features, N_HIDDEN), nn.ReLU(), nn.Linear(N_HIDDEN, n_classes)
        )


def draw_views(setting: Setting, generator: torch.Generator) -> Tensor:
    """Return positions (2, batch) of samples and of a neighbour of each."""
    n_samples, n_neighbors = setting.neighbors.shape
    first = torch.randperm(n_samples, generator=generator)[:BATCH_SIZE]
    which = torch.randint(n_neighbors, first.shape, generator=generator)
    return torch.stack([first, setting.neighbors[first, which]])


def train(
    setting: Setting, loss: str, weight: float, *, seed: int, n_steps: int
) -> np.ndarray:
    """Train a network with one loss.

    Parameters
    ----------
    setting : Setting
        Features, neighbours and number of classes.
    loss : str
        One of `LOSSES`.
    weight : float
        Weight of the balance, positive.
    seed : int
        Seed of weights, batches and views.
    n_steps : int
        Number of steps.

    Returns
    -------
    array of shape (n_samples, n_classes)
        Predictions for all samples.
    """
    module = network(setting.features.shape[1], setting.n_classes, seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    generator = torch.Generator().manual_seed(seed)
    known = torch.zeros(setting.n_classes)
    for _ in range(n_steps):
        views = setting.features[draw_views(setting, generator)]
        value, known = LOSSES[loss](module(views), known, weight)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return module(setting.features).softmax(1).numpy()
