"""The losses as modules that hold the options; each is the twin of a function."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ._functional import (
    check_number,
    check_options,
    check_weight,
    collision_cross_entropy,
    generalized_cross_entropy,
    mean_absolute_error,
    renyi_cross_entropy,
    reverse_cross_entropy,
    shannon_cross_entropy,
    symmetric_cross_entropy,
)


class _LossModule(nn.Module):
    """A loss function with its options; a subclass says which function.

    Subclasses with options of their own add them to ``options``.
    """

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
        check_options(ignore_index, reduction)
        check_weight(weight)
        self.register_buffer("weight", weight)
        self.options: dict[str, Any] = {
            "ignore_index": ignore_index,
            "reduction": reduction,
        }

    def _add(self, **numbers: float) -> None:
        """Add options of the loss's own."""
        self.options |= {name: check_number(name, numbers[name]) for name in numbers}

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits for soft or hard targets.

        Parameters
        ----------
        logits : Tensor of shape (K,), (n_samples, K) or (n_samples, K, d1, ...)
            Unnormalised log-probabilities of the K classes, of any floating dtype.
        target : Tensor
            Probabilities of the shape of `logits`, or class indices in [0, K) of that
            shape without the class dimension.

        Returns
        -------
        Tensor
            A scalar, or with ``reduction="none"`` one loss for each position, of
            shape (), (n_samples,) or (n_samples, d1, ...).

        Raises
        ------
        TypeError
            If an argument is of the wrong type or dtype.
        ValueError
            If the shapes do not fit together, with each other or with those of the
            class weights, or if a class index lies outside [0, K).
        """
        return self._function(logits, target, weight=self.weight, **self.options)

    def extra_repr(self) -> str:
        """Return the options that the printed module shows.

        Returns
        -------
        str
            Names and values.
        """
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


class CollisionCrossEntropyLoss(_LossModule):
    """Collision cross-entropy as a module.

    It is called as :class:`torch.nn.CrossEntropyLoss` is, with logits and a target.

    Parameters
    ----------
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.

    Raises
    ------
    TypeError
        If an option is of the wrong type or dtype.
    ValueError
        If an option is not as described.

    See Also
    --------
    collision_cross_entropy : The function, with the mathematics and references.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import CollisionCrossEntropyLoss
    >>> criterion = CollisionCrossEntropyLoss()
    >>> criterion(torch.zeros(1, 4), torch.tensor([[0.5, 0.5, 0.0, 0.0]]))
    tensor(1.3863)
    """

    _function = staticmethod(collision_cross_entropy)


class ShannonCrossEntropyLoss(_LossModule):
    """Shannon's cross-entropy as a module.

    It is called as :class:`torch.nn.CrossEntropyLoss` is, with logits and a target.

    Parameters
    ----------
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.

    Raises
    ------
    TypeError
        If an option is of the wrong type or dtype.
    ValueError
        If an option is not as described.

    See Also
    --------
    shannon_cross_entropy : The function, with the mathematics and references.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import ShannonCrossEntropyLoss
    >>> criterion = ShannonCrossEntropyLoss()
    >>> criterion(torch.zeros(1, 4), torch.tensor([3]))
    tensor(1.3863)
    """

    _function = staticmethod(shannon_cross_entropy)


class RenyiCrossEntropyLoss(_LossModule):
    """Rényi cross-entropy as a module.

    It is called as :class:`torch.nn.CrossEntropyLoss` is, with logits and a target.

    Parameters
    ----------
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.
    order : float, default=2.0
        Order alpha in [0, 10]; 1 is Shannon's cross-entropy, 2 is collision.

    Raises
    ------
    TypeError
        If an option is of the wrong type or dtype.
    ValueError
        If an option is not as described.

    See Also
    --------
    renyi_cross_entropy : The function, with the mathematics and references.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import RenyiCrossEntropyLoss
    >>> criterion = RenyiCrossEntropyLoss(order=1.5)
    >>> criterion(torch.zeros(1, 4), torch.tensor([3]))
    tensor(1.3863)
    """

    _function = staticmethod(renyi_cross_entropy)

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        order: float = 2.0,
    ) -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        self._add(order=order)


class ReverseCrossEntropyLoss(_LossModule):
    """Reverse cross-entropy as a module.

    It is called as :class:`torch.nn.CrossEntropyLoss` is, with logits and a target.

    Parameters
    ----------
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.
    log_zero : float, default=-13.8
        Negative number at which the logarithm of the target is clipped.

    Raises
    ------
    TypeError
        If an option is of the wrong type or dtype.
    ValueError
        If an option is not as described.

    See Also
    --------
    reverse_cross_entropy : The function, with the mathematics and references.

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


class GeneralizedCrossEntropyLoss(_LossModule):
    """Generalised cross-entropy as a module.

    It is called as :class:`torch.nn.CrossEntropyLoss` is, with logits and a target.

    Parameters
    ----------
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.
    q : float, default=0.7
        Exponent in [1e-6, 1]; the larger, the less an improbable target counts.

    Raises
    ------
    TypeError
        If an option is of the wrong type or dtype.
    ValueError
        If an option is not as described.

    See Also
    --------
    generalized_cross_entropy : The function, with the mathematics and references.

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


class SymmetricCrossEntropyLoss(_LossModule):
    """Symmetric cross-entropy as a module.

    It is called as :class:`torch.nn.CrossEntropyLoss` is, with logits and a target.

    Parameters
    ----------
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.
    alpha : float, default=0.1
        Non-negative factor of Shannon's cross-entropy.
    beta : float, default=1.0
        Non-negative factor of the reverse cross-entropy.
    log_zero : float, default=-4.0
        Negative number at which the logarithm of the target is clipped.

    Raises
    ------
    TypeError
        If an option is of the wrong type or dtype.
    ValueError
        If an option is not as described.

    See Also
    --------
    symmetric_cross_entropy : The function, with the mathematics and references.

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


class MeanAbsoluteErrorLoss(_LossModule):
    """Absolute difference of target and prediction as a module.

    It is called as :class:`torch.nn.CrossEntropyLoss` is, with logits and a target.

    Parameters
    ----------
    weight : Tensor of shape (K,), default=None
        Non-negative weight of each class, of any floating dtype.
    ignore_index : int, default=-100
        Class index of positions that cost nothing and do not count in the mean.
        Without effect on targets that are probabilities.
    reduction : {"mean", "sum", "none"}, default="mean"
        What becomes of the losses of the positions. As in PyTorch, the mean over hard
        targets is divided by the sum of the weights of their classes.

    Raises
    ------
    TypeError
        If an option is of the wrong type or dtype.
    ValueError
        If an option is not as described.

    See Also
    --------
    mean_absolute_error : The function, with the mathematics and references.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.losses import MeanAbsoluteErrorLoss
    >>> criterion = MeanAbsoluteErrorLoss()
    >>> criterion(torch.zeros(1, 4), torch.tensor([3]))
    tensor(1.5000)
    """

    _function = staticmethod(mean_absolute_error)
