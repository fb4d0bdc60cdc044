"""CollisionClusterer: the scikit-learn contract of self-labelled clustering."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import Callback
from torch import nn

from sklearn_cce._base import BaseCollisionEstimator
from sklearn_cce._net import CollisionNet
from sklearn_cce.losses import (
    CollisionCrossEntropyLoss,
    ReverseCrossEntropyLoss,
    ShannonCrossEntropyLoss,
)
from sklearn_cce.model_selection import silhouette_scorer

LOSSES: dict[str, type[nn.Module]] = {
    "collision": CollisionCrossEntropyLoss,
    "shannon": ShannonCrossEntropyLoss,
    "reverse": ReverseCrossEntropyLoss,
}


class CollisionClusterer(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    BaseCollisionEstimator,
):
    """Deep discriminative clustering with collision cross-entropy.

    A network is trained to predict soft pseudo-labels that are themselves the optimal
    answer to the network's predictions and to a wish for balanced clusters [1]_.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    fairness_weight : float, default=100.0
        Weight lambda of the balance of the clusters against the agreement with the
        network, > 0. The larger, the closer the sizes of the clusters come to
        `cluster_prior`.
    cluster_prior : array-like of shape (n_clusters,), default=None
        Shares of the samples that the clusters should have; non-negative, sum 1.
        None means equal shares.
    module : {'mlp', 'linear', 'vgg4'}, torch.nn.Module or callable, default='mlp'
        The network. A callable, such as a class of modules, is called with
        ``(in_shape, n_clusters)``, where ``in_shape`` is the number of features, or
        the shape of a sample with more than one axis, and must return a module with
        one logit per cluster. A module is copied before training.
    loss : {'collision', 'shannon', 'reverse'}, default='collision'
        What the network minimises with the pseudo-labels fixed.
    pseudo_labels : {'em'}, default='em'
        Method that solves for the pseudo-labels, see
        :func:`~sklearn_cce.pseudo_labels.solve_pseudo_labels`.
    max_epochs : int, default=200
        Maximum number of passes over the data.
    tol : float, default=1e-3
        Training ends when the loss, in nats, has not fallen by `tol` in `patience`
        epochs.
    patience : int, default=20
        See `tol`.
    batch_size : int, default=1024
        Number of samples in a gradient step. The batches of an epoch have nearly
        equal sizes, none larger than this.
    optimizer : {'adamw', 'adam', 'sgd'} or callable, default='adamw'
        A name, or a class of :class:`torch.optim.Optimizer`.
    lr : float, default=1e-3
        Learning rate.
    weight_decay : float, default=1e-4
        Weight decay of the optimizer.
    device : str or torch.device, default='auto'
        Where to train and predict: 'cpu', 'cuda', 'cuda:1', 'mps'. 'auto' takes the
        first of CUDA, MPS and CPU that there is.
    warm_start : bool, default=False
        Whether `fit` goes on from the network of the last `fit`.
    callbacks : list of skorch callbacks, default=None
        Called during the training.
    random_state : int, RandomState instance or None, default=None
        Determines the initial network and the order of the samples. The same value
        gives bit-identical results on one device. Global random states are neither
        read nor changed.
    verbose : int, default=0
        Whether to print the progress.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), int64
        Cluster of every training sample. The clusters that are used come first.
    net_ : CollisionNet
        The trained skorch net.
    module_ : torch.nn.Module
        The trained network.
    history_ : skorch.history.History
        One row an epoch: ``train_loss``, ``balance`` (the entropy of the clusters'
        shares, in nats; at most ln K), ``changed`` (the share of samples whose cluster
        changed) and ``dur`` (seconds).
    n_iter_ : int
        Number of epochs run.
    n_features_in_ : int
        Number of features (for images, of channels) seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    sklearn.cluster.KMeans : Clusters around means; needs clusters of like shape.
    sklearn.mixture.GaussianMixture : Soft clusters of Gaussian shape.

    References
    ----------
    .. [1] Zhang & Boykov (2023), "Collision Cross-entropy for Soft Class Labels and
       Entropy-based Clustering", arXiv 2303.07321, section 3.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_cce import CollisionClusterer
    >>> X, _ = make_blobs(n_samples=300, centers=3, random_state=0)
    >>> clusterer = CollisionClusterer(n_clusters=3, random_state=0).fit(X)
    >>> clusterer.predict_proba(X[:4]).shape
    (4, 3)
    """

    _parameter_constraints: dict = {
        **BaseCollisionEstimator._parameter_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "fairness_weight": [Interval(Real, 0, None, closed="neither")],
        "cluster_prior": ["array-like", None],
        "loss": [StrOptions(set(LOSSES))],
        "pseudo_labels": [StrOptions({"em"})],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        fairness_weight: float = 100.0,
        cluster_prior: ArrayLike | None = None,
        module: str | nn.Module | Callable[..., nn.Module] = "mlp",
        loss: str = "collision",
        pseudo_labels: str = "em",
        max_epochs: int = 200,
        tol: float = 1e-3,
        patience: int = 20,
        batch_size: int = 1024,
        optimizer: str | type[torch.optim.Optimizer] = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        device: str | torch.device = "auto",
        warm_start: bool = False,
        callbacks: list[Callback] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.fairness_weight = fairness_weight
        self.cluster_prior = cluster_prior
        self.module = module
        self.loss = loss
        self.pseudo_labels = pseudo_labels
        self.max_epochs = max_epochs
        self.tol = tol
        self.patience = patience
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.device = device
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> CollisionClusterer:
        """Train the network and cluster the samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples: a table, or images of shape (n_samples, channels, height, width).
        y : None
            Ignored; there by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, in the loss and in the balance of the clusters.
            A sample of weight 0 is given a cluster but has no part in the training.

        Returns
        -------
        CollisionClusterer
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input or a parameter is not as described; nothing is changed then.
        FloatingPointError
            If the loss becomes non-finite; an earlier fit is then left as it was.
        """
        with all_or_nothing(self):
            self._fit(X, sample_weight, reset=not self._goes_on())
            if not self._converged:
                warnings.warn(
                    f"The training loss was still falling after {self.n_iter_} epochs. "
                    "Increase max_epochs, lr or tol.",
                    ConvergenceWarning,
                    stacklevel=2,
                )
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the most probable cluster of every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,), int64
            Clusters from 0 to ``n_clusters - 1``.
        """
        return self.predict_proba(X).argmax(1)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probability of every cluster for every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters), float32
            Non-negative; every row sums to 1.
        """
        return self._probabilities(self._check_input(X))

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return the representation that the network's last layer works on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32
            The input of the last linear layer. Where the network is no more than a
            linear layer, or does not end in one: the logits, centred to mean 0 in
            every row (log-odds against the geometric mean of the clusters).
        """
        return self._represent(self._check_input(X))

    def __sklearn_tags__(self) -> Tags:
        """Say what the estimator can do, for scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Return the mean silhouette of the predicted clusters.

        Unlike the training loss it can be compared across `n_clusters` and
        `fairness_weight`, so it serves in a grid search.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        y : None
            Ignored; there by convention.

        Returns
        -------
        float
            Between -1 and 1, larger is better; -1 where one cluster is used. See
            :func:`~sklearn_cce.model_selection.silhouette_scorer`.
        """
        return silhouette_scorer(self, X)

    def _check_prior(self) -> np.ndarray:
        if self.cluster_prior is None:
            return np.full(self.n_clusters, 1 / self.n_clusters)
        accepted = (
            f"cluster_prior must be {self.n_clusters} non-negative numbers that sum "
            f"to 1, one per cluster; got {self.cluster_prior!r}."
        )
        try:
            prior = np.asarray(self.cluster_prior, dtype=float)
        except (TypeError, ValueError) as error:
            raise ValueError(accepted) from error
        if (
            prior.shape != (self.n_clusters,)
            or not np.all(prior >= 0)
            or abs(prior.sum() - 1) > 1e-6
        ):
            raise ValueError(accepted)
        return prior

    def _keep(self, net: CollisionNet, X: np.ndarray) -> None:
        """Take over a trained net, with the clusters that are used first."""
        self._cluster_order = np.arange(self.n_clusters)
        super()._keep(net, X)
        labels = self._probabilities(X).argmax(1)
        sizes = np.bincount(labels, minlength=self.n_clusters)
        self._cluster_order = np.argsort(sizes == 0, kind="stable")
        self.labels_ = np.argsort(self._cluster_order)[labels]

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return softmax(self._outputs(X)[:, self._cluster_order], axis=1)

    def _warn_of_collapse(self) -> None:
        used = self.labels_.max() + 1
        if used < self.n_clusters:
            warnings.warn(
                f"Only {used} of {self.n_clusters} clusters are used. Increase "
                "fairness_weight or max_epochs, try another random_state, or decrease "
                "n_clusters.",
                ConvergenceWarning,
                stacklevel=3,
            )
