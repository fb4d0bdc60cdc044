"""How samples become batches: whole batches, taken from one source by index.

What a batch consists of depends on the seed and the number of samples alone, so every
source gives the same training to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sklearn_cce._checks import type_of
from sklearn_cce._training.errors import blaming
from sklearn_cce._training.process import Stream, is_alone
from sklearn_cce._training.sources import (
    BLOCK,
    Source,
    TensorSource,
    read,
    spread_blocks,
)
from sklearn_cce.views._transforms import drawing_from, is_own

WINDOW = 65_536
"""Blocks of large data are mixed within windows of so many samples."""

N_TRIED = 16
"""Transforms are tried on so many samples before the training."""

VIEW_SEED = 500_009
"""Distance of the seed of the transforms from that of the order."""

Batch = TypeVar("Batch")

BatchInfo = tuple[Tensor, Tensor | None, Tensor | None]

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
        if transforms:
            self.generator = torch.Generator(device).manual_seed(seed)
        if not all(map(is_own, transforms)):
            self.stream = Stream(seed, device)

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


class Batches:
    """Batches of nearly equal size, in a new random order at every iteration.

    No batch is much smaller than the others: the balance of the clusters cannot be
    judged on a last batch of a few samples. Samples of weight 0 are left out.

    Parameters
    ----------
    samples : Samples
        What to draw from.
    batch_size : int
        The most samples that a batch may have.
    seed : int
        Seed of the private generators that draw the orders and the walks.

    Yields
    ------
    X : Tensor of shape (n_views * n, ...)
        The samples of the batch, then their other views, view by view.
    y : tuple
        Their indices and weights, of shape (n,), and targets, of shape
        (n, n_outputs); None for no weights or targets.
    """

    def __init__(self, samples: Samples, batch_size: int, seed: int) -> None:
        self.samples = samples
        weight = samples.weight
        self.support = None if weight is None else weight.nonzero()[:, 0]
        self.n_samples = len(samples if self.support is None else self.support)
        self.n_batches = n_batches(samples, batch_size)
        self.generator = torch.Generator().manual_seed(seed)
        self.walk_generator = torch.Generator().manual_seed(seed)
        device = samples.source.device
        self.changes = Changes(samples.transforms, seed + VIEW_SEED, device)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[Tensor, BatchInfo]]:
        order = shuffled(self.n_samples, self.generator)
        if self.support is not None:
            order = self.support.to(order.device)[order]
        indices = order.tensor_split(self.n_batches)
        at_once = self.samples.source.resident or is_alone()
        batches: Iterator[tuple[Tensor, Tensor]] = (
            map(self.read, indices) if at_once else ahead(self.read, iter(indices))
        )
        return map(self.finish, batches)

    def read(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the indices of a batch, and its samples with those it walks to."""
        steps = [walk(index, self.walk_generator) for walk in self.samples.walks]
        return index, read(self.samples.source, torch.cat([index, *steps]))

    def finish(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, BatchInfo]:
        """Add the views that are made from the samples, the weights and the targets."""
        index, X = batch
        made = self.changes(X[: len(index)])
        X, index = torch.cat([X, *made]) if made else X, index.to(X.device)
        weight, target = self.samples.weight, self.samples.target
        weight = None if weight is None else weight[index]
        return X, (index, weight, None if target is None else target[index])
