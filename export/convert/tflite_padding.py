"""Max-pooling with padding, made fit for 8 bits.

The converter pads with −∞, which no 8-bit tensor can hold: LiteRT 2.3 crashes on the infinite scale that would follow. The smallest
value that the padded tensor takes does the same: it never wins a maximum, and in 8 bits nothing is below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.convert.tflite_graph import packed

_STANDS_FOR_MINUS_INFINITY = np.float32(
    -1e4
)  # while ranges are taken: it wins no maximum, and the tensor's own range is put right after


@dataclass(frozen=True, slots=True)
class Padding:
    """Tensor names of one padding, and the buffer that holds the value it pads with."""

    source: str
    target: str
    buffer: int


def finite_paddings(core: bytes) -> tuple[bytes, list[Padding]]:
    """A float core whose paddings by −∞ have a finite value for now, and which they are; ``core`` itself if there is none."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(core))
    graph, found = model.subgraphs[0], []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) != schema.BuiltinOperator.PADV2:
            continue
        buffer = graph.tensors[operator.inputs[2]].buffer
        data = model.buffers[buffer].data
        if data is not None and np.isneginf(np.frombuffer(bytes(data), np.float32)).all():
            source, target = (graph.tensors[index].name.decode() for index in (operator.inputs[0], operator.outputs[0]))
            found.append(Padding(source, target, buffer))
    return (
        (_with_values(model, dict.fromkeys((p.buffer for p in found), _STANDS_FOR_MINUS_INFINITY)), found)
        if found
        else (core, [])
    )


def settle_paddings(core: bytes, paddings: list[Padding], limits: dict[str, dict[str, Any]]) -> bytes:
    """The core with every such padding by the smallest value of what it pads; ``limits`` of the padded tensors become those of
    their sources."""
    from ai_edge_litert.tools import flatbuffer_utils

    if not paddings:
        return core
    values: dict[int, np.float32] = {}
    for padding in paddings:
        limits[padding.target] = {key: np.copy(value) for key, value in limits[padding.source].items()}
        lowest = np.float32(np.min(limits[padding.source]["min"]))
        values[padding.buffer] = min(lowest, values.get(padding.buffer, lowest))
    return _with_values(flatbuffer_utils.read_model_from_bytearray(bytearray(core)), values)


def _with_values(model: Any, values: Mapping[int, np.float32]) -> bytes:
    for buffer, value in values.items():
        model.buffers[buffer].data = np.frombuffer(np.float32(value).tobytes(), dtype=np.uint8)
    return packed(model)
