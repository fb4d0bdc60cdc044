"""How samples become batches: whole batches, taken from one source by index.

What a batch consists of depends on the seed and the number of samples alone, so every
source gives the same training to the bit.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sklearn_cce._checks import type_of
from sklearn_cce._training.errors import blaming
from sklearn_cce._training.process import Stream, is_alone, seed_of
from sklearn_cce._training.ranks import ALONE, Ranks
from sklearn_cce._training.sources import (
    BLOCK,
    Source,
    TensorSource,
    read,
    spread_blocks,
)
from sklearn_cce.views import Neighbors, View
from sklearn_cce.views._transforms import drawing_from, is_own

WINDOW = 65_536
"""Blocks of large data are mixed within windows of so many samples."""

N_TRIED = 16
"""Transforms are tried on so many samples before the training."""

ORDER, WALKS, VIEWS, READING, STEPS = range(5)
"""What is drawn in an epoch, each from a seed of its own."""

Batch = TypeVar("Batch")


class BatchInfo(NamedTuple):
    """What belongs to the samples of a batch.

    Attributes
    ----------
    rows : Tensor of shape (n,), int64
        Which samples they are.
    weight : Tensor of shape (n,) or None
        Their weights; None for none.
    target : Tensor of shape (n, n_outputs) or None
        Distributions to learn, with rows of NaN where unknown; None for none.
    n_in_all : int
        Number of samples of the whole batch, of which other processes may have a part.
    """

    rows: Tensor
    weight: Tensor | None
    target: Tensor | None
    n_in_all: int


Walk = Callable[[Tensor, torch.Generator], Tensor]


@dataclass
class Samples(Dataset):
    """What a net is trained on: a data set of torch, so that skorch takes it as it is.

    Samples are read by `Batches`, a batch at a time, and not one by one.

    Attributes
    ----------
    source : Source
        The samples.
    weight : Tensor of shape (n_samples,) or None
        Their weights, on the device; those above 0 have mean 1. None where all are
        equal.
    target : Tensor of shape (n_samples, n_outputs) or None
        Distributions to learn, on the device; a row of NaN where none is known, None
        where none is known for any sample.
    walks : sequence of Walk
        Views of a sample that are other samples.
    transforms : sequence of callables
        Views of a sample made from it: from a batch of samples, one of equal shape.
    """

    source: Source
    weight: Tensor | None = None
    target: Tensor | None = None
    walks: Sequence[Walk] = ()
    transforms: Sequence[Callable[[Tensor], Tensor]] = ()

    def __len__(self) -> int:
        return len(self.source)

    @property
    def labelled(self) -> Tensor:
        """Whether a target is known, by sample."""
        if self.target is None:
            return torch.zeros(len(self), dtype=torch.bool, device=self.source.device)
        return ~self.target[:, 0].isnan()


def make_samples(
    source: Source,
    weight: np.ndarray | None,
    batch_size: int,
    target: Tensor | None = None,
) -> Samples:
    """Bring samples and weights together.

    Where one batch holds everything, equal samples are merged and those of weight 0
    left out, so that a sample of weight 2 is the same to the bit as two samples.

    Parameters
    ----------
    source : Source
        The samples.
    weight : ndarray of shape (n_samples,) or None
        Their weights, float64.
    batch_size : int
        The most samples that a batch may have.
    target : Tensor of shape (n_samples, n_outputs) or None
        Distributions to learn, float32, on the host; samples are equal only if these
        are too.

    Returns
    -------
    Samples
        The samples to train on, without views.
    """
    weights = None if weight is None else torch.from_numpy(weight)
    if len(source) <= batch_size:
        source, weights, target = merge_equal(source[:], weights, target)
    if weights is not None:
        weights = (weights / weights[weights > 0].mean()).float().to(source.device)
    target = None if target is None else target.to(source.device)
    return Samples(source, weights, target)


def weights_of(samples: Samples) -> np.ndarray:
    """Return the weights of the samples of a fit, float64."""
    if samples.weight is None:
        return np.ones(len(samples))
    return samples.weight.cpu().double().numpy()


def rows_for_scale(samples: Samples) -> tuple[Tensor, Tensor | None]:
    """Return samples of weight, in blocks far apart, and their weights."""
    weight = samples.weight
    if weight is None:
        return samples.source[spread_blocks(len(samples))], None
    support = weight.cpu().nonzero()[:, 0]
    some = support[spread_blocks(len(support))]
    return samples.source[some], weight[some.to(weight.device)]


def n_batches(samples: Samples, batch_size: int) -> int:
    """Return the number of gradient steps in one pass over samples."""
    weight = samples.weight
    n = len(samples) if weight is None else int(torch.count_nonzero(weight))
    return -(-n // batch_size)


def merge_equal(
    X: Tensor, weight: Tensor | None, target: Tensor | None
) -> tuple[TensorSource, Tensor, Tensor | None]:
    """Return the different samples in a fixed order, with the sums of their weights."""
    rows = X.flatten(1)
    if target is not None:
        rows = torch.cat([rows, target.nan_to_num(nan=-1.0).to(X.device)], 1)
    if weight is not None:
        rows, weight = rows[(weight > 0).to(X.device)], weight[weight > 0]
    rows, index = torch.unique(rows, dim=0, return_inverse=True)
    n_values = math.prod(X.shape[1:])
    merged = TensorSource(rows[:, :n_values].reshape(-1, *X.shape[1:]).contiguous())
    weight = torch.bincount(index.cpu(), weight).double()
    if target is not None:
        target = rows[:, n_values:].cpu().float()
        target = target.masked_fill(target < 0, torch.nan)
    return merged, weight, target


def shuffled(n: int, generator: torch.Generator) -> Tensor:
    """Return a random order of n samples; local, block by block, if n is large."""
    if n <= 2 * WINDOW:
        return torch.randperm(n, generator=generator)
    blocks = torch.randperm(-(-n // BLOCK), generator=generator)
    order = (blocks[:, None] * BLOCK + torch.arange(BLOCK)).flatten()
    if n % BLOCK:
        order = order[order < n]
    for window in order.split(WINDOW):
        window.copy_(window[torch.randperm(len(window), generator=generator)])
    return order


def ahead(make: Callable[[Any], Batch], items: Iterator[Any]) -> Iterator[Batch]:
    """Yield make(item) for every item, made by a thread one item ahead of need."""
    with ThreadPoolExecutor(1) as thread:
        pending = None
        for item in items:
            previous, pending = pending, thread.submit(make, item)
            if previous is not None:
                yield previous.result()
        if pending is not None:
            yield pending.result()


class Changes:
    """Views of batches that transforms make, drawn from generators of one's own.

    Parameters
    ----------
    transforms : sequence of callables
        From a batch of samples to one of equal shape.
    seed : int
        Determines what they draw.
    device : torch.device
        Where the batches are.
    """

    def __init__(
        self,
        transforms: Sequence[Callable[[Tensor], Tensor]],
        seed: int,
        device: torch.device,
    ) -> None:
        self.transforms = transforms
        self.generator = torch.Generator(device).manual_seed(seed)
        self.stream = Stream(seed, device)

    def renew(self, seed: int) -> None:
        """Begin anew with another seed."""
        self.generator.manual_seed(seed)
        self.stream.renew(seed)

    def __call__(self, X: Tensor) -> list[Tensor]:
        """Return the views of a batch, which is left as it is."""
        return [self.view(transform, X) for transform in self.transforms]

    def view(self, transform: Callable[[Tensor], Tensor], X: Tensor) -> Tensor:
        """Return one view, or raise an error that names the parameter."""
        shape = tuple(X.shape)
        accepted = (
            "views must take a batch of samples, and return a tensor of real numbers "
            f"of the same shape, here {shape}; {transform!r} did not"
        )
        make = self.own if is_own(transform) else self.foreign
        with blaming(accepted):
            return make(transform, X)

    def own(self, transform: Callable[[Tensor], Tensor], X: Tensor) -> Tensor:
        """Return what a transform of this package makes of a batch."""
        with drawing_from(self.generator):
            return transform(X)

    def foreign(self, transform: Callable[[Tensor], Tensor], X: Tensor) -> Tensor:
        """Return what a transform of the user's makes of a copy of a batch."""
        with self.stream.drawn():
            view = transform(X.clone())
        if not isinstance(view, Tensor) or view.is_complex():
            raise TypeError(f"got {type_of(view)}")
        if view.layout != torch.strided:
            raise TypeError(f"got {view.layout}")
        if view.shape != X.shape:
            raise ValueError(f"got shape {tuple(view.shape)}")
        return view.detach().to(X)


def check_transforms(views: Sequence[View], source: Source) -> None:
    """Raise an error that names `views` unless those that make samples do so."""
    transforms = [view for view in views if not isinstance(view, Neighbors)]
    if transforms:
        X = source[: min(len(source), N_TRIED)]
        Changes(transforms, 0, X.device)(X)


class Read(NamedTuple):
    """The samples of a batch with those they walk to, as they were read."""

    X: Tensor
    rows: Tensor
    n_in_all: int


class Batches:
    """Batches of nearly equal size, in a new random order at every iteration.

    No batch is much smaller than the others: the balance of the clusters cannot be
    judged on a last batch of a few samples. Samples of weight 0 are left out.

    All that an epoch draws depends on the seed and its number alone, so that a training
    can go on with any epoch.

    Parameters
    ----------
    samples : Samples
        What to draw from.
    batch_size : int
        The most samples that a batch may have.
    seed : int
        Determines the orders, the walks and the views.
    epoch : int, default=0
        Number of the first epoch.
    ranks : Ranks, optional
        The processes that share every batch: each draws the order and the walks of all
        its samples, and takes its part.

    Yields
    ------
    X : Tensor of shape (n_views * n, ...)
        The samples of the batch, then their other views, view by view.
    y : BatchInfo
        What belongs to them.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        seed: int,
        epoch: int = 0,
        ranks: Ranks = ALONE,
    ) -> None:
        self.samples = samples
        self.seed, self.epoch, self.ranks = seed, epoch, ranks
        weight = samples.weight
        self.support = None if weight is None else weight.nonzero()[:, 0]
        self.n_samples = len(samples if self.support is None else self.support)
        self.n_batches = n_batches(samples, batch_size)
        self.generator, self.walk_generator = torch.Generator(), torch.Generator()
        self.changes = Changes(samples.transforms, seed, samples.source.device)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[Tensor, BatchInfo]]:
        self.renew()
        order = shuffled(self.n_samples, self.generator)
        if self.support is not None:
            order = self.support.to(order.device)[order]
        indices = order.tensor_split(self.n_batches)
        at_once = self.samples.source.resident or is_alone()
        batches: Iterator[Read] = (
            map(self.read, indices) if at_once else ahead(self.read, iter(indices))
        )
        return map(self.finish, batches)

    def renew(self) -> None:
        """Seed all that draws for the next epoch."""
        # Seeding takes a tenth of a small fit: what does not draw goes without.
        of = functools.partial(seed_of, self.seed, self.epoch)
        self.epoch += 1
        self.generator.manual_seed(of(ORDER))
        if self.samples.walks:
            self.walk_generator.manual_seed(of(WALKS))
        if self.samples.transforms:
            self.changes.renew(of(VIEWS, self.ranks.rank))
        stream = self.samples.source.stream
        if stream is not None:
            stream.renew(of(READING, self.ranks.rank))

    def read(self, index: Tensor) -> Read:
        """Return the samples of a batch, with those that they walk to."""
        steps = [walk(index, self.walk_generator) for walk in self.samples.walks]
        own = self.ranks.part(index)
        parts = torch.cat([own, *map(self.ranks.part, steps)])
        return Read(read(self.samples.source, parts), own, len(index))

    def finish(self, batch: Read) -> tuple[Tensor, BatchInfo]:
        """Add the views that are made from the samples, the weights and the targets."""
        X, rows, n_in_all = batch
        made = self.changes(X[: len(rows)])
        X, rows = torch.cat([X, *made]) if made else X, rows.to(X.device)
        weight, target = self.samples.weight, self.samples.target
        weight = None if weight is None else weight[rows]
        target = None if target is None else target[rows]
        return X, BatchInfo(rows, weight, target, n_in_all)
