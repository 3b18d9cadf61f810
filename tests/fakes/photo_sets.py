"""Photos of plain things that a network of four layers can learn in seconds: which colour is in the middle."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

LABELS = ("left", "right", "top")


def write_photos(directory: Path, count: int, seed: int = 0, name: str = "list") -> Path:
    """``count`` PNGs of 40×48 below ``directory`` and a list of them, ``NAME.csv``."""
    rng = np.random.default_rng(seed)
    directory.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        label = LABELS[number % len(LABELS)]
        picture = rng.integers(0, 60, (40, 48, 3), dtype=np.uint8)
        colour = {"left": (200, 30, 30), "right": (30, 200, 30), "top": (30, 30, 200)}[label]
        picture[8:32, 8:40] = np.asarray(colour) + rng.integers(-20, 20, 3)
        file_name = f"{label}_{number:03}.png" if name == "list" else f"{name}_{label}_{number:03}.png"
        cv2.imwrite(str(directory / file_name), picture[..., ::-1])
        rows.append((file_name, label))
    path = directory / f"{name}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows(rows)
    return path
