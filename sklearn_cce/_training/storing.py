"""What a trained net is, without code: numbers, text, and names of what makes it.

skops stores this. A pickle has the whole net in its place, and runs code when read.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.history import History
from skorch.utils import get_map_location
from torch import Tensor, nn

from sklearn_cce._checks import warn
from sklearn_cce._training.heads import Order
from sklearn_cce._training.making import make_module, make_optimizer
from sklearn_cce._training.process import drawing, seeded

FACTS = (
    "batch_size",
    "compiled",
    "criterion",
    "fairness_weight",
    "lr",
    "max_epochs",
    "may_draw",
    "mixed_precision",
    "pseudo_labels",
    "rising",
    "verbose",
)
"""Parameters of a net that are plain, or names of classes."""

OPTIONS = ("criterion__order", "optimizer__weight_decay")
"""Those of what a net is made of, where they are set."""

BEHIND = "1.order"
"""Name of the weight of an order behind a network, whose own names begin with "0."."""


class Whole(dict):
    """The state of a net in a pickle or a copy.

    It is of a type of its own, so that what reads no pickles cannot pass it.
    """


def as_plain(value: Any) -> Any:
    """Return a value with arrays in place of its tensors."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, Mapping):
        return {name: as_plain(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(v) for v in value]
    return value


def as_tensors(value: Any) -> Any:
    """Return a value with tensors in place of its arrays."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, dict):
        return {name: as_tensors(v) for name, v in value.items()}
    if isinstance(value, list):
        return [as_tensors(v) for v in value]
    return value


def take_weights(net: NeuralNet, weights: Mapping[str, Tensor]) -> None:
    """Make the network of a net, with weights that it had, and all that goes with it.

    Parameters
    ----------
    net : CollisionNet
        A new net.
    weights : mapping from str to Tensor
        As the ``state_dict`` of its network had them, maybe with an `Order` behind it.

    Raises
    ------
    ValueError
        If the weights are of another network.
    """
    with seeded(0, torch.device(net.device)), drawing():
        net.initialize()
    module = net.module_.eval()
    own = {f"0.{name}" for name in module.state_dict()}
    if own | {BEHIND} == set(weights):
        order = Order(weights[BEHIND].clone()).to(net.device)
        net.module_ = module = nn.Sequential(module, order).eval()
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"weights must be those of the network that module makes; {error}"
        ) from error


def plain_state(net: NeuralNet) -> dict[str, Any]:
    """Return what a trained net is, as skops can store it.

    Parameters
    ----------
    net : CollisionNet
        A net that is not in training.

    Raises
    ------
    TypeError
        If the network was given as such and not as what makes it: its code has no name.
    """
    module, in_shape, n_outputs, dtype = net.module.args
    if isinstance(module, nn.Module):
        raise TypeError(
            "Without pickle an estimator can be stored only if its module is a name, a "
            f"class or a function that makes a network; got a {type(module).__name__}. "
            "Store the weights alone, and see load_weights."
        )
    params = vars(net)
    return {
        "module": module,
        "in_shape": in_shape if isinstance(in_shape, int) else list(in_shape),
        "n_outputs": n_outputs,
        "double": dtype == torch.float64,
        "optimizer": net.optimizer.args[0],
        "criterion__weight": as_plain(params.get("criterion__weight")),
        "device": str(net.device),
        "prior": np.asarray(net.prior),
        "facts": {name: params[name] for name in FACTS},
        "options": {name: params[name] for name in OPTIONS if name in params},
        "weights": as_plain(net.module_.state_dict()),
        "prices": as_plain(net.prices_),
        "state_of_optimizer": as_plain(net.optimizer_.state_dict()),
        "history": [dict(row) for row in net.history.to_list()],
    }


def params_of_state(state: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a net like the one that was stored.

    Nothing else than what `plain_state` writes is read.
    """
    shape = state["in_shape"]
    in_shape: int | Sequence[int] = shape if isinstance(shape, int) else tuple(shape)
    dtype = torch.float64 if state["double"] else torch.float32
    weight = as_tensors(state["criterion__weight"])
    options = {n: state["options"][n] for n in OPTIONS if n in state["options"]}
    return {
        **{name: state["facts"][name] for name in FACTS},
        **options,
        **({} if weight is None else {"criterion__weight": weight}),
        "module": functools.partial(
            make_module, state["module"], in_shape, state["n_outputs"], dtype
        ),
        "optimizer": functools.partial(make_optimizer, state["optimizer"]),
        "prior": state["prior"],
        "iterator_train__seed": 0,
        "device": usable_device(state["device"]),
    }


def usable_device(device: str) -> str:
    """Return a device of a stored net, or with a warning the CPU if there is none."""
    there = get_map_location(device)
    if torch.device(there).type == torch.device(device).type:
        return device
    warn(f"The device {device!r} is not available; the network is on {there!r}.")
    return str(there)


def restore(net: NeuralNet, state: dict[str, Any]) -> None:
    """Let a new net be what it was when it was stored."""
    take_weights(net, as_tensors(state["weights"]))
    prices, optimizer = state["prices"], state["state_of_optimizer"]
    go_back(net, as_tensors(prices), as_tensors(optimizer), state["history"])


def go_back(net: NeuralNet, prices: Tensor, optimizer: dict, history: list) -> None:
    """Let a net, whose network has its weights, be where its training stood."""
    net.prices_ = prices.to(net.device)
    net.optimizer_.load_state_dict(optimizer)
    net.history = History(history)


@dataclass(frozen=True)
class Learnt:
    """What a net had learnt at some time, and how many clusters it used."""

    weights: dict[str, torch.Tensor]
    prices: torch.Tensor
    n_used: int

    def restore(self, net: NeuralNet) -> None:
        """Let a net forget what it learnt since."""
        net.module_.load_state_dict(self.weights)
        net.prices_, net.n_used_ = self.prices, self.n_used


def kept_state(net: NeuralNet) -> Learnt:
    """Return what a net has learnt."""
    weights = {k: v.clone() for k, v in net.module_.state_dict().items()}
    return Learnt(weights, net.prices_.clone(), net.n_used_)
