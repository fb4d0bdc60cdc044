"""What was computed before, on disk: graphs, and starts with what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_memory

from sklearn_cce._version import __version__

Result = TypeVar("Result")

NOWHERE = check_memory(None)
"""A memory that keeps nothing."""


def remembered(
    memory: Any, function: Callable[..., Result], *args: Any, ignored: tuple = ()
) -> Result:
    """Return what a function gives, from the memory if it has been called so before.

    Parameters
    ----------
    memory : joblib.Memory
        Where results are kept; nowhere, if it has no location.
    function : callable
        A function of a module, whose result depends on the arguments alone.
    *args : object
        All that the result depends on; graphs without what SciPy noted on them.
    ignored : tuple
        Further arguments, which change nothing.
    """
    call = memory.cache(called, ignore=["ignored"])
    return call(function, args, ignored, __version__)


def called(
    function: Callable[..., Result], args: tuple, ignored: tuple, version: str
) -> Result:
    """Return what a function gives; each version of this package has its own."""
    return function(*args, *ignored)


def bare(graph: sp.csr_matrix) -> sp.csr_matrix:
    """Return a graph without what SciPy noted on it, so that equal ones look equal."""
    return sp.csr_matrix((graph.data, graph.indices, graph.indptr), graph.shape)


def generator(state: Mapping[str, Any]) -> np.random.Generator:
    """Return the generator that is in a state."""
    rng = np.random.default_rng(0)
    rng.bit_generator.state = state
    return rng
