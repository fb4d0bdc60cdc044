"""Networks that map samples to one logit per cluster or class.

A module is anything that can be called as ``module(in_shape, n_outputs)`` and returns
a :class:`torch.nn.Module`; ``in_shape`` is the number of features of a table, or the
shape ``(channels, height, width)`` of an image. The three below are the ones that the
estimators know by name.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_cce._checks import as_whole, check_weight, whole_entries, whole_number
from sklearn_cce.pseudo_labels._checks import real_tensor

__all__ = ["MLP", "VGG4", "Linear", "PrincipalComponents", "Scaling"]

FAR, MOST = 5.0, 0.9
"""Rows farther from the middle than the first number times the distance within which
the second share of the rows lies have no part in the scale."""

N_MIDDLE = 1024
"""The middle is the median of about so many rows."""


def spread(diff: Tensor) -> Tensor:
    """Return a power of two near the largest deviation: squares stay in range."""
    largest = diff.abs().max().double()
    exponent = torch.frexp(largest).exponent if largest > 0 else torch.zeros(())
    return torch.ldexp(torch.ones((), dtype=torch.float64), exponent)


def reach(X: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return which rows are not far from the others, and how far those may lie.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_features)
        Samples.
    weight : Tensor of shape (n_samples,)
        Their shares, sum 1.

    Returns
    -------
    near : Tensor of shape (n_samples,), bool
        Whether a row has a part in the scale.
    bound : Tensor of shape (), float64
        The largest distance from the middle that counts as near.
    """
    some = weight.nonzero()[:, 0]
    diff = X - X[some[:: max(len(some) // N_MIDDLE, 1)]].median(0).values
    unit = spread(diff)
    square = torch.linalg.vector_norm(diff / unit.to(diff), dim=1).double().square()
    order = square[some].argsort()
    within = weight[some][order].double().cumsum(0)
    last = min(int((within < MOST * within[-1]).sum()), len(some) - 1)
    bound = FAR * square[some][order[last]].sqrt()
    near = square.sqrt() <= bound
    return near if bound > 0 else torch.ones_like(near), bound * unit


def inverse_root(variance: Tensor) -> Tensor:
    """Return what makes a variance 1; 1 where there is none."""
    return variance.rsqrt() if variance > 0 else torch.ones(())


def finite_rows(X: Any, n_values: int) -> Tensor:
    """Return samples as rows of float64, or raise an error that names X."""
    if not isinstance(X, Tensor):
        raise TypeError(f"X must be a tensor; got {type(X).__name__}.")
    # Moved first: not every device has float64.
    samples = real_tensor("X", X.cpu(), torch.device("cpu"))
    if X.ndim < 2 or not len(X) or X[0].numel() != n_values:
        raise ValueError(
            "X must have shape (n_samples, ...), with at least one sample and "
            f"{n_values} values in each; got shape {tuple(X.shape)}."
        )
    rows = samples.flatten(1)
    if not all(end.isfinite() for end in rows.aminmax()):
        raise ValueError("X must be finite; got NaN or infinity in it.")
    return rows


def shares(sample_weight: Tensor | None, rows: Tensor) -> Tensor:
    """Return the weights of rows in float64 with sum 1."""
    weight = check_weight(sample_weight, rows)
    weights = np.ones(len(rows)) if weight is None else weight
    return torch.from_numpy(weights / weights.sum())


class Scaling(nn.Module):
    """Centre every feature and divide all of them by one common scale.

    One scale for all features keeps the relative size of the features, which carries
    meaning in pixels and embeddings. A few rows far from all others do not set it, and
    are drawn in to five times the distance within which nine tenths of the rows lie.
    Until :meth:`fit` is called the layer is the identity. The estimators call
    :meth:`fit` on every layer of this type before training.

    Parameters
    ----------
    in_shape : int or tuple of int
        Shape of one sample.

    Notes
    -----
    Fitted to float64 samples it centres and scales in float64, and returns float32:
    what sets samples apart may be small beside a common offset, such as that of a
    timestamp, or below the range of float32.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.modules import Scaling
    >>> X = torch.tensor([[0.0, 10.0], [2.0, 10.0]])
    >>> Scaling(2).fit(X)(X)
    tensor([[-1.4142,  0.0000],
            [ 1.4142,  0.0000]])
    """

    shift: Tensor
    gain: Tensor
    radius: Tensor

    def __init__(self, in_shape: int | Sequence[int]) -> None:
        super().__init__()
        shape = sample_shape(in_shape)
        self.register_buffer("shift", torch.zeros(shape))
        self.register_buffer("gain", torch.ones(()))
        self.register_buffer("radius", torch.full((), torch.inf))

    def fit(self, X: Tensor, sample_weight: Tensor | None = None) -> Scaling:
        """Set shift and scale so that X has mean 0 and mean variance 1.

        Parameters
        ----------
        X : Tensor of shape (n_samples, ...)
            Samples.
        sample_weight : Tensor of shape (n_samples,), optional
            Non-negative weights; all one by default.

        Returns
        -------
        Scaling
            The layer itself.

        Raises
        ------
        TypeError
            If X is no dense tensor of real numbers.
        ValueError
            If X is of another shape or not finite, or the weights are not as described.
        """
        rows, weight, mean, unit, bound = self._centre(X, sample_weight)
        gain = inverse_root((weight @ rows.square_()).mean())
        self._set(X.dtype, mean, gain / unit, bound * gain)
        return self

    def _centre(
        self, X: Tensor, sample_weight: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return what scales are found from, all in float64.

        The rows, less their mean and in a unit of about their size, the weights, 0 for
        far rows, the mean, the unit, and the bound of :func:`reach` in this unit.
        """
        rows = finite_rows(X, self.shift.numel())
        weight = shares(sample_weight, rows)
        near, bound = reach(rows, weight)
        if not near.all():
            weight = weight * near
            weight = weight / weight.sum()
        mean = weight @ rows
        rows = rows - mean
        unit = spread(rows[weight > 0])
        return rows.div_(unit), weight, mean, unit, bound / unit

    def _set(
        self, dtype: torch.dtype, mean: Tensor, gain: Tensor, radius: Tensor
    ) -> None:
        """Keep what was found, in float64 where the samples are."""
        precise = dtype if dtype == torch.float64 else self.radius.dtype
        largest = torch.finfo(precise).max
        self.shift = mean.view(self.shift.shape).to(self.shift.device, precise)
        self.gain = gain.clamp(max=largest).to(self.gain.device, precise)
        self.radius.copy_(torch.where(radius > 0, radius, torch.inf))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        """Take over the precision too, in which samples may differ that else do not."""
        for name in ("shift", "gain"):
            value = state_dict.get(prefix + name)
            if value is not None:
                setattr(self, name, getattr(self, name).to(value.dtype))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _centred(self, x: Tensor) -> Tensor:
        """Return a batch centred and scaled, no longer in float64."""
        return ((x - self.shift) * self.gain).to(self.radius.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Scale a batch.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Samples.

        Returns
        -------
        Tensor of shape (n, ...)
            The scaled samples.
        """
        return drawn_in(self._centred(x), self.radius)


def drawn_in(x: Tensor, radius: Tensor) -> Tensor:
    """Return samples, those farther from 0 than the radius at that distance."""
    rows = x.flatten(1)
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    # One beyond the range of the type must not make the sample look like 0.
    length = length.nan_to_num(nan=torch.nan, posinf=torch.nan)
    return (rows * (radius / length).clamp(max=1)).view_as(x)


class PrincipalComponents(Scaling):
    """Centre the samples, turn them to their leading axes, and divide by one scale.

    Until :meth:`fit` is called it takes the leading features as they are. Rows far
    from all others are treated as by :class:`Scaling`.

    Parameters
    ----------
    n_features : int
        Number of features of a sample.
    n_components : int
        Number of axes to keep, below n_features.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.modules import PrincipalComponents
    >>> X = torch.tensor([[0.0, 9.0, 1.0], [3.0, 5.0, 1.0]])
    >>> PrincipalComponents(3, 1).fit(X)(X).abs()
    tensor([[1.],
            [1.]])
    """

    axes: Tensor

    def __init__(self, n_features: int, n_components: int) -> None:
        n_features = whole_number("n_features", n_features)
        n_components = whole_number("n_components", n_components)
        super().__init__(n_features)
        self.register_buffer("axes", torch.eye(n_features, n_components))

    def fit(
        self, X: Tensor, sample_weight: Tensor | None = None
    ) -> PrincipalComponents:
        """Set the mean, the axes and the scale, so that the mean variance becomes 1.

        Parameters
        ----------
        X : Tensor of shape (n_samples, ...)
            Samples; those of more than two axes are flattened.
        sample_weight : Tensor of shape (n_samples,), optional
            Non-negative weights; all one by default.

        Returns
        -------
        PrincipalComponents
            The layer itself.

        Raises
        ------
        TypeError
            If X is no dense tensor of real numbers.
        ValueError
            If X is of another shape or not finite, or the weights are not as described.
        """
        rows, weight, mean, unit, bound = self._centre(X, sample_weight)
        rows = (rows * weight.sqrt()[:, None]).float()
        axes, variances = leading_axes(rows, self.axes.shape[1])
        self.axes.zero_()[:, : axes.shape[1]] = axes.to(self.axes)
        gain = inverse_root(variances.sum() / self.axes.shape[1])
        self._set(X.dtype, mean, gain / unit, bound * gain)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Turn a batch to the leading axes.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            Samples.

        Returns
        -------
        Tensor of shape (n, n_components)
            The scaled coordinates.
        """
        return drawn_in(self._centred(x.flatten(1)) @ self.axes, self.radius)


SMALL_MATRIX = 2048
"""Up to this size all axes of a covariance are computed; beyond, the leading ones."""


def leading_axes(X: Tensor, n_axes: int) -> tuple[Tensor, Tensor]:
    """Return the leading right singular vectors, as columns, and squared values.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_features)
        Centred samples.
    n_axes : int
        How many at most.

    Returns
    -------
    axes : Tensor of shape (n_features, n_found)
        Orthonormal columns.
    squares : Tensor of shape (n_found,)
        The squared singular values, falling.
    """
    if min(X.shape) > SMALL_MATRIX:
        _, values, axes = torch.svd_lowrank(X, n_axes + 10, niter=4)
        return axes[:, :n_axes], values[:n_axes].square()
    if X.shape[0] < X.shape[1]:
        _, values, axes = torch.linalg.svd(X.double(), full_matrices=False)
        return axes[:n_axes].T, values[:n_axes].square()
    squares, axes = torch.linalg.eigh((X.T @ X).double())
    return axes[:, -n_axes:].flip(1), squares[-n_axes:].flip(0).clamp_min(0)


def input_scaling(n_features: int, n_components: int | None) -> Scaling:
    """Return the layer that scales the features, or their leading components."""
    width = n_kept(n_features, n_components)
    if width == n_features:
        return Scaling(n_features)
    return PrincipalComponents(n_features, width)


def n_kept(n_features: int, n_components: int | None) -> int:
    """Return the number of features, or of the components that take their place."""
    if n_components is None:
        return n_features
    return min(n_features, whole_number("n_components", n_components))


def as_shape(in_shape: Any) -> tuple[int, ...]:
    """Return the shape of one sample, or no numbers for what is no shape."""
    width = as_whole(in_shape)
    return (width,) if width >= 1 else whole_entries(in_shape) or ()


def sample_shape(in_shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return the shape of one sample, or raise a ValueError."""
    shape = as_shape(in_shape)
    if not shape:
        raise ValueError(
            "in_shape must be an int of at least 1, or a sequence of one or more such "
            f"ints; got {in_shape!r}."
        )
    return shape


def n_elements(in_shape: int | Sequence[int]) -> int:
    """Return the number of values in one sample."""
    return math.prod(sample_shape(in_shape))


def layer_widths(hidden: Sequence[int]) -> tuple[int, ...]:
    """Return the widths of hidden layers, or raise a ValueError."""
    widths = whole_entries(hidden)
    if widths is None:
        raise ValueError(
            f"hidden must be a sequence of ints of at least 1; got {hidden!r}."
        )
    return widths


class MLP(nn.Sequential):
    """Multilayer perceptron with rectified linear units on scaled, flattened features.

    Parameters
    ----------
    in_shape : int or tuple of int
        Shape of one sample.
    n_outputs : int
        Number of clusters or classes.
    hidden : tuple of int, default=(512,)
        Widths of the hidden layers.
    n_components : int, default=None
        Where there are more features, their leading principal components take their
        place. None means that all features are used.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.modules import MLP
    >>> MLP(4, 3, hidden=(16, 8))(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        in_shape: int | Sequence[int],
        n_outputs: int,
        hidden: Sequence[int] = (512,),
        n_components: int | None = None,
    ) -> None:
        super().__init__()
        n_outputs, widths = whole_number("n_outputs", n_outputs), layer_widths(hidden)
        width = n_elements(in_shape)
        self.flatten = nn.Flatten()
        self.scaling = input_scaling(width, n_components)
        width = n_kept(width, n_components)
        for i, next_width in enumerate(widths, start=1):
            self.add_module(f"hidden{i}", nn.Linear(width, next_width))
            self.add_module(f"relu{i}", nn.ReLU())
            width = next_width
        self.head = nn.Linear(width, n_outputs)


class Linear(MLP):
    """Linear classifier on scaled, flattened features.

    Parameters
    ----------
    in_shape : int or tuple of int
        Shape of one sample.
    n_outputs : int
        Number of clusters or classes.
    n_components : int, default=None
        Where there are more features, their leading principal components take their
        place. None means that all features are used.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.modules import Linear
    >>> Linear(4, 3)(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        in_shape: int | Sequence[int],
        n_outputs: int,
        n_components: int | None = None,
    ) -> None:
        super().__init__(in_shape, n_outputs, (), n_components)


class VGG4(nn.Sequential):
    """Four 5 x 5 convolutions with batch normalisation, and a linear head.

    The small VGG of invariant information clustering ([1]_, its network for MNIST),
    which the paper on collision cross-entropy uses as well [2]_.

    Parameters
    ----------
    in_shape : tuple of int
        (channels, height, width); height and width at least 8.
    n_outputs : int
        Number of clusters or classes.

    References
    ----------
    .. [1] Ji, Henriques & Vedaldi (2019), "Invariant information clustering".
    .. [2] Zhang & Boykov (2023), arXiv 2303.07321, section 4.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.modules import VGG4
    >>> VGG4((1, 28, 28), 10)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(self, in_shape: Sequence[int], n_outputs: int) -> None:
        super().__init__()
        n_outputs, shape = whole_number("n_outputs", n_outputs), as_shape(in_shape)
        if len(shape) != 3 or min(shape[1:]) < 8:
            raise ValueError(
                "VGG4 takes images of shape (channels, height, width) with height and "
                f"width of at least 8; got in_shape={in_shape!r}."
            )
        self.scaling = Scaling(shape)
        channels, *size = shape
        for i, width in enumerate((64, 128, 256, 512), start=1):
            self.add_module(f"conv{i}", nn.Conv2d(channels, width, 5, padding=2))
            self.add_module(f"norm{i}", nn.BatchNorm2d(width))
            self.add_module(f"relu{i}", nn.ReLU())
            if i < 4:
                self.add_module(f"pool{i}", nn.MaxPool2d(2))
                size = [length // 2 for length in size]
            channels = width
        self.flatten = nn.Flatten()
        self.head = nn.Linear(channels * size[0] * size[1], n_outputs)


GAIN = 16.0
"""What the logits of the linear classifier are multiplied by, for a single feature.

The larger, the more a step changes, and the less weight decay counts. The gain falls
with the root of the number of features, which makes both about equal for all data.
"""


class FeatureScaling(Scaling):
    """Centre every feature and divide it by its standard deviation, or by the median.

    It is for the classifier: labels show which features matter, so that each may have a
    scale of its own. Clustering has nothing to go by but the sizes of the features, and
    must keep them.

    The median of all standard deviations takes the place of those below it: features
    that hardly vary, such as pixels at the edge of an image, are not blown up. Then all
    are divided by one scale, so that their mean variance is 1.

    Parameters
    ----------
    n_features : int
        Number of features of a sample.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.modules import FeatureScaling
    >>> X = torch.tensor([[0.0, 300.0, 1.0], [2.0, 700.0, 1.0]])
    >>> FeatureScaling(3).fit(X)(X)
    tensor([[-1.2247, -1.2247,  0.0000],
            [ 1.2247,  1.2247,  0.0000]])
    """

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        self.gain = torch.ones(n_features)

    def fit(self, X: Tensor, sample_weight: Tensor | None = None) -> FeatureScaling:
        """Set the shift and the scale of every feature.

        Parameters
        ----------
        X : Tensor of shape (n_samples, ...)
            Samples.
        sample_weight : Tensor of shape (n_samples,), optional
            Non-negative weights; all one by default.

        Returns
        -------
        FeatureScaling
            The layer itself.
        """
        rows, weight, mean, unit, _ = self._centre(X, sample_weight)
        deviation = (weight @ rows.square()).sqrt()
        gain = torch.ones_like(deviation)
        if (deviation > 0).any():
            gain = 1 / deviation.clamp_min(deviation[deviation > 0].median())
            gain /= (deviation * gain).square().mean().sqrt()
        _, bound = reach(rows.mul_(gain), weight)
        self._set(X.dtype, mean, gain / unit, bound)
        return self


class Amplifier(nn.Module):
    """Multiply all outputs by one number.

    Parameters
    ----------
    factor : float
        The number, > 0.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Multiply a batch."""
        return x * self.factor


def linear_classifier(in_shape: int | Sequence[int], n_outputs: int) -> Linear:
    """Return a network that begins with equal probabilities and trains fast at once."""
    made = Linear(in_shape, n_outputs)
    n_features = n_elements(in_shape)
    made.scaling = FeatureScaling(n_features)
    made.amplifier = Amplifier(GAIN / n_features**0.5)
    nn.init.zeros_(made.head.weight)
    nn.init.zeros_(made.head.bias)
    return made


MODULES: dict[str, Callable[..., nn.Module]] = {
    "linear": Linear,
    "mlp": MLP,
    "vgg4": VGG4,
}

CLASSIFIER_MODULES = MODULES | {"linear": linear_classifier}
"""Those of the classifier, whose linear one trains as fast whatever the features."""


FLATTENING = {"linear", "mlp"}
"""Names of the networks to which an image is a row of numbers."""


def without_head(module: nn.Module) -> nn.Module | None:
    """Return a copy that ends before its last linear layer.

    None is returned where that layer holds all parameters there are, or where there
    is no linear layer.
    """
    names = [n for n, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    if not names:
        return None
    head = module.get_submodule(names[-1])
    if set(module.parameters()) <= set(head.parameters()):
        return None
    body = copy.deepcopy(module)
    parent, _, child = names[-1].rpartition(".")
    setattr(body.get_submodule(parent), child, nn.Identity())
    return body
