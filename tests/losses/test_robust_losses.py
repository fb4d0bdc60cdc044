"""What docs/robust_losses.rst says of the losses, formula by formula."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from sklearn_cce.losses import LOSSES, collision_cross_entropy, shannon_cross_entropy


def distributions(n, k, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, k, generator=generator, dtype=torch.float64).softmax(1)


def value(name, y, s, **options):
    """Loss of one label and one prediction, or of rows of them."""
    y, s = torch.atleast_2d(torch.as_tensor(y)), torch.atleast_2d(torch.as_tensor(s))
    s, y = s.double(), y.double()
    return LOSSES[name](reduction="none", **options)(s.log(), y)


def h2(y, s):
    return value("collision", y, s)


def in_logits(name, y, s, **options):
    z = s.log().requires_grad_()
    LOSSES[name](reduction="sum", **options)(z, y).backward()
    return z.grad


def gradient_of_reverse(y, s):
    return s * ((s * y.log()).sum(1, keepdim=True) - y.log())


def gradient_of_mae(y, s):
    sign = (s - y).sign()
    return s * (sign - (s * sign).sum(1, keepdim=True))


GRADIENTS = {
    "shannon": lambda y, s: s - y,
    "collision": lambda y, s: s - y * s / (y * s).sum(1, keepdim=True),
    "reverse": gradient_of_reverse,
    "generalized": lambda y, s: s * (y * s**0.7).sum(1, keepdim=True) - y * s**0.7,
    "symmetric": lambda y, s: 0.1 * (s - y) + gradient_of_reverse(y, s),
    "mae": gradient_of_mae,
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name):
    y, s = distributions(20, 5, 0), distributions(20, 5, 1)
    options = {"log_zero": -1e3} if name in ("reverse", "symmetric") else {}
    assert_close(in_logits(name, y, s, **options), GRADIENTS[name](y, s))


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("shannon", lambda y: y),
        ("mae", lambda y: y),
        ("generalized", lambda y: y ** (1 / 0.3) / (y ** (1 / 0.3)).sum()),
        ("collision", lambda y: (y == y.max()).double()),
        ("reverse", lambda y: (y == y.max()).double()),
    ],
)
def test_where_the_losses_are_least(name, best):
    y = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    s = distributions(4000, 3, 0) ** torch.linspace(0.2, 9, 4000).double()[:, None]
    s = s / s.sum(1, keepdim=True)
    least = value(name, y, best(y).clamp_min(1e-300))
    assert (value(name, y.expand(4000, 3), s) >= least - 1e-12).all()


def test_uniform_labels_have_no_gradient_under_two_losses_only():
    s = distributions(5, 4, 0)
    y = torch.full_like(s, 0.25)
    still = {name for name in LOSSES if in_logits(name, y, s).abs().max() < 1e-12}
    assert still == {"collision", "reverse"}


ETA, K = st.floats(0.01, 0.99), st.integers(2, 12)


def doubtful(eta, k):
    y = torch.full((k,), eta / k, dtype=torch.float64)
    y[0] += 1 - eta
    return y


@given(ETA, K)
def test_losses_of_a_doubtful_label(eta, k):
    y, s = doubtful(eta, k), distributions(6, k, 3)
    a, b, p = 1 - eta + eta / k, eta / k, s[:, 0]
    rows = y.expand(6, k)
    assert_close(value("collision", rows, s), -torch.log(b + (1 - eta) * p))
    assert_close(value("reverse", rows, s), -math.log(b) - p * math.log(a / b))
    blurred = (1 - eta) * torch.eye(k).double() + eta / k
    assert_close(value("collision", rows, s), -torch.log((s @ blurred)[:, 0]))


@given(ETA, K)
def test_in_expectation_collision_finds_the_truth_and_shannon_blurs_it_twice(eta, k):
    truth = distributions(1, k, 5)
    blur = (1 - eta) * torch.eye(k).double() + eta / k
    given = (truth @ blur)[0]

    def gradient_at(s, name):
        z = s.log().requires_grad_()
        losses = LOSSES[name](reduction="none")(z.expand(k, k), blur)
        (given @ losses).backward()
        return z.grad.abs().max()

    assert gradient_at(truth, "collision") < 1e-12
    assert gradient_at(truth @ blur @ blur, "shannon") < 1e-12


@given(ETA, K)
def test_how_much_more_a_disputed_label_counts(eta, k):
    y = doubtful(eta, k)

    def slope(p):
        p = torch.tensor([p], dtype=torch.float64, requires_grad=True)
        s = torch.cat([p, (1 - p).expand(k - 1) / (k - 1)])[None]
        collision_cross_entropy(s.log(), y[None]).backward()
        return float(p.grad)

    ratio = slope(1e-12) / slope(1 - 1e-12)
    assert ratio == pytest.approx(1 + k * (1 - eta) / eta, rel=1e-6)


def test_reverse_of_a_hard_label_is_a_multiple_of_its_absolute_error():
    s, hard = distributions(9, 4, 0), torch.eye(4).double()[[1] * 9]
    assert_close(value("reverse", hard, s), 13.8 / 2 * value("mae", hard, s))


def test_random_replacement_only_scales_the_absolute_error():
    s, eye, eta = distributions(9, 4, 0), torch.eye(4).double(), 0.6
    each = torch.stack([value("mae", eye[[k] * 9], s) for k in range(4)])
    corrupted = (1 - eta) * each[2] + eta * each.mean(0)
    assert_close(corrupted - (1 - eta) * each[2], torch.full((9,), eta * 1.5).double())


def test_much_smoothing_makes_collision_linear():
    y, s = distributions(9, 5, 0), distributions(9, 5, 1)
    for left in (1e-2, 1e-3):
        smoothed = (1 - left) / 5 + left * y
        linear = math.log(5) - left * (5 * (y * s).sum(1) - 1)
        assert (value("collision", smoothed, s) - linear).abs().max() < 10 * left**2


@given(st.integers(2, 6))
def test_a_set_of_candidates_costs_its_probability(size):
    s = distributions(8, 6, 0)
    y = torch.zeros_like(s)
    y[:, :size] = 1 / size
    assert_close(value("collision", y, s), math.log(size) - s[:, :size].sum(1).log())


# The axioms.

Y, S = distributions(200, 5, 0), distributions(200, 5, 1)


def test_it_is_not_negative_and_zero_only_at_a_common_vertex():
    assert (h2(Y, S) > 0).all()
    eye = torch.eye(3)
    assert h2(eye, eye).tolist() == [0, 0, 0]
    assert h2(eye[0], [0.999, 0.001, 0.0]) > 0 and h2([0.5, 0.5, 0.0], eye[0]) > 0


def test_it_is_symmetric_in_its_arguments_and_in_the_classes():
    assert_close(h2(Y, S), h2(S, Y))
    order = [3, 1, 4, 0, 2]
    assert_close(h2(Y[:, order], S[:, order]), h2(Y, S))
    more = torch.cat([S, torch.zeros(200, 1)], 1)
    assert_close(h2(torch.cat([Y, torch.zeros(200, 1)], 1), more), h2(Y, S))


def test_it_is_an_entropy_on_the_diagonal():
    assert_close(h2(Y, Y), -(Y**2).sum(1).log())


def test_it_is_additive():
    def pairs(p, q):
        return (p[:, :, None] * q[:, None]).flatten(1)

    other_y, other_s = distributions(200, 3, 2), distributions(200, 3, 3)
    joint = h2(pairs(Y, other_y), pairs(S, other_s))
    assert_close(joint, h2(Y, S) + h2(other_y, other_s))


def test_merging_classes_never_raises_it():
    def merged(p):
        return torch.cat([p[:, :2].sum(1, keepdim=True), p[:, 2:]], 1)

    assert (h2(merged(Y), merged(S)) <= h2(Y, S) + 1e-12).all()


def test_it_is_convex_in_each_argument_and_below_shannon():
    other = distributions(200, 5, 4)
    middle = h2(Y, (S + other) / 2)
    assert (middle <= (h2(Y, S) + h2(Y, other)) / 2 + 1e-12).all()
    assert (h2(Y, S) <= value("shannon", Y, S) + 1e-12).all()


def test_cauchy_schwarz_in_the_place_of_gibbs():
    y, vertex = [0.6, 0.4], [1.0, 0.0]
    assert float(h2(y, vertex)) == pytest.approx(0.511, abs=5e-4)
    assert float(h2(y, y)) == pytest.approx(0.654, abs=5e-4)
    shannon = shannon_cross_entropy(S.log(), Y, reduction="none")
    assert (shannon >= value("shannon", Y, Y)).all()
    assert (h2(Y, S) >= (h2(Y, Y) + h2(S, S)) / 2).all()


def test_it_is_not_linear_in_the_label():
    s = [0.8, 0.2]
    vertices = (h2([1.0, 0.0], s) + h2([0.0, 1.0], s)) / 2
    assert float(vertices) == pytest.approx(0.916, abs=5e-4)
    assert float(h2([0.5, 0.5], s)) == pytest.approx(0.693, abs=5e-4)


def test_the_chain_rule_holds_only_in_its_own_form():
    y = torch.tensor([0.25, 0.25, 0.5, 0.0]).double().view(2, 2)
    s = torch.tensor([0.1, 0.1, 0.6, 0.2]).double().view(2, 2)
    of_groups = h2(y.sum(1), s.sum(1))
    inside = h2(y / y.sum(1, keepdim=True), s / s.sum(1, keepdim=True))
    joint = h2(y.flatten(), s.flatten())
    assert float(joint) == pytest.approx(1.050, abs=5e-4)
    assert float(of_groups + y.sum(1) @ inside) == pytest.approx(1.184, abs=5e-4)
    weights = y.sum(1) * s.sum(1)
    assert_close(joint[0], -(weights @ torch.exp(-inside)).log())
