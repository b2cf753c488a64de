"""Images as observations: their layout in memory, and the convolutions of an image policy in NumPy.

An environment's images travel as rows of bytes, flattened as the environment gives them. Networks take them channel
first and divided by 255. The convolutions are those of Mnih et al. 2015 (doi:10.1038/nature14236), which
stable-baselines3 calls NatureCNN; their tensors are "conv.<i>.weight" (out, in, k, k) and "conv.<i>.bias" (out,), then
"features.weight" (512, flat) and "features.bias" (512,).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

STRIDES = (4, 2, 1)
"""Strides of the three convolutions; their kernels are 8, 4 and 3 wide."""
SMALLEST = 36
"""Least height and width for which the three convolutions have an output."""
TENSORS = (
    *(f"conv.{layer}.{part}" for layer in range(len(STRIDES)) for part in ("weight", "bias")),
    *("features.weight", "features.bias"),
)


@dataclass(frozen=True)
class Image:
    """The shape of an image, and where its channels lie."""

    height: int
    width: int
    channels: int
    channels_first: bool = False
    """The environment gives (channels, height, width); else (height, width, channels)."""

    @classmethod
    def from_shape(cls, shape: tuple[int, int, int]) -> Image:
        """Return the image of an array's shape; the axis of the channels is the smallest one.

        >>> Image.from_shape((64, 48, 3)), Image.from_shape((4, 84, 84))
        (Image(height=64, width=48, channels=3, channels_first=False), Image(..., channels=4, channels_first=True))
        """
        if shape[0] < min(shape[1:]):
            return cls(shape[1], shape[2], shape[0], channels_first=True)
        return cls(*shape)

    @property
    def size(self) -> int:
        """Number of bytes, the length of a row."""
        return self.height * self.width * self.channels

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width), as a network takes it."""
        return self.channels, self.height, self.width

    @property
    def env_shape(self) -> tuple[int, int, int]:
        """The shape as the environment gives it."""
        return self.shape if self.channels_first else (self.height, self.width, self.channels)

    def channel_first(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return rows (..., size) of the environment as a view (..., channels, height, width)."""
        images = rows.reshape(*rows.shape[:-1], *self.env_shape)
        return images if self.channels_first else np.moveaxis(images, -1, -3)


@dataclass(frozen=True)
class ImagePart:
    """An image among the numbers of an observation, which a policy reads by convolutions of its own."""

    start: int
    """Place of its first number."""
    image: Image

    @property
    def columns(self) -> slice:
        """Its places in an observation."""
        return slice(self.start, self.start + self.image.size)


def find_plain_columns(size: int, parts: Sequence[ImagePart]) -> NDArray[np.intp]:
    """Return the places of the numbers of an observation that belong to no image.

    >>> find_plain_columns(40 * 40 + 2, [ImagePart(1, Image(40, 40, 1))])
    array([   0, 1601])
    """
    kept = np.ones(size, np.bool_)
    for part in parts:
        kept[part.columns] = False
    return np.flatnonzero(kept)


def prefix_part(number: int) -> str:
    """Return the beginning of the names of the tensors of an image among numbers."""
    return f"image{number}."


def get_observation_dtype(image: Image | None) -> type[Any]:
    """Return the type of numbers that an environment's observations are kept in."""
    return np.float64 if image is None else np.uint8


class ImageScaling:
    """Scaling of images: bytes, channel first. There are no statistics, as the network divides by 255."""

    enabled = False

    def __init__(self, image: Image) -> None:
        self._image = image

    def update(self, obs: NDArray[Any]) -> None:
        """Do nothing."""

    def scale_into(self, obs: NDArray[Any], out: NDArray[Any]) -> None:
        """Write observations (n, size) channel first to `out` (n, size)."""
        out.reshape(len(out), *self._image.shape)[...] = self._image.channel_first(obs)

    def scale(self, obs: NDArray[Any]) -> NDArray[Any]:
        """Return observations (..., size) channel first, flattened again."""
        return np.ascontiguousarray(self._image.channel_first(obs)).reshape(obs.shape)


def extract_features(images: Pixels, tensors: Mapping[str, NDArray[Any]]) -> Floats:
    """Return the features of images, the output of the convolutions.

    Args:
        images: (n, channels, height, width).
        tensors: with those of the convolutions.

    Returns:
        (n, 512); a row does not depend on the others.
    """
    return _convolve_scaled(images.astype(np.float32) / np.float32(255), tensors, "")


def extract_part_features(obs: NDArray[Any], parts: Sequence[ImagePart], tensors: Mapping[str, NDArray[Any]]) -> Floats:
    """Return the numbers that belong to no image, followed by the features of each image.

    Args:
        obs: (n, size), normalised; the numbers of images are between 0 and 1.
        parts: the images.
        tensors: with those of the convolutions of each.
    """
    scaled = obs.astype(np.float32)
    features = [
        _convolve_scaled(part.image.channel_first(scaled[:, part.columns]), tensors, prefix_part(number))
        for number, part in enumerate(parts)
    ]
    return np.concatenate([scaled[:, find_plain_columns(obs.shape[1], parts)], *features], axis=1)


def _convolve_scaled(hidden: NDArray[Any], tensors: Mapping[str, NDArray[Any]], prefix: str) -> Floats:
    """Return the features of images (n, channels, height, width) between 0 and 1."""
    tensors = {name: tensors[f"{prefix}{name}"] for name in TENSORS}
    for layer, stride in enumerate(STRIDES):
        hidden = _convolve(hidden, tensors[f"conv.{layer}.weight"], tensors[f"conv.{layer}.bias"], stride)
    flat = hidden.reshape(len(hidden), 1, -1)
    features = np.maximum(flat @ tensors["features.weight"].T + tensors["features.bias"], 0)
    return np.asarray(features[:, 0])


def _convolve(images: Floats, weight: Floats, bias: Floats, stride: int) -> Floats:
    """Return max(0, convolution) of images (n, c, h, w), without padding."""
    out, _, kernel, _ = weight.shape
    windows = sliding_window_view(images, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    n, _, height, width = windows.shape[:4]
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, height * width, -1)
    convolved = np.maximum(patches @ weight.reshape(out, -1).T + bias, 0)
    return np.asarray(convolved.transpose(0, 2, 1).reshape(n, out, height, width))
