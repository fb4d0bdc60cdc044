"""Why a fit ended with fewer clusters than were asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sklearn_cce._training.inputs import fits_float32
from sklearn_cce._training.sources import BLOCK, Source, spread_blocks
from sklearn_cce.modules import reach

ENOUGH_STEPS = 600
"""With fewer gradient steps than this the network may not have learnt much."""

OTHERWISE = (
    "Increase fairness_weight or max_epochs, try another random_state, or decrease "
    "n_clusters."
)


@dataclass(frozen=True)
class Outcome:
    """What is known at the end of a fit.

    Attributes
    ----------
    source : Source
        The samples.
    weight : ndarray of shape (n_samples,) or None
        Their weights.
    prior : ndarray of shape (n_clusters,)
        Share that each cluster should have.
    n_steps : int
        Number of gradient steps.
    max_epochs : int or None
        The parameter, where the training went on until it.
    """

    source: Source
    weight: np.ndarray | None
    prior: np.ndarray
    n_steps: int
    max_epochs: int | None


def few_different_samples(fit: Outcome) -> str | None:
    """Say so if there are fewer different samples than clusters."""
    n = n_different(fit.source, fit.weight, len(fit.prior))
    if n < len(fit.prior):
        return f"X has only {n} different samples with a weight. Decrease n_clusters."
    return None


def shares_below_a_sample(fit: Outcome) -> str | None:
    """Say so if a cluster should have less than one sample."""
    n_samples = len(fit.source) if fit.weight is None else int((fit.weight > 0).sum())
    smallest = fit.prior[fit.prior > 0].min()
    if smallest * n_samples < 1:
        return (
            f"A cluster should have less than one sample, {smallest:.3g} of "
            f"{n_samples}. Decrease n_clusters, or change cluster_prior."
        )
    return None


def few_steps(fit: Outcome) -> str | None:
    """Say so if `max_epochs` makes few gradient steps."""
    if fit.max_epochs is not None and fit.n_steps < ENOUGH_STEPS:
        return (
            f"The gradient steps that max_epochs={fit.max_epochs} came to, "
            f"{fit.n_steps}, may be too few. Increase max_epochs or lr, or decrease "
            "batch_size."
        )
    return None


def lost_precision(fit: Outcome) -> str | None:
    """Say so if float32 hardly tells the samples apart."""
    X = some_rows(fit.source)
    if fit.source.dtype == torch.float64 or fits_float32(X.double().numpy()):
        return None
    return (
        "In float32 the samples of X are hardly different. Subtract what they have in "
        "common and scale them, as StandardScaler does."
    )


def rows_far_off(fit: Outcome) -> str | None:
    """Say so if a few samples lie far from all others."""
    X = some_rows(fit.source)
    near, _ = reach(X.double(), torch.full((len(X),), 1 / len(X)))
    if near.all():
        return None
    return (
        f"{len(X) - int(near.sum())} of {len(X)} samples looked at lie far from all "
        "others. Leave them out if they are errors, or increase n_clusters."
    )


def some_rows(source: Source) -> Tensor:
    """Return the samples that the scale is estimated from, as rows on the host."""
    return source[spread_blocks(len(source))].flatten(1).cpu()


CAUSES: tuple[Callable[[Outcome], str | None], ...] = (
    few_different_samples,
    lost_precision,
    shares_below_a_sample,
    few_steps,
    rows_far_off,
)
"""Each says what it found and what to do, or None; the surest comes first."""


def likely_cause(fit: Outcome) -> str:
    """Return why clusters are empty, as far as can be told, and what to do."""
    found = (cause(fit) for cause in CAUSES)
    return next((text for text in found if text is not None), OTHERWISE)


def n_different(source: Source, weight: np.ndarray | None, enough: int) -> int:
    """Return the number of different samples of weight; at least `enough` if so."""
    rows = torch.empty(0)
    for start in range(0, len(source), 8 * BLOCK):
        some = slice(start, start + 8 * BLOCK)
        X = source[some].flatten(1).cpu()
        X = X if weight is None else X[torch.from_numpy(weight[some] > 0)]
        rows = torch.unique(torch.cat([rows, X]) if start else X, dim=0)
        if len(rows) >= enough:
            break
    return len(rows)
