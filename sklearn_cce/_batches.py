"""How data becomes batches: whole batches, sliced from one tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass
class Samples:
    """Samples that lie on the device, with their weights.

    Attributes
    ----------
    X : Tensor of shape (n_samples, ...)
        The samples, float32.
    weight : Tensor of shape (n_samples,) or None
        Weights with mean 1, or None where all are equal.
    """

    X: Tensor
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.X)


class ShuffledBatches:
    """Batches of nearly equal size, in a new random order at every iteration.

    No batch is much smaller than the others: the balance of the clusters cannot be
    judged on a last batch of a few samples.

    Parameters
    ----------
    samples : Samples
        What to draw from.
    batch_size : int
        The most samples that a batch may have.
    seed : int
        Seed of the private generator that draws the permutations.

    Yields
    ------
    (X, y)
        The batch, and a tuple of its sample indices and weights.
    """

    def __init__(self, samples: Samples, batch_size: int, seed: int = 0) -> None:
        self.samples = samples
        self.n_batches = -(-len(samples) // batch_size)
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[Tensor, tuple[Tensor, Tensor | None]]]:
        X, weight = self.samples.X, self.samples.weight
        order = torch.randperm(len(X), generator=self.generator).to(X.device)
        for index in order.tensor_split(self.n_batches):
            yield X[index], (index, None if weight is None else weight[index])


def as_tensor(X: np.ndarray, device: torch.device) -> Tensor:
    """Put an array on a device as float32, without a copy where there need be none."""
    X = np.asarray(X)
    if not X.flags.writeable or X.dtype.byteorder == ">":
        X = X.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(X)).to(device, torch.float32)
