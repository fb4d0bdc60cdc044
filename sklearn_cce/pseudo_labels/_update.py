"""Pseudo-labels of one mini-batch inside a training loop: no checks, no waiting."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import LARGEST_PRICE, confined
from ._mstep import maximise_rows
from ._rows import cut_rows, first_lines, share_of_high, two_line_minimum

_DEFAULT_STEPS = {"exact": 5, "em": 3}
_NEWTON_STEPS = 4
_CUTS = 3
# Curvature of the dual, per unit of prior, that the split rows of a batch miss.
_SOFTNESS = 4.0


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
    return torch.full_like(prior, confined(fairness_weight))


def update_pseudo_labels(
    probabilities: Tensor,
    prices: Tensor,
    *,
    fairness_weight: float,
    prior: Tensor,
    sample_weight: Tensor | None = None,
    method: str = "em",
    n_steps: int | None = None,
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
    method : {"exact", "em"}, default="em"
        ``"exact"`` takes the best labels at the prices carried over, at most two
        classes a row, and moves the prices against the imbalance; over the batches
        the prices converge, so that the balance holds over the data set. ``"em"``
        starts from the predictions; its first step uses the prices.
    n_steps : int, default=None
        Number of steps; None stands for 5 (exact) or 3 (em). With one step of
        ``"exact"`` the prices lag behind a network that changes fast.

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
    steps = _DEFAULT_STEPS[method] if n_steps is None else n_steps
    update = UPDATES[method]
    pull = confined(fairness_weight) * prior
    return update(probabilities, prices, pull, shares, steps)


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
        prices = (pull / (shares @ labels).clamp_min(tiny)).clamp_max(LARGEST_PRICE)
    return labels, prices


def _best_at_prices(
    probabilities: Tensor, prices: Tensor, shares: Tensor
) -> tuple[Tensor, Tensor]:
    """Two-class labels after a few cutting planes, and the dual's curvature."""
    low, high = first_lines(probabilities, prices)
    for _ in range(_CUTS):
        cut = cut_rows(probabilities, prices, low, high)
        low, high = cut.low, cut.high
    slopes = probabilities.gather(1, torch.stack([low, high], 1))
    premium = prices[low] - prices[high]
    t = two_line_minimum(slopes[:, 0], slopes[:, 1], prices[low], prices[high])
    share = share_of_high(probabilities, t, low, high)
    labels = torch.zeros_like(probabilities).scatter(
        1, low[:, None], 1 - share[:, None]
    )
    labels = labels.scatter_add(1, high[:, None], share[:, None])
    stiffness = torch.where(
        (share > 0) & (share < 1), shares / premium.square(), torch.zeros_like(share)
    )
    curvature = torch.zeros_like(prices).scatter_add(0, low, stiffness)
    return labels, curvature.scatter_add(0, high, stiffness)


def _moved_prices(
    prices: Tensor, pull: Tensor, imbalance: Tensor, curvature: Tensor
) -> Tensor:
    """A damped step of Newton's method on the dual, with a diagonal curvature."""
    safe = prices.clamp_min(torch.finfo(prices.dtype).tiny)
    own = pull / safe / safe + _SOFTNESS * pull / pull.sum()
    step = imbalance / (own + 2 * curvature).clamp_min(1e-30)
    return prices + step.clamp(-1, 1).maximum(-prices / 2)


def _update_exact(
    probabilities: Tensor, prices: Tensor, pull: Tensor, shares: Tensor, n_steps: int
) -> tuple[Tensor, Tensor]:
    """Best labels at the prices, then a dual step; repeated ``n_steps`` times."""
    tiny = torch.finfo(prices.dtype).tiny
    for _ in range(n_steps):
        labels, curvature = _best_at_prices(probabilities, prices, shares)
        imbalance = pull / prices.clamp_min(tiny) - shares @ labels
        prices = _moved_prices(prices, pull, imbalance, curvature)
    return labels, prices


UPDATES = {"exact": _update_exact, "em": _update_em}
