"""Deep discriminative clustering with collision cross-entropy."""

from sklearn_cce._classifier import CollisionClassifier
from sklearn_cce._clusterer import CollisionClusterer
from sklearn_cce._version import __version__

__all__ = [
    "TRUSTED_TYPES",
    "CollisionClassifier",
    "CollisionClusterer",
    "__version__",
]

TRUSTED_TYPES = (
    "functools.partial",
    "sklearn_cce._classifier.CollisionClassifier",
    "sklearn_cce._clusterer.CollisionClusterer",
    "sklearn_cce._training.net.CollisionNet",
    "sklearn_cce.losses._modules.CollisionCrossEntropyLoss",
    "sklearn_cce.losses._modules.GeneralizedCrossEntropyLoss",
    "sklearn_cce.losses._modules.MeanAbsoluteErrorLoss",
    "sklearn_cce.losses._modules.RenyiCrossEntropyLoss",
    "sklearn_cce.losses._modules.ReverseCrossEntropyLoss",
    "sklearn_cce.losses._modules.ShannonCrossEntropyLoss",
    "sklearn_cce.losses._modules.SymmetricCrossEntropyLoss",
    "sklearn_cce.modules.Linear",
    "sklearn_cce.modules.MLP",
    "sklearn_cce.modules.VGG4",
    "sklearn_cce.modules.linear_classifier",
    "sklearn_cce.views._neighbors.Neighbors",
    "sklearn_cce.views._transforms.ColorJitter",
    "sklearn_cce.views._transforms.GaussianBlur",
    "sklearn_cce.views._transforms.GaussianNoise",
    "sklearn_cce.views._transforms.RandomAffine",
    "sklearn_cce.views._transforms.RandomCrop",
    "sklearn_cce.views._transforms.RandomHorizontalFlip",
    "torch.device",
)
"""What skops may load of a fitted estimator: classes that run no code of a file."""
