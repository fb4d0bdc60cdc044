"""Errors that say which parameter is at fault, and what may be done about it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error means that the memory did not suffice."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


def memory_error(error: BaseException) -> MemoryError | torch.OutOfMemoryError:
    """Return an error that says what to do about too little memory."""
    if isinstance(error, torch.OutOfMemoryError):
        return torch.OutOfMemoryError(
            "The device has too little memory. Use a smaller batch_size or module, or "
            "pass X as a NumPy array instead of a tensor on the device."
        )
    return MemoryError(
        "There is too little memory. Use a smaller batch_size or module, or pass fewer "
        "samples in X, or X as a memory map."
    )


@contextlib.contextmanager
def blaming(accepted: str) -> Iterator[None]:
    """Turn an error of code of the user's into one that says what is accepted.

    Parameters
    ----------
    accepted : str
        The name of the parameter, and what it must be or do.

    Raises
    ------
    TypeError
        If that was the error.
    ValueError
        After any other error but lack of memory.
    """
    try:
        yield
    except Exception as error:
        if lacks_memory(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{accepted}; {type(error).__name__}: {error}") from error
