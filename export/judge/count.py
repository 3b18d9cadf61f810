"""What a file holds and what a runtime makes of it: multiply-accumulates in 8-bit kernels, and the heaviest layers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge.manifest import INT8_MAC_SHARE_MIN, Format, Precision
from export.judge import op_counts

_INTEGER_KERNELS = {
    "QLinearConv": 3,
    "QLinearMatMul": 3,
    "QGemm": 3,
    "ConvInteger": 1,
    "MatMulInteger": 1,
    "MatMulIntegerToFloat": 1,
    "DynamicQuantizeMatMul": 1,
}
"""ONNX Runtime's 8-bit operators, by name in any domain → position of the weight among the inputs."""
_MADE_UNSIGNED = "_s8_2_u8"


@dataclass(frozen=True, slots=True)
class HeavyLayer:
    """A constant and its size in the file."""

    name: str
    bytes: int


def count(
    path: Path,
    file_format: Format,
    input_shape: Sequence[int],
    runtime_options: Mapping[str, str],
    *,
    static: bool = False,
) -> op_counts.Counts:
    """MACs and weights as stored; for ONNX the 8-bit share is that of the graph which ONNX Runtime really runs, after its own
    optimisation, because a quantized layer that it could not fuse is computed in float. ``input_shape`` is of one picture;
    ``static`` as in ``op_counts.count``."""
    counts = op_counts.count(path, file_format, input_shape, static=static)
    if file_format != "onnx":
        return counts  # the file's operators are the ones that run
    share = _optimised_share(path, input_shape, runtime_options)
    precision: Precision = "int8" if share >= INT8_MAC_SHARE_MIN else "mixed" if share > 0 else counts.precision
    return replace(counts, int8_mac_share=share, precision=precision)


def heaviest_layers(path: Path, file_format: Format, top: int = 3) -> list[HeavyLayer]:
    """The ``top`` largest constants, the largest first."""
    found = _onnx_constants(path) if file_format == "onnx" else _tflite_constants(path)
    return sorted(found, key=lambda layer: (-layer.bytes, layer.name))[:top]


def _optimised_share(path: Path, input_shape: Sequence[int], runtime_options: Mapping[str, str]) -> float:
    import onnx

    from export.judge.onnx_graph import OnnxGraph

    fused = _weights_of_integer_kernels(path, runtime_options)
    graph = OnnxGraph(onnx.load(path, load_external_data=False), input_shape)
    total = integer = 0
    for node in graph.nodes:
        operands = graph.operands(node)
        if operands is None:
            continue
        macs, stored = graph.macs(node, *operands), graph.stored(operands[1])
        total += macs
        integer += macs if stored is not None and stored.name in fused else 0
    return integer / total if total else 0.0


def _weights_of_integer_kernels(path: Path, runtime_options: Mapping[str, str]) -> set[str]:
    """Names of the constants that 8-bit kernels read. The optimiser keeps a quantized weight's name, but for a suffix where it made
    signed bytes unsigned, which it does for 8-bit weights under session.x64quantprecision."""
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="shelfcam-") as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(optimised)
        options.log_severity_level = 3  # errors; it warns that the file is good for this machine only, which is meant
        for key, value in runtime_options.items():
            options.add_session_config_entry(key, value)
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(optimised).graph
    read = (node.input[_INTEGER_KERNELS[node.op_type]] for node in graph.node if node.op_type in _INTEGER_KERNELS)
    return {name.removesuffix(_MADE_UNSIGNED) for name in read}


def _onnx_constants(path: Path) -> list[HeavyLayer]:
    import onnx

    return [HeavyLayer(tensor.name, len(tensor.raw_data)) for tensor in onnx.load(path).graph.initializer]


def _tflite_constants(path: Path) -> list[HeavyLayer]:
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    layers = []
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if data is not None:
            layers.append(HeavyLayer(tensor.name.decode(), len(data)))
    return layers
