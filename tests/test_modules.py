"""Networks: what they return, and where their last layer is."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_cce.modules import (
    MLP,
    MODULES,
    VGG4,
    Linear,
    PrincipalComponents,
    Scaling,
    without_head,
)

NO_COUNTS = [0, -1, True, np.True_, 2.0, np.float32(2), math.nan, "2", b"2", 1j, {2}]
GOOD = {
    Linear: {"in_shape": 4, "n_outputs": 3},
    MLP: {"in_shape": 4, "n_outputs": 3},
    VGG4: {"in_shape": (1, 8, 8), "n_outputs": 3},
    Scaling: {"in_shape": 4},
    PrincipalComponents: {"n_features": 4, "n_components": 2},
}
COUNTS = [
    *((make, "n_outputs") for make in (Linear, MLP, VGG4)),
    *((make, "n_components") for make in (Linear, MLP, PrincipalComponents)),
    (PrincipalComponents, "n_features"),
]
FIT = [Scaling(3), PrincipalComponents(3, 2)]


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


@pytest.mark.parametrize(("make", "name"), COUNTS)
@pytest.mark.parametrize("value", [*NO_COUNTS, (2, 2), np.timedelta64(2, "D")])
def test_what_is_no_count_is_named(make, name, value):
    with pytest.raises(ValueError, match=f"^{name} must be an int of at least 1; got"):
        make(**GOOD[make] | {name: value})


@pytest.mark.parametrize("make", [Linear, MLP, Scaling])
@pytest.mark.parametrize(
    "value", [*NO_COUNTS, None, (), "", (2, 0), (2, True), {2: 1}, iter((2, 2))]
)
def test_what_is_no_shape_is_named(make, value):
    with pytest.raises(ValueError, match=r"^in_shape must be an int.*or a seq.*; got"):
        make(**GOOD[make] | {"in_shape": value})


@pytest.mark.parametrize("value", [None, "wide", (1, 8), (1.0, 8, 8), (0, 8, 8), {8}])
def test_vgg4_names_what_is_no_shape(value):
    with pytest.raises(ValueError, match=r"channels, height, width.*got in_shape="):
        VGG4(value, 3)


@pytest.mark.parametrize(
    "value", [*NO_COUNTS, 5, None, (5, 0), (5, None), np.eye(2), range(3), {5: 4}]
)
def test_what_are_no_widths_is_named(value):
    with pytest.raises(ValueError, match="^hidden must be a sequence of ints.*; got"):
        MLP(4, 3, hidden=value)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int64, np.array, torch.tensor])
def test_numbers_of_other_libraries_are_numbers_of_python(kind):
    module = MLP(kind(100), kind(3), hidden=[kind(5), kind(4)], n_components=kind(2))
    layers = [m for m in module if isinstance(m, nn.Linear)]
    widths = [(m.in_features, m.out_features) for m in layers]
    assert widths == [(2, 5), (5, 4), (4, 3)]
    assert {type(width) for pair in widths for width in pair} == {int}


def test_the_number_of_values_of_a_shape_does_not_overflow():
    shape = np.array([3, 20, 20], np.uint8)
    assert Linear(shape, 2).head.in_features == 1200
    assert VGG4(shape, 2)(torch.zeros(2, 3, 20, 20)).shape == (2, 2)


@pytest.mark.parametrize("hidden", [(), [7, 6], range(1, 3), np.array([7, 6])])
def test_widths_may_be_any_sequence(hidden):
    widths = [m.out_features for m in MLP(4, 3, hidden) if isinstance(m, nn.Linear)]
    assert widths == [*hidden, 3]


def test_an_error_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    for wrong in ({"n_outputs": 0}, {"hidden": (5, 0)}, {"n_components": 0}):
        with pytest.raises(ValueError):
            MLP(**GOOD[MLP] | wrong)
    assert torch.equal(torch.get_rng_state(), before)


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


@pytest.mark.parametrize("layer", FIT, ids=repr)
@pytest.mark.parametrize(
    "X",
    [None, 3.0, "X", np.eye(3), [[1.0, 2.0, 3.0]], torch.eye(3).to_sparse(), 1j],
    ids=str,
)
def test_scaling_names_samples_of_a_wrong_type(layer, X):
    with pytest.raises(TypeError, match="^X must be a .*tensor.*got "):
        layer.fit(X)


@pytest.mark.parametrize("layer", FIT, ids=repr)
@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (4, 2), (4, 3, 2), (4, 0), (1, 4)])
def test_scaling_names_samples_of_a_wrong_shape(layer, shape):
    with pytest.raises(ValueError, match="^X must have shape.*3 values.*got shape"):
        layer.fit(torch.zeros(shape))


@pytest.mark.parametrize("layer", FIT, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("entry", [math.nan, math.inf, -math.inf])
def test_scaling_refuses_samples_that_are_not_finite(layer, dtype, entry):
    X = torch.arange(60, dtype=dtype).reshape(20, 3)
    X[7, 1] = entry
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    with pytest.raises(ValueError, match="^X must be finite"):
        layer.fit(X)
    after = layer.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("layer", FIT, ids=repr)
@pytest.mark.parametrize(
    "weight",
    [
        torch.ones(3),
        torch.ones(4, 1),
        torch.zeros(4),
        torch.tensor([1.0, math.nan, 1.0, 1.0]),
        torch.tensor([1.0, math.inf, 1.0, 1.0]),
        torch.tensor([1.0, -1.0, 1.0, 1.0]),
        torch.ones(4) + 1j,
        ["a", "b", "c", "d"],
        {},
    ],
    ids=str,
)
def test_scaling_names_weights_that_are_none(layer, weight):
    with pytest.raises(ValueError, match="sample_weight"):
        layer.fit(torch.eye(4)[:, :3], weight)


@pytest.mark.parametrize(
    "make", [lambda: Scaling(3), lambda: PrincipalComponents(3, 2)]
)
@pytest.mark.parametrize("scale", [1e-300, 2.0**-40, 1e300])
def test_the_scale_of_the_weights_has_no_part(make, scale):
    X = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    weight = torch.arange(1.0, 10, dtype=torch.float64)
    expected, found = make().fit(X, weight), make().fit(X, scale * weight)
    torch.testing.assert_close(found(X), expected(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make", [lambda: Scaling(3), lambda: PrincipalComponents(3, 2)]
)
def test_a_row_that_outweighs_all_others_is_the_only_one(make):
    X = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    weight = torch.ones(9, dtype=torch.float64)
    weight[4] = 1e300
    layer = make().fit(X, weight)
    assert torch.equal(layer.shift, X[4])
    assert torch.equal(layer.gain, torch.ones(()))
    assert torch.equal(layer(X[4:5]), torch.zeros_like(layer(X[4:5])))


def test_scaling_of_integers_and_images_is_that_of_the_table():
    X = torch.randint(0, 256, (20, 12), generator=torch.Generator().manual_seed(0))
    expected = Scaling(12).fit(X.float())
    for kind in (X.to(torch.uint8), X, X.half(), X.reshape(20, 3, 2, 2).float()):
        layer = Scaling(12).fit(kind)
        assert torch.equal(layer.shift, expected.shift)
        assert torch.equal(layer.gain, expected.gain)


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
