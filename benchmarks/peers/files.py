"""The files that peers are given: inputs as arrays, and the same weights in the form that a peer can read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure.share import frames
from benchmarks.peers.contestants import Peer
from benchmarks.peers.envs import Environment, run_tool, tool
from benchmarks.record.facts import Placed
from edge.data import Region, Tensor, U8Image
from edge.errors import BackendError
from edge.preprocess import preprocess, resize_into

FLOAT_INPUT = "pixels"


@dataclass(frozen=True, slots=True)
class FloatOnnx:
    """An ONNX file whose input is float32 1×3×H×W, (pixel − zero_point)·scale."""

    path: Path
    zero_point: float
    scale: float


def pictures(placed: Placed) -> tuple[list[U8Image], list[U8Image]]:
    """(Frames to time: 480×640×3, pictures to judge by: at the model's size). The latter are the golden set, whose resizing is nobody's
    doing; without one, the frames again."""
    timed = frames()
    golden = placed.bundle.golden(placed.model, placed.model.first)
    return timed, [sized(frame, placed) for frame in timed] if golden is None else list(golden.images)


def sized(frame: U8Image, placed: Placed) -> U8Image:
    """A frame at the model's size, by the manifest's rule."""
    spec = placed.candidate.input
    out = np.empty((*spec.size_hw_px, 3), dtype=np.uint8)
    resize_into(frame, spec.resize.fit, out)
    return out


def batches(images: list[U8Image], placed: Placed) -> list[Tensor]:
    """One ready batch of one crop each, as the candidate's own input wants it."""
    return [preprocess([Region("frame", image)], placed.candidate.input) for image in images]


def float_batches(images: list[U8Image], placed: Placed, model: FloatOnnx) -> list[Tensor]:
    """One ready float32 1×3×H×W batch each."""
    kept = []
    for image in images:
        values = (sized(image, placed).astype(np.float32) - np.float32(model.zero_point)) * np.float32(model.scale)
        kept.append(np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis]))
    return kept


def write_float_model(placed: Placed, place: Path) -> FloatOnnx:
    """The candidate's ONNX file with its front exchanged: ours takes raw pixels (Transpose, then DequantizeLinear), a usual user's file
    takes what a loop has normalised. In a quantized file a QuantizeLinear stands where the pixels came in, as a quantizer puts it there;
    weights, grids and arithmetic stay the same.

    Raises:
        BackendError: the onnx package is missing, or the file does not begin that way.
    """
    try:
        import onnx
    except ImportError as error:
        raise BackendError("rewriting an ONNX file's input needs onnx", fix="pip install 'onnx>=1.17'") from error
    model = onnx.load(placed.bundle.path(placed.candidate.model_file))
    zero_point, scale = _exchange_front(onnx, model, placed.candidate.input.size_hw_px)
    path = place / f"{placed.candidate.name}-float.onnx"
    onnx.save(model, path)
    return FloatOnnx(path, zero_point, scale)


def write_ncnn_model(source: FloatOnnx, placed: Placed, environment: Environment, place: Path) -> Path:
    """The ``.param`` file that pnnx makes of it. Raises BackendError where layers are left that ncnn does not have."""
    height, width = placed.candidate.input.size_hw_px
    stem = f"{placed.candidate.name}-ncnn".replace("-", "_")
    param = place / f"{stem}.param"
    outputs = [f"ncnnparam={param}", f"ncnnbin={param.with_suffix('.bin')}"]
    command = [str(tool(environment, "pnnx", "pnnx")), str(source.path), f"inputshape=[1,3,{height},{width}]", *outputs]
    run_tool(command, f"pnnx does not convert {placed.candidate.name}", place)
    kinds = {line.split()[0] for line in param.read_text(encoding="utf-8").splitlines() if line.strip()}
    left = sorted(kind for kind in kinds if "." in kind or (kind.endswith("Linear") and kind.startswith(("Quant", "Dequant"))))
    if left:
        raise BackendError(f"pnnx leaves layers of {placed.candidate.name} that ncnn does not have: {', '.join(left)}")
    return param


def model_bytes(peer: Peer, path: Path) -> int:
    """Of the file that the peer loads; ncnn's weights are in a second one."""
    return path.stat().st_size + (path.with_suffix(".bin").stat().st_size if peer.feed == "ncnn" else 0)


def _exchange_front(onnx: Any, model: Any, size_hw_px: tuple[int, int]) -> tuple[float, float]:
    """Change ``model`` in place; returns the pixels' zero point and scale."""
    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    first = graph.node[0] if graph.node else None
    stored = (
        first.output[0] if first is not None and first.op_type == "Transpose" and first.input[0] == graph.input[0].name else ""
    )
    users = [node for node in graph.node if stored and stored in node.input]
    if not users or any(node.op_type != "DequantizeLinear" or node.input[1] not in constants for node in users):
        raise BackendError(
            "the file does not begin with raw pixels that are transposed and dequantized: its input cannot be exchanged"
        )
    scale, zero_point = users[0].input[1:3]
    values = [float(onnx.numpy_helper.to_array(constants[name])) for name in (zero_point, scale)]
    graph.node.remove(first)
    if any(node.op_type == "QuantizeLinear" for node in graph.node):
        graph.node.insert(0, onnx.helper.make_node("QuantizeLinear", [FLOAT_INPUT, scale, zero_point], [stored]))
    else:
        _drop(graph, users)
    del graph.input[:]
    graph.input.append(onnx.helper.make_tensor_value_info(FLOAT_INPUT, onnx.TensorProto.FLOAT, [1, 3, *size_hw_px]))
    for output in graph.output:
        output.type.tensor_type.shape.dim[0].dim_value = 1
    del graph.value_info[:]
    onnx.checker.check_model(model)
    return values[0], values[1]


def _drop(graph: Any, users: list[Any]) -> None:
    """Connect the new input to whatever read the dequantized pixels, and take out constants that only they used."""
    names = {node.output[0] for node in users}
    idle = {name for node in users for name in node.input[1:]}
    for node in users:
        graph.node.remove(node)
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in names:
                node.input[position] = FLOAT_INPUT
    idle -= {name for node in graph.node for name in node.input}
    for item in [item for item in graph.initializer if item.name in idle]:
        graph.initializer.remove(item)
