"""The losses as functions: checks of the input, reductions, and one function each."""

import operator
from collections.abc import Callable
from numbers import Integral
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearn_cce._checks import as_float, is_real, type_of

from . import _kernels as kernels
from ._kernels import Kernel

_RANGES = {
    "order": (0.0, 10.0),
    "log_zero": (-1e30, -1e-30),
    "q": (1e-6, 1.0),
    "alpha": (0.0, 1e30),
    "beta": (0.0, 1e30),
}
"""What the losses' own options may be; the far ends are finite in float32."""

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "none": lambda losses: losses,
}


def check_options(ignore_index: int, reduction: str) -> None:
    """Raise an error that names it where an option of all losses is not accepted."""
    if not isinstance(reduction, str) or reduction not in _REDUCTIONS:
        raise ValueError(
            f"reduction must be one of {sorted(_REDUCTIONS)}; got {reduction!r}."
        )
    if not (is_real(ignore_index) and isinstance(ignore_index, Integral)):
        raise TypeError(f"ignore_index must be an integer; got {ignore_index!r}.")
    if not -(2**63) <= operator.index(ignore_index) < 2**63:
        raise ValueError(f"ignore_index must fit into int64; got {ignore_index!r}.")


def check_number(name: str, value: float) -> float:
    """Return an option of a loss's own as a float, or raise an error that names it."""
    if not is_real(value):
        raise TypeError(f"{name} must be a real number; got {type_of(value)}.")
    low, high = _RANGES[name]
    number = as_float(value)
    if not low <= number <= high:
        raise ValueError(f"{name} must lie in [{low}, {high}]; got {value!r}.")
    return number


def _is_floating(value: object) -> bool:
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return False
    return value.is_floating_point()


def check_weight(weight: Tensor | None) -> None:
    """Raise a TypeError where the weights of the classes are no floating tensor."""
    if weight is not None and not _is_floating(weight):
        raise TypeError(f"weight must be a floating tensor; got {type_of(weight)}.")


def _check_types(logits: Tensor, target: Tensor) -> None:
    if not _is_floating(logits):
        raise TypeError(f"logits must be a floating tensor; got {type_of(logits)}.")
    unusable = not isinstance(target, Tensor) or target.is_complex()
    if unusable or target.dtype == torch.bool or target.layout != torch.strided:
        raise TypeError(
            "target must be a tensor of probabilities (floating) or of class indices "
            f"(integer); got {type_of(target)}."
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
        # Both are -ln s of the class, which needs no one-hot target.
        if kernel is kernels.collision or kernel is kernels.shannon:
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
    mass = weighted.sum(1)
    return torch.where(mass == 0, 0, mass * kernel(log_p, target))


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
    check_options(ignore_index, reduction)
    _check_types(logits, target)
    check_weight(weight)
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
    that a draw from the target y and a draw from the prediction s are equal [1]_. It is
    symmetric in y and s, equals Shannon's cross-entropy for one-hot targets, and a
    uniform target costs the constant ``ln K`` and has no gradient.

    Parameters
    ----------
    logits : Tensor of shape (K,), (n_samples, K) or (n_samples, K, d1, ...)
        Unnormalised log-probabilities of the K classes, of any floating dtype.
    target : Tensor
        Probabilities of the shape of `logits`, or class indices in [0, K) of that
        shape without the class dimension.
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.

    Returns
    -------
    Tensor
        A scalar, or with ``reduction="none"`` one loss for each position, of shape (),
        (n_samples,) or (n_samples, d1, ...).

    Raises
    ------
    TypeError
        If an argument is of the wrong type or dtype.
    ValueError
        If the shapes of `logits`, `target` and `weight` do not fit together, a class
        index lies outside [0, K), or an option is not as described.

    See Also
    --------
    CollisionCrossEntropyLoss : The same as a module.
    shannon_cross_entropy : Copies the uncertainty of the target.

    Notes
    -----
    The gradient in the logits is ``s - q`` with ``q_k`` proportional to
    ``y_k s_k``. The loss can be differentiated in the target too, except that
    exact zeros of the target receive no gradient.

    With class weights the loss is multiplied by ``sum_k w_k y_k``.

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
    return _loss(kernels.collision, logits, target, weight, ignore_index, reduction)


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
    target y [1]_: the prediction learns to copy the uncertainty of the target.

    Parameters
    ----------
    logits : Tensor of shape (K,), (n_samples, K) or (n_samples, K, d1, ...)
        Unnormalised log-probabilities of the K classes, of any floating dtype.
    target : Tensor
        Probabilities of the shape of `logits`, or class indices in [0, K) of that
        shape without the class dimension.
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.

    Returns
    -------
    Tensor
        A scalar, or with ``reduction="none"`` one loss for each position, of shape (),
        (n_samples,) or (n_samples, d1, ...).

    Raises
    ------
    TypeError
        If an argument is of the wrong type or dtype.
    ValueError
        If the shapes of `logits`, `target` and `weight` do not fit together, a class
        index lies outside [0, K), or an option is not as described.

    See Also
    --------
    ShannonCrossEntropyLoss : The same as a module.
    torch.nn.functional.cross_entropy : The same loss in PyTorch.

    Notes
    -----
    Values agree with :func:`torch.nn.functional.cross_entropy`. Unlike there,
    logits of -inf (excluded classes) may meet targets of 0. With class weights the
    loss is ``-sum_k w_k y_k ln s_k``.

    References
    ----------
    .. [1] I. J. Good, "Rational Decisions", Journal of the Royal Statistical Society
       B 14, 1952.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import shannon_cross_entropy
    >>> logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
    >>> shannon_cross_entropy(logits, torch.tensor([0, 2]), reduction="none")
    tensor([0.1698, 0.1520])
    """
    return _loss(
        kernels.shannon, logits, target, weight, ignore_index, reduction, linear=True
    )


def renyi_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    order: float = 2.0,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Rényi cross-entropy: the family of Shannon's and collision cross-entropy.

    ``ln(sum_k y_k s_k^(order - 1)) / (1 - order)`` with ``s = softmax(logits)``; the
    limit at order 1 is Shannon's cross-entropy, order 2 is collision [2]_; of y with
    itself it is Rényi's entropy [1]_. The larger the order, the more a prediction
    believes itself rather than a doubtful target.

    Parameters
    ----------
    logits : Tensor of shape (K,), (n_samples, K) or (n_samples, K, d1, ...)
        Unnormalised log-probabilities of the K classes, of any floating dtype.
    target : Tensor
        Probabilities of the shape of `logits`, or class indices in [0, K) of that
        shape without the class dimension.
    order : float, default=2.0
        Order alpha in [0, 10].
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.

    Returns
    -------
    Tensor
        A scalar, or with ``reduction="none"`` one loss for each position, of shape (),
        (n_samples,) or (n_samples, d1, ...).

    Raises
    ------
    TypeError
        If an argument is of the wrong type or dtype.
    ValueError
        If the shapes of `logits`, `target` and `weight` do not fit together, a class
        index lies outside [0, K), or an option is not as described.

    See Also
    --------
    RenyiCrossEntropyLoss : The same as a module.
    collision_cross_entropy : The same with order 2.
    shannon_cross_entropy : The same with order 1.

    Notes
    -----
    The gradient in the logits is ``s - q`` with ``q_k`` proportional to
    ``y_k s_k^(order - 1)``: at order 1 the target, at order 0 shares of ``y_k / s_k``.
    For one-hot targets all orders are the same; for any other the loss falls as the
    order rises. Only order 2 is symmetric in prediction and target.

    With class weights the loss is multiplied by ``sum_k w_k y_k``; at order 1 they
    are inside the sum, as in :func:`shannon_cross_entropy`.

    References
    ----------
    .. [1] A. Rényi, "On Measures of Entropy and Information", Proceedings of the Fourth
       Berkeley Symposium on Mathematical Statistics and Probability 1, 1961.
    .. [2] Z. Zhang and Y. Boykov, "Collision Cross-entropy for Soft Class Labels and
       Entropy-based Clustering", arXiv:2303.07321, 2023.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import renyi_cross_entropy
    >>> logits, target = torch.zeros(1, 2), torch.tensor([[0.9, 0.1]])
    >>> logits[0, 0] = 2.0
    >>> [round(float(renyi_cross_entropy(logits, target, order=a)), 3) for a in (1, 2)]
    [0.327, 0.217]
    """
    order = check_number("order", order)
    if order == 1:
        return shannon_cross_entropy(
            logits,
            target,
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
        )

    def kernel(log_p: Tensor, target: Tensor) -> Tensor:
        return kernels.renyi(log_p, target, order)

    # For class indices all orders are the same.
    same = order == 2 or not _is_floating(target)
    of_order = kernels.collision if same else kernel
    return _loss(of_order, logits, target, weight, ignore_index, reduction)


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
    so that it draws the prediction to a vertex of the simplex [1]_.

    Parameters
    ----------
    logits : Tensor of shape (K,), (n_samples, K) or (n_samples, K, d1, ...)
        Unnormalised log-probabilities of the K classes, of any floating dtype.
    target : Tensor
        Probabilities of the shape of `logits`, or class indices in [0, K) of that
        shape without the class dimension.
    log_zero : float, default=-13.8
        Negative number at which ``ln y_k`` is clipped, as the loss would be
        infinite for ``y_k = 0``. The default is the logarithm of about 1e-6.
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.

    Returns
    -------
    Tensor
        A scalar, or with ``reduction="none"`` one loss for each position, of shape (),
        (n_samples,) or (n_samples, d1, ...).

    Raises
    ------
    TypeError
        If an argument is of the wrong type or dtype.
    ValueError
        If the shapes of `logits`, `target` and `weight` do not fit together, a class
        index lies outside [0, K), or an option is not as described.

    See Also
    --------
    ReverseCrossEntropyLoss : The same as a module.
    symmetric_cross_entropy : A weighted sum with Shannon's cross-entropy.

    Notes
    -----
    For a one-hot target of class j it is ``-log_zero (1 - s_j)``, half the mean
    absolute error times ``-log_zero``. With class weights the loss is
    multiplied by ``sum_k w_k y_k``.

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
    log_zero = check_number("log_zero", log_zero)

    def kernel(log_p: Tensor, target: Tensor) -> Tensor:
        return kernels.reverse(log_p, target, log_zero)

    return _loss(kernel, logits, target, weight, ignore_index, reduction)


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
    the target of the loss that Zhang and Sabuncu define for one class [1]_. It tends
    to Shannon's cross-entropy for q to 0; at q = 1 it is half the mean absolute error
    for one-hot targets.

    Parameters
    ----------
    logits : Tensor of shape (K,), (n_samples, K) or (n_samples, K, d1, ...)
        Unnormalised log-probabilities of the K classes, of any floating dtype.
    target : Tensor
        Probabilities of the shape of `logits`, or class indices in [0, K) of that
        shape without the class dimension.
    q : float, default=0.7
        Exponent in [1e-6, 1]; the larger, the less an improbable target counts.
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.

    Returns
    -------
    Tensor
        A scalar, or with ``reduction="none"`` one loss for each position, of shape (),
        (n_samples,) or (n_samples, d1, ...).

    Raises
    ------
    TypeError
        If an argument is of the wrong type or dtype.
    ValueError
        If the shapes of `logits`, `target` and `weight` do not fit together, a class
        index lies outside [0, K), or an option is not as described.

    See Also
    --------
    GeneralizedCrossEntropyLoss : The same as a module.
    mean_absolute_error : Twice this loss at q = 1, for one-hot targets.

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
    q = check_number("q", q)

    def kernel(log_p: Tensor, target: Tensor) -> Tensor:
        return kernels.generalized(log_p, target, q)

    return _loss(kernel, logits, target, weight, ignore_index, reduction, linear=True)


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

    ``-alpha sum_k y_k ln s_k - beta sum_k s_k max(ln y_k, log_zero)`` with
    ``s = softmax(logits)``: the second term bears wrong labels, the first one learns
    fast [1]_.

    Parameters
    ----------
    logits : Tensor of shape (K,), (n_samples, K) or (n_samples, K, d1, ...)
        Unnormalised log-probabilities of the K classes, of any floating dtype.
    target : Tensor
        Probabilities of the shape of `logits`, or class indices in [0, K) of that
        shape without the class dimension.
    alpha : float, default=0.1
        Non-negative factor of :func:`shannon_cross_entropy`.
    beta : float, default=1.0
        Non-negative factor of :func:`reverse_cross_entropy`.
    log_zero : float, default=-4.0
        Negative number at which ``ln y_k`` is clipped in the reverse term. The
        default, that of Wang et al., clips target probabilities below 0.018.
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.

    Returns
    -------
    Tensor
        A scalar, or with ``reduction="none"`` one loss for each position, of shape (),
        (n_samples,) or (n_samples, d1, ...).

    Raises
    ------
    TypeError
        If an argument is of the wrong type or dtype.
    ValueError
        If the shapes of `logits`, `target` and `weight` do not fit together, a class
        index lies outside [0, K), or an option is not as described.

    See Also
    --------
    SymmetricCrossEntropyLoss : The same as a module.
    shannon_cross_entropy : The first term.
    reverse_cross_entropy : The second term.

    Notes
    -----
    Each term takes class weights in its own way: the first inside the sum over the
    classes, the second by the mean weight ``sum_k w_k y_k``.

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
    alpha, beta = check_number("alpha", alpha), check_number("beta", beta)
    common: dict[str, Any] = {
        "weight": weight,
        "ignore_index": ignore_index,
        "reduction": reduction,
    }
    shannon = shannon_cross_entropy(logits, target, **common)
    reverse = reverse_cross_entropy(logits, target, log_zero=log_zero, **common)
    return alpha * shannon + beta * reverse


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
    ``2 (1 - s_j)`` for a one-hot target of class j [1]_.

    Parameters
    ----------
    logits : Tensor of shape (K,), (n_samples, K) or (n_samples, K, d1, ...)
        Unnormalised log-probabilities of the K classes, of any floating dtype.
    target : Tensor
        Probabilities of the shape of `logits`, or class indices in [0, K) of that
        shape without the class dimension.
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.

    Returns
    -------
    Tensor
        A scalar, or with ``reduction="none"`` one loss for each position, of shape (),
        (n_samples,) or (n_samples, d1, ...).

    Raises
    ------
    TypeError
        If an argument is of the wrong type or dtype.
    ValueError
        If the shapes of `logits`, `target` and `weight` do not fit together, a class
        index lies outside [0, K), or an option is not as described.

    See Also
    --------
    MeanAbsoluteErrorLoss : The same as a module.
    generalized_cross_entropy : Between this and Shannon's cross-entropy.

    Notes
    -----
    The sum over the classes is not divided by their number. With class weights the
    loss is multiplied by ``sum_k w_k y_k``.

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
    return _loss(kernels.absolute, logits, target, weight, ignore_index, reduction)
