"""Bars that show how far a fit is, in terminals, notebooks and logs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from tqdm.auto import tqdm

Part = TypeVar("Part")

DELAY = 1.0
"""A part of a fit is shown if it takes longer, in seconds."""

IN_LOGS = 10.0
"""Seconds between two lines of a bar where lines stay; tqdm's usual is a tenth."""

_shown: ContextVar[bool] = ContextVar("shown", default=False)


@contextlib.contextmanager
def showing(shown: bool) -> Iterator[None]:
    """Let `progress` in the block show bars, or none."""
    token = _shown.set(shown)
    try:
        yield
    finally:
        _shown.reset(token)


def bar(*args: Any, **kwargs: Any) -> tqdm:
    """Return a bar of tqdm that writes seldom where its lines stay."""
    on_screen = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(*args, mininterval=0.1 if on_screen else IN_LOGS, **kwargs)


def progress(
    parts: Iterable[Part], name: str, total: int | None = None
) -> Iterable[Part]:
    """Return parts of a long work, with a bar where the fit around this shows some.

    Parameters
    ----------
    parts : iterable
        What is worked on one after the other.
    name : str
        Says what is done.
    total : int, default=None
        How many there are; None where `parts` has a length.
    """
    if not _shown.get():
        return parts
    return bar(parts, desc=name, total=total, delay=DELAY)
