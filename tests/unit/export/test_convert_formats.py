"""Every candidate of a tiny network: fed as its manifest entry says, it answers like the float network."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edge.backends import load_backend
from edge.bundle.model_file import ModelFile
from edge.data import Region
from edge.errors import SinkError
from edge.preprocess import preprocess
from edge.tasks.classify import class_logits, compare, shown_logits
from export import progress
from export.candidates import PLANS, Draft
from export.convert.all import convert_one, variant_file
from export.convert.core import float_logits, to_grid
from export.convert.options import QuantizeOptions
from export.convert.workshop import Workshop
from export.judge.count import count
from tests.fakes.runtimes import need
from tests.fakes.tiny_net import CLASSES, IMAGENET, pictures, tiny_model

need("litert_torch", "ai_edge_quantizer")

MODEL = tiny_model(IMAGENET)
JUDGED = pictures(48, seed=2)
FLOATS = ("onnx-fp32", "tflite-fp32", "tflite-float-in")


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Workshop(MODEL, pictures(32, seed=1), progress.silent)


@pytest.fixture(scope="module")
def drafts(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Draft]:
    folder = tmp_path_factory.mktemp("all")
    return {plan.name: convert_one(workshop, plan, plan.default_options(), folder) for plan in PLANS}


def answers(draft: Draft) -> np.ndarray:
    """As stored in the output, for ``JUDGED`` fed by the camera's own preprocessing."""
    backend = load_backend(ModelFile.read(draft.path), draft.candidate, 1)
    try:
        return backend.run(preprocess([Region("slot", image) for image in JUDGED], draft.candidate.input))[0]
    finally:
        backend.close()


def centred(logits: np.ndarray) -> np.ndarray:
    return logits - logits.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_it_answers_like_the_float_network_when_fed_as_its_entry_says(drafts: dict[str, Draft], plan) -> None:
    candidate = drafts[plan.name].candidate
    raw = answers(drafts[plan.name])
    assert (candidate.input.dtype, candidate.outputs[0].dtype) == (plan.input_dtype, plan.output_dtype)
    assert raw.dtype == plan.output_dtype
    output = candidate.outputs[0]
    measured = compare(class_logits(raw, output), shown_logits(float_logits(MODEL, JUDGED), output))
    assert measured.logit_cosine > 0.995, measured
    assert measured.top1_agreement >= 0.9, measured


@pytest.mark.parametrize("name", FLOATS)
def test_folding_changes_nothing_against_the_unfolded_network(drafts: dict[str, Draft], name: str) -> None:
    logits = class_logits(answers(drafts[name]), drafts[name].candidate.outputs[0])
    np.testing.assert_allclose(centred(logits), centred(float_logits(MODEL, JUDGED)), atol=1e-4)


@pytest.mark.parametrize(("raw", "normalised"), [("tflite-fp32", "tflite-float-in"), ("tflite-int8", "tflite-int8-float-io")])
def test_raw_pixels_give_the_very_bits_of_normalised_floats(drafts: dict[str, Draft], raw: str, normalised: str) -> None:
    np.testing.assert_array_equal(answers(drafts[raw]), answers(drafts[normalised]))


def test_raw_pixels_give_onnx_the_very_bits_of_normalised_floats(drafts: dict[str, Draft], workshop: Workshop) -> None:
    unfolded = onnx.ModelProto()
    unfolded.CopyFrom(workshop.onnx_core())
    unfolded.graph.node.append(helper.make_node("Softmax", ["logits"], ["p"], axis=1))
    unfolded.graph.output[0].CopyFrom(helper.make_tensor_value_info("p", TensorProto.FLOAT, ["N", len(CLASSES)]))
    session = onnxruntime.InferenceSession(unfolded.SerializeToString(), providers=["CPUExecutionProvider"])
    floats = np.ascontiguousarray(to_grid(JUDGED).transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(session.run(None, {"grid": floats})[0], answers(drafts["onnx-fp32"]))


def test_full_integer_outputs_are_one_graph_seen_in_two_dtypes(drafts: dict[str, Draft]) -> None:
    unsigned, signed = answers(drafts["tflite-int8-full"]), answers(drafts["tflite-int8-int8"])
    np.testing.assert_array_equal(unsigned.astype(int), signed.astype(int) + 128)
    scales = [drafts[name].candidate.outputs[0].quantization for name in ("tflite-int8-full", "tflite-int8-int8")]
    assert [(q.scale, q.zero_point) for q in scales] == [(1 / 256, 0), (1 / 256, -128)]


@pytest.mark.parametrize("name", ["onnx-fp16", "onnx-bf16", "tflite-fp16"])
def test_half_precision_weights_are_stored_in_16_bits(drafts: dict[str, Draft], name: str) -> None:
    candidate = drafts[name].candidate
    whole = drafts[f"{candidate.format}-fp32"].candidate
    assert candidate.precision == "fp16", "the manifest's word for 16-bit weights"
    assert candidate.int8_mac_share == 0
    assert candidate.macs == whole.macs
    assert candidate.model_file.bytes < whole.model_file.bytes


def test_bfloat16_weights_are_stored_as_such(drafts: dict[str, Draft]) -> None:
    stored = {tensor.data_type for tensor in onnx.load(drafts["onnx-bf16"].path).graph.initializer if len(tensor.dims) == 4}
    assert TensorProto.BFLOAT16 in stored


def test_dynamic_onnx_has_a_scale_for_each_channel(drafts: dict[str, Draft]) -> None:
    graph = onnx.load(drafts["onnx-dynamic"].path).graph
    kinds = [node.op_type for node in graph.node]
    assert (kinds.count("ConvInteger"), kinds.count("MatMulInteger"), kinds.count("Conv")) == (3, 1, 0)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "ConvInteger":
            weight, scale = constants[node.input[1]], constants[node.input[1].replace("_quantized", "_scale")]
            assert scale.shape == (weight.shape[0], 1, 1)
            np.testing.assert_array_equal(np.abs(weight.astype(int)).max(axis=(1, 2, 3)), 64)


@pytest.mark.parametrize("name", ["onnx-dynamic", "tflite-dynamic"])
def test_dynamic_candidates_have_8_bit_weights(drafts: dict[str, Draft], name: str) -> None:
    candidate = drafts[name].candidate
    assert (candidate.weights.tensors_8bit, candidate.weights.tensors) == (4, 4)
    assert candidate.precision == "int8"


def test_a_file_that_was_to_be_static_does_not_pass_with_data_in_float(drafts: dict[str, Draft]) -> None:
    shares = {}
    for name in ("tflite-dynamic", "tflite-int8"):
        shape = (1, *drafts[name].candidate.input.size_hw_px, 3)
        shares[name] = [count(drafts[name].path, "tflite", shape, {}, static=static).int8_mac_share for static in (False, True)]
    assert shares == {"tflite-dynamic": [1.0, 0.0], "tflite-int8": [1.0, 1.0]}


def test_other_options_give_another_file_and_no_new_conversion(workshop: Workshop, tmp_path: Path, monkeypatch) -> None:
    plan = next(plan for plan in PLANS if plan.name == "onnx-int8")
    workshop.onnx_core(plan.default_options())
    monkeypatch.setattr("export.convert.to_onnx.core_to_onnx", lambda _: pytest.fail("PyTorch was converted again"))
    options = QuantizeOptions(7, calibration="percentile")
    draft = convert_one(workshop, plan, options, tmp_path)
    assert draft.plan.file == variant_file(plan, options) == draft.candidate.model_file.file != plan.file
    assert draft.path == tmp_path / draft.plan.file
    assert draft.path.exists()


def test_a_full_disk_leaves_no_half_of_a_file(workshop: Workshop, tmp_path: Path, monkeypatch) -> None:
    plan = next(plan for plan in PLANS if plan.name == "tflite-float-in")

    def fill(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(SinkError, match=r"tflite-float-in cannot be written: .*No space left"):
        convert_one(workshop, plan, None, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "options"), [("onnx-int8", None), ("onnx-fp32", QuantizeOptions(7))])
def test_options_must_fit_the_plan(workshop: Workshop, tmp_path: Path, name: str, options) -> None:
    with pytest.raises(ValueError, match=name):
        convert_one(workshop, next(plan for plan in PLANS if plan.name == name), options, tmp_path)
