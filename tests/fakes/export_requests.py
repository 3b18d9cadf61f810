"""Exports of small networks, ready to be asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from edge.manifest import Gate
from export import recipe
from export.convert.core import float_logits
from export.load.model import FloatModel
from export.load.spec import ModelSpec
from export.request import Request
from tests.fakes.tiny_net import CLASSES, pictures, tiny_model

LENIENT = Gate(logit_cosine_min=0.9, top1_agreement_min=0.5, accuracy_drop_max=0.01, accuracy_share_min=0.98)
"""What small networks pass in 8 bits."""


def small_request(folder: Path, model: FloatModel, monkeypatch: pytest.MonkeyPatch, photos: int = 150) -> Request:
    """An export of ``model`` to a bundle below ``folder``, calibrated on files there; nothing is repaired."""
    monkeypatch.setattr(recipe, "load_model", lambda _: model)
    directory = folder / "photos"
    directory.mkdir()
    for number, image in enumerate(pictures(photos, seed=9)):
        cv2.imwrite(str(directory / f"{number:03}.png"), image)
    return Request(
        model=ModelSpec(model.name),
        out=folder / "bundle",
        calibration=str(directory),
        golden="rendered",
        calibration_count=32,
        candidates=("onnx-fp32", "onnx-int8", "onnx-int8-fast"),
        gate=LENIENT,
        strategy="fast",
    )


def labelled(request: Request, right: bool = True) -> Request:
    """``request`` judged on photos of its own, labelled by what the tiny network says of them, or by what it does not."""
    held_out = request.out.parent / "held-out"
    held_out.mkdir()
    images = pictures(80, seed=4)
    best = float_logits(tiny_model(), images[..., ::-1]).argmax(axis=1)
    lines = ["path,label"]
    for number, image in enumerate(images):
        cv2.imwrite(str(held_out / f"h{number}.png"), image)
        lines.append(f"h{number}.png,{CLASSES[(best[number] + (not right)) % len(CLASSES)]}")
    (held_out / "list.csv").write_text("\n".join(lines) + "\n")
    return replace(request, held_out=held_out, held_out_labels=held_out / "list.csv")
