"""Cross-entropies and robust losses for soft and hard targets.

Every loss takes logits, as :class:`torch.nn.CrossEntropyLoss` does. The losses differ
in what one position costs; all else means the same to all of them:

- A target is either probabilities, of any floating dtype and the shape of the logits,
  or class indices, of any integer dtype and that shape without the class dimension.
  That probabilities sum to 1 is not checked; NaN among them gives NaN.
- With class weights a position counts by the mean weight under its target,
  ``sum_k w_k y_k``. Losses that are linear in the target, Shannon's and the generalised
  one, have the weights inside the sum over the classes instead. For hard targets both
  are the weight of the class, as in PyTorch.
- As in PyTorch, the mean of hard targets is divided by the sum of the weights of their
  classes, the mean of soft ones by the number of positions.
- The computation is in the log domain, in the dtype of the logits, but float32 for half
  precision. The result has the dtype of the logits.
- A class index outside [0, K) raises a ValueError on the CPU; an accelerator reports it
  by an assertion of its own.
"""

from torch import nn

from ._functional import (
    collision_cross_entropy,
    generalized_cross_entropy,
    mean_absolute_error,
    renyi_cross_entropy,
    reverse_cross_entropy,
    shannon_cross_entropy,
    symmetric_cross_entropy,
)
from ._modules import (
    CollisionCrossEntropyLoss,
    GeneralizedCrossEntropyLoss,
    MeanAbsoluteErrorLoss,
    RenyiCrossEntropyLoss,
    ReverseCrossEntropyLoss,
    ShannonCrossEntropyLoss,
    SymmetricCrossEntropyLoss,
)

__all__ = [
    "LOSSES",
    "CollisionCrossEntropyLoss",
    "GeneralizedCrossEntropyLoss",
    "MeanAbsoluteErrorLoss",
    "RenyiCrossEntropyLoss",
    "ReverseCrossEntropyLoss",
    "ShannonCrossEntropyLoss",
    "SymmetricCrossEntropyLoss",
    "collision_cross_entropy",
    "generalized_cross_entropy",
    "mean_absolute_error",
    "renyi_cross_entropy",
    "reverse_cross_entropy",
    "shannon_cross_entropy",
    "symmetric_cross_entropy",
]

LOSSES: dict[str, type[nn.Module]] = {
    "collision": CollisionCrossEntropyLoss,
    "shannon": ShannonCrossEntropyLoss,
    "reverse": ReverseCrossEntropyLoss,
    "generalized": GeneralizedCrossEntropyLoss,
    "symmetric": SymmetricCrossEntropyLoss,
    "mae": MeanAbsoluteErrorLoss,
}
"""The losses by the names that estimators know."""
