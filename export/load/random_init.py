"""Untrained networks that still answer differently to different pictures, for benchmarks of size, speed and conversion.

A network fresh from its initialisation shrinks or blows up its signal layer by layer, because the statistics that its batch
normalisations would learn are missing: all logits come out alike, and a comparison of float with 8-bit would compare nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from edge.errors import DataError
from edge.manifest import Normalisation
from edge.scene.rendered import golden_scenes
from export.load.head import find_head, run_zeros
from export.load.model import import_extra

if TYPE_CHECKING:
    import torch
    from torch.nn import Conv2d, Linear

_BATCH = 8
_PROBE_BATCHES = 2
_LOGIT_SPREAD = 2.0  # standard deviation over the classes: a softmax that is neither flat nor one-hot


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """PyTorch's generator starts from ``seed`` within, and goes on outside as if nothing had been drawn."""
    torch = import_extra("torch")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def settle(module: torch.nn.Module, size_hw_px: tuple[int, int], normalisation: Normalisation, seed: int) -> None:
    """Give an untrained network sane statistics, in place, from 16 drawn scenes: equal seeds give equal networks.

    Batch normalisations get the mean and variance that they see there. Then the head, where one is found, is scaled so that a
    picture's logits have a standard deviation of 2 (before activation and pooling, if those follow). What all answers have in common
    stays: taken out, the small rest would be mostly the noise of 8 bits, and a comparison would say nothing about the arithmetic.
    """
    torch = import_extra("torch")
    run_zeros(module, size_hw_px)  # refuses a wrong size with words
    scenes = golden_scenes(_BATCH * _PROBE_BATCHES, seed, size_hw_px)
    mean, scale = (np.asarray(value, np.float32) for value in (normalisation.mean, normalisation.scale))
    pictures = torch.from_numpy(np.ascontiguousarray(((scenes - mean) / scale).transpose(0, 3, 1, 2))).float()
    module.eval()
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    with torch.no_grad():
        for batch in pictures.split(_BATCH):
            module(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()
    try:
        head = find_head(module, size_hw_px).layer
    except DataError:
        return
    _spread(module, head, pictures)


def _spread(module: torch.nn.Module, head: Linear | Conv2d, pictures: torch.Tensor) -> None:
    torch_ = import_extra("torch")
    seen: list[torch.Tensor] = []
    # copies, because a ReLU may follow in place
    handle = head.register_forward_hook(lambda _layer, _given, answer: seen.append(answer.clone()))
    try:
        with torch_.no_grad():
            for batch in pictures.split(_BATCH):
                module(batch)
    finally:
        handle.remove()
    with torch_.no_grad():
        gain = _LOGIT_SPREAD / torch_.cat(seen).std(dim=1).mean().clamp_min(1e-12)
        head.weight.mul_(gain)
        if head.bias is not None:
            head.bias.mul_(gain)
