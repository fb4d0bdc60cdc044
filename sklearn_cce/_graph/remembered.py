"""What was computed before, on disk: graphs, and starts with what they are made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_memory

from sklearn_cce._checks import refusing
from sklearn_cce._version import __version__

Result = TypeVar("Result")

NOWHERE = check_memory(None)
"""A memory that keeps nothing."""


def open_memory(memory: Any) -> Any:
    """Return the memory of joblib that a parameter means; its directory is made."""
    accepted = (
        "memory must be None, the path of a directory that can be written to, or an "
        f"object with the method 'cache', as joblib.Memory; got {memory!r}"
    )
    path = isinstance(memory, os.PathLike)
    with refusing(accepted, (OSError, ValueError)):
        return check_memory(os.fspath(memory) if path else memory)


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
