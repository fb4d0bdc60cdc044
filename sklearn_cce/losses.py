"""Cross-entropies and robust losses for soft and hard targets.

Every loss takes logits, as :class:`torch.nn.CrossEntropyLoss` does, and is computed
in the log domain. They differ in what one position costs; targets, class weights,
ignored positions and reductions mean the same to all of them.
"""

from collections.abc import Callable
from inspect import cleandoc
from numbers import Integral, Real

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "LOSSES",
    "CollisionCrossEntropyLoss",
    "GeneralizedCrossEntropyLoss",
    "MeanAbsoluteErrorLoss",
    "ReverseCrossEntropyLoss",
    "ShannonCrossEntropyLoss",
    "SymmetricCrossEntropyLoss",
    "collision_cross_entropy",
    "generalized_cross_entropy",
    "mean_absolute_error",
    "reverse_cross_entropy",
    "shannon_cross_entropy",
    "symmetric_cross_entropy",
]

Kernel = Callable[[Tensor, Tensor], Tensor]

_RANGES = {
    "log_zero": (-1e30, -1e-30),
    "q": (1e-6, 1.0),
    "alpha": (0.0, 1e30),
    "beta": (0.0, 1e30),
}

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "none": lambda losses: losses,
}

_PARTS = {
    "inputs": """
logits : Tensor of shape (K,), (n_samples, K) or (n_samples, K, d1, ...)
    Unnormalised log-probabilities of the K classes, of any floating dtype. Half
    precision is computed in float32 and returned in half.
target : Tensor
    Probabilities of the shape of `logits`, or class indices in [0, K) of that shape
    without the class dimension, of any integer dtype. Probabilities are converted
    to the dtype of the computation; that they sum to 1 is not checked. NaN gives NaN.
""",
    "options": """
weight : Tensor of shape (K,), default=None
    Non-negative weight of each class, of any floating dtype.
ignore_index : int, default=-100
    Class index that marks positions without a label: they cost nothing and do not
    count in the mean. Without effect on targets that are probabilities.
reduction : {"mean", "sum", "none"}, default="mean"
    What to do with the losses of the positions. As in PyTorch, the mean of hard
    targets is divided by the sum of the weights of their classes, the mean of
    soft ones by the number of positions.
""",
    "returns": """
Returns
-------
Tensor
    A scalar, or with ``reduction="none"`` one loss for each position, of shape (),
    (n_samples,) or (n_samples, d1, ...), in the dtype of `logits`.

Raises
------
TypeError
    If `logits` or `weight` is not a floating tensor, `target` neither a floating nor
    an integer one, or if an option is of the wrong type.
ValueError
    If the shapes of `logits`, `target` and `weight` do not fit together, if
    `reduction` is unknown, or if a class index lies outside [0, K) (on the CPU; an
    accelerator reports it with an assertion of its own).
""",
    "mean_weight": """
A position is weighted by the mean of `weight` under its target, ``sum_k w_k y_k``:
with hard targets, by the weight of its class, as in PyTorch.
""",
    "module": """
It can stand where :class:`torch.nn.CrossEntropyLoss` stands: call it with logits and
with probabilities or class indices.
""",
}


def _documented(documented):
    """Fill the parts that the docstrings of all the losses have in common."""
    text = cleandoc(documented.__doc__)
    for name, part in _PARTS.items():
        text = text.replace(f"<{name}>", part.strip())
    documented.__doc__ = text
    return documented


# What one position costs: (log-probabilities, target), both (n, K, ...) -> (n, ...).


def _log(target: Tensor) -> Tensor:
    """Logarithm with ln 0 = -inf and no NaN in the gradient of the target."""
    if not target.requires_grad:
        return target.log()
    zero = target <= 0  # not so for NaN
    return torch.where(zero, -torch.inf, torch.where(zero, 1, target).log())


def _collision(log_p: Tensor, target: Tensor) -> Tensor:
    return -torch.logsumexp(log_p + _log(target), 1)


def _shannon(log_p: Tensor, target: Tensor) -> Tensor:
    return -torch.where(target <= 0, 0, target * log_p).sum(1)


def _reverse(log_p: Tensor, target: Tensor, log_zero: float) -> Tensor:
    return -(log_p.exp() * _log(target).clamp_min(log_zero)).sum(1)


def _generalized(log_p: Tensor, target: Tensor, q: float) -> Tensor:
    return -(target * torch.expm1(q * log_p)).sum(1) / q


def _absolute(log_p: Tensor, target: Tensor) -> Tensor:
    return (log_p.exp() - target).abs().sum(1)


# What all the losses share.


def _check_reduction(reduction: str) -> None:
    if not isinstance(reduction, str) or reduction not in _REDUCTIONS:
        raise ValueError(
            f"reduction must be one of {sorted(_REDUCTIONS)}; got {reduction!r}."
        )


def _check_options(ignore_index: int, reduction: str) -> None:
    _check_reduction(reduction)
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, Integral):
        raise TypeError(f"ignore_index must be an integer; got {ignore_index!r}.")


def _check_number(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number; got {_kind(value)}.")
    low, high = _RANGES[name]
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in [{low}, {high}]; got {value!r}.")


def _kind(value: object) -> object:
    return getattr(value, "dtype", type(value).__name__)


def _is_floating(value: object) -> bool:
    dense = isinstance(value, Tensor) and value.layout == torch.strided
    return dense and value.is_floating_point()


def _check_weight(weight: Tensor | None) -> None:
    if weight is not None and not _is_floating(weight):
        raise TypeError(f"weight must be a floating tensor; got {_kind(weight)}.")


def _check_types(logits: Tensor, target: Tensor) -> None:
    if not _is_floating(logits):
        raise TypeError(f"logits must be a floating tensor; got {_kind(logits)}.")
    unusable = not isinstance(target, Tensor) or target.is_complex()
    if unusable or target.dtype == torch.bool or target.layout != torch.strided:
        raise TypeError(
            "target must be a tensor of probabilities (floating) or of class indices "
            f"(integer); got {_kind(target)}."
        )


def _check_shapes(logits: Tensor, target: Tensor, weight: Tensor | None) -> None:
    if logits.dim() == 0:
        raise ValueError("logits must have a class dimension; got a scalar.")
    axis = min(logits.dim() - 1, 1)
    positions = logits.shape[:axis] + logits.shape[axis + 1 :]
    expected = logits.shape if target.is_floating_point() else positions
    if target.shape != expected:
        raise ValueError(
            f"target must have shape {tuple(logits.shape)} (probabilities, floating) "
            f"or {tuple(positions)} (class indices, integer) for logits of shape "
            f"{tuple(logits.shape)}; got {tuple(target.shape)} of {target.dtype}."
        )
    if weight is not None and weight.shape != logits.shape[axis : axis + 1]:
        raise ValueError(
            f"weight must have shape ({logits.shape[axis]},), one for each class; "
            f"got {tuple(weight.shape)}."
        )


def _one_hot(index: Tensor, counted: Tensor, like: Tensor) -> Tensor:
    """Class indices (n, ...) as probabilities of the shape and dtype of `like`.

    Where nothing is known every class may be drawn: finite with excluded classes.
    """
    one_hot = torch.zeros_like(like).scatter_(1, index.unsqueeze(1), 1.0)
    return torch.where(counted.unsqueeze(1), one_hot, 1)


def _of_classes(
    kernel: Kernel, log_p: Tensor, index: Tensor, counted: Tensor
) -> Tensor:
    """Unweighted losses of class indices."""
    try:
        if kernel is _collision or kernel is _shannon:  # -ln s of the class, for both
            return -log_p.gather(1, index.unsqueeze(1)).squeeze(1)
        target = _one_hot(index, counted, log_p)
    except RuntimeError as error:
        raise ValueError(
            f"target must hold class indices in [0, {log_p.shape[1]}), or ignore_index."
        ) from error
    return kernel(log_p, target)


def _hard(
    kernel: Kernel,
    log_p: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
) -> tuple[Tensor, Tensor]:
    """Weighted losses of class indices, and the sum of the weights."""
    index = target.long()  # so that ignore_index is no index of a small dtype
    counted = index != ignore_index
    index = torch.where(counted, index, 0)
    losses = _of_classes(kernel, log_p, index, counted)
    scale = counted.to(log_p.dtype)
    if weight is not None:
        scale = scale * weight[index]
    return torch.where(scale != 0, scale * losses, 0), scale.sum()


def _soft(
    kernel: Kernel, log_p: Tensor, target: Tensor, weight: Tensor | None, linear: bool
) -> Tensor:
    """Weighted losses of probabilities."""
    if weight is None:
        return kernel(log_p, target)
    weighted = target * weight.view(-1, *[1] * (target.dim() - 2))
    if linear:
        return kernel(log_p, weighted)
    return weighted.sum(1) * kernel(log_p, target)


def _loss(
    kernel: Kernel,
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    *,
    linear: bool = False,
) -> Tensor:
    """Check the input, apply the kernel to every position, reduce.

    A kernel that is linear in the target weights the classes inside its sum, any
    other is weighted by the mean class weight of the position.
    """
    _check_options(ignore_index, reduction)
    _check_types(logits, target)
    _check_weight(weight)
    _check_shapes(logits, target, weight)
    batched = logits.dim() > 1
    if not batched:
        logits, target = logits.unsqueeze(0), target.unsqueeze(0)
    dtype = torch.promote_types(logits.dtype, torch.float32)
    log_p = F.log_softmax(logits, 1, dtype=dtype)
    weight = None if weight is None else weight.to(dtype)
    if target.is_floating_point():
        losses = _soft(kernel, log_p, target.to(dtype), weight, linear)
    else:
        losses, total = _hard(kernel, log_p, target, weight, ignore_index)
        if reduction == "mean":
            return (losses.sum() / total).to(logits.dtype)
    losses = losses if batched else losses.squeeze(0)
    return _REDUCTIONS[reduction](losses).to(logits.dtype)


@_documented
def collision_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Collision cross-entropy between targets and softmax predictions.

    ``-ln sum_k y_k s_k`` with ``s = softmax(logits)``: the negative log-probability
    that a draw from the target y and a draw from the prediction s are equal. It is
    symmetric in y and s, equals Shannon's cross-entropy for one-hot targets, and a
    uniform target costs the constant ``ln K`` and has no gradient.

    Parameters
    ----------
    <inputs>
    <options>

    <returns>

    See Also
    --------
    CollisionCrossEntropyLoss : The same as a module.
    shannon_cross_entropy : Copies the uncertainty of the target.

    Notes
    -----
    The gradient in the logits is ``s - q`` with ``q_k`` proportional to
    ``y_k s_k``. The loss can be differentiated in the target too, except that
    exact zeros of the target receive no gradient.

    <mean_weight>

    References
    ----------
    .. [1] Z. Zhang and Y. Boykov, "Collision Cross-entropy for Soft Class Labels and
       Entropy-based Clustering", arXiv:2303.07321, 2023.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import collision_cross_entropy
    >>> logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
    >>> target = torch.tensor([[0.9, 0.1, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    >>> collision_cross_entropy(logits, target, reduction="none")
    tensor([0.2603, 1.0986])
    """
    return _loss(_collision, logits, target, weight, ignore_index, reduction)


@_documented
def shannon_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Shannon's cross-entropy between targets and softmax predictions.

    ``-sum_k y_k ln s_k`` with ``s = softmax(logits)``, least where s equals the
    target y: the prediction learns to copy the uncertainty of the target.

    Parameters
    ----------
    <inputs>
    <options>

    <returns>

    See Also
    --------
    ShannonCrossEntropyLoss : The same as a module.
    torch.nn.functional.cross_entropy : The same loss in PyTorch.

    Notes
    -----
    Values agree with :func:`torch.nn.functional.cross_entropy`. Unlike there,
    logits of -inf (excluded classes) may meet targets of 0. With class weights the
    loss is ``-sum_k w_k y_k ln s_k``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import shannon_cross_entropy
    >>> logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
    >>> shannon_cross_entropy(logits, torch.tensor([0, 2]), reduction="none")
    tensor([0.1698, 0.1520])
    """
    return _loss(_shannon, logits, target, weight, ignore_index, reduction, linear=True)


@_documented
def reverse_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    log_zero: float = -13.8,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Reverse cross-entropy: Shannon's with target and prediction exchanged.

    ``-sum_k s_k max(ln y_k, log_zero)`` with ``s = softmax(logits)``. Linear in s,
    so that it draws the prediction to a vertex of the simplex.

    Parameters
    ----------
    <inputs>
    log_zero : float, default=-13.8
        Negative number at which ``ln y_k`` is clipped, as the loss would be
        infinite for ``y_k = 0``. The default is the logarithm of about 1e-6.
    <options>

    <returns>
        Also if `log_zero` is not negative and finite.

    See Also
    --------
    ReverseCrossEntropyLoss : The same as a module.
    symmetric_cross_entropy : A weighted sum with Shannon's cross-entropy.

    Notes
    -----
    For a one-hot target of class j it is ``-log_zero (1 - s_j)``, half the mean
    absolute error times ``-log_zero``.

    <mean_weight>

    References
    ----------
    .. [1] Y. Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy
       Labels", ICCV 2019. Section 3.2; there ``log_zero`` is called A.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import reverse_cross_entropy
    >>> logits, target = torch.zeros(1, 2), torch.tensor([[0.5, 0.5]])
    >>> reverse_cross_entropy(logits, target)
    tensor(0.6931)
    """
    _check_number("log_zero", log_zero)

    def kernel(log_p: Tensor, target: Tensor) -> Tensor:
        return _reverse(log_p, target, log_zero)

    return _loss(kernel, logits, target, weight, ignore_index, reduction)


@_documented
def generalized_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    q: float = 0.7,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Generalised cross-entropy, between Shannon's and the mean absolute error.

    ``sum_k y_k (1 - s_k^q) / q`` with ``s = softmax(logits)``: the expectation under
    the target of the loss that Zhang and Sabuncu define for one class. It tends to
    Shannon's cross-entropy for q to 0; at q = 1 it is half the mean absolute error
    for one-hot targets.

    Parameters
    ----------
    <inputs>
    q : float, default=0.7
        Exponent in [1e-6, 1]; the larger, the less an improbable target counts.
    <options>

    <returns>
        Also if `q` lies outside its range.

    See Also
    --------
    GeneralizedCrossEntropyLoss : The same as a module.

    Notes
    -----
    With class weights the loss is ``sum_k w_k y_k (1 - s_k^q) / q``.

    References
    ----------
    .. [1] Z. Zhang and M. R. Sabuncu, "Generalized Cross Entropy Loss for Training
       Deep Neural Networks with Noisy Labels", NeurIPS 2018. Equation 6.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import generalized_cross_entropy
    >>> generalized_cross_entropy(torch.zeros(1, 4), torch.tensor([2]), q=1.0)
    tensor(0.7500)
    """
    _check_number("q", q)

    def kernel(log_p: Tensor, target: Tensor) -> Tensor:
        return _generalized(log_p, target, q)

    return _loss(kernel, logits, target, weight, ignore_index, reduction, linear=True)


@_documented
def symmetric_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float = 0.1,
    beta: float = 1.0,
    log_zero: float = -4.0,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Symmetric cross-entropy: a weighted sum of Shannon's and its reverse.

    Parameters
    ----------
    <inputs>
    alpha : float, default=0.1
        Non-negative factor of :func:`shannon_cross_entropy`.
    beta : float, default=1.0
        Non-negative factor of :func:`reverse_cross_entropy`.
    log_zero : float, default=-4.0
        Negative number at which ``ln y_k`` is clipped in the reverse term. The
        default, that of Wang et al., clips target probabilities below 0.018.
    <options>

    <returns>
        Also if `alpha` or `beta` is negative or `log_zero` not negative and finite.

    See Also
    --------
    SymmetricCrossEntropyLoss : The same as a module.

    References
    ----------
    .. [1] Y. Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy
       Labels", ICCV 2019. Equation 7.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import symmetric_cross_entropy
    >>> logits, target = torch.zeros(1, 2), torch.tensor([[0.5, 0.5]])
    >>> symmetric_cross_entropy(logits, target, alpha=1.0, beta=1.0)
    tensor(1.3863)
    """
    _check_number("alpha", alpha)
    _check_number("beta", beta)
    common = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction}
    shannon = shannon_cross_entropy(logits, target, **common)
    reverse = reverse_cross_entropy(logits, target, log_zero=log_zero, **common)
    return alpha * shannon + beta * reverse


@_documented
def mean_absolute_error(
    logits: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Absolute difference between targets and softmax predictions.

    ``sum_k |y_k - s_k|`` with ``s = softmax(logits)``, between 0 and 2; it is
    ``2 (1 - s_j)`` for a one-hot target of class j.

    Parameters
    ----------
    <inputs>
    <options>

    <returns>

    See Also
    --------
    MeanAbsoluteErrorLoss : The same as a module.

    Notes
    -----
    The sum over the classes is not divided by their number.

    <mean_weight>

    References
    ----------
    .. [1] A. Ghosh, H. Kumar and P. S. Sastry, "Robust Loss Functions under Label
       Noise for Deep Neural Networks", AAAI 2017.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import mean_absolute_error
    >>> mean_absolute_error(torch.zeros(1, 4), torch.tensor([2]))
    tensor(1.5000)
    """
    return _loss(_absolute, logits, target, weight, ignore_index, reduction)


LOSSES: dict[str, Callable[..., Tensor]] = {
    "collision": collision_cross_entropy,
    "shannon": shannon_cross_entropy,
    "reverse": reverse_cross_entropy,
    "generalized": generalized_cross_entropy,
    "symmetric": symmetric_cross_entropy,
    "mae": mean_absolute_error,
}


class _LossModule(nn.Module):
    """A loss function with its options; subclasses say which function."""

    _function: Callable[..., Tensor]
    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        _check_options(ignore_index, reduction)
        _check_weight(weight)
        self.register_buffer("weight", weight)
        self.options = {"ignore_index": ignore_index, "reduction": reduction}

    def _add(self, **numbers: float) -> None:
        """Add options of the loss's own."""
        for name, value in numbers.items():
            _check_number(name, value)
        self.options |= numbers

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits for soft or hard targets."""
        return self._function(logits, target, weight=self.weight, **self.options)

    def extra_repr(self) -> str:
        """Options that the printed module shows."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


@_documented
class CollisionCrossEntropyLoss(_LossModule):
    """Collision cross-entropy as a module.

    <module>

    Parameters
    ----------
    <options>

    See Also
    --------
    collision_cross_entropy : The function, with definition and reference.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import CollisionCrossEntropyLoss
    >>> criterion = CollisionCrossEntropyLoss()
    >>> criterion(torch.zeros(1, 4), torch.tensor([[0.5, 0.5, 0.0, 0.0]]))
    tensor(1.3863)
    """

    _function = staticmethod(collision_cross_entropy)


@_documented
class ShannonCrossEntropyLoss(_LossModule):
    """Shannon's cross-entropy as a module.

    <module>

    Parameters
    ----------
    <options>

    See Also
    --------
    shannon_cross_entropy : The function, with definition.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import ShannonCrossEntropyLoss
    >>> criterion = ShannonCrossEntropyLoss()
    >>> criterion(torch.zeros(1, 4), torch.tensor([3]))
    tensor(1.3863)
    """

    _function = staticmethod(shannon_cross_entropy)


@_documented
class ReverseCrossEntropyLoss(_LossModule):
    """Reverse cross-entropy as a module.

    <module>

    Parameters
    ----------
    <options>
    log_zero : float, default=-13.8
        Negative number at which the logarithm of the target is clipped.

    See Also
    --------
    reverse_cross_entropy : The function, with definition and reference.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import ReverseCrossEntropyLoss
    >>> criterion = ReverseCrossEntropyLoss(log_zero=-4.0)
    >>> criterion(torch.zeros(1, 4), torch.tensor([3]))
    tensor(3.)
    """

    _function = staticmethod(reverse_cross_entropy)

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        log_zero: float = -13.8,
    ) -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self._add(log_zero=log_zero)


@_documented
class GeneralizedCrossEntropyLoss(_LossModule):
    """Generalised cross-entropy as a module.

    <module>

    Parameters
    ----------
    <options>
    q : float, default=0.7
        Exponent in [1e-6, 1]; the larger, the less an improbable target counts.

    See Also
    --------
    generalized_cross_entropy : The function, with definition and reference.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import GeneralizedCrossEntropyLoss
    >>> criterion = GeneralizedCrossEntropyLoss(q=1.0)
    >>> criterion(torch.zeros(1, 4), torch.tensor([3]))
    tensor(0.7500)
    """

    _function = staticmethod(generalized_cross_entropy)

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        q: float = 0.7,
    ) -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self._add(q=q)


@_documented
class SymmetricCrossEntropyLoss(_LossModule):
    """Symmetric cross-entropy as a module.

    <module>

    Parameters
    ----------
    <options>
    alpha : float, default=0.1
        Non-negative factor of Shannon's cross-entropy.
    beta : float, default=1.0
        Non-negative factor of the reverse cross-entropy.
    log_zero : float, default=-4.0
        Negative number at which the logarithm of the target is clipped.

    See Also
    --------
    symmetric_cross_entropy : The function, with definition and reference.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import SymmetricCrossEntropyLoss
    >>> criterion = SymmetricCrossEntropyLoss(alpha=0.0)
    >>> criterion(torch.zeros(1, 4), torch.tensor([3]))
    tensor(3.)
    """

    _function = staticmethod(symmetric_cross_entropy)

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        alpha: float = 0.1,
        beta: float = 1.0,
        log_zero: float = -4.0,
    ) -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self._add(alpha=alpha, beta=beta, log_zero=log_zero)


@_documented
class MeanAbsoluteErrorLoss(_LossModule):
    """Absolute difference of target and prediction as a module.

    <module>

    Parameters
    ----------
    <options>

    See Also
    --------
    mean_absolute_error : The function, with definition and reference.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import MeanAbsoluteErrorLoss
    >>> criterion = MeanAbsoluteErrorLoss()
    >>> criterion(torch.zeros(1, 4), torch.tensor([3]))
    tensor(1.5000)
    """

    _function = staticmethod(mean_absolute_error)
