"""The network as a graph of operators: which layer follows which, and what stands between them.

Modules do not say how they are connected; the graph that ``torch.export`` traces does, for every kind of module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import torch
from torch.fx import Node

from export.convert.core import Core
from export.convert.quiet import quiet
from export.load.model import FloatModel

Activation = Literal["none", "relu", "relu6"]

_CORE_PREFIX = "network."
_CONVOLUTION = frozenset({"conv1d", "conv2d", "conv3d", "convolution"})
_WEIGHTED = _CONVOLUTION | {"conv_transpose2d", "linear"}
_NORM = frozenset({"batch_norm", "_native_batch_norm_legit_no_training", "getitem"})
_ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "relu6": "relu6"}
_CLAMPS = frozenset({"hardtanh", "clamp"})
_OTHER_ACTIVATIONS = frozenset({"hardswish", "hardsigmoid", "silu", "sigmoid", "gelu", "leaky_relu", "elu", "prelu"})
_PADS = frozenset({"pad", "constant_pad_nd"})


@dataclass(frozen=True, slots=True)
class TracedLayer:
    """A convolution or matrix: ``name`` of its module, multiply-accumulates for one picture, elements of its weight."""

    name: str
    macs: int
    weight_elements: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Convolution ``first``, perhaps the batch norm ``norm``, then ``activation``, read by convolution ``second`` and nothing else.

    ``between`` is the node whose result ``second`` reads, padding aside: N×C×H×W.
    """

    first: str
    norm: str | None
    activation: Activation
    second: str
    between: Node


class Trace:
    """The graph of a network's core (``export.convert.core``) for batches of ``batch`` pictures, in order of execution."""

    def __init__(self, model: FloatModel, batch: int) -> None:
        core = Core(model).eval()
        with torch.no_grad(), quiet():
            program = torch.export.export(core, (torch.zeros(batch, 3, *model.size_hw_px),))
            self._program = program.run_decompositions({})  # takes in-place operators apart, and nothing else
        self.batch = batch
        self._parameter = dict(self._program.graph_signature.inputs_to_parameters)
        self.module = self._program.graph_module
        self.nodes = {self.name_of(node): node for node in self.module.graph.nodes if self.is_layer(node)}
        self.layers = [self._layer(name, node) for name, node in self.nodes.items()]
        self.pairs = [pair for name, node in self.nodes.items() if (pair := self._pair(name, node))]

    def arguments(self, grid: torch.Tensor) -> list[Any]:
        """What ``module`` is called with for ``batch``×3×H×W pixels on the grid: every parameter and buffer, then the pixels."""
        signature = self._program.graph_signature
        state: dict[str, Any] = {**self._program.state_dict, **self._program.constants}
        return [grid if spec.target is None else state[spec.target] for spec in signature.input_specs]

    def is_layer(self, node: Node) -> bool:
        """Whether it multiplies with a weight of the network."""
        return node.op == "call_function" and operator(node) in _WEIGHTED and _weight(node).name in self._parameter

    def name_of(self, node: Node) -> str:
        """The module that a layer's weight belongs to."""
        return self._owner(_weight(node))

    def chain(self, node: Node) -> list[Node]:
        """A layer with the batch norm and the activation behind it, as far as nothing else reads what lies between."""
        found = [node]
        while (following := _only_reader(found[-1])) is not None and (
            operator(following) in _NORM or (_is_activation(following) and not _is_activation(found[-1]))
        ):
            found.append(following)
        return found

    def _layer(self, name: str, node: Node) -> TracedLayer:
        weight, out = _weight(node).meta["val"], node.meta["val"]
        per_output = prod(weight.shape[1:])
        if operator(node) == "conv_transpose2d":
            per_output, out = prod(weight.shape[1:]), node.all_input_nodes[0].meta["val"]
        return TracedLayer(name, out.numel() // self.batch * per_output, weight.numel())

    def _pair(self, name: str, node: Node) -> Pair | None:
        if operator(node) not in _CONVOLUTION:
            return None
        chain = self.chain(node)
        norm, activation = None, "none"
        for link in chain[1:]:
            if operator(link) in _NORM:
                named = [argument for argument in link.all_input_nodes if argument.name in self._parameter]
                norm = self._owner(named[0]) if named else norm
            else:
                activation = _activation(link) or "other"
        after = _only_reader(chain[-1])
        if (
            after is not None
            and operator(after) in _PADS
            and not any(after.args[3:])
            and after.args[2:3] in ((), ("constant",))
        ):
            after = _only_reader(after)
        if activation == "other" or after is None or not self.is_layer(after) or operator(after) not in _CONVOLUTION:
            return None
        return Pair(name, norm, activation, self.name_of(after), chain[-1])  # type: ignore[arg-type]

    def _owner(self, placeholder: Node) -> str:
        return str(self._parameter[placeholder.name]).removeprefix(_CORE_PREFIX).rsplit(".", 1)[0]


def operator(node: Node) -> str:
    """An operator's name without its library and overload, as in "conv2d"; empty for what is none."""
    target: Any = node.target
    return str(getattr(target, "__name__", "")).split(".")[0] if node.op == "call_function" else ""


def _weight(node: Node) -> Node:
    weight = node.args[1]
    assert isinstance(weight, Node)  # by the operators' signatures
    return weight


def _only_reader(node: Node) -> Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _is_activation(node: Node) -> bool:
    return _activation(node) is not None or operator(node) in _OTHER_ACTIVATIONS


def _activation(node: Node) -> Activation | None:
    name = operator(node)
    if name in _ACTIVATIONS:
        return _ACTIVATIONS[name]
    limits: Sequence[Any] = node.args[1:3]
    return "relu6" if name in _CLAMPS and list(limits) == [0, 6] else None
