"""What makes further views of one sample: neighbours, noise, image augmentation.

A view is a :class:`Neighbors`, or anything that can be called with a batch of samples,
a tensor, and returns another tensor of the same shape.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from torch import Tensor

from ._neighbors import PRECOMPUTED, Neighbors
from ._transforms import (
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
)

__all__ = [
    "ColorJitter",
    "GaussianBlur",
    "GaussianNoise",
    "Neighbors",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
]

View = Neighbors | Callable[[Tensor], Tensor]

VIEWS: dict[str, Callable[[], View]] = {
    "neighbors": Neighbors,
    "noise": GaussianNoise,
    PRECOMPUTED: functools.partial(Neighbors, graph=PRECOMPUTED),
}


def takes_graph(views: Any) -> bool:
    """Return whether a parameter, or an entry of it, says that X is a graph."""
    entries = views if isinstance(views, (list, tuple)) else [views]
    graphs = (v.graph if isinstance(v, Neighbors) else v for v in entries)
    return any(isinstance(graph, str) and graph == PRECOMPUTED for graph in graphs)


def make_view(view: Any) -> View:
    """Return the view that an entry of a parameter means."""
    if isinstance(view, str) and view in VIEWS:
        return VIEWS[view]()
    if sp.issparse(view) or isinstance(view, np.ndarray):
        return Neighbors(graph=view)
    if isinstance(view, Neighbors) or callable(view):
        return view
    raise ValueError(
        f"views must be one of {sorted(VIEWS)}, a Neighbors, a graph as a matrix, a "
        "callable on a batch of samples, a list of these, 'auto' or None; got "
        f"{view!r}."
    )


def make_views(views: Any, n_axes: int) -> list[View]:
    """Return the further views that a parameter means.

    Parameters
    ----------
    views : str, Neighbors, sparse matrix, callable, list of these, or None
        What the user said. 'auto' means neighbours, and for images small shifts,
        rotations and changes of size as well.
    n_axes : int
        Number of axes of a sample.

    Returns
    -------
    list
        Neighbors and callables.

    Raises
    ------
    ValueError
        If an entry is none of these.
    """
    if views is None:
        return []
    if isinstance(views, str) and views == "auto":
        return [Neighbors(), RandomAffine()] if n_axes == 3 else [Neighbors()]
    entries = views if isinstance(views, (list, tuple)) else [views]
    return [make_view(entry) for entry in entries]
