"""Where to train and predict."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sklearn_cce._checks import refusing

AVAILABLE: dict[str, Callable[[], bool]] = {
    "cpu": lambda: True,
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
}


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device that a parameter means, or say which there are."""
    usable = [name for name, available in AVAILABLE.items() if available()]
    if device == "auto":
        return torch.device(next(d for d in ("cuda", "mps", "cpu") if d in usable))
    accepted = f"device must be 'auto' or one of {usable} on this machine"
    with refusing(f"{accepted}, with an index if wanted; got {device!r}"):
        resolved = torch.device(device)
    count = torch.cuda.device_count() if resolved.type == "cuda" else 1
    if resolved.type not in usable or (resolved.index or 0) >= count:
        raise ValueError(f"{accepted}; got {device!r}, which is not available.")
    return resolved
