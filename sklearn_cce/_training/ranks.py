"""The processes that train one network together, each on its part of every batch.

They are those of the default group of torch.distributed, which the launcher of the user
has made; one process alone needs none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Value = TypeVar("Value")

NO_GROUP = (
    "distributed=True needs the processes of a launcher such as torchrun, and a call "
    "of torch.distributed.init_process_group in each of them before fit; there is no "
    "default process group."
)


@dataclass(frozen=True)
class Ranks:
    """The processes, and which of them this is.

    All methods are called by all of them, in one order.

    Attributes
    ----------
    rank : int
        Number of this process.
    size : int
        Number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def alone(self) -> bool:
        """Whether there is but one process."""
        return self.size == 1

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over the processes; the tensor may be changed."""
        if not self.alone:
            dist.all_reduce(values)
        return values

    def largest(self, values: Tensor) -> Tensor:
        """Return the largest over the processes; the tensor may be changed."""
        if not self.alone:
            dist.all_reduce(values, dist.ReduceOp.MAX)
        return values

    def part(self, index: Tensor) -> Tensor:
        """Return the part of a batch that this process works on."""
        return index if self.alone else index.tensor_split(self.size)[self.rank]

    def share(self, value: Value) -> Value:
        """Return what the first process passes."""
        if self.alone:
            return value
        box = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def first(self, make: Callable[[], Value]) -> Value:
        """Return what the first process makes; an error there is one of all."""
        if self.alone:
            return make()
        made: Value | None = None
        error: Exception | None = None
        if self.rank == 0:
            try:
                made = make()
            except Exception as raised:
                error = raised
        made, error = self.share((made, error))
        if error is not None:
            raise error
        return made  # type: ignore[return-value]

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Put what the tensors hold in the first process into those of all."""
        if self.alone:
            return
        for tensor in tensors:
            dist.broadcast(tensor.detach(), 0)

    def gather(self, value: Value) -> list[Value]:
        """Return what all processes pass, by rank."""
        if self.alone:
            return [value]
        everywhere: list[Any] = [None] * self.size
        dist.all_gather_object(everywhere, value)
        return everywhere

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Run a block in which an error of one process is one of all."""
        if self.alone:
            yield
            return
        try:
            yield
        except Exception as error:
            self.gather(repr(error))
            raise
        for rank, message in enumerate(self.gather("")):
            if message:
                raise RuntimeError(f"The process of rank {rank} failed: {message}")

    def check_equal(self, facts: dict[str, Any]) -> None:
        """Raise a ValueError unless all processes pass the same.

        Parameters
        ----------
        facts : dict
            What must be the same, by name.
        """
        everywhere = self.gather(facts)
        for name in facts:
            values = [one[name] for one in everywhere]
            if any(value != values[0] for value in values):
                raise ValueError(
                    f"With distributed=True all processes must have the same {name}; "
                    f"by rank they have {values}."
                )

    def check_parts(self, n_samples: int, batch_size: int) -> None:
        """Raise a ValueError unless every process has a part of every batch."""
        if min(n_samples, batch_size) < self.size:
            raise ValueError(
                "With distributed=True, batch_size and the number of samples must be "
                f"at least the number of processes, {self.size}; got "
                f"batch_size={batch_size} and {n_samples} samples."
            )

    def averaging(self, network: nn.Module, X: Tensor) -> nn.Module:
        """Return the network with gradients averaged over the processes.

        Parameters
        ----------
        network : Module
            The network; what it learns and its buffers become those of the first
            process, the buffers before every step.
        X : Tensor of shape (n, ...)
            Some samples, to see which parameters have a part in the outputs.
        """
        if self.alone:
            return network
        trained = [p for p in network.parameters() if p.requires_grad]
        outputs = network.eval()(X).sum()
        gradients = torch.autograd.grad(outputs, trained, allow_unused=True)
        return nn.parallel.DistributedDataParallel(
            network, find_unused_parameters=any(g is None for g in gradients)
        )


ALONE = Ranks()
"""One process, which has all of every batch."""


def comparable(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that can be compared between processes, and must be alike.

    Parameters
    ----------
    params : dict
        Parameters of an estimator.
    """
    own = ("device", "random_state", "verbose")
    return {
        name: value
        for name, value in params.items()
        if name not in own and isinstance(value, str | int | float | None)
    }


def joined(distributed: bool) -> Ranks:
    """Return the processes of the default group, or this one alone.

    Raises
    ------
    ValueError
        If there is no such group.
    """
    if not distributed:
        return ALONE
    if not (dist.is_available() and dist.is_initialized()):
        raise ValueError(NO_GROUP)
    return Ranks(dist.get_rank(), dist.get_world_size())


def flag(value: bool, device: torch.device | str) -> Tensor:
    """Return a truth as a number that can be summed, on the device."""
    return torch.tensor(float(value), device=device)
