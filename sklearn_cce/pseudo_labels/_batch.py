"""All that training uses: the labels of one mini-batch, and what these are made of.

No waiting for the device, nothing of the solvers. They build on it: EM on
the M-step, the exact method on the lines of a row.

A row's label at given prices is the maximum over the simplex of ln(s.y) + prices.y. It
equals the minimum over t > 0 of ``max_k (t s_k + prices_k) - ln t - 1``: of K lines in
t, two of which suffice. They are found by cutting planes: minimise over the two in
hand, look for a line that lies above, replace the one on its side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ._checks import LARGEST_PRICE, check_floating, checked_fairness, confined

_DEFAULT_STEPS = {"exact": 5, "em": 3}
# Fixed numbers in place of tests of convergence, which would wait for the device. An
# error that they leave is in one batch's labels only.
_NEWTON_STEPS = 4
_CUTS = 3
# Curvature of the dual, per unit of prior, that the split rows of a batch miss: a small
# batch may have none, and the step would then be bounded by the prices alone.
_SOFTNESS = 4.0
# Smallest curvature that is divided by; a class of no prior has none of its own.
_LEAST_CURVATURE = 1e-30
# A line must be higher by so many units of rounding to take the place of another, or
# lines of equal height would take turns for ever.
HIGHER = 8


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

    Raises
    ------
    TypeError, ValueError
        If `prior` is no floating tensor or `fairness_weight` no positive number.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.pseudo_labels import initial_prices
    >>> initial_prices(torch.tensor([0.5, 0.5]), fairness_weight=10.0)
    tensor([10., 10.])
    """
    check_floating("prior", prior)
    return torch.full_like(prior, checked_fairness(fairness_weight))


def update_pseudo_labels(
    probabilities: Tensor,
    prices: Tensor,
    *,
    fairness_weight: float,
    prior: Tensor,
    sample_weight: Tensor | None = None,
    method: str = "em",
    n_steps: int | None = None,
    all_sum: Callable[[Tensor], Tensor] | None = None,
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
    all_sum : callable, default=None
        Sums a tensor over the processes that share the batch, each of which passes its
        part of the samples: ``n_classes`` numbers a step, or twice as many. None for
        one process.

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
        sample_weight = probabilities.new_ones(probabilities.shape[0])
    batch = _Batch(probabilities, sample_weight, all_sum)
    steps = _DEFAULT_STEPS[method] if n_steps is None else n_steps
    pull = confined(fairness_weight) * prior
    return UPDATES[method](batch, prices, pull, steps)


class _Batch(NamedTuple):
    """The samples of a batch, or of this process's part of it."""

    probabilities: Tensor
    weight: Tensor
    all_sum: Callable[[Tensor], Tensor] | None

    def means(self, labels: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Weighted mean of the labels, and other sums over the rows by total weight."""
        sums = torch.stack([self.weight @ labels, *others])
        if self.all_sum is not None:
            sums = self.all_sum(sums)
        # Every label sums to 1, so that the total weight need not be added up as well.
        return (sums / sums[0].sum()).unbind()


def smallest_positive(dtype: torch.dtype) -> float:
    """A floor for entries of the labels that leaves room for products and ratios."""
    return torch.finfo(dtype).tiny * 2.0**20


def maximise_rows(
    probabilities: Tensor, pulls: Tensor, *, n_newton: int
) -> tuple[Tensor, Tensor]:
    """M-step: minimise ``-ln(s.y) - sum_k pulls_k ln y_k`` over the simplex, by row.

    The solution is ``y_k = a_k / (mu (1 - r_k) + r_k d)`` with ``r = s / max(s)``,
    ``mu = 1 + sum(a)`` and d, the distance to the pole, the root of
    ``g(d) = sum_k y_k = 1``. 1/g is concave and increasing in d, so Newton's method
    on ``1/g - 1`` climbs monotonically to the root from the smallest d that keeps
    every entry at most 1.

    Parameters
    ----------
    probabilities : Tensor of shape (n_rows, n_classes)
    pulls : Tensor of shape (n_rows, n_classes)
        The coefficients a of the majorised balance term, non-negative.
    n_newton : int
        Number of Newton steps.

    Returns
    -------
    labels : Tensor of shape (n_rows, n_classes)
        Rows on the simplex.
    excess : Tensor of shape (n_rows,)
        g - 1 before the last normalisation: the error of the root.
    """
    pulls = pulls.clamp_min(smallest_positive(pulls.dtype))
    ratio = probabilities / probabilities.amax(1, keepdim=True)
    far = (1 - ratio) * (1 + pulls.sum(1, keepdim=True))
    distance = ((pulls - far) / ratio).amax(1, keepdim=True)
    for _ in range(n_newton):
        inverse = 1 / torch.addcmul(far, ratio, distance)
        labels = pulls * inverse
        total = labels.sum(1, keepdim=True)
        slope = (labels * inverse * ratio).sum(1, keepdim=True)
        distance = distance + total * (total - 1) / slope
    labels = pulls / torch.addcmul(far, ratio, distance)
    total = labels.sum(1, keepdim=True)
    return labels / total, (total - 1).squeeze(1)


def _update_em(
    batch: _Batch, prices: Tensor, pull: Tensor, n_steps: int
) -> tuple[Tensor, Tensor]:
    """EM from the predictions; the first step takes the prices carried over."""
    labels = batch.probabilities
    tiny = torch.finfo(pull.dtype).tiny
    for _ in range(n_steps):
        labels, _ = maximise_rows(
            batch.probabilities, labels * prices, n_newton=_NEWTON_STEPS
        )
        (mean,) = batch.means(labels)
        prices = (pull / mean.clamp_min(tiny)).clamp_max(LARGEST_PRICE)
    return labels, prices


def two_line_minimum(
    slope_low: Tensor, slope_high: Tensor, price_low: Tensor, price_high: Tensor
) -> Tensor:
    """Minimise max(t s_low + p_low, t s_high + p_high) - ln t over t > 0."""
    rise = slope_high - slope_low
    cross = (price_low - price_high) / rise
    cross = torch.where(rise > 0, cross, torch.zeros_like(cross))
    return torch.minimum(torch.maximum(cross, 1 / slope_high), 1 / slope_low)


class Cut(NamedTuple):
    """One cutting plane: the minimum over two lines, and the line above it."""

    t: Tensor
    height: Tensor
    better: Tensor
    low: Tensor
    high: Tensor


def cut_rows(probabilities: Tensor, prices: Tensor, low: Tensor, high: Tensor) -> Cut:
    """Minimise over the lines ``low`` and ``high``; swap one for the highest line."""
    slope_low, slope_high = pick(probabilities, low), pick(probabilities, high)
    price_low, price_high = prices.index_select(0, low), prices.index_select(0, high)
    t = two_line_minimum(slope_low, slope_high, price_low, price_high)
    model = torch.maximum(t * slope_low + price_low, t * slope_high + price_high)
    lines = torch.addcmul(prices, probabilities, t[:, None])
    line = row_argmax(lines)
    height = pick(lines, line)
    slack = HIGHER * torch.finfo(prices.dtype).eps
    better = height > model + slack * height.abs()
    rises = pick(probabilities, line) * t >= 1
    return Cut(
        t,
        height,
        better,
        torch.where(better & ~rises, line, low),
        torch.where(better & rises, line, high),
    )


def share_of_high(
    probabilities: Tensor, t: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    """The share of class ``high`` in the label that has ``s . y = 1 / t``."""
    slope_low, slope_high = pick(probabilities, low), pick(probabilities, high)
    share = (1 / t - slope_low) / (slope_high - slope_low)
    return torch.where(slope_high > slope_low, share.clamp(0, 1), torch.ones_like(t))


def row_argmax(matrix: Tensor) -> Tensor:
    """Column of the largest entry of every row, shape (n_rows,).

    numpy's uses vector instructions on the CPU, torch's does not (2.13).
    """
    if matrix.is_cpu and not torch.compiler.is_compiling():
        return torch.from_numpy(matrix.numpy().argmax(1))
    return matrix.argmax(1)


def pick(matrix: Tensor, columns: Tensor) -> Tensor:
    return matrix.gather(1, columns[:, None]).squeeze(1)


def _best_at_prices(
    probabilities: Tensor, prices: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Two-class labels after a few cutting planes, and the dual's curvature.

    The curvature is that of the rows' sum, each times its weight.
    """
    # The steepest line, and the highest at t = 0.
    high = row_argmax(probabilities)
    low = prices.argmax().expand_as(high)
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
        (share > 0) & (share < 1), weight / premium.square(), torch.zeros_like(share)
    )
    curvature = torch.zeros_like(prices).scatter_add(0, low, stiffness)
    return labels, curvature.scatter_add(0, high, stiffness)


def _moved_prices(
    prices: Tensor, pull: Tensor, imbalance: Tensor, curvature: Tensor
) -> Tensor:
    """A damped step of Newton's method on the dual, with a diagonal curvature."""
    safe = prices.clamp_min(torch.finfo(prices.dtype).tiny)
    own = pull / safe / safe + _SOFTNESS * pull / pull.sum()
    step = imbalance / (own + 2 * curvature).clamp_min(_LEAST_CURVATURE)
    # Prices are in units of log-probabilities: a move by 1 outweighs a factor of e, and
    # the curvature of the rows split now tells little beyond. Half keeps them positive.
    return prices + step.clamp(-1, 1).maximum(-prices / 2)


def _update_exact(
    batch: _Batch, prices: Tensor, pull: Tensor, n_steps: int
) -> tuple[Tensor, Tensor]:
    """Best labels at the prices, then a dual step; repeated ``n_steps`` times."""
    tiny = torch.finfo(prices.dtype).tiny
    for _ in range(n_steps):
        labels, stiffness = _best_at_prices(batch.probabilities, prices, batch.weight)
        mean, curvature = batch.means(labels, stiffness)
        imbalance = pull / prices.clamp_min(tiny) - mean
        prices = _moved_prices(prices, pull, imbalance, curvature)
    return labels, prices


Update = Callable[[_Batch, Tensor, Tensor, int], tuple[Tensor, Tensor]]
UPDATES: dict[str, Update] = {"exact": _update_exact, "em": _update_em}
