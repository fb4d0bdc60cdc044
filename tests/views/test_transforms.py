"""Transforms: what they keep, what they draw, and that known changes come out."""

import math
import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import nn

from sklearn_cce.views._transforms import (
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
)

TRANSFORMS = {
    "noise": GaussianNoise(),
    "affine": RandomAffine(),
    "crop": RandomCrop(),
    "flip": RandomHorizontalFlip(),
    "jitter": ColorJitter(),
    "blur": GaussianBlur(),
}
IDENTITIES = {
    "noise": GaussianNoise(0),
    "affine": RandomAffine(0, 0, 0, 0),
    "crop": RandomCrop(area=1, ratio=1),
    "flip": RandomHorizontalFlip(0),
    "jitter": ColorJitter(0, 0, 0),
    "blur": GaussianBlur(0),
}
IMAGES = [name for name in TRANSFORMS if name != "noise"]
LEAVE = {"degrees": 0, "translate": 0, "scale": 0, "shear": 0}

over = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)


def images(n=8, channels=3, height=9, width=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, channels, height, width, generator=generator)


def seeded(transform, x, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transform(x)


def close(x, y, atol=1e-5):
    torch.testing.assert_close(x, y, rtol=0, atol=atol)


@pytest.mark.parametrize("transform", IDENTITIES.values(), ids=IDENTITIES)
def test_no_strength_changes_nothing(transform):
    x = images()
    close(transform(x), x)


@over
@pytest.mark.parametrize("shape", [(4, 1, 7, 5), (4, 3, 16, 16), (1, 3, 5, 8)])
def test_shape_and_type_are_kept(transform, shape):
    n, channels, height, width = shape
    for dtype in (torch.float32, torch.float64):
        view = transform(images(n, channels, height, width).to(dtype))
        assert view.shape == shape
        assert view.dtype == dtype
        assert view.isfinite().all()
        assert view.is_contiguous()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@over
def test_the_device_is_kept_and_its_generator_used(transform):
    x = images().cuda()
    before = torch.get_rng_state()
    torch.cuda.manual_seed(0)
    first = transform(x)
    torch.cuda.manual_seed(0)
    assert first.device == x.device
    assert torch.equal(transform(x), first)
    assert torch.equal(torch.get_rng_state(), before)


@over
def test_nothing_is_changed_in_place(transform):
    x = images()
    before = x.clone()
    view = transform(x)
    view.add_(1)
    assert torch.equal(x, before)


@over
def test_equal_samples_get_different_draws(transform):
    x = images(1).expand(64, -1, -1, -1)
    views = seeded(transform, x)
    n_different = len(torch.unique(views.flatten(1), dim=0))
    assert n_different == (2 if isinstance(transform, RandomHorizontalFlip) else 64)


@over
def test_the_seed_of_torch_decides(transform):
    x = images(32)
    assert torch.equal(seeded(transform, x, 1), seeded(transform, x, 1))
    assert not torch.equal(seeded(transform, x, 1), seeded(transform, x, 2))


@over
def test_there_are_no_parameters_and_pickles_do_the_same(transform):
    copy = pickle.loads(pickle.dumps(transform))
    assert not list(transform.parameters())
    assert repr(copy) == repr(transform)
    assert torch.equal(seeded(copy, images()), seeded(transform, images()))


@over
def test_the_representation_makes_an_equal_transform(transform):
    assert repr(eval(repr(transform))) == repr(transform)


def test_a_sequence_composes_them_in_training_and_evaluation():
    sequence = nn.Sequential(*TRANSFORMS.values())
    view = seeded(sequence, images())
    assert view.shape == images().shape
    assert torch.equal(seeded(sequence.eval(), images()), view)


def test_noise_is_relative_to_the_spread_of_the_batch():
    x = 5 + 3 * torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0))
    noise = seeded(GaussianNoise(0.1), x) - x
    assert noise.std() == pytest.approx(0.3, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.005)


@pytest.mark.parametrize("shape", [(6,), (6, 2), (6, 2, 3), (6, 1, 2, 3, 2)])
def test_noise_takes_any_number_of_axes(shape):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    noisy = GaussianNoise()(x)
    assert noisy.shape == shape
    assert not torch.equal(noisy, x)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_quarter_turns(degrees, turns):
    x = images(height=9, width=9)
    turn = RandomAffine(**LEAVE | {"degrees": (degrees, degrees)})
    close(turn(x), torch.rot90(x, turns, (2, 3)))


def test_a_half_turn_of_an_oblong_image():
    x = images(height=6, width=11)
    close(RandomAffine(**LEAVE | {"degrees": (180, 180)})(x), x.flip(2, 3))


def test_rotation_keeps_lengths_in_oblong_images():
    x = torch.zeros(1, 1, 21, 41)
    x[..., 10, 15:26] = 1
    turned = RandomAffine(**LEAVE | {"degrees": (90, 90)})(x)
    expected = torch.zeros_like(x)
    expected[..., 5:16, 20] = 1
    close(turned, expected)


def test_translation_is_a_share_of_the_sides_to_the_right_and_downwards():
    x = images(height=10, width=20)
    shift = RandomAffine(**LEAVE | {"translate": (0.1, 0.1), "padding": "zeros"})
    moved = shift(x)
    close(moved[..., 1:, 2:], x[..., :-1, :-2])
    assert not moved[..., 0, :].any()
    assert not moved[..., :2].any()


def test_the_border_goes_on_outside():
    x = images(height=10, width=20)
    moved = RandomAffine(**LEAVE | {"translate": (0.1, 0.1)})(x)
    close(moved[..., 0, 2:], x[..., 0, :-2])


def test_scale_is_the_factor_of_the_size():
    x = torch.zeros(1, 1, 16, 16)
    x[..., 6:10, 6:10] = 1
    larger = RandomAffine(**LEAVE | {"scale": (2, 2)})(x)
    assert larger.sum().item() == pytest.approx(4 * 16, rel=1e-4)
    assert larger[..., 5:11, 5:11].min() == 1
    assert larger[..., :3, :].max() == 0


def test_shear_leans_upright_lines_to_the_right_and_keeps_level_ones():
    x = torch.zeros(1, 1, 21, 21)
    x[..., 10] = 1
    shear = RandomAffine(**LEAVE | {"shear": (45, 45)})
    close(shear(x)[0, 0], torch.eye(21).flip(1))
    close(shear(x.mT.contiguous()), x.mT)


def test_angles_cover_their_interval_evenly():
    x = torch.zeros(2_000, 1, 33, 33)
    x[..., 16, 30] = 1
    y, x_axis = torch.meshgrid(torch.arange(33.0), torch.arange(33.0), indexing="ij")
    turned = seeded(RandomAffine(**LEAVE | {"degrees": 60}), x)
    mass = turned.sum((1, 2, 3))
    down = (turned * (y - 16)).sum((1, 2, 3)) / mass
    right = (turned * (x_axis - 16)).sum((1, 2, 3)) / mass
    degrees = torch.rad2deg(torch.atan2(-down, right))
    assert degrees.abs().max() < 61
    assert degrees.mean() == pytest.approx(0, abs=3)
    assert degrees.std() == pytest.approx(60 / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("area", [0.25, (0.2, 0.7)])
def test_a_crop_of_a_ramp_shows_the_share_that_was_drawn(area):
    n, size = 3_000, 32
    ramp = torch.arange(size).float().expand(size, size)
    both = torch.stack([ramp, ramp.T]).expand(n, 2, size, size)
    view = seeded(RandomCrop(area=area, ratio=1), both)
    widths = (view[:, 0, 0, -2] - view[:, 0, 0, 1]) / (size - 3)
    heights = (view[:, 1, -2, 0] - view[:, 1, 1, 0]) / (size - 3)
    share = widths * heights
    low, high = area if isinstance(area, tuple) else (area, area)
    close(widths, heights, atol=1e-3)
    assert low - 1e-3 < share.min() <= share.max() < high + 1e-3
    assert share.mean() == pytest.approx((low + high) / 2, abs=0.01)
    assert view.min() >= 0
    assert view.max() <= size - 1
    assert view.mean((0, 2, 3)).tolist() == pytest.approx([15.5, 15.5], abs=0.3)


def test_no_side_of_a_crop_is_longer_than_that_of_the_image():
    ramp = torch.arange(16.0).expand(4, 1, 16, 16)
    close(RandomCrop(area=1, ratio=4)(ramp), ramp)
    halved = RandomCrop(area=1, ratio=4)(ramp.mT.contiguous())
    steps = halved[..., 2:-1, 0] - halved[..., 1:-2, 0]
    close(steps, torch.full_like(steps, 0.5))


@given(p=st.sampled_from([0.0, 0.2, 0.5, 1.0]), seed=st.integers(0, 100))
@settings(max_examples=20)
def test_the_share_of_flipped_images(p, seed):
    x = images(1, width=5).expand(2_000, -1, -1, -1)
    view = seeded(RandomHorizontalFlip(p), x, seed)
    flipped = (view == x.flip(-1)).flatten(1).all(1)
    kept = (view == x).flatten(1).all(1)
    assert (flipped ^ kept).all()
    error = 5 * math.sqrt(p * (1 - p) / len(x))
    assert flipped.float().mean() == pytest.approx(p, abs=error + 1e-9)


def test_brightness_is_a_factor_above_black():
    x = 2 + images()
    dark = ColorJitter(brightness=(0.5, 0.5), contrast=0, saturation=0)
    close(dark(x), x.min() + 0.5 * (x - x.min()))


def test_contrast_moves_values_to_the_mean_of_their_image():
    x = images(channels=1)
    mean = x.mean((1, 2, 3), keepdim=True)
    flat = ColorJitter(brightness=0, contrast=(0, 0), saturation=0)
    close(flat(x), mean.expand_as(x))
    half = ColorJitter(brightness=0, contrast=(0.5, 0.5), saturation=0)
    close(half(x), (x + mean) / 2)


def test_no_saturation_leaves_grey_of_the_same_luminance():
    x = images()
    shares = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    view = ColorJitter(brightness=0, contrast=0, saturation=(0, 0))(x)
    close(view, (x * shares).sum(1, keepdim=True).expand_as(x))


def test_saturation_does_not_change_one_channel():
    x = images(channels=1)
    close(ColorJitter(brightness=0, contrast=0, saturation=1)(x), x)


def test_jitter_keeps_within_black_and_white():
    x = images()
    view = seeded(ColorJitter(1, 1, 1), x)
    assert x.min() <= view.min() <= view.max() <= x.max()


@given(scale=st.floats(0.01, 300), shift=st.floats(-5, 5), seed=st.integers(0, 100))
@settings(max_examples=30)
def test_jitter_does_the_same_to_images_of_any_scale(scale, shift, seed):
    x = images()
    view = seeded(ColorJitter(), x, seed)
    moved = seeded(ColorJitter(), scale * (x + shift), seed)
    close(moved / scale, view + shift, atol=1e-4)


@pytest.mark.parametrize("channels", [2, 4])
def test_jitter_refuses_what_has_no_colours(channels):
    with pytest.raises(ValueError, match="1 or 3 channels"):
        ColorJitter()(images(channels=channels))


@pytest.mark.parametrize("sigma", [0.4, 1.0, 3.0])
def test_blur_agrees_with_scipy(sigma):
    x = images(height=8, width=13)
    radius = math.ceil(3 * sigma)
    expected = gaussian_filter(
        x.double().numpy(), sigma, axes=(2, 3), radius=radius, mode="reflect"
    )
    np.testing.assert_allclose(GaussianBlur(sigma)(x), expected, atol=1e-6)


def test_blur_keeps_the_mean_and_lowers_the_variance():
    x = images(32)
    view = seeded(GaussianBlur((0.5, 20.0)), x)
    close(view.mean((2, 3)), x.mean((2, 3)))
    assert (view.var((2, 3)) < x.var((2, 3))).all()


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize(
    "x",
    [torch.zeros(4, 3), torch.zeros(1, 8, 8), torch.zeros(2, 1, 8, 8).int()],
    ids=["table", "image", "integers"],
)
def test_what_is_no_batch_of_images_is_refused(name, x):
    with pytest.raises(ValueError, match=r"\(n, channels, height, width\); got torch"):
        TRANSFORMS[name](x)


@pytest.mark.parametrize(
    "x", [torch.zeros(4, 3).int(), torch.zeros(4, 3).bool(), torch.zeros(4, 3) + 1j]
)
def test_noise_refuses_what_is_not_floating(x):
    with pytest.raises(ValueError, match=r"as x a batch of floating.*; got torch"):
        GaussianNoise()(x)


@over
@pytest.mark.parametrize(
    "x",
    [None, 0.5, "x", [[1.0]], np.zeros((2, 1, 8, 8)), np.float32(1), torch.zeros, {}],
    ids=lambda x: type(x).__name__,
)
def test_what_is_no_tensor_is_refused(transform, x):
    name = type(transform).__name__
    with pytest.raises(
        TypeError, match=f"^{name} takes as x .*; got {type(x).__name__}"
    ):
        transform(x)


@over
@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (0, 1, 5, 5), (4, 3, 0, 8)])
def test_no_values_are_left_as_they_are(transform, shape):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view = transform(torch.zeros(shape))
    assert view.shape == shape
    assert view.dtype == torch.float32


NUMBERS = [(GaussianNoise, "scale"), (RandomHorizontalFlip, "p")]
INTERVALS = [
    *((RandomAffine, name) for name in ("degrees", "translate", "scale", "shear")),
    *((RandomCrop, name) for name in ("area", "ratio")),
    *((ColorJitter, name) for name in ("brightness", "contrast", "saturation")),
    (GaussianBlur, "sigma"),
]


@pytest.mark.parametrize(("kind", "name"), NUMBERS + INTERVALS)
@pytest.mark.parametrize(
    "value",
    [
        *(-0.1, math.nan, math.inf, "0.1", None, True, 1e6, [0.1], (0.1, "b")),
        *(10**400, np.timedelta64(1, "D"), (np.timedelta64(1, "D"), 1), 1j, np.True_),
    ],
)
def test_parameters_out_of_range_are_named(kind, name, value):
    with pytest.raises(ValueError, match=f"^{name} must be a .*number.*got "):
        kind(**{name: value})


@pytest.mark.parametrize(("kind", "name"), INTERVALS)
@pytest.mark.parametrize("pair", [(0.8, 0.2), (0.1, math.nan), (-1e6, 0.5), (1, 1, 1)])
def test_pairs_out_of_order_are_named(kind, name, pair):
    with pytest.raises(ValueError, match=f"^{name} must be a pair.*low <= high"):
        kind(**{name: pair})


@pytest.mark.parametrize("number", [np.uint8, np.uint64, np.int8, np.float16, Fraction])
@pytest.mark.parametrize(
    ("kind", "name", "centre"),
    [
        *((RandomAffine, name, 0) for name in ("degrees", "translate", "shear")),
        *((ColorJitter, name, 1) for name in ("brightness", "contrast", "saturation")),
    ],
)
def test_numbers_of_any_type_become_those_of_python(kind, name, centre, number):
    one = getattr(kind(**{name: number(1)}), name)
    pair = getattr(kind(**{name: (number(0), number(1))}), name)
    assert (one, pair) == ((centre - 1, centre + 1), (0, 1))
    assert set(map(type, one + pair)) == {float}


@pytest.mark.parametrize("padding", ["wrap", None, 0, ("border",), np.eye(2), {}])
def test_paddings_are_named(padding):
    with pytest.raises(ValueError, match=r"^padding must be one of .*border.*; got "):
        RandomAffine(padding=padding)
