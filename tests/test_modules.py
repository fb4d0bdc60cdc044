"""Networks: what they return, and where their last layer is."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_cce.modules import MLP, MODULES, VGG4, Linear, Scaling, without_head


class Nested(nn.Module):
    """A head inside a submodule."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
        self.top = nn.Sequential(nn.Dropout(0.5), nn.Linear(5, 3))

    def forward(self, x):
        return self.top(self.body(x))


@pytest.mark.parametrize("name", ["linear", "mlp", "vgg4"])
def test_one_logit_per_output(name):
    module = MODULES[name]((2, 8, 9), 5).eval()
    assert module(torch.zeros(3, 2, 8, 9)).shape == (3, 5)


@pytest.mark.parametrize("make", [Linear, MLP])
def test_tables_and_images_of_as_many_values_have_as_many_parameters(make):
    def count(in_shape):
        return sum(p.numel() for p in make(in_shape, 3).parameters())

    assert count(24) == count((2, 3, 4))


def test_mlp_has_the_widths_it_is_given():
    layers = [m for m in MLP(4, 3, hidden=(7, 6)) if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in layers] == [(4, 7), (7, 6), (6, 3)]


def test_vgg4_has_four_convolutions():
    layers = [m for m in VGG4((1, 8, 8), 2) if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in layers] == [64, 128, 256, 512]


@pytest.mark.parametrize("in_shape", [64, (8, 8), (1, 7, 8), (1, 1, 8, 8)])
def test_vgg4_refuses_what_is_no_image(in_shape):
    with pytest.raises(ValueError, match=r"channels, height, width.*in_shape"):
        VGG4(in_shape, 2)


def test_scaling_gives_mean_zero_and_mean_variance_one():
    X = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    X = X * torch.tensor([1.0, 10.0, 3.0]) + 50
    scaled = Scaling(3).fit(X)(X)
    assert scaled.mean(0) == pytest.approx([0, 0, 0], abs=1e-4)
    assert scaled.var(0, correction=0).mean() == pytest.approx(1, rel=1e-4)


def test_scaling_keeps_the_proportions_of_the_features():
    X = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    X = X * torch.tensor([1.0, 10.0, 3.0])
    ratio = Scaling(3).fit(X)(X).std(0) / X.std(0)
    assert ratio == pytest.approx(ratio[0].expand(3), rel=1e-4)


def test_scaling_with_weight_two_equals_a_repeated_sample():
    X = torch.tensor([[0.0, 1.0], [3.0, 5.0], [4.0, -2.0]])
    weighted = Scaling(2).fit(X, torch.tensor([2.0, 1.0, 1.0]))
    repeated = Scaling(2).fit(X[[0, 0, 1, 2]])
    assert weighted.shift == pytest.approx(repeated.shift)
    assert weighted.gain == pytest.approx(repeated.gain)


def test_scaling_of_constant_features_is_finite():
    X = torch.full((5, 3), 7.0)
    assert torch.equal(Scaling(3).fit(X)(X), torch.zeros(5, 3))


def test_scaling_is_no_parameter_but_is_saved():
    scaling = Scaling(2).fit(torch.tensor([[1.0, 2.0], [5.0, 3.0]]))
    other = Scaling(2)
    other.load_state_dict(scaling.state_dict())
    assert not list(scaling.parameters())
    assert torch.equal(other.shift, scaling.shift)


@pytest.mark.parametrize(
    ("module", "width"),
    [(MLP(4, 3, hidden=(6,)), 6), (Nested(), 5), (MLP(4, 3, hidden=(6, 2)), 2)],
)
def test_without_head_gives_what_the_last_layer_sees(module, width):
    module.eval()
    head = [m for m in module.modules() if isinstance(m, nn.Linear)][-1]
    body = without_head(module)
    X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert body(X).shape == (8, width)
        np.testing.assert_allclose(head(body(X)), module(X), rtol=1e-6)


def test_without_head_leaves_the_module_as_it_is():
    module = MLP(4, 3)
    without_head(module)
    assert isinstance(module.head, nn.Linear)


@pytest.mark.parametrize(
    "module", [Linear(4, 3), nn.Linear(4, 3), nn.Conv2d(1, 3, 2), nn.Identity()]
)
def test_nothing_is_left_without_the_head_of_a_linear_module(module):
    assert without_head(module) is None
