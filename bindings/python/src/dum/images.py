# SPDX-License-Identifier: MIT
"""Random views and corruptions of images (docs/images.md): arrays of images x height x width x channels, channels 1 or
3, values 0 to 255. What is returned is float32 of the same shape, not rounded."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dum._array import FLOATS, narrow, plain
from dum._context import Context, default_context, struct, text
from dum._dum import ffi, lib
from dum._error import check


def _floats(images: Any) -> npt.NDArray[np.float32]:
    x = np.asarray(plain(images))
    if x.ndim != 4:
        raise ValueError(f"expected images x height x width x channels; this array has {x.ndim} dimension(s)")
    return narrow(x)


def augment(
    images: Any,
    *,
    seed: int = 0,
    view: int = 0,
    crop_min: float = 0,
    crop_max: float = 0,
    flip: float = 0,
    jitter: float = 0,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    hue: float = 0,
    grey: float = 0,
    blur: float = 0,
    context: Context | None = None,
) -> npt.NDArray[np.float32]:
    """View number `view` of each image, as contrastive learning compares them: crop, flip, colour, blur. 0 is the
    default of each option, SimCLR's; a chance or strength that is negative means never (of the crop: crop_min=1). An
    image's view depends on the image, its number, seed and view alone."""
    x = _floats(images)
    options = struct("dum_augment_options")
    options.crop_min, options.crop_max, options.flip, options.jitter = crop_min, crop_max, flip, jitter
    options.brightness, options.contrast, options.saturation = brightness, contrast, saturation
    options.hue, options.grey, options.blur = hue, grey, blur
    out = np.empty_like(x)
    count, height, width, channels = x.shape
    handle = (context or default_context())._handle
    rows = ffi.from_buffer(FLOATS, x), count, 0, seed, view, ffi.from_buffer(FLOATS, out)
    check(lib.dum_image_augment(handle, options, height, width, channels, *rows))
    return out


def corruptions() -> list[str]:
    """The names that `corrupt` knows."""
    return [text(lib.dum_corruption_name(i)) for i in range(lib.dum_corruption_count())]


def corrupt(
    images: Any, name: str, severity: int = 1, *, seed: int = 0, context: Context | None = None
) -> npt.NDArray[np.float32]:
    """Each image, corrupted as in CIFAR-10-C (Hendrycks & Dietterich 2019), at a severity from 1 (light) to 5. What is
    random depends on the image's number, name and seed alone."""
    x = _floats(images)
    out = np.empty_like(x)
    count, height, width, channels = x.shape
    handle = (context or default_context())._handle
    rows = height, width, channels, ffi.from_buffer(FLOATS, x), count, 0, ffi.from_buffer(FLOATS, out)
    check(lib.dum_image_corrupt(handle, name.encode(), severity, seed, *rows))
    return out
