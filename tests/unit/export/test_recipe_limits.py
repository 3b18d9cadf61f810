"""What an export refuses or leaves out: over the budget, or less accurate than the float network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import torch

from edge.bundle.reader import open_bundle
from edge.choice.loader import ModelLoader
from edge.data import Region
from edge.errors import BundleError, DataError, ExitCode, GateError
from edge.preprocess import preprocess
from export import progress, recipe
from export.judge import parity
from export.load.spec import ModelSpec
from export.recipe import ExportResult
from export.request import REPORT_PAGE, Request
from tests.fakes.export_requests import labelled, small_request
from tests.fakes.tiny_net import CLASSES, tiny_model


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """An export of the tiny network to ONNX, calibrated on files."""
    return small_request(tmp_path, tiny_model(), monkeypatch)


def test_a_file_over_the_budget_is_refused_with_its_heaviest_layers(request_: Request) -> None:
    with pytest.raises(
        BundleError, match=r"onnx-fp32\.onnx: [\d,]+ bytes, .* over the budget of 6,000; heaviest: .*stem"
    ) as caught:
        recipe.export(replace(request_, budget_bytes=6_000, candidates=("onnx-fp32",)), progress.silent)
    assert caught.value.exit_code == ExitCode.DATA
    assert not request_.out.exists()


def test_a_network_whose_weights_alone_are_too_heavy_is_refused_before_it_is_converted(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "convert_one", lambda *_: pytest.fail("needs no conversion"))
    with pytest.raises(BundleError, match=r"at least [\d,]+ bytes, [\d,]+ over the budget of 900; heaviest: stem.weight 1,728"):
        recipe.export(replace(request_, budget_bytes=900, candidates=("onnx-fp32",)), progress.silent)


def test_what_is_over_the_budget_is_left_out_and_the_rest_is_written(
    request_: Request, small_export: tuple[Request, ExportResult]
) -> None:
    sizes = {draft.plan.name: draft.candidate.model_file.bytes for draft in small_export[1].drafts}
    small, large = sorted((sizes["onnx-fp32"], sizes["onnx-int8"]))
    result = recipe.export(replace(request_, budget_bytes=large - 1), progress.silent)
    assert small < large
    kept = {c.name for c in result.manifest.models[0].candidates}
    assert kept == {name for name, size in sizes.items() if size < large}
    left_out = [draft for draft in result.drafts if not draft.passes]
    assert left_out
    assert all("over the budget" in draft.verdict for draft in left_out)


def test_what_is_too_heavy_to_be_made_is_told_with_the_rest(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    wide = tiny_model()
    wide.module.pointwise, wide.module.head = torch.nn.Conv2d(16, 2048, 1), torch.nn.Linear(2048, len(CLASSES))
    monkeypatch.setattr(recipe, "load_model", lambda _: wide)
    request = replace(request_, budget_bytes=100_000, candidates=("onnx-fp32", "onnx-int8"), report=tmp_path / "report")
    result = recipe.export(request, progress.silent)
    assert [draft.plan.name for draft in result.drafts] == ["onnx-int8"]
    assert list(result.too_heavy) == ["onnx-fp32"]
    assert "heaviest: pointwise.weight 131,072" in result.too_heavy["onnx-fp32"]
    assert "not made: onnx-fp32.onnx: at least" in (request.report / REPORT_PAGE).read_text()


def test_known_labels_give_accuracies_and_a_gate_of_accuracy(request_: Request) -> None:
    result = recipe.export(replace(labelled(request_), golden="held_out"), progress.silent)
    (model,) = result.manifest.models
    assert model.first.gate is not None
    assert model.first.gate.accuracy_min == pytest.approx(0.99)
    assert [(row.images, row.accuracy is None) for row in model.candidates[0].quality] == [(64, True), (80, False)]
    assert model.candidates[0].quality[1].accuracy == model.candidates[0].quality[1].float_accuracy == 1.0
    assert "--held-out-labels list.csv" in result.manifest.provenance.command
    assert "with known labels" in result.manifest.provenance.notes[0]


def test_a_drop_of_accuracy_is_refused(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = parity.EvaluationSet.accuracy

    def worse(self: parity.EvaluationSet, logits: np.ndarray) -> float | None:
        found = judged(self, logits)
        return found if found is None or logits is self.expected else found - 0.05

    monkeypatch.setattr(parity.EvaluationSet, "accuracy", worse)
    with pytest.raises(GateError, match=r"accuracy 0\.\d+ < 0\.990 on 80 held-out pictures"):
        recipe.export(labelled(request_), progress.silent)
    assert not request_.out.exists()


def test_labels_that_the_network_does_not_have(request_: Request) -> None:
    request = labelled(request_)
    assert request.held_out_labels is not None
    request.held_out_labels.write_text("path,label\nh0.png,jarr\n")
    with pytest.raises(DataError, match=r"list\.csv:2: label 'jarr' is not one of the model's 5") as caught:
        recipe.export(request, progress.silent)
    assert caught.value.fix == "did you mean 'jar'?"


def test_an_embedder_has_no_labels_and_is_judged_by_its_neighbours(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = replace(tiny_model(), task="embed", labels=())
    monkeypatch.setattr(recipe, "load_model", lambda _: embedder)
    result = recipe.export(replace(request_, model=ModelSpec("tiny", task="embed"), candidates=("onnx-fp32",)), progress.silent)
    bundle = open_bundle(request_.out)
    bundle.verify()
    (model,) = bundle.manifest.models
    assert (model.first.task, model.first.labels, bundle.labels(model.first)) == ("embed", None, ())
    assert not (request_.out / "labels.txt").exists()
    assert result.drafts[0].candidate.quality[0].top1_agreement == 1.0
    active = ModelLoader(bundle, model, threads=1, top_k=5).load(model.candidates[0])
    regions = [Region(str(i), image) for i, image in enumerate(bundle.golden(model, model.first).images[:2])]
    seen = active.decoder.decode(active.backend.run(preprocess(regions, active.input)), regions)
    active.backend.close()
    np.testing.assert_allclose(
        [region.vector for region in seen], bundle.golden(model, model.first).expected[:2], rtol=1e-3, atol=1e-4
    )
