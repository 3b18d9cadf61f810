"""From files to a file: a pruned network learns from the unpruned one, is judged, and comes back as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("torch_pruning")
pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")

import msgspec
import torch

from edge.errors import DataError, GateError, InputMissingError, UsageError
from export import progress
from export.load.assemble import load
from export.load.spec import ModelSpec
from export.train import compress, job
from export.train.compress import Limit, PruneJob
from export.train.prune_cli import count, summary
from export.train.report import NetworkRow, Size, TrainingReport, logits_of, measure, require_kept
from export.train.settings import TrainSettings
from tests.fakes.photo_sets import LABELS, write_photos

FACTORY = "tests.fakes.wide_nets:Wide"
QUICK = TrainSettings(epochs=3, head_epochs=0, batch=8, learning_rate=5e-3, average=0.8, patience=0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> PruneJob:
    """A job for a network that knows its photos."""
    directory = tmp_path_factory.mktemp("prune")
    photos = write_photos(directory / "photos", 48)
    val = write_photos(directory / "photos", 18, seed=1, name="val")
    (directory / "labels.txt").write_text("\n".join(LABELS))
    spec = ModelSpec(FACTORY, random_weights=True, size_hw_px=(32, 32), labels=directory / "labels.txt")
    checkpoint = directory / "wide.safetensors"
    job.run(job.Job(spec, photos, directory / "photos", checkpoint, val, replace(QUICK, epochs=6)), progress.silent)
    model = ModelSpec(FACTORY, weights=checkpoint)
    return PruneJob(model, photos, val, directory / "photos", directory / "small.pt2", Limit(keep=0.5), QUICK)


def run(asked: PruneJob) -> tuple[compress.PruneResult, list[TrainingReport]]:
    reports: list[TrainingReport] = []
    return compress.run(asked, progress.silent, reports.append), reports


def test_it_learns_and_the_program_says_what_it_is(trained: PruneJob, tmp_path: Path) -> None:
    asked = replace(trained, out=tmp_path / "small.pt2")
    result, reports = run(asked)
    unpruned, cut, taught = reports[0].rows
    assert taught.size.macs <= 0.5 * unpruned.size.macs
    assert cut.size == taught.size
    assert taught.top1 is not None
    assert unpruned.top1 is not None
    assert taught.top1 >= max(0.9, unpruned.top1 - 0.01)
    again = load(ModelSpec(str(asked.out)))
    assert (again.labels, again.size_hw_px, again.fit) == (LABELS, (32, 32), result.model.fit)
    assert again.normalisation == result.model.normalisation
    assert measure(again).macs == taught.size.macs
    photos = job.listed_photos(asked.val, LABELS, asked.images, 32)
    torch.testing.assert_close(logits_of(again, photos), logits_of(result.model, photos), rtol=1e-3, atol=1e-4)
    assert not asked.out.with_suffix(".training").exists()
    assert asked.out.with_suffix(".png").exists()
    assert json.loads(msgspec.json.encode(summary(result, asked.out)))["networks"][2]["top1"] == taught.top1


def test_a_refused_one_writes_nothing_and_can_go_on(trained: PruneJob, tmp_path: Path) -> None:
    slow = replace(QUICK, epochs=1, learning_rate=1e-6)
    poor = replace(trained, out=tmp_path / "small.pt2", limit=Limit(max_weight_mb=0.0015), settings=slow)
    with pytest.raises(GateError, match="max-drop 1") as caught:
        run(poor)
    assert "--epochs" in (caught.value.fix or "")
    assert not poor.out.exists()
    more = replace(poor, settings=replace(slow, epochs=2))
    with pytest.raises(GateError):
        run(more)
    with pytest.raises(UsageError, match="--learning-rate"):
        run(replace(more, settings=replace(slow, learning_rate=1e-3)))
    before = torch.load(poor.out.with_suffix(".training"), weights_only=True)["history"]
    assert len(before) == 2, "the second epoch came on top of the first one"
    result, _ = run(replace(more, max_drop_points=100.0))
    assert result.outcome is not None
    assert [epoch.seconds for epoch in result.outcome.history] == [epoch["seconds"] for epoch in before], (
        "nothing was trained again"
    )
    assert poor.out.exists()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"limit": Limit()}, UsageError, "one budget"),
        ({"limit": Limit(keep=0.5, max_macs=1)}, UsageError, "one budget"),
        ({"limit": Limit(keep=1.5)}, UsageError, "no budget"),
        ({"limit": Limit(max_weight_mb=0.0001)}, DataError, "cannot be met"),
        ({"out": Path("small.onnx")}, UsageError, ".pt2"),
        ({"images": Path("nowhere")}, InputMissingError, "nowhere"),
        (
            {"model": ModelSpec("tests.fakes.wide_nets:Shuffled", random_weights=True, size_hw_px=(32, 32))},
            DataError,
            "shuffles",
        ),
    ],
)
def test_wrong_requests(trained: PruneJob, change: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        run(replace(trained, **change))


def test_numbers_of_macs() -> None:
    assert [count(text) for text in ("150M", "1.5g", "2000000", "20k")] == [150_000_000, 1_500_000_000, 2_000_000, 20_000]
    for text in ("many", "M", "1e999", "nan"):
        with pytest.raises(UsageError, match="--max-macs"):
            count(text)


def test_the_gate_at_its_edges() -> None:
    def report(before: float, after: float) -> TrainingReport:
        size = Size(1, 1, 1)
        return TrainingReport((NetworkRow("large", size, before), NetworkRow("small", size, after)), 100)

    for before, after, drop in ((0.90, 0.89, 1.0), (0.30, 0.294, 1.0), (0.5, 0.5, 0.0), (0.9, 0.85, 5.0), (0.5, 0.9, 0.0)):
        require_kept(report(before, after), drop)
    for before, after, drop in ((0.90, 0.88, 1.0), (0.30, 0.29, 1.0), (0.5, 0.49, 0.0), (0.9, 0.84, 5.0)):
        with pytest.raises(GateError, match="small"):
            require_kept(report(before, after), drop)
