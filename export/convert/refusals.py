"""When a converter cannot take a network: which operator, in which layer, and what would do instead."""

from __future__ import annotations

import contextlib
import linecache
import re
from collections.abc import Iterator
from types import TracebackType

import torch

from edge.errors import DataError, ShelfcamError

_OPERATOR = re.compile(r"%(\w+) : .*?call_function\[target=torch\.ops\.([\w.]+)\]")
"""How torch.fx prints a node; both converters quote the one that they failed at."""

_WRAPPER = "network"
"""The attribute of ``export.convert.core.Core`` that holds the user's network."""

_BRANCH = "a decision that depends on the picture"
_INSTEAD = (
    (r"^a decision|nonzero|unique|_local_scalar_dense|masked_select|\bitem\b", "the graph is the same for every picture: torch.where, "
     "a mask or topk of a fixed k say the same without a branch or a length that depends on values"),
    (r"fft|complex|_to_copy", "there are no complex numbers: a real convolution, or a matrix of cosines and sines, says the same"),
    (r"linalg|svd|eig|cholesky|qr\b|inverse|solve", "decompose the matrix before the export and keep it as a weight; within the graph only "
     "matrix products are sure to convert"),
    (r"special_|bessel|lgamma|digamma|erfinv", "use an activation that both runtimes have: ReLU, ReLU6, HardSwish, Sigmoid, Tanh, GELU"),
    (r"numpy", "forward must use torch functions alone"),
    (r"deform|roi_|nms|grid_sample", "leave it out of the network and do it behind it on the camera"),
)  # fmt: skip


@contextlib.contextmanager
def explained(target: str, network: torch.nn.Module, example: torch.Tensor) -> Iterator[None]:
    """Turn whatever a converter raises within the block into a DataError.

    Args:
        target: what is converted to, "ONNX" or "TFLite".
        network: what is converted; layers are named by their path in it.
        example: its input.

    Raises:
        DataError: the operator, the layer and the nearest alternative, as far as they can be found.
    """
    try:
        yield
    except (ShelfcamError, OSError, MemoryError):
        raise
    except Exception as error:  # converters document no errors of theirs; the cause is kept and told
        chain = _chain(error)
        operator = _operator(chain)
        layer = _layer_of(network, example, *operator) if operator else _deepest_layer(network, chain)
        what = operator[1] if operator else _decision(chain)
        place = f"layer {layer}" if layer else "the network"
        other = "tflite" if target == "ONNX" else "onnx"
        raise DataError(
            f"{target} cannot take {what} in {place}: {_first_line(chain[-1])}",
            fix=f"{_instead(f'{what} {chain[-1]}')}; or leave {target} out: --candidates {other}-fp32,{other}-int8",
        ) from error


def _chain(error: BaseException) -> list[BaseException]:
    """``error`` and what it came from, the first cause last."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    return chain


def _operator(chain: list[BaseException]) -> tuple[str, str] | None:
    """(node, operator) that a converter quotes, for example ("_linalg_svd", "aten._linalg_svd.default")."""
    for error in chain:
        found = _OPERATOR.search(str(error))
        if found:
            return found[1], found[2]
    return None


def _layer_of(network: torch.nn.Module, example: torch.Tensor, name: str, operator: str) -> str | None:
    """Path of the module that ``operator`` belongs to, by tracing ``network`` again."""
    try:
        program = torch.export.export(network, (example,))
        graphs = [program.graph, program.run_decompositions().graph]
    except Exception:  # noqa: BLE001 - it has failed before; the operator's name alone must do
        return None
    nodes = [node for graph in graphs for node in graph.nodes if node.op == "call_function"]
    word = operator.split(".")[1].lstrip("_")  # a decomposition may have moved it to another namespace
    same = [node for node in nodes if word in str(node.target) or node.name == name]
    for node in sorted(same, key=lambda node: node.name != name):
        stack = list(node.meta.get("nn_module_stack", {}).values())
        if stack:
            return _path(str(stack[-1][0]))
    return None


def _path(name: str) -> str | None:
    """The layer's name in the network that the user gave; ours is around it."""
    return name.removeprefix(_WRAPPER).removeprefix(".") or None


def _deepest_layer(network: torch.nn.Module, chain: list[BaseException]) -> str | None:
    """Path of the innermost module whose ``forward`` was running when the first cause was raised."""
    names = {id(module): _path(name) for name, module in network.named_modules()}
    found = [names.get(id(frame.tb_frame.f_locals.get("self"))) for error in chain for frame in _frames(error.__traceback__)]
    return next((name for name in reversed(found) if name), None)


def _decision(chain: list[BaseException]) -> str:
    """What could not be traced, with its line of source where torch names it."""
    text = "\n".join(map(str, chain))
    what = _BRANCH if "data-dependent" in text or "GuardOnDataDependent" in text else "an operation"
    line = re.search(r'File "([^"]+)", line (\d+)', str(chain[-1]))
    source = linecache.getline(line[1], int(line[2])).strip() if line else ""
    return f"{what} (`{source}`)" if source else what


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _instead(what: str) -> str:
    return next(
        (advice for pattern, advice in _INSTEAD if re.search(pattern, what)), "replace the layer by one of simpler operators"
    )


def _first_line(error: BaseException) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return text.strip().split("\n")[0][:200] or type(error).__name__
