"""Pictures for a console: two colours and a figure, each number another one."""

from functools import cache

import numpy as np
import simplejpeg


@cache
def jpeg(number: int, width: int = 320, height: int = 180) -> bytes:
    """A picture with two colours and a figure in it, each *number* another one."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    chance = np.random.default_rng(number)
    one, other = chance.integers(40, 200, 3), chance.integers(40, 220, 3)
    picture = np.where((y < height * 0.72)[..., None], one, other).astype(np.float32)
    middle, size = chance.uniform(0.35, 0.65) * width, height * chance.uniform(0.16, 0.22)
    skin = np.array(chance.choice([(224, 178, 148), (148, 98, 70), (190, 140, 110)]), np.float32)
    head = ((x - middle) ** 2 + (y - height * 0.42) ** 2) < size**2
    body = ((x - middle) / (size * 1.9)) ** 2 + ((y - height * 1.05) / (size * 2.1)) ** 2 < 1
    picture[body] = 255 - one
    picture[head] = skin
    return simplejpeg.encode_jpeg(  # type: ignore[no-any-return]
        np.ascontiguousarray(picture.clip(0, 255).astype(np.uint8)), 80
    )
