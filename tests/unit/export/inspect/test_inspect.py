"""``shelfcam inspect``: what it says of files whose content is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.errors import BundleError, ExitCode, InputMissingError
from export.inspect.cli import inspect_command
from export.inspect.description import affine, by_operator, short_name

onnx = pytest.importorskip("onnx", reason="the models are made with onnx")

from export.inspect.describe import describe  # noqa: E402
from tests.fakes import onnx_models  # noqa: E402


def write(tmp_path: Path, content: bytes, name: str = "net.onnx") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_quantize_nodes_are_no_layers_but_say_how_layers_are_quantized(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    found = describe(write(tmp_path, onnx_models.quantized_io()))
    assert [layer.operator for layer in found.layers] == ["Transpose", "Conv", "GlobalAveragePool", "Flatten"]
    conv = found.layers[1]
    assert (conv.macs, conv.weight_bytes, conv.weight_dtype, conv.integer) == (8 * 8 * 3 * 3, 9, "int8", True)
    assert (conv.input_dtype, conv.output_dtype, conv.output_shape) == ("uint8", "uint8", (1, 3, 8, 8))
    assert conv.weight_quantization == affine([np.float32(0.08)], [0], None)
    assert conv.output_quantization == affine([1 / 16], [128], None)
    assert conv.input_quantization == affine([1 / 128], [128], None)
    assert (found.quantizers, found.macs, found.int8_mac_share) == (5, 576, 1.0)
    assert found.versions["ir_version"] == "9"
    assert found.versions["opsets"] == "ai.onnx 18"


def test_an_open_picture_size_is_counted_as_asked_and_said(tmp_path: Path) -> None:
    path = write(tmp_path, onnx_models.brightest(size="S"))
    small, large = describe(path, None, 8), describe(path, None, 16)
    assert large.macs == 4 * small.macs == 4 * 8 * 8 * 9
    assert small.assumed is not None
    assert "8×8" in small.assumed
    assert describe(write(tmp_path, onnx_models.brightest(), "closed.onnx")).assumed is None


def test_layers_of_a_batch_count_for_one_picture(tmp_path: Path) -> None:
    one, four = (describe(write(tmp_path, onnx_models.brightest(batch=n), f"{n}.onnx")) for n in (1, 4))
    assert [layer.macs for layer in four.layers] == [layer.macs for layer in one.layers]
    assert sum(layer.macs for layer in four.layers) == four.macs


def test_the_share_as_run_is_less_where_the_runtime_cannot_fuse(tmp_path: Path) -> None:
    """8-bit weights between quantize and dequantize nodes, but one layer's result is read as float too: it stays float."""
    pytest.importorskip("onnxruntime")
    model = onnx.load_model_from_string(onnx_models.quantized_io())
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    model.graph.output.append(onnx.helper.make_tensor_value_info(conv.output[0], onnx.TensorProto.FLOAT, ["N", 3, 8, 8]))
    found = describe(write(tmp_path, model.SerializeToString()))
    assert found.int8_mac_share == 1.0
    assert found.int8_mac_share_run == 0.0


def test_metadata_and_a_shared_constant(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(onnx_models.brightest())
    entry = model.metadata_props.add()
    entry.key, entry.value = "labels", "a, b"
    again = onnx.helper.make_node("Conv", ["image", "weights"], ["unused"])
    model.graph.node.insert(1, again)
    found = describe(write(tmp_path, model.SerializeToString()))
    assert found.metadata == {"labels": "a, b"}
    assert [layer.weight_bytes for layer in found.layers if layer.operator == "Conv"] == [36, 0]
    total = by_operator(found.layers)[0]
    assert (total.key, total.layers, total.weight_bytes, total.macs) == ("Conv", 2, 36, 2 * 64 * 9)


@pytest.mark.parametrize("content", [b"", b"no model at all", onnx_models.brightest()[:-40], b"\0\0\0\0TFL3" + bytes(40)])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    if content[4:8] == b"TFL3":
        pytest.importorskip("ai_edge_litert")
    with pytest.raises(BundleError) as caught:
        describe(write(tmp_path, content))
    assert caught.value.exit_code == ExitCode.DATA
    with pytest.raises(InputMissingError):
        describe(tmp_path / "absent.onnx")


def test_the_command_sorts_cuts_and_speaks_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], colour_bundle: Path
) -> None:
    pytest.importorskip("onnxruntime")
    path = write(tmp_path, onnx_models.quantized_io())
    inspect_command(path, sort="macs", top=1, json=True)
    told = json.loads(capsys.readouterr().out)
    assert [layer["operator"] for layer in told["layers"]] == ["Conv"]
    assert told["by_weight_dtype"] == [{"key": "int8", "layers": 1, "weight_bytes": 9, "macs": 576}]
    inspect_command(path, top=2)
    shown = capsys.readouterr().out
    assert "2 of 4 layers" in shown
    assert "8-bit MACs: 100.0% as stored, 100.0% as ONNX Runtime runs it" in shown
    inspect_command(colour_bundle, json=True)
    assert [row["file"] for row in json.loads(capsys.readouterr().out)] == ["onnx-a.onnx"]


def test_a_tflite_file(third_party: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    found = describe(third_party / "vww_96_int8.tflite")
    first = found.layers[0]
    assert (first.operator, first.output_shape, first.macs) == ("CONV_2D", (1, 48, 48, 8), 48 * 48 * 8 * 27)
    assert first.weight_bytes == 8 * 27 + 8 * 4  # int8 weights and int32 biases
    assert first.weight_quantization is not None
    assert (first.weight_quantization.count, first.weight_quantization.axis) == (8, 0)
    assert sum(layer.macs for layer in found.layers) == found.macs
    assert found.versions["schema"] == "3"
    assert found.metadata["TFLITE_METADATA"] == "absent"
    labelled = describe(third_party / "mobilenet_v1_0.25_128_quant.tflite")
    assert labelled.metadata["appended files"] == "imagenet_labels.txt"


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("network._conv_stem", "network._conv_stem"),
        ("a.b.Net/c.d.Block_1/torch.nn.ReLU6__swish;;other", "Block_1/ReLU6__swish"),
        ("x" * 60, "…" + "x" * 33),
        ("", ""),
    ],
)
def test_names_for_tables(name: str, short: str) -> None:
    assert short_name(name) == short


@pytest.mark.parametrize("location", ["/etc/passwd", "../secret.data", "net.data", ""])
@pytest.mark.parametrize("place", ["initializer", "attribute", "subgraph", "function"])
def test_weights_in_another_file_are_refused_wherever_the_tensor_stands(tmp_path: Path, location: str, place: str) -> None:
    """inspect, explain and wrap read the same way: no file that a stranger's names is opened."""
    from export.wrap.bundle import wrap
    from export.wrap.read import read_facts

    (tmp_path / "models").mkdir()
    (tmp_path / "secret.data").write_bytes(bytes(64))
    (tmp_path / "models" / "net.data").write_bytes(bytes(64))
    model = onnx.load_model_from_string(onnx_models.brightest())
    tensor = onnx.TensorProto(
        name="outside", data_type=onnx.TensorProto.FLOAT, dims=[16], data_location=onnx.TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value=location)
    constant = onnx.helper.make_node("Constant", [], ["outside"], value=tensor)
    if place == "initializer":
        model.graph.initializer.append(tensor)
    elif place == "attribute":
        model.graph.node.insert(0, constant)
    elif place == "subgraph":
        branch = onnx.helper.make_graph([constant], "branch", [], [onnx.helper.make_tensor_value_info("outside", 1, [16])])
        model.graph.node.insert(0, onnx.helper.make_node("If", ["c"], ["o"], then_branch=branch, else_branch=branch))
    else:
        opset = [onnx.helper.make_opsetid("", 18)]
        model.functions.append(onnx.helper.make_function("own", "F", [], ["outside"], [constant], opset))
    path = write(tmp_path / "models", model.SerializeToString())
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    for read in (describe, read_facts, lambda file: wrap(file, tmp_path / "labels.txt", tmp_path / "never", input_text="tf")):
        with pytest.raises(BundleError, match="another file"):
            read(path)
    assert not (tmp_path / "never").exists()
