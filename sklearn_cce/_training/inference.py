"""What a network says of samples, the same for a sample in any company."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from sklearn_cce._training.process import on_host
from sklearn_cce._training.progress import progress
from sklearn_cce._training.sources import Source, check_finite

SMALLEST_BATCH = 16
"""Matrix products of fewer rows take another path and round differently."""

CHUNK_VALUES = {"cpu": 2**17, "cuda": 2**24}
"""Inference works on about so many values of samples at a time: a cache's worth."""

CHUNK_ROWS = 512
"""It works on no fewer samples than this, for the sake of the matrix products."""


def pad(X: Tensor) -> Tensor:
    """Repeat the last row until there are enough rows for the usual rounding."""
    missing = max(SMALLEST_BATCH - len(X), 0)
    return torch.cat([X, X[-1:].expand(missing, *X.shape[1:])]) if missing else X


def probabilities(logits: Tensor) -> Tensor:
    """Return the probabilities of the outputs, float32."""
    return logits.float().softmax(1)


def most_probable(logits: Tensor) -> Tensor:
    """Return the first output of those with the largest probability."""
    return probabilities(logits).argmax(1)


def choice(logits: Tensor) -> Tensor:
    """Return the most probable output and its probability, as two columns, float32."""
    shares = probabilities(logits)
    chosen = shares.argmax(1, keepdim=True)
    return torch.cat([chosen.float(), shares.gather(1, chosen)], 1)


def centre(logits: torch.Tensor) -> torch.Tensor:
    """Subtract the mean of every row."""
    logits = logits.float()
    return logits - logits.mean(1, keepdim=True)


def flatten(features: torch.Tensor) -> torch.Tensor:
    """Turn the representation of every sample into a vector."""
    return features.float().flatten(1)


def overflowing(outputs: Tensor) -> Tensor:
    """Return the indices of rows with NaN or infinity, or with -infinity alone."""
    if math.isfinite(outputs.sum().item()):
        return outputs.new_empty(0, dtype=torch.int64)
    return (~outputs.flatten(1).amax(1).isfinite()).nonzero()[:, 0]


@torch.inference_mode()
def infer(
    module: torch.nn.Module,
    source: Source,
    finish: Callable[[Tensor], Tensor] = Tensor.float,
    name: str | None = None,
) -> np.ndarray:
    """Return the module's outputs in evaluation mode, in chunks of bounded memory.

    Parameters
    ----------
    module : Module
        In evaluation mode; not changed, so several threads may call at once.
    source : Source
        Samples.
    finish : callable
        Applied to the outputs of each chunk.
    name : str, default=None
        What a bar says that this is, where a fit shows bars; None for no bar.

    Returns
    -------
    ndarray of shape (n_samples, ...)
        The outputs, the same for a sample whatever the samples beside it.

    Raises
    ------
    ValueError
        If a sample, or the network's output for it, is not finite.
    """
    with on_host():
        return infer_chunks(module, source, finish, name)


def chunks(source: Source, device: str) -> Iterator[slice]:
    """Yield slices of the samples that are worked on at a time."""
    n_values = max(math.prod(source.shape[1:]), 64)
    chunk = max(CHUNK_VALUES.get(device, 2**20) // n_values, CHUNK_ROWS)
    for start in range(0, len(source), chunk):
        yield slice(start, start + chunk)


def group_means(
    source: Source, groups: np.ndarray, weight: np.ndarray | None, n_groups: int
) -> np.ndarray:
    """Return the weighted means of groups of rows, read in slices.

    Parameters
    ----------
    source : Source
        Samples of one axis.
    groups : ndarray of shape (n_samples,), int64
        Group of each.
    weight : ndarray of shape (n_samples,) or None
        Their weights.
    n_groups : int
        Number of groups.

    Returns
    -------
    ndarray of shape (n_groups, n_features), float64
        The means; NaN for a group without weight.
    """
    sums = np.zeros((n_groups, source.shape[1]))
    with on_host():
        for rows in chunks(source, source.device.type):
            own = groups[rows]
            n = len(own)
            entries = np.ones(n) if weight is None else weight[rows]
            member = sp.csc_matrix((entries, own, np.arange(n + 1)), (n_groups, n))
            sums += member @ source[rows].cpu().double().numpy()
    with np.errstate(invalid="ignore"):
        return sums / np.bincount(groups, weight, n_groups)[:, None]


def infer_chunks(
    module: torch.nn.Module,
    source: Source,
    finish: Callable[[Tensor], Tensor],
    name: str | None,
) -> np.ndarray:
    """Return the outputs, as `infer` does."""
    parts = list(chunks(source, source.device.type))
    if len(parts) == 1 and name is None:
        return finish(checked_outputs(module, source, parts[0])).cpu().numpy()
    result = torch.empty(0)
    for rows in parts if name is None else progress(parts, name):
        outputs = finish(checked_outputs(module, source, rows)).cpu()
        if rows.start == 0:
            result = outputs.new_empty((len(source), *outputs.shape[1:]))
        result[rows] = outputs
    return result.numpy()


def checked_outputs(module: torch.nn.Module, source: Source, rows: slice) -> Tensor:
    """Return the outputs for a chunk of samples, if it and they are finite."""
    X = source[rows]
    if source.resident:
        check_finite(X, rows)
    outputs = module(pad(X))[: len(X)]
    bad = overflowing(outputs)
    if len(bad):
        raise ValueError(
            f"X has values too large for the network: its output for sample "
            f"{rows.start + int(bad[0])} is not finite."
        )
    return outputs
