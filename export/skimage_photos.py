"""Real photographs that come with a PyPI package: scikit-image's. The project itself carries none.

``python -m export.skimage_photos --out DIR`` writes the four of the demo, and crops of them, as files.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.data import U8Image
from edge.errors import BackendError
from edge.images import read_rgb

DEMO_PHOTOS = ("coffee.png", "chelsea.png", "rocket.jpg", "astronaut.png")
DEMO_CROPS = 200
DEMO_SEED = 1


def photo_path(name: str) -> Path:
    """Where scikit-image keeps a photo. Raises BackendError if the package is not installed."""
    try:
        import skimage
    except ImportError as error:
        raise BackendError(f"scikit-image's photos need it: {error}", fix="pip install 'scikit-image>=0.25'") from error
    return Path(skimage.__file__).parent / "data" / name


def random_crops(names: Sequence[str], count: int, seed: Sequence[int]) -> Iterator[U8Image]:
    """``count`` square crops of the named photos in turn, each of half to all of the photo's shorter side, at a random place."""
    photos = [read_rgb(photo_path(name)) for name in names]
    rng = np.random.default_rng(seed)
    for number in range(count):
        photo = photos[number % len(photos)]
        height, width = photo.shape[:2]
        side = int(min(height, width) * rng.uniform(0.5, 1.0))
        top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
        yield photo[top : top + side, left : left + side]


def main() -> None:
    """Write ``whole/`` and ``crops/`` below the output directory."""
    parser = argparse.ArgumentParser(
        prog="python -m export.skimage_photos", description="Write the demo's photographs as files."
    )
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    for folder in (out / "whole", out / "crops"):
        folder.mkdir(parents=True, exist_ok=True)
    for name in DEMO_PHOTOS:
        shutil.copyfile(photo_path(name), out / "whole" / name)
    for index, crop in enumerate(random_crops(DEMO_PHOTOS, DEMO_CROPS, [DEMO_SEED])):
        cv2.imwrite(str(out / "crops" / f"{index:03d}.png"), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
