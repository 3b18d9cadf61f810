"""A real, tiny bundle whose ONNX file begins as every exported one does: raw pixels, transposed, dequantized. With int8: in QDQ form."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from edge.bundle.reader import Bundle
from tests.fakes import tiny


def fronted_onnx(*, int8: bool = False) -> bytes:
    """uint8 N×8×8×3 → softmax of a 1×1 convolution's means; the same answers as ``tiny.colour_onnx``."""
    scale, zero = np.float32(1 / 128), np.uint8(127)
    constants = {"pixel_scale": scale, "pixel_zero": zero, "weight": np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1) * 2.5}
    nodes = [
        helper.make_node("Transpose", ["image"], ["stored_pixels"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["stored_pixels", "pixel_scale", "pixel_zero"], ["grid"]),
        helper.make_node("Conv", ["grid", "weight"], ["seen"]),
    ]
    last = "seen"
    if int8:
        constants |= {"seen_scale": np.float32(1 / 40), "seen_zero": np.uint8(128)}
        nodes.append(helper.make_node("QuantizeLinear", ["seen", "seen_scale", "seen_zero"], ["seen_q"]))
        nodes.append(helper.make_node("DequantizeLinear", ["seen_q", "seen_scale", "seen_zero"], ["seen_d"]))
        last = "seen_d"
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["means"]),
        helper.make_node("Flatten", ["means"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", tiny.SIZE, tiny.SIZE, 3])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])
    arrays = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "fronted", [image], [output], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model)
    return model.SerializeToString()


def write_fronted_bundle(out: Path, *, int8: bool = False) -> Bundle:
    """One candidate, "onnx-a"."""
    with mock.patch.object(tiny, "colour_onnx", return_value=fronted_onnx(int8=int8)):
        return tiny.write_colour_bundle(out)
