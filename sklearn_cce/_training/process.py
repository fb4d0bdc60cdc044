"""What belongs to the whole process, and so to one thread at a time.

Random states, limits of threads and filters of warnings are shared by all threads.
What has no generator of its own draws from a state of its own here: under a lock the
state takes the place of the global one, which is put back afterwards.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from joblib import parallel_config
from sklearn.exceptions import ConvergenceWarning

Value = TypeVar("Value")

_lock = threading.RLock()

_held: ContextVar[bool] = ContextVar("held", default=False)


def _renew_lock() -> None:
    """Make a new lock: in a forked process no other thread is left to release it."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep the other threads of this package out of the block.

    Nor does it wait for others, as joblib does with what scikit-learn hands it in a
    worker of Dask: there these may be fits that wait for this lock.
    """
    with _lock, parallel_config(backend="sequential"):
        token = _held.set(True)
        try:
            yield
        finally:
            _held.reset(token)


def is_alone() -> bool:
    """Return whether this thread keeps the others out: it must not wait for them."""
    return _held.get()


_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


class _Inner(type):
    """The type of a category that holds warnings of the quiet thread alone."""

    def __subclasscheck__(cls, category: type) -> bool:
        return _quiet.get() and issubclass(
            category, (ConvergenceWarning, RuntimeWarning)
        )


class InnerWarning(Warning, metaclass=_Inner):
    """What scikit-learn says to the start, not to the user."""


SILENT = ("ignore", None, InnerWarning, None, 0)
"""A filter that can do no harm where another thread copies the list of filters."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Run scikit-learn's k-means: in one thread at a time, and without its warnings.

    Its limits of threads hold for the whole process. So does ``catch_warnings``, which
    would keep the warnings of other threads back; therefore a filter of its own.
    """
    with alone(), np.errstate(all="ignore"):
        token = _quiet.set(True)
        filters: Any = warnings.filters  # a list, though its type says less
        filters.insert(0, SILENT)
        try:
            yield
        finally:
            _quiet.reset(token)
            with contextlib.suppress(ValueError):
                filters.remove(SILENT)


@dataclass(frozen=True)
class GlobalState:
    """A random state that the whole process shares.

    Attributes
    ----------
    get, set : callable
        Read and write it.
    new : callable
        Make the state of a seed, without touching the global one.
    """

    get: Callable[[], Any]
    set: Callable[[Any], object]
    new: Callable[[int], Any]


OTHERS = (
    GlobalState(
        np.random.get_state,
        np.random.set_state,
        lambda seed: np.random.RandomState(seed % 2**32).get_state(),
    ),
    GlobalState(
        random.getstate, random.setstate, lambda seed: random.Random(seed).getstate()
    ),
)
"""Those of NumPy and Python, which take a tenth of a millisecond to read and write."""


def torch_state(device: torch.device) -> GlobalState:
    """Return the state of torch's default generator of a device, CPU or CUDA."""

    def new(seed: int) -> torch.Tensor:
        return torch.Generator(device).manual_seed(seed).get_state()

    if device.type != "cuda":
        default = torch.default_generator
        return GlobalState(default.get_state, default.set_state, new)
    return GlobalState(
        lambda: torch.cuda.get_rng_state(device),
        lambda state: torch.cuda.set_rng_state(state, device),
        new,
    )


def seed_of(*numbers: int) -> int:
    """Return the one seed that several numbers stand for.

    Parameters
    ----------
    *numbers : int
        Not negative, such as the seed of a fit, the number of an epoch and a rank.

    Returns
    -------
    int
        From 0 to ``2**63 - 1``; others for other numbers, as good as surely.
    """
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


class _Exchange:
    """States of one's own that take the places of global ones."""

    def __init__(self, places: tuple[GlobalState, ...], seed: int) -> None:
        self.places = places
        self.active = False
        self.renew(seed)

    def renew(self, seed: int) -> None:
        with alone():
            self.own = [place.new(seed) for place in self.places]
            if self.active:
                self.put(self.own)

    @contextlib.contextmanager
    def drawn(self) -> Iterator[None]:
        with alone():
            if self.active:
                yield
                return
            before = [place.get() for place in self.places]
            try:
                self.active = True
                self.put(self.own)
                yield
            finally:
                self.own = [place.get() for place in self.places]
                self.put(before)
                self.active = False

    def put(self, states: list) -> None:
        for place, state in zip(self.places, states, strict=True):
            place.set(state)


class Stream:
    """Random numbers of one's own for code that draws from the global generators.

    Parameters
    ----------
    seed : int
        Determines the numbers.
    device : torch.device
        The global generators are torch's on the CPU and on this device, NumPy's and
        Python's.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        devices = {"cpu": torch.device("cpu")}
        if device.type == "cuda":
            devices["cuda"] = device
        self._torch = _Exchange(tuple(map(torch_state, devices.values())), seed)
        self._others = _Exchange(OTHERS, seed)

    def renew(self, seed: int) -> None:
        """Begin anew with another seed, also inside of a block that draws."""
        self._torch.renew(seed)
        self._others.renew(seed)

    @contextlib.contextmanager
    def drawn(self, *, only_torch: bool = False) -> Iterator[None]:
        """Let the block draw from this, while other threads wait."""
        others = contextlib.nullcontext() if only_torch else self._others.drawn()
        with self._torch.drawn(), others:
            yield


_stream: ContextVar[Stream | None] = ContextVar("stream", default=None)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Begin a stream, which `drawing` inside the block goes on with."""
    token = _stream.set(Stream(seed, device))
    try:
        yield
    finally:
        _stream.reset(token)


def drawing(*, only_torch: bool = False) -> contextlib.AbstractContextManager:
    """Let a block draw from the stream of the fit around it, if there is one."""
    stream = _stream.get()
    if stream is None:
        return contextlib.nullcontext()
    return stream.drawn(only_torch=only_torch)


def renew_drawing(seed: int) -> None:
    """Begin the stream of the fit around this anew, if there is one."""
    stream = _stream.get()
    if stream is not None:
        stream.renew(seed)


class once(Generic[Value]):  # noqa: N801
    """A property that is computed when it is first read.

    Unlike :class:`functools.cached_property` of Python 3.11 it holds no lock for all
    instances, for which a thread would wait that keeps the others out.

    Parameters
    ----------
    compute : callable
        Computes the value of an instance.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self.compute, self.__doc__ = compute, compute.__doc__

    def __get__(self, instance: Any, owner: type) -> Value:
        """Return the value, which then takes the place of the property."""
        value = self.compute(instance)
        vars(instance)[self.compute.__name__] = value
        return value


def on_host() -> contextlib.AbstractContextManager:
    """Let new tensors lie in host memory, whatever torch's default device is."""
    if torch.get_default_device().type == "cpu":
        return contextlib.nullcontext()
    return torch.device("cpu")


@contextlib.contextmanager
def usual_settings() -> Iterator[None]:
    """Compute gradients, and put new tensors into host memory, inside the block."""
    with torch.inference_mode(False), torch.enable_grad(), on_host():
        yield
