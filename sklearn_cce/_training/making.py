"""The network and the optimizer of a fit, made from what the user says."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from sklearn_cce._training.batches import Samples, rows_for_scale
from sklearn_cce._training.errors import blaming
from sklearn_cce.modules import Scaling

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": functools.partial(torch.optim.Adam, fused=True),
    "adamw": functools.partial(torch.optim.AdamW, fused=True),
    "sgd": functools.partial(torch.optim.SGD, momentum=0.9, fused=True),
}

Made = TypeVar("Made")


def make_module(
    module: nn.Module | Callable[..., nn.Module],
    in_shape: int | Sequence[int],
    n_outputs: int,
    dtype: torch.dtype,
) -> nn.Module:
    """Make a network; a given network is copied. Its numbers become float32.

    Where float32 does not hold the samples, it must begin with a layer that scales.
    """
    if isinstance(module, nn.Module):
        with blaming("module must be one that can be copied"):
            made = copy.deepcopy(module)
    else:
        accepted = (
            "module must be a torch.nn.Module or a callable that takes (in_shape, "
            f"n_outputs), here ({in_shape}, {n_outputs}), and returns one; {module!r}"
        )
        made = made_by(accepted, nn.Module, lambda: module(in_shape, n_outputs))
    if not any(p.requires_grad for p in made.parameters()):
        raise ValueError(f"module must have parameters to train; {module!r} has none.")
    if any(p.is_meta for p in made.parameters()):
        raise ValueError("module must have weights; some lie on the device 'meta'.")
    made = made.float()
    scales = any(isinstance(layer, Scaling) for layer in made.modules())
    if dtype == torch.float32 or scales:
        return made
    return nn.Sequential(Scaling(in_shape), made)


def made_by(accepted: str, kind: type[Made], make: Callable[[], Any]) -> Made:
    """Return what code of the user's makes, or say what it must be if that fails."""
    with blaming(accepted):
        made = make()
    if not isinstance(made, kind):
        raise ValueError(f"{accepted} returned {type(made).__name__}.")
    return made


def make_optimizer(
    optimizer: str | Callable[..., torch.optim.Optimizer], *args: Any, **kwargs: Any
) -> torch.optim.Optimizer:
    """Make an optimizer, and say what it must be if that fails."""
    accepted = (
        f"optimizer must be one of {sorted(OPTIMIZERS)} or a callable that takes "
        "parameters, lr and weight_decay, and returns a torch.optim.Optimizer; "
        f"{optimizer!r}"
    )
    make = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    return made_by(accepted, torch.optim.Optimizer, lambda: make(*args, **kwargs))


def check_outputs(module: nn.Module, X: torch.Tensor, n_outputs: int) -> None:
    """Raise a ValueError unless the module gives n_outputs numbers a sample."""
    accepted = ("n_samples", *X.shape[1:])
    with blaming(f"module must take a tensor of shape {accepted}"):
        outputs = module.eval()(X)
    shape = getattr(outputs, "shape", None)
    if not isinstance(outputs, torch.Tensor) or shape != (len(X), n_outputs):
        raise ValueError(
            f"module must return a tensor of shape (n_samples, {n_outputs}), one logit "
            f"per cluster or class; for {len(X)} samples it returned "
            f"{type(outputs).__name__ if shape is None else tuple(shape)}."
        )
    if not outputs.is_floating_point() or not outputs.requires_grad:
        raise ValueError(
            "module must return logits, floating-point numbers that its parameters "
            f"can be trained by; it returned {outputs.dtype} without a gradient."
        )


def fit_scaling(module: nn.Module, samples: Samples) -> None:
    """Set the scaling layers of a module from blocks of the samples."""
    layers = [layer for layer in module.modules() if isinstance(layer, Scaling)]
    if not layers:
        return
    X, weight = rows_for_scale(samples)
    for layer in layers:
        layer.fit(X, weight)
