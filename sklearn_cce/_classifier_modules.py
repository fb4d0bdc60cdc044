"""The linear network of the classifier, which trains as fast whatever the features.

Clustering has nothing to go by but the sizes of the features, and must keep them.
Labels show which features matter, so that here each may have a scale of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sklearn_cce.modules import (
    MODULES,
    Linear,
    Scaling,
    n_elements,
    reach,
    spread,
)

GAIN = 16.0
"""What the logits of the linear classifier are multiplied by, for a single feature.

The larger, the more a step changes, and the less weight decay counts. The gain falls
with the root of the number of features, which makes both about equal for all data.
"""


class FeatureScaling(Scaling):
    """Centre every feature and divide it by its standard deviation, or by the median.

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
    >>> from sklearn_cce._classifier_modules import FeatureScaling
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
        rows, near, _ = self._near(X, sample_weight)
        mean = near @ rows
        rows = rows - mean
        unit = spread(rows[near > 0])
        deviation = (near @ rows.div_(unit).square()).sqrt()
        gain = torch.ones_like(deviation)
        if (deviation > 0).any():
            gain = 1 / deviation.clamp_min(deviation[deviation > 0].median())
            gain /= (deviation * gain).square().mean().sqrt()
        _, bound = reach(rows.mul_(gain), near)
        return self._set(X.dtype, mean, gain / unit, bound)


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


def linear(in_shape: int | Sequence[int], n_outputs: int) -> Linear:
    """Return a linear classifier that begins with equal probabilities."""
    made = Linear(in_shape, n_outputs)
    n_features = n_elements(in_shape)
    made.scaling = FeatureScaling(n_features)
    made.amplifier = Amplifier(GAIN / n_features**0.5)
    nn.init.zeros_(made.head.weight)
    nn.init.zeros_(made.head.bias)
    return made


CLASSIFIER_MODULES: dict[str, Callable[..., nn.Module]] = MODULES | {"linear": linear}
