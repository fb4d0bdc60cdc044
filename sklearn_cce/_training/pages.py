"""The pages of a memory-mapped file, and when they are given back."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

RELEASE_BYTES = 2**27
"""Pages of a file are given back after so many bytes were read in one stretch."""


def memory_map(X: Any) -> np.memmap | None:
    """Return the memory map that an array is a view of, if it is one."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap) and isinstance(X.base, mmap.mmap):
            return X
        X = X.base
    return None


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
        mapped: Any = file.base  # an mmap, which the types of NumPy do not know of
        mapped.madvise(mmap.MADV_DONTNEED)
