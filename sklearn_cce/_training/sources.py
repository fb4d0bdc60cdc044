"""Where samples lie: on the device, in an array or a file, in slices, in a dataset.

A source hands out any of its samples as one tensor on the device.
"""

from __future__ import annotations

import contextlib
import math
import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sklearn_cce._checks import as_whole
from sklearn_cce._training.errors import blaming
from sklearn_cce._training.pages import RELEASE_BYTES, check_length, memory_map, release
from sklearn_cce._training.process import Stream

BLOCK = 512
"""Large data are read in blocks of so many samples."""

N_SCALING_SAMPLES, SCALING_BLOCK = 16_384, 16
"""The scale of the input is estimated on no more samples than this, in blocks so small
that samples in any order have their share."""

LEAST_BYTES, MOST_BYTES = 2**18, 2**27
"""Slices of rows are read in blocks of whole chunks, of about so many bytes."""

SCATTERED = 64
"""So many samples of a large file are read at once where they may lie anywhere."""

HELD_BYTES = 2**30
"""Of the blocks read in slices those used last are held, up to so many bytes."""

Index = slice | Tensor


class TensorSource:
    """Samples that lie on the device already.

    Parameters
    ----------
    X : Tensor of shape (n_samples, ...)
        The samples, float32 or float64.
    """

    resident = True
    stream: Stream | None = None

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
    stream: Stream | None = None

    def __init__(
        self, X: np.ndarray, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.X = X
        self.file = memory_map(X)
        self.device, self.dtype = device, dtype
        self.shape = X.shape
        self.n_read = 0

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: Index) -> Tensor:
        """Return the samples of an index on the host."""
        if self.file is not None:
            check_length(self.file)
        if isinstance(index, slice):
            rows = torch.from_numpy(cast(self.X[index], self.dtype))
            self.n_read += rows.nbytes
        else:
            rows = self.scattered(index.numpy())
        check_finite(rows, index)
        if self.file is not None and self.n_read > RELEASE_BYTES:
            release(self.file)
            self.n_read = 0
        return sent(rows, self.device)

    def scattered(self, index: np.ndarray) -> Tensor:
        """Return samples that may lie anywhere.

        Reading one of a large file maps up to two megabytes around it, which count as
        resident memory: few are read before these are given back.
        """
        if self.file is None or self.file.nbytes <= RELEASE_BYTES:
            return torch.from_numpy(cast(self.X[index], self.dtype))
        rows = torch.empty((len(index), *self.shape[1:]), dtype=self.dtype)
        for first in range(0, len(index), SCATTERED):
            some = slice(first, first + SCATTERED)
            rows[some] = torch.from_numpy(cast(self.X[index[some]], self.dtype))
            release(self.file)
        return rows


class SlicedSource:
    """Samples in anything that gives arrays for slices of its rows.

    Such as arrays of zarr and Dask, and datasets of h5py. It is read in blocks of rows,
    for scattered samples too, since a single row may cost as much as a chunk.

    Parameters
    ----------
    X : object with shape, dtype and slices of rows
        The samples.
    device : torch.device
        Where the batches go.
    dtype : torch.dtype, default=torch.float32
        What the batches are.
    """

    resident = False
    stream: Stream | None = None

    def __init__(
        self, X: Any, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.X = X
        self.device, self.dtype = device, dtype
        self.shape = tuple(map(int, X.shape))
        self.n_rows = rows_of_block(X)
        self.held: dict[int, np.ndarray] = {}
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> Tensor:
        """Return the samples of an index on the host."""
        if isinstance(index, slice):
            places = np.arange(*index.indices(len(self)))
        else:
            places = index.numpy()
        dtype = np.float64 if self.dtype == torch.float64 else np.float32
        result = np.empty((len(places), *self.shape[1:]), dtype)
        blocks, rows = np.divmod(places, self.n_rows)
        order = blocks.argsort(kind="stable")
        for same in np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1):
            if len(same):
                with np.errstate(over="ignore"):
                    result[same] = self.block(int(blocks[same[0]]))[rows[same]]
        samples = torch.from_numpy(result)
        check_finite(samples, index)
        return sent(samples, self.device)

    def block(self, i: int) -> np.ndarray:
        """Return a block of rows, which is held from then on."""
        with self.lock:
            block = self.held.pop(i, None)
            if block is None:
                block = self.read(i)
                self.make_room(block.nbytes)
            self.held[i] = block
            return block

    def make_room(self, n_bytes: int) -> None:
        """Let go of the blocks whose last use is longest ago."""
        excess = n_bytes + sum(block.nbytes for block in self.held.values())
        excess -= HELD_BYTES
        while excess > 0 and self.held:
            excess -= self.held.pop(next(iter(self.held))).nbytes

    def read(self, i: int) -> np.ndarray:
        """Read a block of rows, in one slice."""
        start = i * self.n_rows
        stop = min(start + self.n_rows, len(self))
        accepted = "X must give arrays of real numbers for slices of its rows"
        with blaming(accepted):
            block = self.X[start:stop]
            if isinstance(block, np.ma.MaskedArray):
                block = np.ma.filled(block.astype(np.float64), np.nan)
            block = np.asarray(block)
        shape = (stop - start, *self.shape[1:])
        if block.dtype.kind not in "fiub" or block.shape != shape:
            raise ValueError(
                f"{accepted}; for rows {start} to {stop - 1} it gave {block.dtype} of "
                f"shape {block.shape} in place of {shape}."
            )
        return block


def rows_of_block(X: Any) -> int:
    """Return how many rows are read at once: whole chunks, where X has any."""
    chunks = getattr(X, "chunks", None)
    chunk = chunks[0] if isinstance(chunks, tuple) and chunks else 1
    chunk = chunk[0] if isinstance(chunk, tuple) and chunk else chunk
    chunk = max(as_whole(chunk), 1)
    row = max(math.prod(X.shape[1:]) * X.dtype.itemsize, 1)
    n_rows = chunk * max(LEAST_BYTES // (row * chunk), 1)
    return int(max(min(n_rows, MOST_BYTES // row), 1))


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
            n = len(dataset)  # type: ignore[arg-type]  # torch's class leaves it out
        with self.drawing():
            self.shape: tuple[int, ...] = (n, *(self.item(0).shape if n else ()))

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
            places = list(range(len(self))[index])
        else:
            places = index.tolist()
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


class PartSource:
    """Some of the samples of another source, which stay where they are.

    Parameters
    ----------
    whole : Source
        All samples.
    rows : Tensor of shape (n_samples,), int64
        Which of them.
    """

    def __init__(self, whole: Source, rows: Tensor) -> None:
        self.whole = whole
        self.resident: bool = whole.resident
        self.rows = rows.to(whole.device) if whole.resident else rows
        self.shape: tuple[int, ...] = (len(rows), *whole.shape[1:])
        self.device: torch.device = whole.device
        self.dtype: torch.dtype = whole.dtype
        self.stream: Stream | None = whole.stream

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Index) -> Tensor:
        """Return the samples of an index."""
        return self.whole[self.rows[index]]


Source = TensorSource | ArraySource | SlicedSource | DatasetSource | PartSource
"""What hands out samples of an index, a slice or a tensor, on the device.

Attributes
----------
resident : bool
    Whether the samples lie on the device, where an index must lie too then.
device : torch.device
    Where the batches go.
dtype : torch.dtype
    What the batches are: float32 or float64.
shape : tuple of int
    Shape of all samples, (n_samples, ...).
stream : Stream or None
    What the samples are drawn from, if code of the user's may draw them.
"""


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


def sent(rows: Tensor, device: torch.device) -> Tensor:
    """Send samples from the host to a device."""
    if device.type == "cuda":
        rows = rows.pin_memory()
    return rows.to(device, non_blocking=True)


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


def check_finite(X: Tensor, index: Index | None = None) -> None:
    """Raise a ValueError that names the first sample with NaN or infinity, if any.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Samples.
    index : slice or Tensor of shape (n,), optional
        Their index in the data, a slice without a step; from 0 on by default.
    """
    if math.isfinite(X.sum().item()):
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


def spread_blocks(n: int) -> Tensor:
    """Return the indices of at most N_SCALING_SAMPLES samples, in blocks far apart."""
    apart = -(-n * SCALING_BLOCK // N_SCALING_SAMPLES)
    starts = torch.arange(0, n, max(SCALING_BLOCK, apart))
    index = (starts[:, None] + torch.arange(SCALING_BLOCK)).flatten()
    return index[index < n]


def read(source: Source, rows: Tensor) -> Tensor:
    """Return the samples of an index that may lie on the host."""
    return source[rows.to(source.device) if source.resident else rows]


def take(source: Source, rows: Tensor) -> TensorSource:
    """Return some of the samples, on the device."""
    return TensorSource(read(source, rows))
