"""Conversion and quantization of a tiny network, run by the camera's own backends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from edge.backends import load_backend
from edge.bundle.model_file import ModelFile
from edge.tasks.classify import class_logits, class_probabilities, compare
from export import progress
from export.candidates import PLANS, Draft
from export.convert import rounding
from export.convert.all import convert
from export.convert.core import PIXEL_GRID, float_logits, to_grid
from export.convert.normalise_rows import normalisation_nodes, normalise_rows
from export.convert.to_onnx import CORE_INPUT, core_to_onnx
from export.judge.count import heaviest_layers
from tests.fakes.runtimes import need
from tests.fakes.tiny_net import CLASSES, GRID, IMAGENET, pictures, tiny_model

ONNX_PLANS = [plan for plan in PLANS if plan.format == "onnx"]
TFLITE_PLANS = [plan for plan in PLANS if plan.format == "tflite"]
JUDGED = pictures(64, seed=2)


@pytest.fixture(scope="module")
def calibration() -> np.ndarray:
    return pictures(32, seed=1)


@pytest.fixture(scope="module")
def onnx_drafts(tmp_path_factory: pytest.TempPathFactory, calibration: np.ndarray) -> dict[str, Draft]:
    drafts = convert(tiny_model(), calibration, ONNX_PLANS, tmp_path_factory.mktemp("onnx"), progress.silent)
    return {draft.plan.name: draft for draft in drafts}


@pytest.fixture(scope="module")
def tflite_drafts(tmp_path_factory: pytest.TempPathFactory, calibration: np.ndarray) -> dict[str, Draft]:
    need("litert_torch", "ai_edge_quantizer")
    drafts = convert(tiny_model(), calibration, TFLITE_PLANS, tmp_path_factory.mktemp("tflite"), progress.silent)
    return {draft.plan.name: draft for draft in drafts}


def run(draft: Draft, images: np.ndarray) -> np.ndarray:
    backend = load_backend(ModelFile.read(draft.path), draft.candidate, 1)
    try:
        return backend.run(images)[0]
    finally:
        backend.close()


def agrees(draft: Draft, cosine: float, agreement: float) -> None:
    measured = compare(class_logits(run(draft, JUDGED), draft.candidate.outputs[0]), float_logits(tiny_model(), JUDGED))
    assert measured.logit_cosine > cosine, measured
    assert measured.top1_agreement >= agreement, measured


def test_float_onnx_gives_the_float_networks_probabilities(onnx_drafts: dict[str, Draft]) -> None:
    draft = onnx_drafts["onnx-fp32"]
    logits = float_logits(tiny_model(), JUDGED)
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(class_probabilities(run(draft, JUDGED), draft.candidate.outputs[0]), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["onnx-int8", "onnx-int8-fast"])
def test_int8_onnx_answers_like_the_float_network(onnx_drafts: dict[str, Draft], name: str) -> None:
    agrees(onnx_drafts[name], 0.99, 0.9)


def test_int8_onnx_is_8_bit_throughout_and_floats_are_not(onnx_drafts: dict[str, Draft]) -> None:
    quantized, real = onnx_drafts["onnx-int8"].candidate, onnx_drafts["onnx-fp32"].candidate
    assert (quantized.weights.tensors_8bit, quantized.weights.tensors) == (4, 4)
    assert quantized.int8_mac_share == 1.0
    assert quantized.precision == "int8"
    assert (real.weights.tensors_8bit, real.weights.tensors, real.int8_mac_share, real.precision) == (0, 4, 0.0, "fp32")
    assert quantized.macs == real.macs == 16 * 16 * (16 * 27 + 16 * 9 + 24 * 16) + 24 * len(CLASSES)


def test_the_8_bit_onnx_candidates_share_one_file_of_7_bit_weights(onnx_drafts: dict[str, Draft]) -> None:
    assert onnx_drafts["onnx-int8"].path == onnx_drafts["onnx-int8-fast"].path
    graph = onnx.load(onnx_drafts["onnx-int8"].path).graph
    weights = [numpy_helper.to_array(t) for t in graph.initializer if t.name.endswith("weight_quantized")]
    assert weights
    assert max(np.abs(w.astype(int)).max() for w in weights) == rounding.LEVELS[7]


def test_the_quantized_graph_reads_raw_pixels_without_a_float_front(onnx_drafts: dict[str, Draft]) -> None:
    graph = onnx.load(onnx_drafts["onnx-int8"].path).graph
    readers = [node.op_type for node in graph.node if "stored_pixels" in node.input]
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    first = next(node for node in graph.node if "stored_pixels" in node.input)
    assert readers == ["DequantizeLinear"]
    assert constants[first.input[1]] == pytest.approx(PIXEL_GRID.scale)
    assert constants[first.input[2]] == PIXEL_GRID.zero_point


def test_no_path_of_this_machine_is_left_in_the_file(onnx_drafts: dict[str, Draft]) -> None:
    here = str(Path(__file__).resolve().parents[3]).encode()
    for draft in onnx_drafts.values():
        assert here not in draft.path.read_bytes()
        assert b"site-packages" not in draft.path.read_bytes()


def test_a_batch_gives_what_single_pictures_give(onnx_drafts: dict[str, Draft]) -> None:
    draft = onnx_drafts["onnx-fp32"]
    np.testing.assert_allclose(
        run(draft, JUDGED[:5]), np.concatenate([run(draft, JUDGED[i : i + 1]) for i in range(5)]), atol=1e-6
    )


def test_float_tflite_answers_as_the_float_network(tflite_drafts: dict[str, Draft]) -> None:
    agrees(tflite_drafts["tflite-fp32"], 0.99999, 1.0)


def test_int8_tflite_answers_like_the_float_network_and_is_8_bit(tflite_drafts: dict[str, Draft]) -> None:
    agrees(tflite_drafts["tflite-int8"], 0.99, 0.9)
    candidate = tflite_drafts["tflite-int8"].candidate
    assert (candidate.weights.tensors_8bit, candidate.weights.tensors, candidate.int8_mac_share) == (4, 4, 1.0)
    assert tflite_drafts["tflite-fp32"].candidate.int8_mac_share == 0.0


def test_int8_tflite_probabilities_are_not_rounded_to_256_steps(tflite_drafts: dict[str, Draft]) -> None:
    probabilities = run(tflite_drafts["tflite-int8"], JUDGED)
    assert probabilities.dtype == np.float32
    assert len(np.unique(probabilities)) > 256 // 2
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_another_normalisation_is_folded_too(tmp_path: Path, calibration: np.ndarray) -> None:
    model = tiny_model(IMAGENET)
    (draft,) = convert(model, calibration, ONNX_PLANS[:1], tmp_path, progress.silent)
    logits = class_logits(run(draft, JUDGED), draft.candidate.outputs[0])
    assert compare(logits, float_logits(model, JUDGED)).logit_cosine > 0.99999
    assert compare(logits, float_logits(tiny_model(GRID), JUDGED)).logit_cosine < 0.999


def test_the_normalisation_stays_float_over_whole_rows_beside_8_bits(tmp_path: Path, calibration: np.ndarray) -> None:
    plan = next(plan for plan in ONNX_PLANS if plan.name == "onnx-int8")
    (draft,) = convert(tiny_model(IMAGENET), calibration, [plan], tmp_path, progress.silent)
    graph = onnx.load(draft.path).graph
    (multiply,) = [node for node in graph.node if node.op_type == "Mul"]
    assert [node.op_type for node in graph.node if multiply.output[0] in node.input] == ["Add"], "and not a QuantizeLinear"
    width = graph.input[0].type.tensor_type.shape.dim[2].dim_value
    (gain,) = [numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in multiply.input]
    assert gain.shape == (width * 3,)
    np.testing.assert_allclose(gain[:3], 128 / np.array(IMAGENET.scale), rtol=1e-6)
    assert draft.candidate.int8_mac_share == 1.0


def test_rows_are_normalised_to_the_same_numbers() -> None:
    core = core_to_onnx(tiny_model(IMAGENET))
    pixels = np.ascontiguousarray(to_grid(JUDGED[:3]).transpose(0, 3, 1, 2))
    before, after = (ReferenceEvaluator(graph).run(None, {CORE_INPUT: pixels})[0] for graph in (core, normalise_rows(core)))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)
    assert normalisation_nodes(normalise_rows(core))


def test_a_network_on_the_pixel_grid_needs_no_normalisation() -> None:
    core = core_to_onnx(tiny_model(GRID))
    assert normalise_rows(core) == core


def test_heaviest_layers_are_named_largest_first(onnx_drafts: dict[str, Draft]) -> None:
    layers = heaviest_layers(onnx_drafts["onnx-fp32"].path, "onnx")
    assert "stem" in layers[0].name
    assert layers[0].bytes == 16 * 27 * 4
    assert [layer.bytes for layer in layers] == sorted((layer.bytes for layer in layers), reverse=True)


def test_tflite_layers_have_sizes(tflite_drafts: dict[str, Draft]) -> None:
    assert heaviest_layers(tflite_drafts["tflite-fp32"].path, "tflite")[0].bytes == 16 * 27 * 4


def test_the_core_leaves_the_batch_open() -> None:
    batch = core_to_onnx(tiny_model()).graph.input[0].type.tensor_type.shape.dim[0]
    assert not batch.HasField("dim_value")


def test_the_grid_is_exact_and_reversible() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1).repeat(3, axis=3)
    grid = to_grid(pixels)
    assert (grid.min(), grid.max()) == (-127 / 128, 1.0)
    np.testing.assert_array_equal(grid * 128 + 127, pixels)
