"""A network as plain data: a list of steps, each an operator by name with literals and earlier steps as arguments, and its weights.

This is what the confined reader of foreign programs (``export.load.reader``) hands back. It holds no code and no pickle, and whoever
builds a network of it looks every operator up in ``export.load.operators``, so that no more can be asked for than stands there.
"""

from __future__ import annotations

import keyword
import math
import operator
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import torch

from edge.errors import DataError
from export.load import operators

if TYPE_CHECKING:
    from torch.fx import Node

SHAPE = "shape"
"""Key of ``torch.fx.Node.meta``: the shape that was traced, None for a side that is open; absent where it is not known."""

_PART = re.compile(r"[A-Za-z0-9_]{1,128}", re.ASCII)
_CONSTANTS = {
    "dtype": ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"),
    "layout": ("strided",),
    "memory_format": ("contiguous_format", "channels_last", "preserve_format"),
}
_DEPTH_MAX = 8  # of lists in lists


class ProgramStep(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``picture``: the input, N×3×H×W float32. ``weight``: the tensor named ``target``. ``call``: the operator ``target`` (see
    ``operators.resolve``) with ``args`` and ``kwargs``, in which ``{"step": 3}`` stands for the result of step 3, ``{"dtype": …}``,
    ``{"layout": …}``, ``{"memory_format": …}``, ``{"device": "cpu"}`` and ``{"float": "inf"}`` for what JSON has not."""

    kind: Literal["picture", "weight", "call"]
    target: str = ""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    shape: tuple[int | None, ...] | None = None


class ProgramDescription(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``answer`` is the step whose tensor the network answers with; ``parameters`` are the weights that are no buffers."""

    steps: tuple[ProgramStep, ...]
    answer: int
    parameters: frozenset[str]


def build(description: ProgramDescription, weights: Mapping[str, torch.Tensor]) -> torch.fx.GraphModule:
    """The network. Raises DataError, whose message begins with "refused", where it asks for what no network needs."""
    root = torch.nn.Module()
    for name, tensor in weights.items():
        _place(root, _identifier(name), tensor, parameter=name in description.parameters)
    graph = torch.fx.Graph()
    nodes: list[Node | None] = []
    seen: set[Node] = set()  # what depends on the values of pictures
    firsts: set[Node] = set()  # what stands for a result of several tensors by its first
    for step in description.steps:
        node: Node | None
        if step.kind == "picture":
            node = graph.placeholder("x")
            seen.add(node)
        elif step.kind == "weight":
            if step.target not in weights:
                raise DataError(f"refused: weight {step.target[:80]!r} is missing")
            node = graph.get_attr(_identifier(step.target))
        else:
            node = _call(graph, nodes, step, firsts)
            if node is None:
                nodes.append(None)
                continue
            if not step.target.startswith(operators.SIZES) and not seen.isdisjoint(node.all_input_nodes):
                if not seen.isdisjoint(_nodes(operators.read_by_value(node.target, node.args, node.kwargs))):
                    raise DataError(f"refused: it wants to compute with {step.target} of a picture, which no network needs")
                seen.add(node)
        if step.shape is not None:
            node.meta[SHAPE] = step.shape
        nodes.append(node)
    answer = nodes[description.answer] if 0 <= description.answer < len(nodes) else None
    if answer is None or [step.kind for step in description.steps].count("picture") != 1:
        raise DataError("refused: a network takes one batch of pictures and answers with one tensor")
    graph.output(answer)
    return torch.fx.GraphModule(root, graph)


def describe(module: torch.fx.GraphModule) -> tuple[ProgramDescription, dict[str, torch.Tensor]]:
    """The inverse of ``build``, for a graph of ATen operators with one input. Checks of the exporter are left out.

    Raises:
        DataError: as ``build``: it holds something else.
    """
    places: dict[Node, int] = {}
    steps: list[ProgramStep] = []
    weights: dict[str, torch.Tensor] = {}
    answer = -1
    for node in module.graph.nodes:
        if node.op == "output":
            answer = places.get(_only_tensor(node.args[0]), -1)
            break
        if node.op == "placeholder":
            step = ProgramStep("picture", shape=_shape(node))
        elif node.op == "get_attr":
            weights[node.target] = _attribute(module, node.target)
            step = ProgramStep("weight", node.target)
        elif node.op == "call_function":
            name = operators.name_of(node.target)
            if name in operators.ASSERTIONS:
                continue
            args = tuple(_plain(value, places) for value in node.args)
            step = ProgramStep(
                "call", name, args, {key: _plain(value, places) for key, value in node.kwargs.items()}, _shape(node)
            )
        else:
            raise DataError(f"refused: it has a {node.op}, which no network needs")
        places[node] = len(steps)
        steps.append(step)
    parameters = frozenset(name for name in weights if isinstance(weights[name], torch.nn.Parameter))
    return ProgramDescription(tuple(steps), answer, parameters), weights


def _call(graph: torch.fx.Graph, nodes: list[Node | None], step: ProgramStep, firsts: set[Node]) -> Node | None:
    """The step's node; None for a result that a network does not read, and that nothing may name."""
    function = operators.resolve(step.target)
    if function is None:
        raise DataError(f"refused: it wants to run {step.target[:80]!r}, which no network needs")
    args = tuple(_value(value, nodes) for value in step.args)
    kwargs = {key: _value(value, nodes) for key, value in step.kwargs.items()}
    if not operators.allowed_arguments(function, args, kwargs):
        raise DataError(f"refused: it gives {step.target[:80]!r} arguments that no network needs")
    if function is operator.getitem and len(args) == 2 and args[0] in firsts:
        first: Node = args[0]
        return first if args[1] == 0 else None  # of a normalisation: its statistics
    if (checked := operators.checked(function, args, kwargs)) is not None:
        node = graph.call_function(*checked)
        firsts.add(node)
        return node
    return graph.call_function(function, args, kwargs)


def _value(value: Any, nodes: list[Node | None], depth: int = 0) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)) and depth < _DEPTH_MAX:
        return [_value(item, nodes, depth + 1) for item in value]
    if isinstance(value, dict) and len(value) == 1:
        ((kind, name),) = value.items()
        if kind == "step" and type(name) is int and 0 <= name < len(nodes) and nodes[name] is not None:
            return nodes[name]
        if kind in _CONSTANTS and name in _CONSTANTS[kind]:
            return getattr(torch, name)
        if kind == "device" and name == "cpu":
            return torch.device("cpu")
        if kind == "float" and name in ("inf", "-inf", "nan"):
            return float(name)
    raise DataError(f"refused: {str(value)[:80]!r} is no argument that a network needs")


def _nodes(value: Any) -> Iterator[Node]:
    """Every earlier step within an argument."""
    if isinstance(value, torch.fx.Node):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _nodes(item)


def _plain(value: Any, places: Mapping[Node, int]) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(item, places) for item in value]
    if isinstance(value, torch.fx.Node) and value in places:
        return {"step": places[value]}
    if isinstance(value, torch.device):
        return {"device": value.type}
    for kind, names in _CONSTANTS.items():
        name = str(value).removeprefix("torch.")
        if name in names and getattr(torch, name) is value:
            return {kind: name}
    raise DataError(f"refused: {value!r:.80} is no argument that a network needs")


def _identifier(name: str) -> str:
    """``name`` with words of Python, which a module's code cannot have as names, made different."""
    return ".".join(f"{part}_" if keyword.iskeyword(part) else part for part in name.split("."))


def _place(root: torch.nn.Module, name: str, tensor: torch.Tensor, *, parameter: bool) -> None:
    """Put a weight below ``root``, in modules made on the way."""
    *path, last = name.split(".")
    if not all(_PART.fullmatch(part) for part in (*path, last)):
        raise DataError(f"refused: a weight is named {name[:80]!r}")
    module = root
    try:
        for part in path:
            if part not in module._modules:
                if hasattr(torch.fx.GraphModule, part):
                    raise KeyError(part)
                module.add_module(part, torch.nn.Module())
            module = module.get_submodule(part)
        if hasattr(torch.fx.GraphModule, last):
            raise KeyError(last)
        if parameter:
            module.register_parameter(last, torch.nn.Parameter(tensor, requires_grad=tensor.is_floating_point()))
        else:
            module.register_buffer(last, tensor)
    except (KeyError, AttributeError, TypeError) as error:
        raise DataError(f"refused: a weight is named {name[:80]!r}, which stands for something else") from error


def _attribute(module: torch.nn.Module, name: str) -> torch.Tensor:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, torch.Tensor):
        raise DataError(f"refused: it holds {name[:80]!r}, which is no tensor")
    return found


def _only_tensor(value: Any) -> Any:
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if not isinstance(value, torch.fx.Node):
        raise DataError("answers with more than one tensor")
    return value


def _shape(node: Node) -> tuple[int | None, ...] | None:
    if SHAPE in node.meta:
        shape: tuple[int | None, ...] = node.meta[SHAPE]
        return shape
    value = node.meta.get("val")
    return tuple(side if type(side) is int else None for side in value.shape) if isinstance(value, torch.Tensor) else None
