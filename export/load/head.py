"""The layer that makes the logits: found by watching a forward pass, so that any network's can be replaced."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.errors import DataError
from export.load.model import import_extra

if TYPE_CHECKING:
    import torch
    from torch.nn import Conv2d, Linear

_FIX = "give a factory that takes num_classes, or a network that ends in a Linear layer"


@dataclass(frozen=True, slots=True)
class ClassifierHead:
    """``name`` is the layer's path within the network; ``width`` is how many logits it makes."""

    name: str
    layer: Linear | Conv2d
    width: int


def find_head(module: torch.nn.Module, size_hw_px: tuple[int, int]) -> ClassifierHead:
    """The last layer with weights that runs: a Linear or a 1×1 convolution with as many outputs as there are logits.

    A convolution may be followed by activation and pooling (as in SqueezeNet). The network runs once in eval mode, on one
    picture of zeros.

    Raises:
        DataError: the last layer is another, or it runs more than once in a pass.
    """
    ran, _, width = _watched(module, size_hw_px)
    if not ran:
        raise DataError("the network ran no layer with weights", fix=_FIX)
    name = ran[-1]
    layer = module.get_submodule(name)
    if _outputs(layer) != width:
        raise DataError(
            f"the last layer with weights, {name} ({type(layer).__name__}), is no Linear or 1×1 convolution with {width} outputs,"
            " one for each of the network's",
            fix=_FIX,
        )
    if ran.count(name) > 1:
        raise DataError(f"layer {name} makes the {width} logits but runs {ran.count(name)} times in a pass", fix=_FIX)
    return ClassifierHead(name, layer, width)


def with_new_head(module: torch.nn.Module, classes: int, size_hw_px: tuple[int, int], seed: int) -> torch.nn.Module:
    """``module`` with a fresh classifier of ``classes`` outputs in the place of its own; changed in place and returned.

    The new layer has the old one's inputs, name and kind (so its state_dict keys stay), weights N(0, 0.01²) drawn from ``seed``,
    and a bias of zeros where the old one had a bias.

    Raises:
        DataError: where none is found, with the reason.
    """
    torch = import_extra("torch")
    if classes < 1:
        raise DataError(f"a head needs at least one class, not {classes}")
    head = find_head(module, size_hw_px)
    old = head.layer
    if isinstance(old, torch.nn.Linear):
        fresh = torch.nn.Linear(old.in_features, classes, bias=old.bias is not None)
    else:
        fresh = torch.nn.Conv2d(old.in_channels, classes, old.kernel_size, old.stride, old.padding, bias=old.bias is not None)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        fresh.weight.copy_(torch.randn(fresh.weight.shape, generator=generator) * 0.01)
        if fresh.bias is not None:
            fresh.bias.zero_()
    fresh.train(old.training)
    if head.name:
        module.set_submodule(head.name, fresh.to(old.weight.device))
    else:
        module = fresh
    return module


def head_parameters(module: torch.nn.Module, size_hw_px: tuple[int, int]) -> set[str]:
    """Names of the head's parameters, as ``module.named_parameters()`` has them. Raises DataError where no head is found."""
    head = find_head(module, size_hw_px)
    return {f"{head.name}.{name}" if head.name else name for name, _ in head.layer.named_parameters()}


def running_parameters(module: torch.nn.Module, size_hw_px: tuple[int, int]) -> list[tuple[str, torch.Tensor]]:
    """Names and values of the parameters whose layers run for a picture: not those of heads that are for training alone, as in
    torchvision's GoogLeNet. All of them for a program, in which no layers can be watched. Raises as ``run_zeros``."""
    ran, watched, _ = _watched(module, size_hw_px)
    idle = watched.difference(ran) if ran else set()
    return [(name, value) for name, value in module.named_parameters() if name.rpartition(".")[0] not in idle]


def without_head(module: torch.nn.Module, size_hw_px: tuple[int, int]) -> torch.nn.Module:
    """A copy of a classifier that answers with what its head would have been given: an embedder. Raises as ``find_head``."""
    torch = import_extra("torch")
    head = find_head(module, size_hw_px)
    bare = copy.deepcopy(module)
    bare.set_submodule(head.name, torch.nn.Identity())
    return bare


def run_zeros(module: torch.nn.Module, size_hw_px: tuple[int, int]) -> torch.Tensor:
    """What the network, in eval mode, answers to one picture of zeros: 1×C float32.

    Raises:
        DataError: it does not take such a picture, or answers with something else.
    """
    torch = import_extra("torch")
    modes = [(part, part.training) for part in module.modules()]
    height, width = size_hw_px
    device = next((part.device for part in module.parameters()), torch.device("cpu"))
    try:
        for part, _ in modes:  # not .eval(): traced programs refuse it
            part.training = False
        with torch.no_grad():
            answer = module(torch.zeros(1, 3, height, width, device=device))
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"the network does not take a picture of 1×3×{height}×{width}: {reason}",
            fix="give the size that it was trained for: --input-size HEIGHTxWIDTH",
        ) from error
    finally:
        for part, mode in modes:
            part.training = mode
    if not isinstance(answer, torch.Tensor) or answer.ndim != 2 or not answer.is_floating_point():
        shape = "×".join(map(str, answer.shape)) if isinstance(answer, torch.Tensor) else type(answer).__name__
        raise DataError(
            f"the network answers one picture with {shape}, not with 1×C numbers", fix="give one that ends in logits"
        )
    return answer


def _watched(module: torch.nn.Module, size_hw_px: tuple[int, int]) -> tuple[list[str], set[str], int]:
    """Paths of the layers with weights in the order in which they ran for a picture of zeros; those that were watched, which TorchScript
    does not allow; and the number of outputs."""
    script = import_extra("torch").jit.ScriptModule
    ran: list[str] = []
    handles = {}
    for name, layer in module.named_modules():
        if next(layer.parameters(recurse=False), None) is not None and not isinstance(layer, script):
            handles[name] = layer.register_forward_hook(lambda _layer, _given, _made, name=name: ran.append(name))
    try:
        return ran, set(handles), int(run_zeros(module, size_hw_px).shape[1])
    finally:
        for handle in handles.values():
            handle.remove()


def _outputs(layer: torch.nn.Module) -> int | None:
    """How many logits the layer could make, if it is of a kind that can be replaced."""
    torch = import_extra("torch")
    if isinstance(layer, torch.nn.Linear):
        return int(layer.out_features)
    if isinstance(layer, torch.nn.Conv2d) and layer.groups == 1 and layer.kernel_size == (1, 1):
        return int(layer.out_channels)
    return None
