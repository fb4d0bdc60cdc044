import copy
import functools
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.nn import functional as F
from torch.testing import assert_close

from sklearn_cce import losses
from sklearn_cce.losses import (
    LOSSES,
    RenyiCrossEntropyLoss,
    collision_cross_entropy,
    renyi_cross_entropy,
    shannon_cross_entropy,
)

ORDERS = {"renyi 0.5": 0.5, "renyi 1.5": 1.5, "renyi 4": 4.0}
FUNCTIONS = {
    "collision": losses.collision_cross_entropy,
    "shannon": losses.shannon_cross_entropy,
    "reverse": losses.reverse_cross_entropy,
    "generalized": losses.generalized_cross_entropy,
    "symmetric": losses.symmetric_cross_entropy,
    "mae": losses.mean_absolute_error,
} | {
    name: functools.partial(renyi_cross_entropy, order=order)
    for name, order in ORDERS.items()
}
MODULES = LOSSES | {
    name: functools.partial(RenyiCrossEntropyLoss, order=order)
    for name, order in ORDERS.items()
}
ALL = sorted(MODULES)


def renyi_in_closed_form(order):
    return lambda s, y: torch.log((y * s ** (order - 1)).sum(1)) / (1 - order)


CLOSED_FORMS = {
    "collision": lambda s, y: -torch.log((y * s).sum(1)),
    "shannon": lambda s, y: -(y * s.log()).sum(1),
    "reverse": lambda s, y: -(s * y.log().clamp(min=-13.8)).sum(1),
    "generalized": lambda s, y: (y * (1 - s**0.7) / 0.7).sum(1),
    "symmetric": lambda s, y: (
        -0.1 * (y * s.log()).sum(1) - (s * y.log().clamp(min=-4)).sum(1)
    ),
    "mae": lambda s, y: (y - s).abs().sum(1),
} | {name: renyi_in_closed_form(order) for name, order in ORDERS.items()}
SHAPES = [(7, 5), (4, 5, 3), (2, 5, 3, 4)]
every_loss = pytest.mark.parametrize("name", ALL)


def draw(shape, seed=0, dtype=torch.float64):
    """Random logits and soft targets, classes on dimension 1."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(shape, generator=generator, dtype=dtype)
    target = torch.randn(shape, generator=generator, dtype=dtype).softmax(1)
    return logits, target


def draw_hard(shape, seed=0):
    logits, target = draw(shape, seed)
    return logits, target.argmax(1)


def one_hot(index, n_classes):
    return F.one_hot(index, n_classes).movedim(-1, 1).double()


def gradient(loss, logits, target, **options):
    logits = logits.detach().clone().requires_grad_()
    loss(logits, target, **options).backward()
    return logits.grad


# Values


@every_loss
@pytest.mark.parametrize("shape", SHAPES)
def test_closed_form(name, shape):
    logits, target = draw(shape)
    expected = CLOSED_FORMS[name](logits.softmax(1), target)
    assert_close(FUNCTIONS[name](logits, target, reduction="none"), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_collision_is_shannon_for_one_hot_targets(shape):
    logits, index = draw_hard(shape)
    target = one_hot(index, shape[1])
    collision = collision_cross_entropy(logits, target, reduction="none")
    assert_close(collision, F.cross_entropy(logits, index, reduction="none"))


@every_loss
@pytest.mark.parametrize("shape", SHAPES)
def test_class_indices_are_one_hot_targets(name, shape):
    logits, index = draw_hard(shape)
    soft = FUNCTIONS[name](logits, one_hot(index, shape[1]))
    assert_close(FUNCTIONS[name](logits, index), soft)
    assert_close(FUNCTIONS[name](logits, index.to(torch.int16)), soft)


@given(
    st.lists(st.floats(-30, 30), min_size=3, max_size=3),
    st.lists(st.floats(-30, 30), min_size=3, max_size=3),
)
def test_collision_is_symmetric(a, b):
    a, b = torch.tensor([a, b], dtype=torch.float64)[:, None]
    there = collision_cross_entropy(a, b.softmax(1))
    assert_close(there, collision_cross_entropy(b, a.softmax(1)))


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=6))
@settings(max_examples=50)
def test_collision_of_a_uniform_target_is_constant(row):
    logits = torch.tensor([row], dtype=torch.float64)
    target = torch.full_like(logits, 1 / len(row))
    assert_close(collision_cross_entropy(logits, target).item(), math.log(len(row)))
    grad = gradient(collision_cross_entropy, logits, target)
    assert_close(grad, torch.zeros_like(grad), atol=1e-12, rtol=0)


def test_collision_bounds_shannon_from_below():
    logits, target = draw((1000, 6))
    collision = collision_cross_entropy(logits, target, reduction="none")
    assert (collision <= shannon_cross_entropy(logits, target, reduction="none")).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weight", [None, 2.0], ids=["plain", "weighted"])
def test_renyi_is_shannon_at_1_and_collision_at_2_to_the_bit(dtype, weight):
    logits, target = draw((50, 6, 2), dtype=dtype)
    options = {"weight": None if weight is None else torch.linspace(0, weight, 6)}
    for order, loss in {1: shannon_cross_entropy, 2.0: collision_cross_entropy}.items():
        for labels in (target, target.argmax(1)):
            renyi = renyi_cross_entropy(logits, labels, order=order, **options)
            assert torch.equal(renyi, loss(logits, labels, **options))


@pytest.mark.parametrize("order", [0, 1e-6, 0.3, 0.999, 1.001, 1.7, 2.5, 6, 10])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_renyi_is_precise_at_every_order(order, dtype):
    logits, target = draw((200, 6), dtype=dtype)
    target = torch.where(target < 0.05, 0, target)
    target = target / target.sum(1, keepdim=True)
    z, y = 10 * logits.double(), target.double()
    y = y / y.sum(1, keepdim=True)
    lines = y.log() + (order - 1) * z.log_softmax(1)
    expected = lines.logsumexp(1) / (1 - order)
    found = renyi_cross_entropy(10 * logits, target, order=order, reduction="none")
    assert_close(found, expected.to(dtype), rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-9])
def test_renyi_is_continuous_at_1(distance):
    logits, target = draw((100, 5), dtype=torch.float32)
    shannon = shannon_cross_entropy(logits, target, reduction="none")
    for order in (1 - distance, 1 + distance):
        near = renyi_cross_entropy(logits, target, order=order, reduction="none")
        assert_close(near, shannon, rtol=2e-6, atol=10 * distance + 2e-6)


@given(st.integers(0, 1000), st.floats(0, 10), st.floats(0, 10))
@settings(max_examples=50)
def test_renyi_falls_with_the_order(seed, a, b):
    """The mean of the powers of s grows with the power."""
    logits, target = draw((8, 4), seed)
    low, high = (
        renyi_cross_entropy(logits, target, order=order, reduction="none")
        for order in sorted((a, b))
    )
    assert (high <= low + 1e-9).all()


@pytest.mark.parametrize("order", [0, 0.5, 1, 1.5, 2, 3, 10])
def test_renyi_gradient_is_s_minus_q(order):
    logits, target = draw((6, 5))
    s = logits.softmax(1)
    q = target * s ** (order - 1)
    found = gradient(renyi_cross_entropy, logits, target, order=order, reduction="sum")
    assert_close(found, s - q / q.sum(1, keepdim=True))


@pytest.mark.parametrize("order", [1e-9, 0.1, 0.5, 0.99, 1.01, 1.5, 3, 5, 10])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_renyi_at_extreme_logits_is_finite_at_every_order(order, dtype):
    logits = torch.tensor([[1e4, -1e4, -1e4]] * 4, dtype=dtype, requires_grad=True)
    target = torch.tensor(
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [1 / 3] * 3], dtype=dtype
    )
    loss = renyi_cross_entropy(logits, target, order=order, reduction="none")
    loss.sum().backward()
    assert loss.isfinite().all() and logits.grad.isfinite().all()
    assert_close(loss[:3], torch.tensor([0, 2e4, 2e4], dtype=dtype))


def renyi(s, y, order):
    return renyi_cross_entropy(s.log(), y, order=order, reduction="none")


@pytest.mark.parametrize("order", [0.5, 1, 1.5, 1.9])
def test_the_best_prediction_is_a_sharpened_copy_below_order_2(order):
    label = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    best = label ** (1 / (2 - order))
    best = best / best.sum()
    others = draw((2000, 3))[1]
    assert (
        renyi(others, label.expand(2000, 3), order) >= renyi(best, label, order)
    ).all()


@pytest.mark.parametrize("order", [2, 3, 7])
def test_the_best_prediction_is_a_decision_from_order_2_on(order):
    label = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    vertex = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    others = draw((2000, 3))[1]
    least = renyi(vertex, label, order)
    assert (renyi(others, label.expand(2000, 3), order) >= least).all()


@pytest.mark.parametrize(("order", "sign"), [(1, 1), (1.5, 1), (2, 0), (3, -1)])
def test_where_a_uniform_label_draws_a_prediction(order, sign):
    logits = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    uniform = torch.full_like(logits, 1 / 3)
    pull = gradient(renyi_cross_entropy, logits, uniform, order=order)[0, 0]
    assert np.sign(round(pull.item(), 9)) == sign


@pytest.mark.parametrize("order", [0.5, 1, 1.5, 3])
def test_renyi_of_independent_pairs_is_the_sum(order):
    (s, y), (t, z) = (
        (draw((4, 3), seed)[1], draw((4, 3), seed + 2)[1]) for seed in (0, 1)
    )
    pairs = [(a[:, :, None] * b[:, None]).flatten(1) for a, b in ((s, t), (y, z))]
    assert_close(renyi(*pairs, order), renyi(s, y, order) + renyi(t, z, order))


def test_generalized_is_a_bounded_renyi():
    logits, target = draw((9, 4))
    for q in (0.3, 0.7, 1.0):
        loss = renyi_cross_entropy(logits, target, order=1 + q, reduction="none")
        bounded = FUNCTIONS["generalized"](logits, target, q=q, reduction="none")
        assert_close(bounded, -torch.expm1(-q * loss) / q)


def test_renyi_is_symmetric_at_2_only():
    a, b = (draw((5, 3), seed)[1] for seed in (0, 1))
    for order in (0.5, 1, 1.5, 2, 3):
        there, back = (
            renyi_cross_entropy(x.log(), y, order=order, reduction="none")
            for x, y in ((a, b), (b, a))
        )
        assert torch.allclose(there, back) == (order == 2)


def test_generalized_lies_between_shannon_and_absolute_error():
    logits, index = draw_hard((9, 4))
    near_shannon = FUNCTIONS["generalized"](logits, index, q=1e-6)
    assert_close(near_shannon, F.cross_entropy(logits, index), rtol=1e-4, atol=0)
    absolute = FUNCTIONS["mae"](logits, index)
    assert_close(FUNCTIONS["generalized"](logits, index, q=1.0), absolute / 2)


def test_reverse_of_hard_targets_is_a_multiple_of_absolute_error():
    logits, index = draw_hard((9, 4))
    reverse = FUNCTIONS["reverse"](logits, index, log_zero=-4.0)
    assert_close(reverse, 2 * FUNCTIONS["mae"](logits, index))


def test_symmetric_is_the_weighted_sum_of_both_directions():
    logits, target = draw((9, 4))
    weight = torch.tensor([1.0, 2.0, 0.5, 0.0], dtype=torch.float64)
    both = FUNCTIONS["symmetric"](
        logits, target, alpha=3.0, beta=0.5, log_zero=-7.0, weight=weight
    )
    shannon = shannon_cross_entropy(logits, target, weight=weight)
    reverse = FUNCTIONS["reverse"](logits, target, log_zero=-7.0, weight=weight)
    assert_close(both, 3 * shannon + 0.5 * reverse)


# Gradients


@pytest.mark.parametrize("shape", SHAPES)
def test_collision_gradient_is_s_minus_q(shape):
    logits, target = draw(shape)
    s = logits.softmax(1)
    q = target * s / (target * s).sum(1, keepdim=True)
    assert_close(
        gradient(collision_cross_entropy, logits, target, reduction="sum"), s - q
    )


@every_loss
def test_gradcheck_in_logits(name):
    logits, target = draw((4, 5, 2))
    target = torch.where(target < 0.1, 0.0, target)
    logits.requires_grad_()
    assert gradcheck(lambda z: FUNCTIONS[name](z, target, reduction="none"), logits)


@every_loss
def test_gradcheck_in_logits_and_target(name):
    logits, target = (tensor.requires_grad_() for tensor in draw((4, 5)))
    assert gradcheck(
        lambda z, y: FUNCTIONS[name](z, y, reduction="none"), (logits, target)
    )


@every_loss
def test_zeros_of_a_target_that_learns_have_a_finite_gradient(name):
    logits = torch.zeros(2, 3)
    target = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], requires_grad=True)
    FUNCTIONS[name](logits, target).backward()
    assert target.grad.isfinite().all()


# Extremes


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("learns", [False, True], ids=["fixed", "learns"])
def test_extreme_logits_and_zero_targets_stay_finite(name, dtype, learns):
    logits = torch.tensor([[1e4, -1e4, -1e4]] * 4, dtype=dtype, requires_grad=True)
    target = torch.tensor(
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [1 / 3] * 3],
        dtype=dtype,
        requires_grad=learns,
    )
    loss = FUNCTIONS[name](logits, target, reduction="none")
    loss.sum().backward()
    assert loss.isfinite().all() and logits.grad.isfinite().all()


def test_collision_at_extreme_logits():
    logits = torch.tensor([[1e4, -1e4, -1e4]] * 2)
    target = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.5, 0.5]])
    loss = collision_cross_entropy(logits, target, reduction="none")
    assert_close(loss, torch.tensor([2e4, 2e4]))
    grad = gradient(collision_cross_entropy, logits, target, reduction="sum")
    expected = torch.tensor([[1.0, -1.0, 0.0], [1.0, -0.5, -0.5]])
    assert_close(grad, expected, atol=1e-3, rtol=0)  # 2e4 has 2e-3 between floats


def test_large_common_offset_costs_no_precision():
    logits, target = draw((5, 4), dtype=torch.float32)
    logits = logits.round()
    expected = collision_cross_entropy(logits, target)
    assert_close(collision_cross_entropy(logits + 2.0**14, target), expected)


@every_loss
def test_excluded_classes(name):
    logits = torch.tensor([[0.0, 1.0, -torch.inf]], requires_grad=True)
    loss = FUNCTIONS[name](logits, torch.tensor([1]))
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(name, dtype):
    logits, target = (tensor.to(dtype) for tensor in draw((6, 5)))
    half = FUNCTIONS[name](logits, target)
    assert half.dtype == dtype
    assert_close(half, FUNCTIONS[name](logits.float(), target.float()).to(dtype))


@every_loss
def test_sum_over_many_half_precision_positions_loses_nothing(name):
    logits, index = torch.zeros(5000, 3, dtype=torch.float16), torch.zeros(5000).long()
    single = FUNCTIONS[name](logits.float(), index)
    assert_close(FUNCTIONS[name](logits, index), single.half())


# The contract of torch.nn.functional.cross_entropy

REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
WEIGHT = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0], dtype=torch.float64)


@pytest.mark.parametrize("name", ["collision", "shannon"])
@REDUCTIONS
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("ignore_index", [-100, 2, -1])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_torch_on_class_indices(
    name, reduction, weight, ignore_index, shape
):
    logits, index = draw_hard(shape)
    index[0] = ignore_index
    options = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction}
    expected = F.cross_entropy(logits, index, **options)
    assert_close(FUNCTIONS[name](logits, index, **options), expected)


@REDUCTIONS
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("shape", SHAPES)
def test_shannon_agrees_with_torch_on_probabilities(reduction, weight, shape):
    logits, target = draw(shape)
    options = {"weight": weight, "reduction": reduction}
    expected = F.cross_entropy(logits, target, **options)
    assert_close(shannon_cross_entropy(logits, target, **options), expected)


@pytest.mark.parametrize("name", ["collision", "shannon"])
@REDUCTIONS
def test_agrees_with_torch_without_a_batch(name, reduction):
    logits, index = draw_hard((1, 5))
    options = {"weight": WEIGHT + 1, "reduction": reduction}
    expected = F.cross_entropy(logits[0], index[0], **options)
    assert_close(FUNCTIONS[name](logits[0], index[0], **options), expected)


@every_loss
def test_one_sample_without_a_batch_is_its_row(name):
    logits, target = draw((3, 5))
    rows = [FUNCTIONS[name](logits[i], target[i], reduction="none") for i in range(3)]
    assert_close(torch.stack(rows), FUNCTIONS[name](logits, target, reduction="none"))


@every_loss
def test_reductions_of_probabilities(name):
    logits, target = draw((4, 5, 3))
    each = FUNCTIONS[name](logits, target, reduction="none")
    assert_close(FUNCTIONS[name](logits, target, reduction="sum"), each.sum())
    assert_close(FUNCTIONS[name](logits, target), each.mean())


@pytest.mark.parametrize("name", ["collision", "reverse", "mae", *ORDERS])
def test_soft_targets_are_weighted_by_their_mean_class_weight(name):
    logits, target = draw((4, 5, 3))
    each = FUNCTIONS[name](logits, target, reduction="none")
    weighted = FUNCTIONS[name](logits, target, weight=WEIGHT, reduction="none")
    assert_close(weighted, each * torch.einsum("k,nkd->nd", WEIGHT, target))


@every_loss
def test_weights_of_one_hot_and_hard_targets_agree(name):
    logits, index = draw_hard((6, 5))
    options = {"weight": WEIGHT, "reduction": "none"}
    soft = FUNCTIONS[name](logits, one_hot(index, 5), **options)
    assert_close(FUNCTIONS[name](logits, index, **options), soft)


@every_loss
def test_a_target_of_zeros_is_no_nan_with_class_weights(name):
    logits, target = draw((3, 5))
    target[1] = 0
    loss = FUNCTIONS[name](logits, target, weight=WEIGHT, reduction="none")
    assert not loss.isnan().any()


@every_loss
def test_ignored_positions_have_no_gradient(name):
    logits, index = draw_hard((4, 5))
    index[1] = -100
    logits[1] = torch.tensor([-torch.inf, 0.0, 1.0, 2.0, 3.0])
    grad = gradient(FUNCTIONS[name], logits, index)
    assert_close(grad[1], torch.zeros(5, dtype=torch.float64))
    kept = [0, 2, 3]
    assert_close(grad[kept], gradient(FUNCTIONS[name], logits[kept], index[kept]))


@every_loss
def test_targets_of_another_floating_dtype(name):
    logits, target = draw((4, 5))
    loss = FUNCTIONS[name](logits.float(), target)
    assert loss.dtype == torch.float32
    assert_close(loss, FUNCTIONS[name](logits.float(), target.float()))


# PyTorch's machinery


@every_loss
def test_compiles_to_one_graph(name):
    torch.compiler.reset()  # each order is compiled anew, and their number is limited
    compiled = torch.compile(FUNCTIONS[name], fullgraph=True, backend="aot_eager")
    for target in (draw((6, 5))[1], draw_hard((6, 5))[1]):
        logits = draw((6, 5))[0]
        assert_close(compiled(logits, target), FUNCTIONS[name](logits, target))
        expected = gradient(FUNCTIONS[name], logits, target)
        assert_close(gradient(compiled, logits, target), expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["collision", "shannon", "reverse"])
def test_compiles_with_inductor(name):
    logits, target = draw((6, 5), dtype=torch.float32)
    compiled = torch.compile(FUNCTIONS[name], fullgraph=True)
    try:
        loss = compiled(logits, target)
    except torch._inductor.exc.InductorError as error:
        pytest.skip(f"no working compiler: {error}")
    assert_close(loss, FUNCTIONS[name](logits, target))


@every_loss
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_per_sample_gradients_by_vmap(name):
    logits, index = draw_hard((6, 5))
    per_sample = torch.func.vmap(torch.func.grad(FUNCTIONS[name]))(logits, index)
    assert_close(per_sample, gradient(FUNCTIONS[name], logits, index, reduction="sum"))


@every_loss
def test_modules_are_their_functions(name):
    logits, index = draw_hard((4, 5, 3))
    options = {"ignore_index": 1, "reduction": "sum"}
    module = MODULES[name](WEIGHT, **options)
    expected = FUNCTIONS[name](logits, index, weight=WEIGHT, **options)
    for twin in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert_close(twin(logits, index), expected)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("reverse", {"log_zero": -2.0}),
        ("generalized", {"q": 0.3}),
        ("renyi 4", {"order": 1.25}),
        ("symmetric", {"alpha": 2.0, "beta": 3.0, "log_zero": -1.0}),
    ],
)
def test_modules_pass_on_their_own_options(name, own):
    logits, target = draw((4, 5))
    module = MODULES[name](**own)
    assert_close(module(logits, target), FUNCTIONS[name](logits, target, **own))
    assert all(f"{key}={value}" in repr(module) for key, value in own.items())


def test_modules_move_their_weight():
    module = losses.CollisionCrossEntropyLoss(torch.ones(3))
    assert module.to(torch.float64).weight.dtype == torch.float64
    assert list(module.state_dict()) == ["weight"]


def test_nothing_waits_for_the_device_to_find_nan():
    """No value is fetched: the losses work on tensors that have none."""
    logits = torch.zeros(3, 4, device="meta")
    for loss in FUNCTIONS.values():
        assert loss(logits, logits).shape == ()


# NaN


@every_loss
@pytest.mark.parametrize("learns", [False, True], ids=["fixed", "learns"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("place", range(5))
def test_nan_in_a_target_is_nan_in_its_loss(name, learns, weight, place):
    logits, target = draw((3, 5))
    target[1, place] = torch.nan
    target[2] = torch.eye(5)[place]
    target.requires_grad_(learns)
    loss = FUNCTIONS[name](logits, target, weight=weight, reduction="none")
    assert loss.isnan().tolist() == [False, True, False]
    assert FUNCTIONS[name](logits, target, weight=weight).isnan()


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_nan_is_kept_in_every_precision_and_beside_excluded_classes(name, dtype):
    logits = torch.tensor([[0.0, 1.0, -torch.inf]], dtype=dtype)
    target = torch.tensor([[torch.nan, 1.0, 0.0]], dtype=dtype)
    assert FUNCTIONS[name](logits, target).isnan()
    assert FUNCTIONS[name](logits[0], target[0]).isnan()
    assert FUNCTIONS[name](logits * torch.nan, torch.tensor([1])).isnan()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int64])
@every_loss
def test_ignore_index_is_no_class_of_a_small_dtype(name, dtype):
    """-100 would be class 156 of uint8, and 298 class 42 of int8."""
    generator = torch.Generator().manual_seed(0)
    logits, index = torch.randn(2, 200, generator=generator), torch.tensor([42, 100])
    index[1] = 156 if dtype == torch.uint8 else 100
    expected = FUNCTIONS[name](logits, index)
    for ignored in (-100, 298):
        assert_close(
            FUNCTIONS[name](logits, index.to(dtype), ignore_index=ignored), expected
        )


# Bad input

WRONG_OPTIONS = {
    TypeError: {
        "weight": [
            [1.0] * 4,
            torch.ones(4).numpy(),
            2.0,
            "balanced",
            torch.ones(4, dtype=torch.complex64),
            torch.ones(4, dtype=torch.int64),
            torch.ones(4, dtype=torch.bool),
            torch.ones(4).to_sparse(),
        ],
        "ignore_index": [
            None,
            "0",
            1.0,
            True,
            torch.tensor(1),
            [1],
            np.timedelta64(1, "s"),
        ],
    },
    ValueError: {
        "weight": [torch.tensor(1.0), torch.ones(1, 4), torch.ones(5)],
        "reduction": [None, 1, ["mean"], {"sum"}, torch.mean],
        "ignore_index": [2**63, -(2**63) - 1, 10**400, np.uint64(2**63)],
    },
}


@every_loss
@pytest.mark.parametrize(
    ("logits", "target", "options", "error", "message"),
    [
        (torch.zeros(3, 4).long(), torch.zeros(3).long(), {}, TypeError, "logits"),
        ([[0.0]], torch.zeros(1).long(), {}, TypeError, "logits .* list"),
        (torch.zeros(3, 4), torch.zeros(3).bool(), {}, TypeError, "target .*bool"),
        (torch.zeros(3, 4), [0, 1, 2], {}, TypeError, "target .* list"),
        (torch.tensor(0.0), torch.tensor(0), {}, ValueError, "logits"),
        (torch.zeros(3, 4), torch.zeros(3, 5), {}, ValueError, r"target .*\(3, 5\)"),
        (torch.zeros(3, 4), torch.zeros(3), {}, ValueError, r"target .*\(3,\)"),
        (torch.zeros(3, 4), torch.zeros(2).long(), {}, ValueError, "target"),
        (torch.zeros(3, 4), torch.zeros(3, 4).long(), {}, ValueError, "target"),
        (torch.zeros(3, 4), torch.tensor([0, 4, 1]), {}, ValueError, r"\[0, 4\)"),
        (torch.zeros(3, 4), torch.tensor([0, -1, 1]), {}, ValueError, r"\[0, 4\)"),
        (
            torch.zeros(3, 4),
            torch.tensor([0, 4, 1]),
            {"weight": torch.ones(4)},
            ValueError,
            r"\[0, 4\)",
        ),
        (
            torch.zeros(3, 4),
            torch.zeros(3, 4),
            {"weight": torch.ones(3)},
            ValueError,
            "weight",
        ),
        (
            torch.zeros(3, 4),
            torch.zeros(3, 4),
            {"reduction": "batchmean"},
            ValueError,
            "reduction .*'mean', 'none', 'sum'",
        ),
        *(
            (torch.zeros(3, 4), torch.zeros(3).long(), {key: value}, error, key)
            for error, options in WRONG_OPTIONS.items()
            for key, values in options.items()
            for value in values
        ),
        (torch.zeros(3, 4).to_sparse(), torch.zeros(3, 4), {}, TypeError, "logits"),
        (torch.zeros(3, 4), torch.zeros(3, 4).to_sparse(), {}, TypeError, "target"),
        (torch.zeros(3, 4) + 0j, torch.zeros(3, 4), {}, TypeError, "logits .*complex"),
        (torch.zeros(3, 4), torch.zeros(3, 4) + 0j, {}, TypeError, "target .*complex"),
        (torch.zeros(3, 4), None, {}, TypeError, "target .* NoneType"),
    ],
)
def test_bad_input(name, logits, target, options, error, message):
    with pytest.raises(error, match=message):
        FUNCTIONS[name](logits, target, **options)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("reverse", {"log_zero": 0.0}),
        ("reverse", {"log_zero": -math.inf}),
        ("generalized", {"q": 0.0}),
        ("generalized", {"q": 1.5}),
        ("symmetric", {"alpha": -1.0}),
        ("symmetric", {"beta": math.nan}),
        ("symmetric", {"log_zero": 4.0}),
        ("symmetric", {"alpha": 10**400}),
        ("reverse", {"log_zero": Fraction(1, 3)}),
        ("reverse", {"log_zero": -(10**400)}),
        ("generalized", {"q": np.float16(2)}),
    ],
)
def test_bad_options(name, own):
    (key,) = own
    with pytest.raises(ValueError, match=key):
        FUNCTIONS[name](torch.zeros(3, 4), torch.zeros(3).long(), **own)


@pytest.mark.parametrize(
    "value",
    [None, "0.5", 1j, True, [0.5], torch.tensor(0.5), np.timedelta64(1, "s")],
)
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("reverse", "log_zero"),
        ("generalized", "q"),
        ("symmetric", "alpha"),
        ("symmetric", "beta"),
        ("symmetric", "log_zero"),
    ],
)
def test_options_of_a_wrong_type(name, key, value):
    with pytest.raises(TypeError, match=key):
        FUNCTIONS[name](torch.zeros(3, 4), torch.zeros(3).long(), **{key: value})
    with pytest.raises(TypeError, match=key):
        MODULES[name](**{key: value})


@pytest.mark.parametrize(
    "own",
    [
        {"alpha": Fraction(1, 2), "beta": 2, "log_zero": Fraction(-3)},
        {"alpha": 0.5, "beta": Fraction(2), "log_zero": np.float16(-3)},
        {"alpha": np.float16(0.5), "beta": np.float16(2), "log_zero": -3},
        {"alpha": 0.5, "beta": np.uint8(2), "log_zero": np.int8(-3)},
    ],
)
def test_options_may_be_numbers_of_any_kind(own):
    logits, target = draw((4, 5))
    expected = FUNCTIONS["symmetric"](
        logits, target, alpha=0.5, beta=2.0, log_zero=-3.0
    )
    assert_close(FUNCTIONS["symmetric"](logits, target, **own), expected)
    assert_close(LOSSES["symmetric"](**own)(logits, target), expected)


def test_factors_may_be_integers_beyond_int64():
    logits, target = draw((4, 5))
    huge = FUNCTIONS["symmetric"](logits, target, alpha=10**20)
    assert_close(huge, FUNCTIONS["symmetric"](logits, target, alpha=1e20))


def test_options_may_be_numbers_of_numpy():
    logits, target = draw((4, 5))
    own = {"alpha": np.float32(0.5), "beta": np.int64(2), "log_zero": np.float64(-3)}
    expected = FUNCTIONS["symmetric"](logits, target, alpha=0.5, beta=2, log_zero=-3)
    assert_close(FUNCTIONS["symmetric"](logits, target, **own), expected)
    assert_close(LOSSES["symmetric"](**own)(logits, target), expected)


def test_modules_refuse_an_unknown_reduction():
    with pytest.raises(ValueError, match="reduction"):
        losses.CollisionCrossEntropyLoss(reduction="median")


@every_loss
def test_modules_refuse_wrong_options_before_they_are_called(name):
    for key, values in WRONG_OPTIONS[TypeError].items():
        for value in values:
            with pytest.raises(TypeError, match=key):
                MODULES[name](**{key: value})
