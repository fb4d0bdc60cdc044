"""What one position costs.

A kernel takes log-probabilities and a target, both of shape (n, K, ...), and returns
the costs of the positions, of shape (n, ...). A target of 0 beside a log-probability of
-inf, an excluded class, costs nothing; NaN in a target gives NaN.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Kernel = Callable[[Tensor, Tensor], Tensor]


def log(target: Tensor) -> Tensor:
    """Logarithm with ln 0 = -inf and no NaN in the gradient of the target."""
    if not target.requires_grad:
        return target.log()
    zero = target <= 0  # not so for NaN
    return torch.where(zero, -torch.inf, torch.where(zero, 1, target).log())


def collision(log_p: Tensor, target: Tensor) -> Tensor:
    """Return -ln sum_k y_k s_k."""
    return -torch.logsumexp(log_p + log(target), 1)


def shannon(log_p: Tensor, target: Tensor) -> Tensor:
    """Return -sum_k y_k ln s_k."""
    return -torch.where(target <= 0, 0, target * log_p).sum(1)


def renyi(log_p: Tensor, target: Tensor, order: float) -> Tensor:
    """Return ln(sum_k y_k s_k^(order - 1)) / (1 - order), for an order other than 1.

    Near an order of 1 the sum is nearly 1, and is known best by how much it lacks; that
    takes targets that sum to 1, or to 0.
    """
    power, mass = order - 1, target.sum(1, keepdim=True)
    target = target / torch.where(mass == 0, 1, mass)
    scaled = torch.where(target <= 0, -torch.inf, power * log_p)
    highest = scaled.detach().amax(1, keepdim=True)
    highest = torch.where(highest.isinf(), 0, highest)
    below = scaled - highest
    lack = (target * torch.expm1(below)).sum(1)
    is_near = lack > -0.5
    total = torch.where(is_near, 1, (target * below.exp()).sum(1))
    near = torch.log1p(torch.where(is_near, lack, 0))
    return -(highest.squeeze(1) + total.log() + near) / power


def reverse(log_p: Tensor, target: Tensor, log_zero: float) -> Tensor:
    """Return -sum_k s_k max(ln y_k, log_zero)."""
    return -(log_p.exp() * log(target).clamp_min(log_zero)).sum(1)


def generalized(log_p: Tensor, target: Tensor, q: float) -> Tensor:
    """Return sum_k y_k (1 - s_k^q) / q; expm1, since for small q both are nearly 0."""
    return -(target * torch.expm1(q * log_p)).sum(1) / q


def absolute(log_p: Tensor, target: Tensor) -> Tensor:
    """Return sum_k |y_k - s_k|."""
    return (log_p.exp() - target).abs().sum(1)
