"""Whether the answer to a case is right, and which cases there are."""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import pickle
import random
import re
import signal
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.exceptions import NotFittedError

from .targets import TARGETS, WORDS, Target
from .values import KINDS, N_SAMPLES

SECONDS = 5.0
"""What takes longer hangs: a good call takes a hundredth of that."""

FORBIDDEN = (RuntimeWarning, DeprecationWarning, FutureWarning)
"""Warnings that say that something inside went wrong."""

INNER = re.compile("distinct clusters|non-writable|not writable|discards the imaginary")
"""Warnings of the libraries beneath about what the user has never heard of."""


class Hang(BaseException):
    """A case takes too long."""


class Fault(NamedTuple):
    """What is wrong with an answer.

    Attributes
    ----------
    kind : str
        An unwanted type of error or warning, or what else is wrong.
    place : str
        Where in the package it comes from, if that is known.
    text : str
        The message.
    """

    kind: str
    place: str
    text: str


@dataclass(frozen=True)
class Case:
    """A target and what takes the place of which of its good arguments."""

    target: Target
    bad: dict[str, str]

    def __str__(self) -> str:
        spoilt = ",".join(f"{name}={value}" for name, value in self.bad.items())
        return f"{self.target.name}({spoilt})"

    def kwargs(self) -> dict[str, Any]:
        """Return the arguments, made anew."""
        kwargs = copy.deepcopy(self.target.good)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, value in self.bad.items():
                make = KINDS[self.target.kinds[name]][value]
                kwargs[name] = make(stand_in(kwargs.get(name), name))
        return kwargs


def stand_in(good: Any, name: str) -> Any:
    """Return what a bad array is made from; something that fits where None is good."""
    if good is None or isinstance(good, str):
        return STAND_INS.get(name, np.ones(N_SAMPLES))
    return good.numpy() if isinstance(good, torch.Tensor) else good


STAND_INS = {
    "weight": np.array([0.5, 1.0, 2.0]),
    "cluster_prior": np.array([0.2, 0.3, 0.5]),
    "class_prior": np.array([0.2, 0.3, 0.5]),
    "init": np.arange(N_SAMPLES) % 3,
}


# The judgement.


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Hang in the block after some time, where the system can."""

    def alarm(*args: Any) -> None:
        raise Hang(f"takes longer than {seconds} seconds")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # again, if it gets lost
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def global_state() -> dict[str, Any]:
    """Return what a call must leave alone."""
    return {
        "random": random.getstate(),
        "numpy.random": pickle.dumps(np.random.get_state()),
        "torch.random": torch.get_rng_state().numpy().tobytes(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "numpy's error state": np.geterr(),
    }


def state(subject: Any) -> dict[str, Any]:
    """Return the parameters of an estimator, by identity, and what it has learnt."""
    if subject is None:
        return {}
    params = subject.get_params(deep=False)
    return {
        name: id(value) if name in params else pickle.dumps(value)
        for name, value in vars(subject).items()
    }


def changed(before: dict, after: dict) -> list[str]:
    """Return the names of what differs."""
    names = before.keys() | after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))


def names_parameter(message: str, case: Case) -> bool:
    """Return whether a message says which argument is wrong."""
    words = [word for name in case.bad for word in (name, *WORDS.get(name, ()))]
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", message) for word in words)


def judge_error(error: BaseException, case: Case, trains: bool) -> Fault | None:
    """Return what is wrong with an error, if anything is."""
    allowed = (ValueError, TypeError, *([FloatingPointError] if trains else []))
    if not isinstance(error, allowed):
        return fault_of(error)
    if isinstance(error, (FloatingPointError, NotFittedError)):
        return None
    if names_parameter(str(error), case):
        return None
    return fault_of(error, "unnamed ")


def fault_of(error: BaseException, before: str = "") -> Fault:
    """Return an error as a fault, with the last place in the package on its way."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if "sklearn_cce" in f.filename] or frames
    place = f"{Path(inside[-1].filename).name}:{inside[-1].name}"
    return Fault(before + type(error).__name__, place, first_line(error))


def first_line(message: object) -> str:
    lines = str(message).strip().splitlines() or [""]
    return lines[0][:160]


def judge_warnings(caught: list[warnings.WarningMessage]) -> Fault | None:
    """Return a warning that no user should see, if there is one."""
    for warning in caught:
        message = str(warning.message)
        if issubclass(warning.category, FORBIDDEN) or INNER.search(message):
            place = f"{Path(warning.filename).name}:{warning.lineno}"
            return Fault(warning.category.__name__, place, first_line(message))
    return None


def run(case: Case, reraise: bool = False) -> Fault | None:
    """Run a case, and return what is wrong with the answer; None if it is right."""
    kwargs, subject = case.kwargs(), case.target.subject()
    before, around = state(subject), global_state()
    result, error, caught = answer(case, subject, kwargs)
    if error is not None and reraise:
        traceback.print_exception(error)
    said = error is not None and judge_error(error, case, subject is not None)
    return (
        said
        or judge_warnings(caught)
        or judge_surroundings(around)
        or judge_subject(case, subject, before | ids(kwargs, before), error)
        or judge_result(case, result, kwargs, error)
    )


@contextlib.contextmanager
def every_warning() -> Iterator[list[warnings.WarningMessage]]:
    """Catch all warnings, those too that are given once in a process."""
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield caught
    finally:
        torch.set_warn_always(False)


def answer(case: Case, subject: Any, kwargs: dict[str, Any]) -> tuple:
    """Return the result or the error of a case, and the warnings on the way."""
    with contextlib.ExitStack() as stack:
        caught = stack.enter_context(every_warning())
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        try:
            with time_limit(SECONDS):
                return case.target.call(subject, kwargs), None, caught
        except BaseException as error:
            return None, error, caught


def judge_surroundings(before: dict[str, Any]) -> Fault | None:
    """Return which global state was changed, if any was."""
    moved = changed(before, global_state())
    return Fault("global state changed", "", ", ".join(moved)) if moved else None


def ids(kwargs: dict[str, Any], params: dict[str, Any]) -> dict[str, int]:
    """Return the identities of the arguments that are parameters of the subject."""
    return {name: id(value) for name, value in kwargs.items() if name in params}


def judge_subject(
    case: Case, subject: Any, before: dict[str, Any], error: BaseException | None
) -> Fault | None:
    """Return what an error, or a method that only reads, has changed."""
    if error is None and not case.target.reads:
        return None
    moved = changed(before, state(subject))
    return Fault("estimator changed", "", ", ".join(moved)) if moved else None


def judge_result(
    case: Case, result: Any, kwargs: dict[str, Any], error: BaseException | None
) -> Fault | None:
    """Return what is wrong with a result, if anything is."""
    if error is not None:
        return None
    senseless = [name for name in case.bad if must_refuse(case, name)]
    if senseless:
        return Fault("accepted", "", f"{', '.join(senseless)} without a meaning")
    try:
        with warnings.catch_warnings(), time_limit(SECONDS):
            warnings.simplefilter("ignore")
            case.target.check(result, kwargs)
    except AssertionError as breach:
        return Fault("breach", "", first_line(breach))
    except BaseException as error:
        return fault_of(error, "result of no use, ")
    return None


REFUSED = {
    "X": (
        "one_nan one_inf one_minus_inf one_none one_text one_complex all_nan all_inf "
        "complex_entries words nat structured memory_map_nan tensor_nan tensor_inf "
        "tensor_complex64 dataset_nan dataset_complex dataset_none dataset_text"
    ).split(),
    "sample_weight": (
        "one_nan one_inf one_minus_inf one_negative one_none one_text one_complex "
        "all_nan all_inf all_zero all_minus_one complex_entries words nat "
        "memory_map_nan tensor_nan tensor_complex64 nan inf text"
    ).split(),
    "y": ["one_inf", "one_complex", "complex_entries"],
}
"""What has no meaning, so that a result of any kind is wrong."""

REFUSED_ALONE = {
    "sample_weight": ["row_less", "row_more", "no_rows"],
    "y": ["row_less", "row_more"],
}
"""What has none beside good arguments."""


def must_refuse(case: Case, name: str) -> bool:
    """Return whether a bad value can have no meaning for a parameter."""
    value, alone = case.bad[name], len(case.bad) == 1
    return value in REFUSED.get(name, ()) or (
        alone and value in REFUSED_ALONE.get(name, ())
    )


# The cases.


def values_of(target: Target, name: str) -> list[str]:
    """Return the names of what is put in the place of an argument."""
    kind = KINDS[target.kinds[name]]
    return [value for value in kind if value not in target.left_out]


def single_cases(target: Target) -> list[Case]:
    """Return all cases with one bad argument."""
    return [
        Case(target, {name: value})
        for name in target.kinds
        for value in values_of(target, name)
    ]


def pair_cases(target: Target, n_cases: int) -> list[Case]:
    """Return some cases with two bad arguments, always the same ones."""
    rng = random.Random(target.name)
    pairs = list(itertools.combinations(target.kinds, 2))
    return [
        Case(target, {name: rng.choice(values_of(target, name)) for name in pair})
        for pair in (rng.choice(pairs) for _ in range(n_cases if pairs else 0))
    ]


def find_case(text: str) -> Case:
    """Return the case of an id."""
    name, _, bad = text.rpartition("(")
    entries = (entry.split("=") for entry in bad.rstrip(")").split(","))
    return Case(TARGETS[name], {name: value for name, value in entries})
