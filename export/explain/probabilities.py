"""Pictures at the model's size → probabilities: the deployed candidate through the camera's own code, or the float network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edge.backends.base import Backend
from edge.data import F32, Region, U8Image
from edge.manifest import InputSpec, OutputSpec, Resize
from edge.preprocess import preprocess
from edge.tasks.classify import class_probabilities

if TYPE_CHECKING:
    from export.load.model import FloatModel

Score = Callable[[U8Image], F32]
"""N×H×W×3 uint8 RGB, at the model's size → N×C float32 probabilities."""


def deployed(backend: Backend, spec: InputSpec, output: OutputSpec) -> Score:
    """A candidate as the camera runs it."""

    def score(images: U8Image) -> F32:
        return class_probabilities(backend.run(preprocess([Region("picture", image) for image in images], spec))[0], output)

    return score


def float_network(model: FloatModel) -> Score:
    """The PyTorch network before conversion."""
    import torch

    spec = torch_input(model)

    def score(images: U8Image) -> F32:
        batch = torch.from_numpy(preprocess([Region("picture", image) for image in images], spec))
        with torch.inference_mode():
            probabilities: F32 = torch.softmax(model.module(batch), dim=1).numpy()
        return probabilities

    return score


def torch_input(model: FloatModel) -> InputSpec:
    """What the network itself takes: N×3×H×W float32, normalised."""
    height, width = model.size_hw_px
    return InputSpec(
        name="image",
        batch="dynamic",
        height_px=height,
        width_px=width,
        layout="NCHW",
        dtype="float32",
        colour="RGB",
        resize=Resize(fit=model.fit),
        normalise=model.normalisation,
    )


def in_batches(score: Score, images: U8Image, batch: int) -> F32:
    """Score any number of pictures, ``batch`` at a time."""
    return np.concatenate([score(images[start : start + batch]) for start in range(0, len(images), batch)])
