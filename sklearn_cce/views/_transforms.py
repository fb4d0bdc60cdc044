"""Views of a sample that are made from it: noise, and changes of images.

Every transform is a module without parameters, so that :class:`torch.nn.Sequential`
composes them. It works on a whole batch, on the device of the batch, and draws for
every sample anew, in training and evaluation mode alike: from torch's default generator
of that device, and in a fit from one of the fit's own.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, conv2d, grid_sample

from sklearn_cce._checks import as_float

Interval = tuple[float, float]
Range = float | Interval

GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the grey value of a pixel (ITU-R BT.601)."""

PADDINGS = ("border", "reflection", "zeros")

CUT_OFF = 3.0
"""A Gaussian kernel ends at so many standard deviations."""

LEAST_SIGMA = 1e-3
"""With this standard deviation or less, in pixels, a kernel has one entry."""


def check_number(name: str, value: Any, lowest: float, highest: float) -> float:
    """Return a parameter as a float, or raise a ValueError that names it.

    Parameters
    ----------
    name : str
        Its name.
    value : object
        What the user gave.
    lowest, highest : float
        The ends of what is accepted, included.

    Returns
    -------
    float
        The value.
    """
    number = as_float(value)
    if not lowest <= number <= highest:
        raise ValueError(
            f"{name} must be a number from {lowest:g} to {highest:g}; got {value!r}."
        )
    return number


def check_interval(
    name: str, value: Any, lowest: float, highest: float, centre: float | None = None
) -> Interval:
    """Return the ends of the interval to draw from, or raise a ValueError.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        What the user gave: a pair, or a number.
    lowest, highest : float
        The ends of what is accepted, included.
    centre : float, optional
        A number stands for the interval that reaches so far to both sides of this;
        without it, for an interval of this number alone.

    Returns
    -------
    tuple of float
        The ends, the lower first.
    """
    meaning = "(v, v)" if centre is None else f"({centre:g} - v, {centre:g} + v)"
    low, high = ends(value, centre)
    if not lowest <= low <= high <= highest:
        raise ValueError(
            f"{name} must be a pair of numbers (low, high) with {lowest:g} <= low <= "
            f"high <= {highest:g}, or a number v that stands for the pair {meaning}; "
            f"got {value!r}."
        )
    return low, high


def ends(value: Any, centre: float | None) -> Interval:
    """Return the ends that a pair or a number stands for, NaN where it is neither."""
    if isinstance(value, (tuple, list)):
        low, high = map(as_float, value if len(value) == 2 else (math.nan, math.nan))
        return low, high
    number = as_float(value)
    return (number, number) if centre is None else (centre - number, centre + number)


_generator: ContextVar[torch.Generator | None] = ContextVar("generator", default=None)


@contextlib.contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Let the transforms here draw from a generator instead of torch's default one."""
    token = _generator.set(generator)
    try:
        yield
    finally:
        _generator.reset(token)


def numbers_like(
    x: Tensor, shape: Sequence[int], distribution: Callable[..., Tensor]
) -> Tensor:
    """Return random numbers of the type and on the device of a batch."""
    return distribution(
        shape, dtype=x.dtype, device=x.device, generator=_generator.get()
    )


def draw(x: Tensor, interval: Interval) -> Tensor:
    """Return a uniform number for every sample of a batch, of shape (n,)."""
    low, high = interval
    return low + (high - low) * numbers_like(x, x.shape[:1], torch.rand)


def per_image(values: Tensor) -> Tensor:
    """Return one value per sample in a shape that multiplies images."""
    return values[:, None, None, None]


def resample(x: Tensor, matrix: Tensor, padding: str) -> Tensor:
    """Read images at places that a map of the pixels of the result gives.

    Parameters
    ----------
    x : Tensor of shape (n, channels, height, width)
        Images.
    matrix : Tensor of shape (n, 2, 3)
        From the place (x, y, 1) in the result to a place in the image; both axes run
        from -1 to 1 between the outer edges.
    padding : {'border', 'reflection', 'zeros'}
        What lies outside.

    Returns
    -------
    Tensor of shape (n, channels, height, width)
        The result, with values interpolated bilinearly.
    """
    grid = affine_grid(matrix, list(x.shape), align_corners=False)
    return grid_sample(x, grid, "bilinear", padding, align_corners=False)


class _Transform(nn.Module):
    """A module without parameters that checks its batches and shows its settings."""

    _accepted = "a batch of floating-point numbers"
    _n_axes: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return a changed copy of a batch.

        Parameters
        ----------
        x : Tensor of shape (n, ...), float32
            Samples, or images of shape (n, channels, height, width); not changed.

        Returns
        -------
        Tensor of the shape of x, float32
            A view of every sample.

        Raises
        ------
        TypeError
            If the batch is no tensor.
        ValueError
            If it has another number of axes, or integers or complex numbers.
        """
        accepted = f"{type(self).__name__} takes as x {self._accepted}"
        if not isinstance(x, Tensor):
            raise TypeError(f"{accepted}; got {type(x).__name__}.")
        if not x.is_floating_point() or x.ndim != (self._n_axes or x.ndim):
            raise ValueError(f"{accepted}; got {x.dtype} of shape {tuple(x.shape)}.")
        return self._change(x) if x.numel() else x.clone()

    def _change(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return the settings as they are given to the constructor."""
        settings = {k: v for k, v in vars(self).items() if not k.startswith("_")}
        settings.pop("training")
        return ", ".join(f"{name}={value!r}" for name, value in settings.items())


class _ImageTransform(_Transform):
    """A transform of batches of images."""

    _accepted = "floating-point images of shape (n, channels, height, width)"
    _n_axes = 4


class GaussianNoise(_Transform):
    """Add Gaussian noise to every value.

    Parameters
    ----------
    scale : float, default=0.1
        Standard deviation of the noise, as a share of the standard deviation of all
        values of the batch; from 0 to 100.

    Raises
    ------
    ValueError
        If `scale` is not as described.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.views import GaussianNoise
    >>> GaussianNoise(0.2)(torch.rand(5, 3)).shape
    torch.Size([5, 3])
    """

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__()
        self.scale = check_number("scale", scale, 0, 100)

    def _change(self, x: Tensor) -> Tensor:
        deviation = self.scale * x.std(correction=0)
        return x + deviation * numbers_like(x, x.shape, torch.randn)


class RandomAffine(_ImageTransform):
    """Rotate, shift, resize and shear images about their centre, at random.

    Every parameter but `padding` is an interval that a number is drawn from uniformly
    for every image: a pair (low, high), or a number for an interval of this reach to
    both sides of what changes nothing.

    Parameters
    ----------
    degrees : float or pair of float, default=15
        Angle of the rotation, counter-clockwise; from -180 to 180. The number 15
        stands for (-15, 15).
    translate : float or pair of float, default=0.1
        Shift to the right and, by another draw, downwards, as a share of width and
        height; from -1 to 1.
    scale : float or pair of float, default=0.15
        Factor of the size, from 0.01 to 100. The number 0.15 stands for (0.85, 1.15).
    shear : float or pair of float, default=10
        Angle in degrees by which upright lines lean to the right; from -80 to 80.
    padding : {'border', 'reflection', 'zeros'}, default='border'
        What lies outside an image: the nearest pixel, its mirror image, or zeros.

    Raises
    ------
    ValueError
        If a parameter is not as described.

    Notes
    -----
    Pixels are interpolated bilinearly.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.views import RandomAffine
    >>> quarter_turn = RandomAffine(degrees=(90, 90), translate=0, scale=0, shear=0)
    >>> quarter_turn(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).round(decimals=3)
    tensor([[[[2., 4.],
              [1., 3.]]]])
    """

    def __init__(
        self,
        degrees: Range = 15.0,
        translate: Range = 0.1,
        scale: Range = 0.15,
        shear: Range = 10.0,
        padding: str = "border",
    ) -> None:
        super().__init__()
        self.degrees = check_interval("degrees", degrees, -180, 180, centre=0)
        self.translate = check_interval("translate", translate, -1, 1, centre=0)
        self.scale = check_interval("scale", scale, 0.01, 100, centre=1)
        self.shear = check_interval("shear", shear, -80, 80, centre=0)
        if not isinstance(padding, str) or padding not in PADDINGS:
            raise ValueError(f"padding must be one of {PADDINGS}; got {padding!r}.")
        self.padding = padding

    def _change(self, x: Tensor) -> Tensor:
        return resample(x, self._inverse_maps(x), self.padding)

    def _inverse_maps(self, x: Tensor) -> Tensor:
        """Draw maps from the places in the results to those in the images."""
        angle, slant = (draw(x, d).deg2rad() for d in (self.degrees, self.shear))
        cos, sin, slope = angle.cos(), angle.sin(), slant.tan()
        shift = 2 * torch.stack([draw(x, self.translate) for _ in "xy"], 1)
        height, width = x.shape[-2:]
        turn = torch.stack(
            [
                torch.stack([cos + slope * sin, slope * cos - sin], 1),
                torch.stack([sin, cos], 1),
            ],
            1,
        )
        aspect = x.new_tensor([[1, height / width], [width / height, 1]])
        turn = turn * aspect / draw(x, self.scale)[:, None, None]
        return torch.cat([turn, -turn @ shift[:, :, None]], 2)


class RandomCrop(_ImageTransform):
    """Cut out a random rectangle and bring it to the size of the image.

    This is the random resized crop of Inception [1]_: the share of the area and the
    logarithm of the ratio of the sides are drawn uniformly, then the place. A side that
    would be longer than that of the image has its length instead.

    Parameters
    ----------
    area : float or pair of float, default=(0.5, 1.0)
        Interval of the share of the image's area; from 0.01 to 1.
    ratio : float or pair of float, default=(3 / 4, 4 / 3)
        Interval of width over height, relative to that of the image; from 0.01 to 100.

    Raises
    ------
    ValueError
        If a parameter is not as described.

    References
    ----------
    .. [1] Szegedy et al. (2015), "Going deeper with convolutions", section 6.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.views import RandomCrop
    >>> RandomCrop(area=(0.3, 0.8))(torch.rand(5, 3, 16, 16)).shape
    torch.Size([5, 3, 16, 16])
    """

    def __init__(self, area: Range = (0.5, 1.0), ratio: Range = (3 / 4, 4 / 3)) -> None:
        super().__init__()
        self.area = check_interval("area", area, 0.01, 1)
        self.ratio = check_interval("ratio", ratio, 0.01, 100)

    def _change(self, x: Tensor) -> Tensor:
        area = draw(x, self.area)
        low, high = map(math.log, self.ratio)
        ratio = draw(x, (low, high)).exp()
        sides = torch.stack([area * ratio, area / ratio], 1).sqrt().clamp_max(1)
        room = 1 - sides
        centre = torch.stack([draw(x, (-1, 1)) for _ in "xy"], 1) * room
        return resample(
            x, torch.cat([sides.diag_embed(), centre[:, :, None]], 2), "border"
        )


class RandomHorizontalFlip(_ImageTransform):
    """Swap left and right in a share of the images.

    Parameters
    ----------
    p : float, default=0.5
        Probability for every image, from 0 to 1.

    Raises
    ------
    ValueError
        If `p` is not as described.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.views import RandomHorizontalFlip
    >>> RandomHorizontalFlip(p=1)(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[2., 1.]]]])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_number("p", p, 0, 1)

    def _change(self, x: Tensor) -> Tensor:
        flipped = draw(x, (0, 1)) < self.p
        return torch.where(per_image(flipped), x.flip(-1), x)


class ColorJitter(_ImageTransform):
    """Change brightness, contrast and saturation of images, at random.

    Each of the three mixes an image with another one, ``b + f (x - b)``, by a factor f
    drawn for every image: for the brightness b is black, for the contrast the mean of
    the image's grey values, for the saturation the grey values themselves. They follow
    each other in this order, and after each the values are kept between black and
    white.

    Black and white are the smallest and the largest value of the batch, so that images
    of any scale are changed alike: those with values from 0 to 255, from 0 to 1, or
    standardised. Images have one channel or three, red, green and blue; the saturation
    of one channel cannot change.

    Parameters
    ----------
    brightness, contrast, saturation : float or pair of float, default=0.4
        Interval of the factor, from 0 to 100. The number 0.4 stands for (0.6, 1.4).

    Raises
    ------
    ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.views import ColorJitter
    >>> darker = ColorJitter(brightness=(0.5, 0.5), contrast=0, saturation=0)
    >>> darker(torch.tensor([[[[0.0, 128.0, 255.0]]]]))
    tensor([[[[  0.0000,  64.0000, 127.5000]]]])
    """

    def __init__(
        self, brightness: Range = 0.4, contrast: Range = 0.4, saturation: Range = 0.4
    ) -> None:
        super().__init__()
        self.brightness = check_interval("brightness", brightness, 0, 100, centre=1)
        self.contrast = check_interval("contrast", contrast, 0, 100, centre=1)
        self.saturation = check_interval("saturation", saturation, 0, 100, centre=1)

    def _change(self, x: Tensor) -> Tensor:
        if x.shape[1] not in (1, 3):
            raise ValueError(
                "ColorJitter takes as x images of shape (n, channels, height, width) "
                f"with 1 or 3 channels; got shape {tuple(x.shape)}."
            )
        black, white = x.aminmax()

        def mix(base: Tensor, x: Tensor, interval: Interval) -> Tensor:
            mixed = torch.lerp(base, x, per_image(draw(x, interval)))
            return mixed.clamp(black, white)

        x = mix(black, x, self.brightness)
        x = mix(grey(x).mean((1, 2, 3), keepdim=True), x, self.contrast)
        return mix(grey(x), x, self.saturation)


def grey(x: Tensor) -> Tensor:
    """Return the grey values of images, of shape (n, 1, height, width)."""
    if x.shape[1] == 1:
        return x
    return torch.einsum("nchw,c->nhw", x, x.new_tensor(GREY))[:, None]


class GaussianBlur(_ImageTransform):
    """Blur images by a Gaussian kernel of random width.

    Outside an image lies its mirror image, so that the mean of its values is kept. The
    kernel ends at three times the largest standard deviation.

    Parameters
    ----------
    sigma : float or pair of float, default=(0.1, 2.0)
        Interval of the standard deviation in pixels, from 0 to 100.

    Raises
    ------
    ValueError
        If `sigma` is not as described.

    Examples
    --------
    >>> import torch
    >>> from sklearn_cce.views import GaussianBlur
    >>> dot = torch.zeros(1, 1, 3, 3)
    >>> dot[..., 1, 1] = 1
    >>> GaussianBlur(sigma=0.5)(dot)
    tensor([[[[0.0114, 0.0839, 0.0114],
              [0.0839, 0.6187, 0.0839],
              [0.0114, 0.0839, 0.0114]]]])
    """

    def __init__(self, sigma: Range = (0.1, 2.0)) -> None:
        super().__init__()
        self.sigma = check_interval("sigma", sigma, 0, 100)

    def _change(self, x: Tensor) -> Tensor:
        radius = math.ceil(CUT_OFF * self.sigma[1])
        sigma = draw(x, self.sigma).clamp_min(LEAST_SIGMA)
        offset = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
        kernel = (-0.5 * (offset / sigma[:, None]).square()).softmax(1)
        return blur_rows(blur_rows(x, kernel).mT, kernel).mT.contiguous()


def blur_rows(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve the rows of every image with a kernel of its own.

    Parameters
    ----------
    x : Tensor of shape (n, channels, height, width)
        Images, continued by their mirror images.
    kernel : Tensor of shape (n, 2 * radius + 1)
        Kernels.

    Returns
    -------
    Tensor of shape (n, channels, height, width)
        The images convolved along their last axis.
    """
    n, channels, height, width = x.shape
    radius = kernel.shape[1] // 2
    place = torch.arange(-radius, width + radius, device=x.device) % (2 * width)
    mirrored = x[..., torch.minimum(place, 2 * width - 1 - place)]
    rows = mirrored.reshape(1, n, channels * height, -1)
    return conv2d(rows, kernel[:, None, None], groups=n).view(x.shape)


def is_own(transform: Callable[[Tensor], Tensor]) -> bool:
    """Return whether a transform is one of those here, or a sequence of them.

    They are known to draw from the generator that they are given, and from no other.
    """
    if type(transform) is nn.Sequential:
        return all(map(is_own, transform))
    return type(transform).__module__ == __name__
