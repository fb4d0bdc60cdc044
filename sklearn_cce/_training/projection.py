"""Samples as the first trained layer sees them, projected once for all steps."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from sklearn_cce._training.batches import Samples
from sklearn_cce._training.inference import infer
from sklearn_cce._training.sources import TensorSource
from sklearn_cce.modules import MLP, Linear, PrincipalComponents

MOST_VALUES = 2**28
"""Projected samples are held for so many values, 1 GiB."""


def projected(module: nn.Module, samples: Samples) -> tuple[Samples, nn.Module]:
    """Return the samples before the first trained layer, and the layers from there on.

    Parameters
    ----------
    module : Module
        The network.
    samples : Samples
        What it is trained on.

    Returns
    -------
    samples : Samples
        Their principal components, if the network begins with these, no view changes
        the samples and there is room for them; else the same as before.
    body : Module
        The layers that are left, sharing their parameters with the network, or all.
    """
    if type(module) not in (MLP, Linear) or samples.transforms:
        return samples, module
    flatten, scaling, *body = module.children()
    fits = isinstance(scaling, PrincipalComponents) and (
        len(samples) * scaling.axes.shape[1] <= MOST_VALUES
    )
    if not fits:
        return samples, module
    head = nn.Sequential(flatten, scaling).eval()
    Z = infer(head, samples.source, name="projection")
    X = torch.from_numpy(Z).to(samples.source.device)
    return replace(samples, source=TensorSource(X)), nn.Sequential(*body)
