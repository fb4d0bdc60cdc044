"""Sizes of clusters that are wanted more than the samples suggest by themselves."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from sklearn_cce._graph.information import Balance
from sklearn_cce._graph.spreading import reach_over_links
from sklearn_cce._training.batches import N_TRIED, Samples, weights_of
from sklearn_cce._training.heads import shift_outputs
from sklearn_cce._training.inference import infer
from sklearn_cce._training.net import CollisionNet

LEAST = 1e-6
"""Evidence for a cluster that is far away."""

TEMPERATURES = (1.0, 0.1, 0.02)
"""Weights of the entropy of the labels, falling: in the end they are nearly hard."""

PRECISE = {"maxiter": 300, "maxfun": 600, "ftol": 1e-12, "gtol": 1e-6}
"""The sizes differ from those afforded by no more than about the last."""


def affordable_prices(
    evidence: np.ndarray, balance: Balance, weight: np.ndarray
) -> np.ndarray:
    """Return what to add to the evidence for each cluster.

    Maximises ``sum_i w_i (y_i . e_i + T H(y_i)) - lambda KL(y || u)`` over labels y of
    samples with evidence e and mean w of 1, for the mean y of all. The solution is
    ``y_ik ~ exp((e_ik + p_k) / T)``, and the prices p minimise a convex function.

    Parameters
    ----------
    evidence : ndarray of shape (n_samples, n_clusters), float64
        Logarithms of probabilities.
    balance : Balance
        What the sizes should be.
    weight : ndarray of shape (n_samples,), float64
        Sample weights.

    Returns
    -------
    ndarray of shape (n_clusters,), float64
        The prices, in nats, with mean 0.
    """
    share, prior = weight / weight.sum(), np.log(balance.prior)
    prices = np.zeros(len(prior))

    def excess(scaled: np.ndarray, temperature: float) -> tuple[float, np.ndarray]:
        """Return the dual function and its gradient, sizes had less sizes afforded."""
        y = evidence / temperature + scaled
        total = logsumexp(y, axis=1)
        strength = balance.weight / temperature
        afforded = prior - scaled / strength
        level = logsumexp(afforded)
        value = share @ total + strength * level
        sizes = share @ np.exp(y - total[:, None])
        return float(value), sizes - np.exp(afforded - level)

    for t in TEMPERATURES:
        found = minimize(
            excess, prices / t, (t,), jac=True, method="L-BFGS-B", options=PRECISE
        )
        prices = found.x * t
    return prices - prices.mean()


def balanced(
    soft: np.ndarray, affinity: sp.csr_matrix, balance: Balance, weight: np.ndarray
) -> np.ndarray:
    """Return soft clusters nearer to the sizes wanted: those that neighbours suggest.

    The evidence for a cluster is how much of it reaches a sample over the links.

    Parameters
    ----------
    soft : ndarray of shape (n_samples, n_clusters), float32
        Clusters; every row sums to 1.
    affinity : csr_matrix of shape (n_samples, n_samples)
        Symmetric weights of the pairs of neighbours.
    balance : Balance
        What the sizes should be.
    weight : ndarray of shape (n_samples,), float64
        Sample weights, above 0.

    Returns
    -------
    ndarray of shape (n_samples, n_clusters), float32
        Every row sums to 1.
    """
    around = reach_over_links(affinity, soft).astype(np.float64)
    around /= np.maximum(around.sum(axis=1, keepdims=True), LEAST)
    evidence = np.log(around + LEAST)
    evidence += affordable_prices(evidence, balance, weight)
    return softmax(evidence / TEMPERATURES[-1], axis=1).astype(np.float32)


def prices_of_outputs(
    logits: np.ndarray, balance: Balance, weight: np.ndarray
) -> np.ndarray:
    """Return what a network should add to its outputs, so that its clusters balance."""
    return affordable_prices(log_softmax(logits.astype(float), axis=1), balance, weight)


def balance_outputs(net: CollisionNet, samples: Samples) -> None:
    """Shift a network's outputs where the balance is worth more than it says.

    A network that is sure of its clusters does not learn to give them up.

    Parameters
    ----------
    net : CollisionNet
        A trained net.
    samples : Samples
        The samples whose clusters should balance.
    """
    wanted = np.flatnonzero(net.prior)
    balance = Balance(net.fairness_weight, net.prior[wanted]).beyond_information
    if balance is None:
        return
    with net.drawing():
        logits = infer(net.module_, samples.source)[:, wanted]
        shift = np.zeros(len(net.prior), np.float32)
        shift[wanted] = prices_of_outputs(logits, balance, weights_of(samples))
        some = samples.source[: min(len(samples), N_TRIED)]
        shift_outputs(net.module_, torch.from_numpy(shift).to(some.device), some)
