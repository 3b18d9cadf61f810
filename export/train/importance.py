"""What a channel is worth: how much the loss on the training photos depends on it."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from export.load.model import FloatModel, import_extra
from export.progress import Progress
from export.train.finetune import normalised
from export.train.photos import Photos, as_input
from export.train.prune import Scores, graph_of

_PHOTOS = 256
_BATCH = 16


def by_taylor(model: FloatModel, photos: Photos, seed: int, progress: Progress) -> Scores:
    """Σ over batches of (Σ weight × gradient)² of the weights that make and read a channel.

    That is the first-order change of the loss without the channel (Molchanov et al. 2019, https://arxiv.org/abs/1906.10771), over 256
    photos drawn by ``seed``, comparable between layers. ``model.module`` must be a copy: it is left with gradients.
    """
    graph, _ = graph_of(model)
    importance = import_extra("torch_pruning").importance.GroupTaylorImportance(normalizer=None, multivariable=True)
    order = np.random.default_rng(seed).permutation(len(photos.images))[:_PHOTOS]
    chosen = photos.at(order.tolist())
    images = as_input(chosen, model)
    starts = range(0, len(images), _BATCH)
    advance = progress("what each channel is worth", len(starts))
    total = {group.name: torch.zeros(group.count) for group in graph.groups}
    for start in starts:
        model.module.zero_grad(set_to_none=True)
        logits = model.module(normalised(images[start : start + _BATCH].astype(np.float32), model))
        functional.cross_entropy(logits, torch.from_numpy(chosen.truth[start : start + _BATCH])).backward()
        for name, score in graph.scores(importance).items():
            total[name] += score.detach() ** 2
        advance()
    return total
