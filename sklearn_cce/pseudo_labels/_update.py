"""Pseudo-labels of one mini-batch inside a training loop: no checks, no waiting."""

from __future__ import annotations

import torch
from torch import Tensor

from ._em import maximise_rows

_NEWTON_STEPS = 4


def initial_prices(prior: Tensor, *, fairness_weight: float) -> Tensor:
    """Neutral prices to start a training run with.

    Parameters
    ----------
    prior : Tensor of shape (n_classes,)
        Target distribution of the classes; gives device and dtype.
    fairness_weight : float
        Weight of the balance term, positive.

    Returns
    -------
    Tensor of shape (n_classes,)
        The prices of labels that follow the prior exactly: ``fairness_weight`` for
        every class.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.pseudo_labels import initial_prices
    >>> initial_prices(torch.tensor([0.5, 0.5]), fairness_weight=10.0)
    tensor([10., 10.])
    """
    return torch.full_like(prior, fairness_weight)


def update_pseudo_labels(
    probabilities: Tensor,
    prices: Tensor,
    *,
    fairness_weight: float,
    prior: Tensor,
    sample_weight: Tensor | None = None,
    method: str = "em",
    n_steps: int = 3,
) -> tuple[Tensor, Tensor]:
    """Improve labels and prices on one mini-batch by a fixed number of steps.

    Made for the inside of a training loop: the input is not checked, nothing waits
    for the device, and the control flow does not depend on the data. Call it under
    ``torch.no_grad()``.

    Parameters
    ----------
    probabilities : Tensor of shape (n_samples, n_classes)
        Predictions on the batch; float32 or float64, rows on the simplex.
    prices : Tensor of shape (n_classes,)
        Prices after the last batch, or those of :func:`initial_prices`.
    fairness_weight : float
        Weight of the balance term, positive.
    prior : Tensor of shape (n_classes,)
        Target distribution of the classes, same dtype and device.
    sample_weight : Tensor of shape (n_samples,), default=None
        Non-negative weights with a positive sum, same dtype and device.
    method : {"em"}, default="em"
        As in :func:`solve_pseudo_labels`.
    n_steps : int, default=3
        Number of steps.

    Returns
    -------
    labels : Tensor of shape (n_samples, n_classes)
        Pseudo-labels; rows on the simplex.
    prices : Tensor of shape (n_classes,)
        To be passed in with the next batch.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.pseudo_labels import initial_prices, update_pseudo_labels
    >>> s = torch.tensor([[0.9, 0.1], [0.6, 0.4]])
    >>> prior = torch.tensor([0.5, 0.5])
    >>> prices = initial_prices(prior, fairness_weight=10.0)
    >>> labels, prices = update_pseudo_labels(
    ...     s, prices, fairness_weight=10.0, prior=prior
    ... )
    >>> bool(labels[1, 1] > s[1, 1])
    True
    """
    if sample_weight is None:
        n_samples = probabilities.shape[0]
        shares = probabilities.new_full((n_samples,), 1 / n_samples)
    else:
        shares = sample_weight / sample_weight.sum()
    step = UPDATES[method]
    return step(probabilities, prices, fairness_weight * prior, shares, n_steps)


def _update_em(
    probabilities: Tensor, prices: Tensor, pull: Tensor, shares: Tensor, n_steps: int
) -> tuple[Tensor, Tensor]:
    """EM from the predictions; the first step takes the prices carried over."""
    labels = probabilities
    tiny = torch.finfo(pull.dtype).tiny
    for _ in range(n_steps):
        labels, _ = maximise_rows(
            probabilities, labels * prices, n_newton=_NEWTON_STEPS
        )
        prices = pull / (shares @ labels).clamp_min(tiny)
    return labels, prices


UPDATES = {"em": _update_em}
