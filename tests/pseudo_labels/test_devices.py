"""Nothing but a few numbers leaves an accelerator, told without one.

A device is simulated: its tensors keep their data on the CPU, but say that they lie
elsewhere. Every operation on them is watched: arrays of the two devices must not meet,
and what goes to the host is counted.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from sklearn_cce.pseudo_labels import (
    initial_prices,
    solve_pseudo_labels,
    update_pseudo_labels,
)
from sklearn_cce.pseudo_labels._batch import UPDATES
from sklearn_cce.pseudo_labels._solve import METHODS

from .test_basics import hard_cases, softmax_rows
from .test_exact import nearly_one_hot

# Any device that torch can name without a driver.
DEVICE = torch.device("meta")
WAITS = {"aten::nonzero", "aten::_unique2", "aten::_local_scalar_dense"}


class Remote(torch.Tensor):
    """A tensor that says it lies on the device; ``data_here`` has its data."""

    @staticmethod
    def __new__(cls, here):
        return torch.Tensor._make_wrapper_subclass(
            cls, here.shape, strides=here.stride(), dtype=here.dtype, device=DEVICE
        )

    def __init__(self, here):
        self.data_here = here

    def tolist(self):
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise AssertionError(f"{function} outside of the simulation")


class SimulatedDevice(TorchDispatchMode):
    """Run operations on the device; note what waits for it and what leaves it.

    Attributes
    ----------
    waits : list of str
        Operations whose result, or its size, the host needs.
    fetched : list of int
        Entries of every tensor that went to the host.
    """

    def __init__(self):
        super().__init__()
        self.waits, self.fetched = [], []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name, kwargs = function._schema.name, dict(kwargs or {})
        tensors = [
            a for a in tree_leaves((args, kwargs)) if isinstance(a, torch.Tensor)
        ]
        there = [tensor for tensor in tensors if isinstance(tensor, Remote)]
        host = [tensor for tensor in tensors if not isinstance(tensor, Remote)]
        stays = bool(there)
        if kwargs.get("device") is not None:
            stays = kwargs["device"] == DEVICE
            kwargs["device"] = "cpu"
        if name != "aten::_to_copy":
            assert not there or all(tensor.ndim == 0 for tensor in host), name
        if there and not stays:
            self.fetched.append(there[0].numel())
        if there and (name in WAITS or name == "aten::index" and _any_mask(there)):
            self.waits.append(name)
        result = function(*tree_map(_here, args), **tree_map(_here, kwargs))
        return tree_map(lambda a: _wrapped(a, there), result) if stays else result


def _here(part):
    return part.data_here if isinstance(part, Remote) else part


def _wrapped(part, there):
    """The result on the device: the tensor that was written to, or a new one."""
    if not isinstance(part, torch.Tensor) or part.layout is not torch.strided:
        return part
    return next((old for old in there if old.data_here is part), Remote(part))


def _any_mask(tensors):
    return any(tensor.dtype is torch.bool for tensor in tensors)


ROWS = {
    "soft": softmax_rows(300, 10),
    "many classes": softmax_rows(300, 40),
    "two classes": softmax_rows(300, 2),
    "nearly one-hot": nearly_one_hot(400, 40),
    "hard": hard_cases(12, float),
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_solve_stays_on_the_device(method, rows):
    s = torch.tensor(ROWS[rows], dtype=torch.float32)
    max_iter = None if method == "exact" else 12
    options = {"fairness_weight": 3.0, "method": method, "max_iter": max_iter}
    expected = solve_pseudo_labels(s, **options)
    with SimulatedDevice() as device:
        result = solve_pseudo_labels(Remote(s), **options)
    assert isinstance(result.labels, Remote) and isinstance(result.prices, Remote)
    assert result.objective == pytest.approx(expected.objective, rel=1e-3)
    torch.testing.assert_close(
        result.labels.data_here.sum(1), torch.ones(len(s)), atol=1e-5, rtol=0
    )
    assert max(device.fetched, default=0) <= 4


def test_weights_priors_and_starts_lie_there_too():
    s, weight = torch.tensor(softmax_rows(200, 5)), torch.linspace(0, 1, 200)
    prior = torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1])
    expected = solve_pseudo_labels(s, prior=prior, sample_weight=weight)
    with SimulatedDevice() as device:
        options = {"prior": Remote(prior), "sample_weight": Remote(weight)}
        first = solve_pseudo_labels(Remote(s), init=Remote(s), **options)
        again = solve_pseudo_labels(Remote(s), init=first.prices, **options)
    for found in (first, again):
        assert found.objective == pytest.approx(expected.objective, rel=1e-3)
    assert max(device.fetched, default=0) <= 4


@pytest.mark.parametrize("rows", ROWS)
def test_sparse_labels_stay_on_the_device(rows):
    s = torch.tensor(ROWS[rows])
    expected = solve_pseudo_labels(s, fairness_weight=3.0, sparse_output=True)
    with SimulatedDevice() as device:
        result = solve_pseudo_labels(Remote(s), fairness_weight=3.0, sparse_output=True)
    torch.testing.assert_close(
        result.labels.to_dense().sum(0), expected.labels.to_dense().sum(0)
    )
    assert max(device.fetched, default=0) <= 4


@pytest.mark.parametrize("method", UPDATES)
def test_an_update_fetches_nothing_and_never_waits(method):
    s, prior = torch.tensor(softmax_rows(300, 10)), torch.full((10,), 0.1).double()
    prices = initial_prices(prior, fairness_weight=10.0)
    options = {"fairness_weight": 10.0, "method": method}
    expected, _ = update_pseudo_labels(s, prices, prior=prior, **options)
    with SimulatedDevice() as device:
        labels, moved = update_pseudo_labels(
            Remote(s), Remote(prices), prior=Remote(prior), **options
        )
    torch.testing.assert_close(labels.data_here, expected)
    assert isinstance(moved, Remote)
    assert device.fetched == [] and device.waits == []


def test_the_simulation_sees_what_it_should():
    s = torch.rand(6, 3)
    with SimulatedDevice() as device:
        with pytest.raises(AssertionError):
            Remote(s) + torch.rand(6, 3)
        Remote(s).cpu()
        float(Remote(s).sum())
        Remote(s)[Remote(s[:, 0] > 2)]
    assert device.fetched[0] == 18
    assert {"aten::_local_scalar_dense", "aten::index"} <= set(device.waits)
