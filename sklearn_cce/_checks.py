"""Whole numbers that the user gives, made Python's own."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any


def as_whole(value: Any) -> int:
    """Return a whole number as an int, or 0 for what is none, such as a truth value."""
    if isinstance(value, bool):
        return 0
    try:
        return operator.index(value)
    except TypeError:
        return 0


def whole_number(name: str, value: Any) -> int:
    """Return a parameter as an int of at least 1, or raise a ValueError that names it.

    Parameters
    ----------
    name : str
        Its name.
    value : object
        What the user gave.

    Returns
    -------
    int
        The value; the integers of NumPy, which overflow, become Python's.
    """
    number = as_whole(value)
    if number < 1:
        raise ValueError(f"{name} must be an int of at least 1; got {value!r}.")
    return number


def whole_entries(values: Any) -> tuple[int, ...] | None:
    """Return the entries of a sequence of whole numbers of at least 1 as ints.

    None is returned where it is no sequence, such as text or a set, or an entry is no
    such number.
    """
    sequence = isinstance(values, Sequence) or getattr(values, "ndim", 0) == 1
    if not sequence or isinstance(values, (str, bytes, bytearray)):
        return None
    entries = tuple(map(as_whole, values))
    return entries if all(entry >= 1 for entry in entries) else None
