"""Where an unfinished fit stands, in a folder: one file for each of its trainings.

A file is written after every epoch, by the first of several processes, under another
name that is then changed: whenever the process is killed, the file is whole. It holds
numbers, text and tensors only, so that nothing in it can run when it is read.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from sklearn_cce._training.ranks import Ranks
from sklearn_cce._training.sources import Source, read, spread_blocks
from sklearn_cce._training.storing import go_back
from sklearn_cce._version import __version__

UNWRITTEN = object()
"""What is no number, text or tensor, and not written."""


def digest(*arrays: np.ndarray) -> str:
    """Return a short text that other arrays do not have."""
    found = hashlib.blake2b(digest_size=8)
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def digest_of_module(module: nn.Module) -> str:
    """Return a short text that other weights do not have."""
    weights = module.state_dict().values()
    return digest(*(w.detach().cpu().numpy() for w in weights))


def digest_of_samples(source: Source) -> str:
    """Return a short text that other samples do not have, by blocks of them."""
    some = read(source, spread_blocks(len(source)))
    return f"{tuple(source.shape)} {digest(some.cpu().numpy())}"


def described(value: Any) -> str:
    """Return a text of a parameter that another process gives it too."""
    if isinstance(value, nn.Module):
        return f"{type(value).__name__} {digest_of_module(value)}"
    if isinstance(value, (list, tuple)) and len(value) < 100:
        return f"[{', '.join(map(described, value))}]"
    if sp.issparse(value):
        links = sp.csr_matrix(value)
        return f"sparse {digest(links.data, links.indices, links.indptr)}"
    if isinstance(value, (np.ndarray, Tensor, list, tuple)):
        return f"array {digest(np.asarray(value))}"
    if getattr(value, "graph", None) is not None:
        return f"{type(value).__name__} {described(value.graph)}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def plain(value: Any) -> Any:
    """Return a value as one that is read safely, or UNWRITTEN."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Tensor):
        return value.detach().clone()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return kept({name: plain(v) for name, v in value.items()})
    if isinstance(value, (list, tuple)):
        values = [plain(v) for v in value]
        return UNWRITTEN if any(v is UNWRITTEN for v in values) else values
    return UNWRITTEN


def kept(values: dict) -> dict:
    """Return the entries that can be written."""
    return {name: v for name, v in values.items() if v is not UNWRITTEN}


LEFT_OUT = (
    "callbacks",
    "checkpoint",
    "device",
    "distributed",
    "memory",
    "on_interrupt",
    "random_state",
    "verbose",
    "warm_start",
)
"""Parameters that a fit may go on with other values of."""


def facts_of_fit(params: dict[str, Any], **given: Any) -> dict[str, str]:
    """Return texts of what the result of a fit depends on, by name.

    Parameters
    ----------
    params : dict
        Parameters of the estimator.
    **given : object
        What else there is.
    """
    facts = {name: v for name, v in params.items() if name not in LEFT_OUT} | given
    facts |= {"version": __version__, "torch": torch.__version__}
    return {name: described(value) for name, value in facts.items()}


def state_of_callback(callback: Callback) -> dict[str, Any]:
    """Return what a callback has learnt: what ends in an underscore, as skorch has it.

    What has a state of its own, such as a scheduler of torch, is written by that.
    """
    state = {}
    for name, value in vars(callback).items():
        if name.endswith("_") and not isinstance(value, type):
            own = getattr(value, "state_dict", None)
            state[name] = plain(value if own is None else own())
    return kept(state)


def restore_callback(callback: Callback, state: dict[str, Any]) -> None:
    """Give a callback back what it had learnt."""
    for name, value in state.items():
        load = getattr(getattr(callback, name, None), "load_state_dict", None)
        if load is not None:
            load(value)
        else:
            setattr(callback, name, value)


class Saving(Callback):
    """Write after every epoch where a training stands, and go on from there.

    Parameters
    ----------
    folder : CheckpointFolder
        Where.
    number : int
        Number of the training in its fit.
    state : dict or None
        Where it stood, if it had begun.
    """

    def __init__(
        self, folder: CheckpointFolder, number: int, state: dict[str, Any] | None
    ) -> None:
        self.folder, self.number, self.state = folder, number, state

    @property
    def converged(self) -> bool | None:
        """Whether the training converged; None if it had not ended."""
        return None if self.state is None else self.state["converged"]

    def restore(self, net: NeuralNet) -> None:
        """Let a net be as it was; `on_train_begin` sets the rest."""
        self.n_before, state = len(net.history), self.state
        if state is None:
            return
        net.module_.load_state_dict(state["module"])
        go_back(net, state["prices"], state["optimizer"], state["history"])
        net.n_used_, net.interrupted_ = state["n_used"], False
        self.n_before = state["n_before"]
        if self.converged is not None:  # no training begins, which would do this
            self.restore_callbacks(net)

    def n_done(self, net: NeuralNet) -> int:
        """Return how many epochs of the training were made."""
        return len(net.history) - self.n_before

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Set what the beginning of a training has set anew."""
        if self.state is None:
            return
        net.clusters_ = self.state["clusters"].to(net.device)
        net.n_used_, net.best_loss_ = self.state["n_used"], self.state["best_loss"]
        self.restore_callbacks(net)

    def restore_callbacks(self, net: NeuralNet) -> None:
        """Give all callbacks back what they had learnt."""
        states = self.state["callbacks"] if self.state is not None else {}
        for name, callback in net.callbacks_:
            restore_callback(callback, states.get(name, {}))

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Write where the net stands, unless the training ends here."""
        if not net.stopped_:
            self.write(net, None)

    def write(self, net: NeuralNet, converged: bool | None) -> None:
        """Write all that the training needs to go on, or to have ended.

        Parameters
        ----------
        net : CollisionNet
            The net.
        converged : bool or None
            Whether the training converged; None if it has not ended.
        """
        state = {
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "prices": net.prices_,
            "n_used": net.n_used_,
            "best_loss": getattr(net, "best_loss_", None),
            "clusters": getattr(net, "clusters_", None),
            "n_before": self.n_before,
            "history": [plain(row) for row in net.history.to_list()],
            "callbacks": {name: state_of_callback(c) for name, c in net.callbacks_},
            "converged": converged,
        }
        self.folder.write(self.number, state)


class CheckpointFolder:
    """The files of an unfinished fit.

    Parameters
    ----------
    path : str or path
        The folder; it is made where there is none.
    ranks : Ranks
        The processes of the fit, of which the first reads and writes.

    Raises
    ------
    ValueError
        If there cannot be such a folder, or a file in it cannot be read.
    """

    def __init__(self, path: str | os.PathLike, ranks: Ranks) -> None:
        self.path, self.ranks = Path(path), ranks
        self.n_trainings = 0
        self.facts: dict[str, str] = {}
        self.states: list[dict[str, Any]] = ranks.first(self._read)

    @property
    def starts(self) -> Path:
        """Where graphs and starts are kept meanwhile."""
        return self.path / "starts"

    def _file(self, number: int) -> Path:
        return self.path / f"training-{number}.pt"

    def _read(self) -> list[dict[str, Any]]:
        """Return what the files hold, in the order of the trainings."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"checkpoint must be a folder, or a path where one can be made; {error}"
            ) from error
        states: list[dict[str, Any]] = []
        while (file := self._file(len(states))).exists():
            try:
                state = torch.load(file, map_location="cpu", weights_only=True)
            except Exception as error:
                raise ValueError(
                    f"checkpoint has a file that is no unfinished fit, {file}; {error}"
                ) from error
            states.append(state)
        return states

    @property
    def seed(self) -> int | None:
        """Seed of the unfinished fit, if there is one."""
        return self.states[0]["seed"] if self.states else None

    def begin(self, facts: dict[str, str], seed: int) -> None:
        """Say what fit this is, or raise a ValueError if the files are of another.

        Parameters
        ----------
        facts : dict
            Texts of all that its result depends on, by name.
        seed : int
            Its seed.
        """
        self.facts, self.fit_seed = facts, seed
        if not self.states:
            return
        there = self.states[0]["facts"]
        differ = [
            f"{name} ({there.get(name, 'none')}, now {facts.get(name, 'none')})"
            for name in sorted({*there, *facts})
            if there.get(name) != facts.get(name)
        ]
        if differ:
            raise ValueError(
                f"checkpoint={str(self.path)!r} holds an unfinished fit with other "
                f"{', '.join(differ)}. Go on with that, or choose another folder, or "
                "empty it."
            )

    def next_training(self) -> Saving:
        """Return what saves the training that begins, and knows where it stood."""
        number = self.n_trainings
        self.n_trainings += 1
        state = self.states[number] if number < len(self.states) else None
        return Saving(self, number, state)

    def write(self, number: int, state: dict[str, Any]) -> None:
        """Write where a training stands."""
        if self.ranks.rank:
            return
        state = state | {"facts": self.facts, "seed": self.fit_seed}
        file = self._file(number)
        unfinished = file.with_suffix(".unfinished")
        with unfinished.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(file)

    def clear(self) -> None:
        """Remove the files: the fit has ended."""
        if self.ranks.rank:
            return
        shutil.rmtree(self.starts, ignore_errors=True)
        for number in reversed(range(self.n_trainings)):
            self._file(number).unlink(missing_ok=True)
            self._file(number).with_suffix(".unfinished").unlink(missing_ok=True)
