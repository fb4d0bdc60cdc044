"""How data becomes batches: whole batches, taken from one source by index.

A source holds samples wherever they are and hands out any of them as one float32
tensor on the device. What a batch consists of depends on the seed and the number of
samples alone, so every source gives the same training to the bit.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sklearn_cce._errors import blaming
from sklearn_cce._process import Stream, is_alone
from sklearn_cce.views._transforms import drawing_from, is_own

BLOCK, WINDOW = 512, 65_536
"""Large data are read in blocks of samples, mixed within windows of many blocks."""

N_SCALING_SAMPLES = 16_384
"""The scale of the input is estimated on no more samples than this."""

N_TRIED = 16
"""Transforms are tried on so many samples before the training."""

VIEW_SEED = 500_009
"""Distance of the seed of the transforms from that of the order."""

RELEASE_BYTES = 2**27
"""Pages of a file are given back after so many bytes were read in one stretch."""

Batch = TypeVar("Batch")
BatchInfo = tuple[Tensor, Tensor | None, Tensor | None]
Index = slice | Tensor
Walk = Callable[[Tensor, torch.Generator], Tensor]


class TensorSource:
    """Samples that lie on the device already.

    Parameters
    ----------
    X : Tensor of shape (n_samples, ...)
        The samples, float32 or float64.
    """

    resident = True

    def __init__(self, X: Tensor) -> None:
        self.X = X
        self.shape = tuple(X.shape)
        self.device, self.dtype = X.device, X.dtype

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: Index) -> Tensor:
        """Return the samples of an index."""
        return self.X[index]


class ArraySource:
    """Samples in an array that stays where it is: in host memory or in a file.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        The samples, of any real type.
    device : torch.device
        Where the batches go.
    dtype : torch.dtype, default=torch.float32
        What the batches are.
    """

    resident = False

    def __init__(
        self,
        X: np.ndarray,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.X = X
        self.file = memory_map(X)
        self.device, self.dtype = device, dtype
        self.shape = X.shape
        self.n_read = 0

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: Index) -> Tensor:
        """Return the samples of an index on the host.

        Reading one sample of a file may map megabytes around it, which count as
        resident memory, so scattered samples are followed by a release at once.
        """
        if self.file is not None:
            check_length(self.file)
        rows = self.X[index if isinstance(index, slice) else index.numpy()]
        rows = torch.from_numpy(cast(rows, self.dtype))
        check_finite(rows, index)
        self.n_read += rows.nbytes
        scattered = isinstance(index, Tensor)
        if self.file is not None and (scattered or self.n_read > RELEASE_BYTES):
            release(self.file)
            self.n_read = 0
        if self.device.type == "cuda":
            rows = rows.pin_memory()
        return rows.to(self.device, non_blocking=True)


class DatasetSource:
    """Samples of a map-style torch dataset.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Its items are samples, or tuples that begin with one.
    device : torch.device
        Where the batches go.
    stream : Stream, optional
        What the dataset draws from in place of the global random states.
    """

    resident = False

    def __init__(
        self, dataset: Dataset, device: torch.device, stream: Stream | None = None
    ) -> None:
        self.dataset = dataset
        self.device, self.dtype = device, torch.float32
        self.stream = stream
        with blaming("X must be an array, or a dataset with __len__ and __getitem__"):
            n = len(dataset)
        with self.drawing():
            self.shape = (n, *(self.item(0).shape if n else ()))

    def __len__(self) -> int:
        return self.shape[0]

    def drawing(self) -> contextlib.AbstractContextManager:
        """Let a block draw from the stream, if there is one."""
        return contextlib.nullcontext() if self.stream is None else self.stream.drawn()

    def item(self, i: int) -> Tensor:
        """Return one sample."""
        accepted = (
            "The items of X must be tensors or arrays of real numbers, or tuples that "
            f"begin with one, see sample {i}"
        )
        with blaming(accepted):
            item = self.dataset[i]
            return as_sample(item[0] if isinstance(item, (tuple, list)) else item)

    def __getitem__(self, index: Index) -> Tensor:
        """Return the samples of an index on the host."""
        if isinstance(index, slice):
            index = range(len(self))[index]
        places = index.tolist() if isinstance(index, Tensor) else list(index)
        with self.drawing():
            items = [self.item(i) for i in places]
        for i, item in zip(places, items, strict=True):
            if item.shape != self.shape[1:]:
                raise ValueError(
                    f"X must give samples of one shape; sample {i} has shape "
                    f"{tuple(item.shape)}, sample 0 has shape {self.shape[1:]}."
                )
        rows = torch.stack(items).to(self.dtype)
        check_finite(rows, torch.tensor(places))
        return rows.to(self.device)


def as_sample(item: Any) -> Tensor:
    """Return an item of a dataset as a tensor, or raise a TypeError."""
    if not isinstance(item, Tensor):
        array = np.asarray(item)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"got {type(item).__name__}")
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
    if item.is_complex() or item.is_meta or item.layout is not torch.strided:
        raise TypeError(f"got a tensor of {item.dtype}, {item.layout}, {item.device}")
    return item.detach()


Source = TensorSource | ArraySource | DatasetSource


@dataclass
class Samples:
    """What a net is trained on.

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


def make_samples(
    source: Source,
    weight: Tensor | None,
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
    weight : Tensor of shape (n_samples,) or None
        Their weights, float64, on the host.
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
    if len(source) <= batch_size:
        source, weight, target = merge_equal(source[:], weight, target)
    if weight is not None:
        weight = (weight / weight[weight > 0].mean()).float().to(source.device)
    return Samples(source, weight, None if target is None else target.to(source.device))


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


def cast(X: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """Return a copy as float32 or float64; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return np.array(X, np.float64 if dtype == torch.float64 else np.float32)


def as_tensor(
    X: np.ndarray, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Put an array on a device, without a copy where there need be none."""
    if not X.flags.writeable or not X.dtype.isnative:
        X = cast(X, dtype)
    return torch.from_numpy(np.ascontiguousarray(X)).to(device, dtype)


def memory_map(X: Any) -> np.memmap | None:
    """Return the memory map that an array is a view of, if it is one."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap) and isinstance(X.base, mmap.mmap):
            return X
        X = X.base
    return None


def check_finite(X: Tensor, index: Index | None = None) -> None:
    """Raise a ValueError that names the first sample with NaN or infinity, if any.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Samples.
    index : slice or Tensor of shape (n,), optional
        Their index in the data, a slice without a step; from 0 on by default.
    """
    if X.sum().isfinite():
        return
    bad = (~X.flatten(1).isfinite().all(1)).nonzero()[:, 0].tolist()
    if not bad:
        return
    if isinstance(index, Tensor):
        first = int(index[bad[0]])
    else:
        first = bad[0] + (0 if index is None else index.start or 0)
    raise ValueError(
        f"Input X contains NaN or infinity, or a value too large for float32: see "
        f"sample {first}."
    )


def check_length(file: np.memmap) -> None:
    """Raise a ValueError if the file behind an array has become too short for it."""
    if file.filename is None:
        return
    if os.path.getsize(file.filename) < file.offset + file.nbytes:
        raise ValueError(
            f"The file of X, {file.filename}, has become shorter since it was mapped."
        )


def release(file: np.memmap) -> None:
    """Give the pages of a memory-mapped file back to the system."""
    if file.mode in ("r", "c") and hasattr(mmap, "MADV_DONTNEED"):
        file.base.madvise(mmap.MADV_DONTNEED)


def spread_blocks(n: int) -> Tensor:
    """Return the indices of at most N_SCALING_SAMPLES samples, in blocks far apart."""
    starts = torch.arange(0, n, max(BLOCK, -(-n * BLOCK // N_SCALING_SAMPLES)))
    index = (starts[:, None] + torch.arange(BLOCK)).flatten()
    return index[index < n]


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
            raise TypeError(f"got {getattr(view, 'dtype', type(view).__name__)}")
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
        self.n_batches = -(-self.n_samples // batch_size)
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
        if self.samples.source.resident or is_alone():
            batches = map(self.read, indices)
        else:
            batches = ahead(self.read, iter(indices))
        return map(self.finish, batches)

    def read(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the indices of a batch, and its samples with those it walks to."""
        steps = [walk(index, self.walk_generator) for walk in self.samples.walks]
        source = self.samples.source
        rows = torch.cat([index, *steps])
        return index, source[rows.to(source.X.device) if source.resident else rows]

    def finish(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, BatchInfo]:
        """Add the views that are made from the samples, the weights and the targets."""
        index, X = batch
        made = self.changes(X[: len(index)])
        X, index = torch.cat([X, *made]) if made else X, index.to(X.device)
        known = (self.samples.weight, self.samples.target)
        return X, (index, *(None if rows is None else rows[index] for rows in known))
