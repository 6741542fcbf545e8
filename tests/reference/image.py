#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reference values for tests/image: torchvision's transforms, and Pillow's JPEG and box filter.

Debian: python3-torchvision python3-pil. Usage: image.py > image_reference.h
The picture is made by the same formula in the test, so only results are stored.
"""
import io

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import functional as F

HEIGHT, WIDTH = 11, 12


def picture():
    y, x, c = np.mgrid[0:HEIGHT, 0:WIDTH, 0:3]
    t = (5 * x + 3 * y + 31 * c) % 64
    return np.where(t < 32, t, 63 - t).astype(np.uint8) * 8


def as_tensor(image):
    return torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None]


def as_image(tensor):
    return tensor[0].permute(1, 2, 0).numpy() * 255


def jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def pixelate(image, share):
    small = Image.fromarray(image).resize((int(WIDTH * share), int(HEIGHT * share)), Image.BOX)
    return np.array(small.resize((WIDTH, HEIGHT), Image.BOX))


def main():
    image = picture()
    tensor = as_tensor(image)
    results = {
        "crop": as_image(F.resized_crop(tensor, 2, 3, 6, 7, [HEIGHT, WIDTH], antialias=True)),
        "brightness": as_image(F.adjust_brightness(tensor, 1.35)),
        "contrast": as_image(F.adjust_contrast(tensor, 1.25)),
        "saturation": as_image(F.adjust_saturation(tensor, 0.7)),
        "hue": as_image(F.adjust_hue(tensor, -0.09)),
        "blur": as_image(F.gaussian_blur(tensor, [5, 5], [1.3, 1.3])),
        "pixelate_2": pixelate(image, 0.9),
        "pixelate_5": pixelate(image, 0.65),
        "jpeg_80": jpeg(image, 80),
        "jpeg_40": jpeg(image, 40),
        "jpeg_grey_50": jpeg(image[:, :, 0], 50),
    }
    print("/* Made by tests/reference/image.py; do not edit. Rounded to whole levels. */")
    for name, values in results.items():
        flat = np.clip(np.rint(values), 0, 255).astype(int).ravel()
        print(f"static const uint8_t {name}[] = {{")
        for i in range(0, len(flat), 26):
            print("    " + ", ".join(map(str, flat[i:i + 26])) + ",")
        print("};")


if __name__ == "__main__":
    main()
