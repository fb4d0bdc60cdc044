"""The last layer of a network: what it sees, and the order of its outputs."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn

from sklearn_cce.modules import without_head


class Order(nn.Module):
    """Put the columns of the outputs into an order.

    Parameters
    ----------
    order : Tensor of shape (n_outputs,), int64
        Which column comes first, second, ...
    """

    order: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.register_buffer("order", order)

    def forward(self, x: Tensor) -> Tensor:
        """Reorder a batch."""
        return x[:, self.order]


def without_order(module: nn.Module) -> nn.Module:
    """Return the network behind which `reorder_outputs` put an `Order`, or itself."""
    return module if order_behind(module) is None else next(module.children())


def order_behind(module: nn.Module) -> Order | None:
    """Return the `Order` that `reorder_outputs` put behind a network, if it did."""
    last = module[-1] if type(module) is nn.Sequential else None
    return last if isinstance(last, Order) else None


@torch.no_grad()
def ends_in_linear(module: nn.Module, X: Tensor) -> bool:
    """Return whether `without_head` gives what the last linear layer sees.

    Parameters
    ----------
    module : Module
        The network, in evaluation mode.
    X : Tensor of shape (n, ...)
        Some samples.
    """
    body, head = without_head(module), last_linear(module)
    if body is None or head is None:
        return False
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda layer, args: seen.append(args[0]))
    try:
        module(X)
        return len(seen) == 1 and torch.equal(body(X), seen[0])
    except Exception:  # What follows the layer may take nothing but its outputs.
        return False
    finally:
        hook.remove()


@torch.no_grad()
def reorder_outputs(module: nn.Module, order: Tensor, X: Tensor) -> nn.Module:
    """Return a network with its outputs in another order and the same parameters.

    The rows of its last linear layer are moved. Where that does not move the outputs, a
    layer that does is put behind the network.

    Parameters
    ----------
    module : Module
        The network, in evaluation mode; it is changed.
    order : Tensor of shape (n_outputs,), int64
        Which output comes first, second, ...
    X : Tensor of shape (n, ...)
        Some samples, to see whether the outputs moved.

    Returns
    -------
    Module
        The same, or a sequence of it and an :class:`Order`.
    """
    placed = order_behind(module)
    if placed is not None:
        placed.order = placed.order[order]
        return module
    expected = module(X)[:, order]
    head = own_parameters(last_linear(module), module, len(order))
    before = [parameter.clone() for parameter in head]
    for parameter in head:
        parameter.copy_(parameter[order])
    rounding = 1e-5 * float(expected.abs().max())
    if torch.allclose(module(X), expected, rtol=1e-4, atol=rounding):
        return module
    for parameter, value in zip(head, before, strict=True):
        parameter.copy_(value)
    return nn.Sequential(module, Order(order)).eval()


@torch.no_grad()
def shift_outputs(module: nn.Module, shift: Tensor, X: Tensor) -> None:
    """Add a constant to every output of a network, by the bias of its last layer.

    Nothing is changed where that does not shift the outputs.

    Parameters
    ----------
    module : Module
        The network, in evaluation mode; it is changed.
    shift : Tensor of shape (n_outputs,)
        What to add.
    X : Tensor of shape (n, ...)
        Some samples, to see whether the outputs moved.
    """
    head, placed = last_linear(module), order_behind(module)
    if head is None or head.bias is None or head.bias.shape != shift.shape:
        return
    before, expected = head.bias.clone(), module(X) + shift
    head.bias.add_(shift if placed is None else shift[placed.order.argsort()])
    if not torch.allclose(module(X), expected, rtol=1e-3, atol=1e-3):
        head.bias.copy_(before)


def last_linear(module: nn.Module) -> nn.Linear | None:
    """Return the linear layer that is defined last, if there is one."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    return layers[-1] if layers else None


def own_parameters(
    layer: nn.Module | None, module: nn.Module, n_outputs: int
) -> list[nn.Parameter]:
    """Return a layer's parameters if each has a row per output and no other use."""
    own = {} if layer is None else dict(layer.named_parameters(recurse=False))
    named = module.named_parameters(remove_duplicate=False)
    uses = Counter(id(parameter) for _, parameter in named)
    good = "weight" in own and all(
        uses[id(p)] == 1 and p.shape[:1] == (n_outputs,) for p in own.values()
    )
    return list(own.values()) if good else []
