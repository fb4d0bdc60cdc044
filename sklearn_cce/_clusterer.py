"""CollisionClusterer: the scikit-learn contract of self-labelled clustering."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import ArrayLike
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from skorch.callbacks import Callback
from torch import nn

from sklearn_cce._base import (
    ORDERS,
    POSITIVE,
    RISING,
    BaseCollisionEstimator,
    Plan,
    Task,
    all_or_nothing,
    draw_seed,
    loss_params,
)
from sklearn_cce._checks import (
    Interval,
    StrOptions,
    check_weight,
    fit_context,
    warn,
)
from sklearn_cce._graph.balancing import balance_outputs
from sklearn_cce._graph.geometry import LARGEST_GRAPH, N_COMPONENTS, Geometry
from sklearn_cce._graph.given import check_init, check_numbers
from sklearn_cce._graph.information import Balance
from sklearn_cce._graph.linked import modularity, takes_features, with_links
from sklearn_cce._graph.remembered import open_memory
from sklearn_cce._graph.start import USUAL_WEIGHT, Start
from sklearn_cce._training.batches import (
    N_TRIED,
    make_samples,
    n_batches,
    weights_of,
)
from sklearn_cce._training.causes import Outcome, likely_cause
from sklearn_cce._training.inference import (
    choice,
    group_means,
    infer,
    most_probable,
    probabilities,
)
from sklearn_cce._training.net import CollisionNet
from sklearn_cce._training.process import drawing, seeded
from sklearn_cce._training.progress import showing
from sklearn_cce._training.shares import check_shares
from sklearn_cce._training.sources import Source
from sklearn_cce._training.storing import kept_state
from sklearn_cce.model_selection import silhouette_scorer
from sklearn_cce.modules import FLATTENING, MODULES
from sklearn_cce.pseudo_labels._batch import UPDATES
from sklearn_cce.views import View, make_views

N_SPECTRAL, CLUSTERS_IN_ALL = 12, 1_200
"""Number of spectral clusterings whose mean the network learns first: so many, but with
no more clusters than this in all, as each takes a time that grows with these."""

FROM_SCRATCH = 5
"""How many times the usual passes and gradient steps a fit takes without a start."""

SHORTENED = 3
"""How many times fewer the usual passes of self-labelling are where all views are
neighbours: the start has seen these, and little is to be learnt from them."""

FIRST_WEIGHTS = 10.0, 100.0
"""The fairness weight that a network begins with where it knows nothing of the data.
The smaller the one to end with, the larger: half of a fit goes by at 10 or more."""

LEARNING_RATE, LEARNING_RATES = 1e-3, {"linear": 1e-2}
"""The usual one, and that of a single layer: no other makes its steps larger."""

FEW_PASSES = 3.0
"""How many times larger the learning rate is where samples are too many for more than a
few passes."""

RESTART = 1_000_003
"""Distance of the seeds of two networks."""

SELF_LABELLING = ("collision", "shannon", "reverse", RISING)
"""Names of the losses that a network can learn its own labels with."""


class CollisionClusterer(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClusterMixin,
    BaseCollisionEstimator[Task],
):
    """Deep discriminative clustering with collision cross-entropy.

    A network is trained to predict soft pseudo-labels that are themselves the optimal
    answer to the network's predictions and to a wish for balanced clusters [1]_.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    fairness_weight : float or 'auto', default='auto'
        Weight lambda of the balance of the clusters, > 0, from the start to the end:
        the start maximises ``-H(h' | h) - lambda KL(h || u)`` over clusters h of the
        samples, h' of their neighbours and the shares wanted, u, and the training
        minimises the collision cross-entropy plus ``lambda KL(u || y)``. The larger,
        the closer the sizes come to `cluster_prior`; up to 1 neighbours may outweigh
        it, and from about 100 on the sizes are those wanted. 'auto': 0.5, and up to 1
        where neighbours say less than two thirds of what there is to say about each
        other's clusters, as these would else be merged; `fairness_weight_` has it.
    cluster_prior : array-like of shape (n_clusters,), 'free' or None, default=None
        The shares u of the samples that the clusters should have; non-negative, sum 1.
        None means equal shares. 'free': equal ones in the start, and in the training
        those that the start found.
    init : {'spectral', 'random'} or array-like, default='spectral'
        What the network learns first. 'spectral': soft labels, the mean of several
        spectral clusterings, ranked by the objective above; once among the nearest
        neighbours, and once where these clusters are round, of which the better is
        taken; of more than 100,000 samples a random 50,000 are labelled so, and all
        are used after that. 'random': nothing. An array of shape
        (n_samples,) with clusters, or (n_samples, n_clusters) with soft labels: those.
    n_init : int or 'auto', default='auto'
        Number of spectral clusterings, or of networks trained from random starts, of
        which the one with the smallest loss is kept. 'auto' means one network, or 12
        spectral clusterings, fewer for more than 100 clusters.
    views : str, Neighbors, callable, sparse matrix, list of these or None, \
            default='auto'
        What else a sample may look like; all views of a sample learn each other's
        pseudo-labels. 'neighbors': one of its 10 nearest neighbours. A
        :class:`~sklearn_cce.views.Neighbors` says more about them, a sparse matrix or
        an array of shape (n_samples, n_samples) gives the weights of the links.
        'precomputed': X itself is such a graph, and the network takes coordinates made
        of it; a cross-validation then divides rows and columns, and further samples are
        rows of weights of shape (n_samples, n_training_samples).
        'noise': the sample with some noise. A callable maps a batch, a tensor, to
        another such batch; see :mod:`sklearn_cce.views` for images. A list means as
        many further views. None: the sample alone. 'auto': neighbours, and for images
        that the network sees as images a random affine transformation as well.
    module : {'mlp', 'linear', 'vgg4'}, torch.nn.Module or callable, default='mlp'
        The network; 'mlp' and 'linear' work on the 100 leading principal components
        where there are more features. A callable, such as a class of modules, is
        called with ``(in_shape, n_clusters)``, where ``in_shape`` is the number of
        features, or the shape of a sample with more than one axis, and must return a
        module with one logit per cluster. A module is copied before training.
    loss : {'rising', 'collision', 'shannon', 'reverse'} or float, default='rising'
        What the network minimises with the pseudo-labels fixed. A number in [0, 10]
        is the order of a Rényi cross-entropy: 1 is Shannon's, 2 is collision. 'rising':
        the order rises from 1 to 2, so that the network first copies the doubt of its
        labels and is certain at last. A start and the chunks of a stream are learnt
        with 2; without a start the fairness weight comes from 10 to 100, and balance
        leads while nothing is known.
    pseudo_labels : {'auto', 'em', 'exact'}, default='auto'
        Method that solves for the pseudo-labels of a batch, see
        :func:`~sklearn_cce.pseudo_labels.update_pseudo_labels`. 'auto': 'exact' for 150
        clusters and more on the CPU, where it takes less time, else 'em'.
    max_epochs : int, default=None
        Maximum number of passes over the data; the first half for the start, where
        there is one. The learning rate falls to 0 along a cosine in either part. None
        means 5 passes and at least 300 gradient steps for the start, and as many for
        the pseudo-labels, but a third where all views are neighbours; with a random
        start 50 passes and at least 3,000 steps. Of more than 100,000 samples, where
        neighbours have to be found, as many steps as for 50,000 are made, but one
        pass at least: half of them for the start of 50,000 samples, and then as many
        again as both halves, on all samples.
    tol : float, default=1e-3
        Training ends early when the loss, in nats, has not fallen by `tol` in
        `patience` epochs; not while the order of the loss rises.
    patience : int, default=20
        See `tol`.
    batch_size : int, default=512
        Number of samples in a gradient step. The batches of an epoch have nearly
        equal sizes, none larger than this.
    optimizer : {'adamw', 'adam', 'sgd'} or callable, default='adamw'
        A name, or a class of :class:`torch.optim.Optimizer`.
    lr : float or 'auto', default='auto'
        Learning rate at the beginning. 'auto' is 1e-2 for the module 'linear' and 1e-3
        for all others; for 'mlp' and 'linear' up to 10 times as large where there are
        many clusters in few dimensions, and 3 times of more than 100,000 samples, if no
        graph of them is given.
    weight_decay : float, default=0.0
        Weight decay of the optimizer.
    compile : bool, default=False
        Whether to compile the network with :func:`torch.compile` for training.
    mixed_precision : bool, default=False
        Whether to train the network in bfloat16 where that is safe; for recent GPUs.
    device : str or torch.device, default='auto'
        Where to train and predict: 'cpu', 'cuda', 'cuda:1', 'mps'. 'auto' takes the
        first of CUDA, MPS and CPU that there is.
    distributed : bool, default=False
        Whether `fit` and `partial_fit` are called by all processes of the default group
        of torch.distributed, which a launcher such as torchrun has made, with the same
        parameters and data; each works on its part of every batch, and all end with the
        same network.
    warm_start : bool, default=False
        Whether `fit` goes on from the network of the last `fit`, with the present
        `fairness_weight`, `lr`, `batch_size` and `max_epochs`; the other parameters
        stay as they were.
    memory : str, path or joblib.Memory, default=None
        Where to keep graphs of neighbours and starts, for further fits to the same
        samples: the path of a directory, or a memory of joblib. None: nowhere.
    callbacks : list of skorch callbacks, default=None
        Called during the training, each as it is, or ``(name, callback)``; as in skorch
        they are initialised for every new network. The user guide says which work.
    checkpoint : str, path or None, default=None
        Folder in which `fit` writes after every epoch where it stands. If it is killed,
        a `fit` with the same parameters and data goes on from there, and ends with the
        same bits; the folder is empty again when it has ended. One folder serves one
        fit at a time.
    on_interrupt : {'raise', 'keep'}, default='raise'
        What Ctrl-C during `fit` does: raise KeyboardInterrupt and leave the estimator
        as it was, or end the training and keep the network as it stands.
    random_state : int, RandomState instance or None, default=None
        Determines the initial network and the order of the samples. The same value
        gives bit-identical results on one device. Global random states are neither
        read nor changed.
    verbose : int, default=0
        Whether to show bars on stderr: of every training, and of other parts of a fit
        that take longer than a second. 0: nothing is printed.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), int64
        Cluster of every training sample. The clusters that are used come first.
    probabilities_ : ndarray of shape (n_samples,), float32
        Probability of the cluster of every training sample, as `predict_proba` has it.
    cluster_centers_ : ndarray of shape (n_clusters, n_features), float64
        Weighted means of the training samples of each cluster, where X is a table; they
        describe the clusters, but the network assigns samples to these. NaN where a
        cluster has no sample of positive weight. After `partial_fit`, means of the last
        chunk. There are none for samples with more axes. With views='precomputed',
        means of the coordinates.
    embedding_ : ndarray of shape (n_samples, n_coordinates), float32
        With views='precomputed' alone: a diffusion map of the graph, in up to 100
        coordinates. The network takes the mean of those that a sample is linked to.
    fairness_weight_ : float
        The fairness weight of the training.
    net_ : CollisionNet
        The trained skorch net.
    module_ : torch.nn.Module
        The trained network; its outputs are the logits of the clusters in the order
        of `labels_`.
    history_ : skorch.history.History
        One row an epoch: ``train_loss``, ``train_loss_best`` (whether it is the
        smallest of this training so far), ``balance`` (the entropy of the clusters'
        shares, in nats; at most ln K), ``changed`` (the share of samples whose cluster
        changed) and ``dur`` (seconds).
    n_iter_ : int
        Number of epochs run.
    n_features_in_ : int
        Number of features (for images, of channels) seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
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

    _least_epochs, _least_steps = 10, 600
    _n_neighbors = 10
    _modules = MODULES | {
        name: functools.partial(MODULES[name], n_components=N_COMPONENTS)
        for name in ("linear", "mlp")
    }

    _parameter_constraints: dict = {
        **BaseCollisionEstimator._parameter_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "fairness_weight": [POSITIVE, StrOptions({"auto"})],
        "cluster_prior": ["array-like", StrOptions({"free"}), None],
        "init": [StrOptions({"spectral", "random"}), "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "lr": [POSITIVE, StrOptions({"auto"})],
        "loss": [StrOptions(set(SELF_LABELLING)), ORDERS],
        "pseudo_labels": [StrOptions({"auto", *UPDATES})],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        fairness_weight: float | str = "auto",
        cluster_prior: ArrayLike | Literal["free"] | None = None,
        init: str | ArrayLike = "spectral",
        n_init: int | str = "auto",
        views: str | View | sp.spmatrix | Sequence | None = "auto",
        module: str | nn.Module | Callable[..., nn.Module] = "mlp",
        loss: str | float = RISING,
        pseudo_labels: str = "auto",
        max_epochs: int | None = None,
        tol: float = 1e-3,
        patience: int = 20,
        batch_size: int = 512,
        optimizer: str | type[torch.optim.Optimizer] = "adamw",
        lr: float | str = "auto",
        weight_decay: float = 0.0,
        compile: bool = False,
        mixed_precision: bool = False,
        device: str | torch.device = "auto",
        distributed: bool = False,
        warm_start: bool = False,
        memory: Any = None,
        callbacks: list[Callback] | None = None,
        checkpoint: str | os.PathLike | None = None,
        on_interrupt: str = "raise",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.fairness_weight = fairness_weight
        self.cluster_prior = cluster_prior
        self.init = init
        self.n_init = n_init
        self.views = views
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
        self.compile = compile
        self.mixed_precision = mixed_precision
        self.device = device
        self.distributed = distributed
        self.warm_start = warm_start
        self.memory = memory
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.on_interrupt = on_interrupt
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> CollisionClusterer:
        """Train the network and cluster the samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples: a table, or images of shape (n_samples, channels, height, width).
            With views='precomputed' a graph, an array or a sparse matrix of shape
            (n_samples, n_samples) with the non-negative weights of the links.
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
            If the input or a parameter is not as described, or `distributed` is True
            and there is no process group; nothing is changed then.
        FloatingPointError
            If the loss or the network becomes non-finite; an earlier fit is then left
            as it was.
        """
        goes_on = self.warm_start and hasattr(self, "net_")
        return self._fit(X, sample_weight, goes_on=goes_on)

    @available_if(takes_features)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> CollisionClusterer:
        """Train the network by one pass over a chunk of a stream.

        The network, the optimizer's state and the prices of the clusters, which keep
        the balance, are carried over from the chunk before. The scale of the input is
        taken from the first chunk.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples of this chunk; as in `fit`, but any number of them.
        y : None
            Ignored; there by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`; relative to the other samples of this chunk.

        Returns
        -------
        CollisionClusterer
            The fitted estimator. Its `labels_`, `probabilities_` and `cluster_centers_`
            are those of this chunk, and may leave out clusters.

        Raises
        ------
        ValueError
            If the input or a parameter is not as described, or `distributed` is True
            and there is no process group; nothing is changed then.
        FloatingPointError
            If the loss becomes non-finite; the estimator is then left as it was.
        """
        return self._fit(X, sample_weight, goes_on=hasattr(self, "net_"), one_pass=True)

    def load_weights(
        self, weights: Mapping[str, torch.Tensor], in_shape: int | Sequence[int]
    ) -> CollisionClusterer:
        """Predict with weights that were trained before, without a fit.

        The parameters, above all `module` and `n_clusters`, must make the network
        that the weights are of.

        Parameters
        ----------
        weights : mapping from str to Tensor
            What ``module_.state_dict()`` was, as safetensors reads it.
        in_shape : int or tuple of int
            Number of features, or the shape of a sample with more than one axis.

        Returns
        -------
        CollisionClusterer
            An estimator that predicts, and whose training can go on. It has no
            `labels_`, as it saw no samples.

        Raises
        ------
        ValueError
            If the weights are of another network; the estimator is then as it was.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_cce import CollisionClusterer
        >>> X, y = load_iris(return_X_y=True)
        >>> trained = CollisionClusterer(3, max_epochs=10, random_state=0).fit(X)
        >>> weights = trained.module_.state_dict()
        >>> again = CollisionClusterer(3).load_weights(weights, in_shape=4)
        >>> bool((again.predict(X) == trained.predict(X)).all())
        True
        """
        self._validate_params()
        with all_or_nothing(self):
            self._check_params()
            params = self._net_params() | {
                "prior": self._balance().prior,
                "lr": self._learning_rate(),
            }
            K = self.n_clusters
            self._load(weights, in_shape, K, f"n_clusters={K}", params)
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
        source = self._check_X(X)
        return infer(self.module_, source, most_probable)

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
        source = self._check_X(X)
        return infer(self.module_, source, probabilities)

    @fit_context(prefer_skip_nested_validation=True)
    def start_labels(
        self, X: ArrayLike, *, n_clusters: int | Sequence[int] | None = None
    ) -> list[np.ndarray]:
        """Return the clusters that the network would learn first, without training it.

        Neighbours are looked for once for all numbers of clusters, so that many can be
        compared, as :func:`~sklearn_cce.model_selection.stability_curve` does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            At most 100,000 samples.
        n_clusters : int or sequence of int, default=None
            Numbers of clusters. None means that of the estimator.

        Returns
        -------
        list of ndarray of shape (n_samples,), int64
            The clusters for every number, from 0; some may be empty.

        Raises
        ------
        ValueError
            If the input or a parameter is not as described, or `init` is not
            'spectral'.

        Examples
        --------
        >>> from sklearn.datasets import make_blobs
        >>> from sklearn_cce import CollisionClusterer
        >>> X, _ = make_blobs(100, centers=3, random_state=0)
        >>> starts = CollisionClusterer().start_labels(X, n_clusters=[2, 3])
        >>> [int(labels.max()) + 1 for labels in starts]
        [2, 3]
        """
        self._check_params()
        if not self._init_is("spectral"):
            raise ValueError(
                f"start_labels needs init='spectral'; got init={self.init!r}."
            )
        device = self._device(goes_on=False)
        source = copy.copy(self)._read(X, device, reset=True, training=True)
        if len(source) > LARGEST_GRAPH:
            raise ValueError(
                f"X must have at most {LARGEST_GRAPH} samples here; got {len(source)}."
            )
        wanted = self.n_clusters if n_clusters is None else n_clusters
        return self._start_labels(source, check_numbers(wanted, len(source)))

    def _start_labels(self, source: Source, numbers: list[int]) -> list[np.ndarray]:
        views = with_links(make_views(self.views, self._n_axes(source)), source)
        seed, found = draw_seed(self.random_state), []
        with seeded(seed, source.device), showing(self.verbose > 0):
            samples = make_samples(source, None, 0, None)
            memory, k = open_memory(self.memory), self._n_neighbors
            first = Geometry(samples, views, max(numbers), k, memory=memory)
            for K in numbers:
                one: Any = copy.copy(self).set_params(n_clusters=K)
                start = one._start(first.with_groups(K), seed)
                found.append(start.labels.argmax(1))
        return found

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
        return self._represent(self._check_X(X))

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Return the mean silhouette of the predicted clusters, or their modularity.

        Unlike the training loss these can be compared across `n_clusters` and
        `fairness_weight`, so they serve in a grid search.

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
            :func:`~sklearn_cce.model_selection.silhouette_scorer`. After a fit with
            views='precomputed', the modularity of the links to the training samples:
            the share of their weight that stays within clusters, less what would by
            chance; 0 where one cluster is used.
        """
        if "embedding_" not in vars(self):
            return silhouette_scorer(self, X)
        source: Any = self._check_X(X)
        ends = infer(self.module_, source, most_probable)
        return modularity(source.links, ends, self.labels_)

    def __sklearn_tags__(self) -> Tags:
        """Say what the estimator can do, for scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _net_params(self) -> dict[str, Any]:
        """Return the parameters of a new net that the estimator's say."""
        return {
            **loss_params(self.loss),
            "fairness_weight": self._weight,
            "pseudo_labels": self.pseudo_labels,
        }

    def _learning_rate(self, geometry: Geometry | None = None) -> float:
        """Return the learning rate at the beginning of a training."""
        if not isinstance(self.lr, str):
            return self.lr
        name = self.module if isinstance(self.module, str) else ""
        rate = LEARNING_RATES.get(name, LEARNING_RATE)
        if geometry is None or name not in FLATTENING:
            return rate
        few = FEW_PASSES if geometry.begins_with_part else 1.0
        return rate * geometry.crowding * few

    def _check_params(self) -> None:
        super()._check_params()
        self._prior()
        if self._is_free() and self._init_is("random"):
            raise ValueError(
                "cluster_prior='free' takes the shares of a start, which init='random' "
                "has not. Use cluster_prior=None and a small fairness_weight."
            )

    def _is_free(self) -> bool:
        """Return whether the shares are to be those that the start finds."""
        return isinstance(self.cluster_prior, str)

    def _prior(self) -> np.ndarray | None:
        """Return the shares of the clusters that are set, if they are."""
        if self.cluster_prior is None or self._is_free():
            return None
        return check_shares(
            "cluster_prior", self.cluster_prior, self.n_clusters, "cluster"
        )

    def _balance(self) -> Balance:
        """Return what the sizes of the clusters should be."""
        prior = self._prior()
        equal = np.full(self.n_clusters, 1 / self.n_clusters)
        return Balance(self._weight, equal if prior is None else prior, self._adapts)

    @property
    def fairness_weight_(self) -> float:
        """The fairness weight of the training, which `net_` has."""
        return self._trained("fairness_weight_").fairness_weight

    @property
    def _adapts(self) -> bool:
        """Whether the fairness weight is left to the start."""
        return isinstance(self.fairness_weight, str)

    @property
    def _weight(self) -> float:
        """The fairness weight that is set, or the one where there is no start."""
        return USUAL_WEIGHT if self._adapts else float(self.fairness_weight)

    def _task(
        self,
        source: Source,
        sample_weight: ArrayLike | None,
        labels: None,
        goes_on: bool,
    ) -> Task:
        if len(source) < self.n_clusters and not goes_on:
            raise ValueError(
                f"n_samples={len(source)} should be >= n_clusters={self.n_clusters}."
            )
        K = self.n_clusters
        return Task(
            n_outputs=K,
            outputs=f"n_clusters={K}",
            views=make_views(self.views, self._n_axes(source)),
            weight=check_weight(sample_weight, source),
            target=None if goes_on else check_init(self.init, len(source), K),
            params=self._net_params(),
            needs_graph=self._init_is("spectral"),
        )

    def _init_is(self, name: str) -> bool:
        return isinstance(self.init, str) and self.init == name

    def _usual_epochs(self, usual: int, goes_on: bool) -> int:
        if goes_on:
            return usual // 2
        return FROM_SCRATCH * usual if self._init_is("random") else usual

    def _learn(
        self, geometry: Geometry, task: Task, plan: Plan
    ) -> tuple[CollisionNet, bool]:
        if not plan.goes_on:
            with drawing(only_torch=True):
                start = self._start(geometry, plan.seed)
            net, converged = self._best_net(geometry, start, task, plan)
        else:
            net = self._copy_net(
                fairness_weight=self.fairness_weight_ if self._adapts else self._weight,
                lr=self._learning_rate(geometry),
                ranks=geometry.ranks,
            )
            converged = self._self_label(net, geometry, plan.epochs, plan)
        if not plan.one_pass:
            # Where there are many samples, those that the start is made of tell.
            balance_outputs(net, geometry.begun)
        return net, converged

    def _conclude(
        self, source: Source, task: Task, plan: Plan, converged: bool
    ) -> None:
        self._assign(source)
        if not plan.one_pass:
            self.net_.optimizer_.state.clear()
            self._order_clusters(source, task.weight)
        self._find_centers(source, task.weight)
        if not plan.one_pass:
            self._warn(source, task, plan, converged)

    def _assign(self, source: Source) -> None:
        """Set the cluster of every training sample, and how probable it is."""
        with self.net_.drawing():
            found = infer(self.module_, source, choice)
        self.labels_ = found[:, 0].astype(np.int64)
        self.probabilities_ = found[:, 1].copy()

    def _find_centers(self, source: Source, weight: np.ndarray | None) -> None:
        """Set the means of the clusters, where X is a table."""
        self.__dict__.pop("cluster_centers_", None)
        if len(source.shape) == 2:
            self.cluster_centers_ = group_means(
                source, self.labels_, weight, self.n_clusters
            )

    def _start(self, geometry: Geometry, seed: int) -> Start | None:
        """Return what the network learns first, if anything."""
        samples = geometry.samples
        if samples.target is not None:
            return Start(samples.target.cpu().numpy(), False, self._weight)
        if self._init_is("random"):
            return None
        usual = max(min(N_SPECTRAL, CLUSTERS_IN_ALL // self.n_clusters), 1)
        n_spectral = usual if isinstance(self.n_init, str) else self.n_init
        weight = weights_of(geometry.begun)
        balance = self._balance()
        return geometry.ranks.first(
            lambda: geometry.initial_labels(weight, balance, n_spectral, seed)
        )

    def _best_net(
        self, geometry: Geometry, start: Start | None, task: Task, plan: Plan
    ) -> tuple[CollisionNet, bool]:
        """Train new nets, and return the one with the smallest loss."""
        once = start is not None or isinstance(self.n_init, str)
        trained = []
        for i in range(1 if once else int(self.n_init)):
            own = replace(plan, seed=plan.seed + RESTART * i)
            trained.append(self._new_net(geometry, start, task, own))
            if trained[-1][0].interrupted_:
                return trained[0]
        return min(trained, key=lambda result: result[0].last_loss())

    def _new_net(
        self, geometry: Geometry, start: Start | None, task: Task, plan: Plan
    ) -> tuple[CollisionNet, bool]:
        """Train a new net, first on the labels to begin with."""
        samples, shares, passes = geometry.samples, self._balance().prior, plan.epochs
        if start is not None:
            if samples.target is None and geometry.begins_with_part:
                samples = geometry.begun
                passes = self._epochs(n_batches(samples, self.batch_size), False)
            if self._is_free():
                weight = weights_of(samples)
                shares = weight @ start.labels / weight.sum()
            labels = torch.from_numpy(start.labels).to(samples.source.device)
            samples = replace(samples, target=labels)
        params = task.params | {
            "prior": shares,
            "lr": self._learning_rate(geometry),
            "ranks": geometry.ranks,
        }
        if start is not None:
            params["fairness_weight"] = start.fairness_weight
        net = self._make_net(geometry.samples, task.n_outputs, **params)
        if start is None:
            least, largest = FIRST_WEIGHTS
            first = float(np.clip(largest / self._weight, least, largest))
            return net, self._self_label(net, geometry, plan.epochs, plan, first)
        set_shares = self._prior() is not None
        certain = start.certain and not set_shares
        n_first = passes if certain else passes // 2
        learnt, converged = None, True
        if n_first:
            converged = self._train(net, samples, n_first, plan, rising=False)
            if net.interrupted_:
                return net, True
            learnt = kept_state(net)
        if certain:
            return net, converged or self.max_epochs is None
        n_more = self._more_epochs(geometry, plan)
        converged = self._self_label(net, geometry, n_more, plan)
        if not set_shares and learnt is not None and net.n_used_ < learnt.n_used:
            learnt.restore(net)
        return net, converged

    def _more_epochs(self, geometry: Geometry, plan: Plan) -> int:
        """Return the number of passes that follow those on the labels to begin with."""
        set_or_half = plan.epochs - plan.epochs // 2
        if self.max_epochs is not None:
            return set_or_half
        if self._init_is("spectral") and geometry.begins_with_part:
            return plan.epochs  # a part has given the start: the rest is new
        return set_or_half if geometry.transforms else -(-set_or_half // SHORTENED)

    def _self_label(
        self,
        net: CollisionNet,
        geometry: Geometry,
        epochs: int,
        plan: Plan,
        first_weight: float | None = None,
    ) -> bool:
        """Train on pseudo-labels, and return whether that converged."""
        with drawing(only_torch=True):
            samples = replace(geometry.with_views(), target=None)
        if plan.one_pass:
            return self._train(net, samples, 1, plan, anneal=False)
        converged = self._train(net, samples, epochs, plan, first_weight=first_weight)
        return converged or self.max_epochs is None

    def _order_clusters(self, source: Source, weight: np.ndarray | None) -> None:
        """Move the clusters that no weight falls on behind the others."""
        sizes = np.bincount(self.labels_, weight, self.n_clusters)
        order = np.argsort(sizes == 0, kind="stable")
        if (order[1:] > order[:-1]).all():
            return
        self.net_.reorder(order, source[: min(len(source), N_TRIED)])
        self._assign(source)

    def _warn(self, source: Source, task: Task, plan: Plan, converged: bool) -> None:
        """Say that clusters are missing, or else that the training ended early."""
        prior, text, n_steps = self.net_.prior, None, plan.n_steps
        used, wanted = len(np.unique(self.labels_)), np.count_nonzero(prior)
        if used < wanted:
            limit = None if converged else self.max_epochs
            fit = Outcome(source, task.weight, prior, self.n_iter_ * n_steps, limit)
            text = f"Only {used} of {wanted} clusters are used. {likely_cause(fit)}"
        elif not converged:
            steps = f"{n_steps} gradient step" + "s" * (n_steps > 1)
            text = (
                f"The training had not converged after {self.n_iter_} epochs of "
                f"{steps} each. Increase max_epochs, lr or tol."
            )
        if text is not None:
            warn(text, ConvergenceWarning)
