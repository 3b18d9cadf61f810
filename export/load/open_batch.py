"""A program with a batch of its own → a network that takes any."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from edge.errors import DataError
from export.load.operators import name_of, trains
from export.load.program_steps import SHAPE

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

_RESHAPES = ("aten.view.default", "aten.reshape.default", "aten._unsafe_view.default", "aten.expand.default")
_FIX_BATCH = (
    "export it with an open batch: torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim('N')},))"
)


def open_batch(path: Path, module: GraphModule, size_hw_px: tuple[int, int]) -> GraphModule:
    """``module`` without the batch written into its graph, changed in place.

    ``x.view(x.size(0), -1)`` of a program that was exported with a fixed batch of 1 says ``view(x, [1, -1])``. Where the operator's
    traced shapes show that the number is the batch, the batch is left open and the other open side, if any, is filled in. That this
    is right is then tried: three pictures in one batch must be answered as one by one.

    Raises:
        DataError: it runs in training mode, does not take batches of other sizes, or mixes the pictures of a batch.
    """
    for node in module.graph.nodes:
        if node.op == "call_function":
            if trains(node.target, node.args, node.kwargs):
                raise DataError(
                    f"{path}: {name_of(node.target)} runs in training mode", fix="call model.eval() before it is exported"
                )
            _open_shape(node)
    module.recompile()
    module.eval()
    pictures = torch.rand(3, 3, *size_hw_px, generator=torch.Generator().manual_seed(0)) * 4 - 2
    try:
        with torch.no_grad():
            together = module(pictures)
            apart = torch.cat([module(picture) for picture in pictures.split(1)])
            alike = together.shape == apart.shape and torch.allclose(together, apart, rtol=1e-3, atol=1e-4)
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError, AttributeError, ArithmeticError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: does not take batches of other sizes: {reason}", fix=_FIX_BATCH) from error
    if not alike:
        raise DataError(f"{path}: answers three pictures in one batch otherwise than one by one", fix=_FIX_BATCH)
    return module


def _open_shape(node: Node) -> None:
    if name_of(node.target) not in _RESHAPES:
        return
    source, shape = node.args[0], node.args[1]
    given, made = getattr(source, "meta", {}).get(SHAPE), node.meta.get(SHAPE)
    if not isinstance(shape, (list, tuple)) or not shape or not given or not made:
        return
    if type(shape[0]) is not int or shape[0] == -1 or given[0] != made[0]:
        return
    if name_of(node.target) != "aten.expand.default":
        shape = [side if asked == -1 and side is not None else asked for asked, side in zip(shape, made, strict=True)]
        if -1 in shape[1:]:
            return
    node.args = (source, [-1, *shape[1:]], *node.args[2:])
