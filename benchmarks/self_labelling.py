r"""Self-labelling losses from random weights: only the loss differs.

The networks, batches, views, optimizer and schedule are those of
:class:`~sklearn_cce.CollisionClusterer` with ``init="random"``, whose trainer does all
the work; initial weights, batches and views of a seed are the same for every loss.
Protocols:

- ``neighbours``: an MLP with one hidden layer, about 1,000 steps of at most 512
  samples, each with one of its 10 nearest neighbours at random as a second view; rate
  3e-3.
- ``fixed features``: a linear layer, no views, about 1,500 steps of at most 250
  samples; rate 1e-2.

With predictions :math:`s_i`, labels :math:`y_i`, uniform :math:`u`, means
:math:`\bar y` and :math:`\bar s`, and Shannon's :math:`H(y, s) = -\sum_k y_k \ln s_k`,
the labels of the predictions of a step minimise, and the network then descends,
each view with the label of the other:

- ``collision``: labels and network :math:`-\ln y_i^\top s_i`, balance
  :math:`\lambda KL(u, \bar y)`; labels by 3 steps of EM (`update_pseudo_labels`).
- ``order 1``, ``order 1.5``, ``rising``: the labels of ``collision``, but the network's
  loss is the Rényi cross-entropy of that order (1 is Shannon's), or its order rises
  from 1 to 2 over the training.
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
import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from sklearn_cce import CollisionClusterer
from sklearn_cce._training.net import CollisionNet
from sklearn_cce.losses import reverse_cross_entropy, shannon_cross_entropy

PROTOCOLS: dict[str, tuple[int, dict]] = {
    "neighbours": (1000, {"module": "mlp", "lr": 3e-3}),
    "fixed features": (
        1500,
        {"module": "linear", "lr": 1e-2, "views": None, "batch_size": 250},
    ),
}
"""The number of gradient steps, and what else differs."""

EM_STEPS, NEWTON_STEPS, FIXED_POINT_STEPS, SINKHORN_POWER = 3, 6, 10, 25
TINY = torch.finfo(torch.float32).tiny

# Predictions (n, K), ln(u / mean of y) of the classes so far, weight -> both anew.
Solver = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
# Logits (n_views, n, K), ln(u / mean of y), weight -> loss, and the logarithms anew.
Objective = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]


def mean_log(labels: Tensor) -> Tensor:
    """Logarithm of the uniform prior over the mean of the labels."""
    return -(labels.mean(0) * labels.shape[1]).clamp_min(TINY).log()


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


OWN: dict[str, str | float] = {
    "collision": "collision",
    "order 1": 1.0,
    "order 1.5": 1.5,
    "rising": "rising",
}
"""The losses that the package has, on its own pseudo-labels."""

RIVALS: dict[str, Objective] = {
    "shannon": labelled(em(shannon_rows), shannon_cross_entropy),
    "reverse": labelled(em(reverse_rows), reverse_cross_entropy),
    "miadm": labelled(solve_miadm, shannon_cross_entropy),
    "sela": labelled(solve_sela, shannon_cross_entropy),
    "mutual information": mutual_information,
    "imsat": imsat,
}

LOSSES = [*OWN, *RIVALS]

# Their balance is a constraint: they have no fairness weight.
WEIGHTLESS = {"sela"}


class RivalNet(CollisionNet):
    """A net with another objective for a batch."""

    objective: Objective

    def get_loss(self, y_pred, y_true, X=None, training=False) -> Tensor:
        """Return the objective of the logits of a batch."""
        n = len(y_true[0])
        logits = y_pred.float().view(-1, n, y_pred.shape[1])
        self._note(y_true[0], logits[0].detach().softmax(1), None)
        known = getattr(self, "known_", torch.zeros(y_pred.shape[1]))
        value, self.known_ = self.objective(logits, known, self.fairness_weight)
        return value


def clusterer(loss: str, protocol: str, n_samples: int, **params) -> CollisionClusterer:
    """Return a clusterer with one of `LOSSES` that makes the steps of a protocol."""
    n_steps, common = PROTOCOLS[protocol]
    n_batches = -(-n_samples // common.get("batch_size", 512))
    made = CollisionClusterer(
        init="random",
        loss=OWN.get(loss, "collision"),
        max_epochs=-(-n_steps // n_batches),
        tol=0.0,
        patience=10**6,
        **common,
        **params,
    )
    if loss in RIVALS:
        rival = {"objective": staticmethod(RIVALS[loss])}
        made._net_type = type("Rival", (RivalNet,), rival)
    return made


def train(
    X: np.ndarray, y: np.ndarray, loss: str, protocol: str, weight: float, seed: int
) -> np.ndarray:
    """Train a network with one loss.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Samples.
    y : array of shape (n_samples,)
        Classes; only their number is used.
    loss : str
        One of `LOSSES`.
    protocol : str
        One of `PROTOCOLS`.
    weight : float
        Weight of the balance, positive.
    seed : int
        Seed of weights, batches and views.

    Returns
    -------
    array of shape (n_samples, n_classes)
        Predictions for all samples.
    """
    params = {"fairness_weight": weight, "random_state": seed}
    made = clusterer(loss, protocol, len(X), n_clusters=len(np.unique(y)), **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return made.fit(X).predict_proba(X)
