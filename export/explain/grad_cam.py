"""Grad-CAM on the PyTorch network, by captum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from edge.data import F32, Region, U8Image
from edge.errors import UsageError
from edge.preprocess import preprocess
from export.explain.probabilities import torch_input
from export.explain.torch_layers import find_layer, outputs_of
from export.load.model import import_extra

if TYPE_CHECKING:
    from export.load.model import FloatModel


def grad_cam(model: FloatModel, image: U8Image, index: int, layer: str) -> F32:
    """Gradient-weighted class activation map (Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391) of the logit.

    Args:
        model: the float network.
        image: H×W×3 uint8 RGB at the model's size.
        index: the class.
        layer: whose output is weighted; it must have places (C×h×w).

    Returns:
        H×W float32 ≥ 0, in units of the logit, enlarged linearly from h×w.

    Raises:
        UsageError: no such layer, or it gives no map.
        BackendError: captum is not installed.
    """
    captum = import_extra("captum.attr")
    batch = torch.from_numpy(preprocess([Region("picture", image)], torch_input(model)))
    module = find_layer(model, layer)
    _check_map(model, module, batch, layer)
    explained = captum.LayerGradCam(model.module, module)
    with torch.enable_grad():
        heat = explained.attribute(batch, target=index, relu_attributions=True)
    small = heat[0, 0].detach().numpy().astype(np.float32)
    height, width = model.size_hw_px
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _check_map(model: FloatModel, module: torch.nn.Module, batch: torch.Tensor, layer: str) -> None:
    with torch.no_grad(), outputs_of(module) as kept:
        model.module(batch)
    if not kept or kept[0].ndim != 4:
        raise UsageError(f"{model.name}: layer {layer} gives no map of places", fix="--list-layers names those that do")
