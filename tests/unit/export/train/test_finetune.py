"""Training on photos of three colours: it learns, goes on after a kill, and comes out the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")

import torch

from edge.data import Region
from edge.errors import DataError, InputMissingError, UsageError
from edge.evaluate import Sample
from edge.preprocess import preprocess
from export import progress
from export.candidates import input_spec
from export.load.assemble import load
from export.load.checkpoint import read_checkpoint
from export.load.spec import ModelSpec
from export.train import job as jobs
from export.train.finetune import finetune, normalised
from export.train.job import Job
from export.train.photos import as_input, load_photos
from export.train.report import TrainingReport
from export.train.settings import TrainSettings
from tests.fakes.patience import wait_until
from tests.fakes.photo_sets import LABELS, write_photos

FACTORY = "tests.fakes.tiny_net:Tiny"
QUICK = TrainSettings(epochs=3, head_epochs=1, batch=8, learning_rate=5e-3, average=0.8, patience=0)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    train = write_photos(tmp_path / "photos", 48)
    val = write_photos(tmp_path / "photos", 18, seed=1, name="val")
    spec = ModelSpec(FACTORY, random_weights=True, size_hw_px=(32, 32))
    return Job(spec, train, tmp_path / "photos", tmp_path / "tiny.safetensors", val, QUICK)


def test_it_learns_and_the_checkpoint_says_what_it_is(job: Job) -> None:
    outcome = jobs.run(replace(job, settings=replace(QUICK, epochs=6)), progress.silent)
    best = outcome.history[outcome.best_epoch]
    assert best.val_top1 is not None
    assert best.val_top1 >= 0.9
    assert best.val_top1 == max(epoch.val_top1 or 0 for epoch in outcome.history)
    assert [epoch.phase for epoch in outcome.history][:2] == ["head", "whole"]
    weights, facts = read_checkpoint(job.out)
    assert facts is not None
    assert facts.labels == LABELS
    assert facts.size_hw_px == (32, 32)
    assert job.out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert not job.out.with_suffix(".training").exists()
    loaded = load(ModelSpec(FACTORY, weights=job.out))
    assert loaded.labels == LABELS
    photos = load_photos(jobs.read_list(job.val, LABELS), job.images, 32, pytest.fail)
    with torch.inference_mode():
        logits = loaded.module(normalised(as_input(photos, loaded).astype(np.float32), loaded))
    assert float((logits.argmax(1).numpy() == photos.truth).mean()) == pytest.approx(best.val_top1)
    assert weights["head.weight"].shape == (3, 24)


def test_the_head_alone_first(job: Job) -> None:
    start = jobs.prepare(job).model.module.state_dict()
    before = {key: value.clone() for key, value in start.items()}
    outcome = jobs.run(replace(job, settings=replace(QUICK, epochs=0)), progress.silent)
    after = outcome.model.module.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"head.weight", "head.bias"}


def test_the_seed_decides(job: Job, tmp_path: Path) -> None:
    runs = [replace(job, out=tmp_path / f"{name}.safetensors") for name in "abc"]
    runs[2] = replace(runs[2], settings=replace(QUICK, seed=1))
    weights = [jobs.run(run, progress.silent).model.module.state_dict()["stem.weight"] for run in runs]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_killed_run_goes_on_and_ends_the_same(job: Job, tmp_path: Path) -> None:
    """A real process, killed without warning after its first epoch is on disk."""
    whole = jobs.run(replace(job, out=tmp_path / "whole.safetensors"), progress.silent)
    words = ["finetune", FACTORY, "--random-weights", "--input-size", "32", "--train", str(job.train), "--val", str(job.val)]
    words += ["--images", str(job.images), "--out", str(job.out), "--batch", "8", "--learning-rate", "0.005", "--patience", "0"]
    words += ["--epochs", "3", "--json"]
    program = "import sys; from edge.cli import main; sys.exit(main(sys.argv[1:]))"
    state = job.out.with_suffix(".training")
    process = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: state.exists() or process.poll() is not None, "the first epoch")
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not job.out.exists():  # else it was too quick to be killed, and there is nothing to go on with
        assert state.exists(), process.stderr.read().decode()
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == len(whole.history)
    assert not state.exists()
    again = jobs.run(replace(job, out=tmp_path / "again.safetensors", settings=replace(QUICK, average=0.995)), progress.silent)
    expected = again.model.module.state_dict()
    resumed, _ = read_checkpoint(job.out)
    for key, value in resumed.items():
        torch.testing.assert_close(value, expected[key].half().float() if value.ndim > 1 else expected[key], rtol=0, atol=0)


def test_a_checkpoint_is_trained_on_and_still_knows_its_network(job: Job, tmp_path: Path) -> None:
    jobs.run(replace(job, settings=replace(QUICK, epochs=6)), progress.silent)
    more = replace(job, model=ModelSpec(FACTORY, weights=job.out), out=tmp_path / "more.safetensors", val=None)
    outcome = jobs.run(replace(more, settings=replace(QUICK, head_epochs=0, epochs=1, learning_rate=1e-6)), progress.silent)
    before, after = (read_checkpoint(path) for path in (job.out, more.out))
    torch.testing.assert_close(after[0]["head.weight"], before[0]["head.weight"], atol=2e-3, rtol=0)
    assert after[1].spec == FACTORY
    assert outcome.best_epoch == 0
    with pytest.raises(UsageError, match="no layers to train"):
        jobs.run(replace(more, model=ModelSpec("small.pt2")), progress.silent)


def test_a_state_of_another_run_is_refused(job: Job) -> None:
    class Enough(Exception):
        pass

    def stop_after_an_epoch(_description: str, total: int):
        steps = iter(range(6 + 1))

        def advance() -> None:
            if next(steps, None) is None:
                raise Enough

        return advance

    with pytest.raises(Enough):
        jobs.run(job, stop_after_an_epoch)
    with pytest.raises(UsageError, match="--learning-rate") as caught:
        jobs.run(replace(job, settings=replace(QUICK, learning_rate=1e-3)), progress.silent)
    assert "--restart" in caught.value.fix
    assert len(jobs.run(replace(job, settings=replace(QUICK, learning_rate=1e-3), restart=True), progress.silent).history) == 4


def test_it_stops_when_validation_no_longer_improves(job: Job) -> None:
    patient = replace(QUICK, epochs=40, patience=2, learning_rate=0.02)
    outcome = jobs.run(replace(job, settings=patient), progress.silent)
    assert outcome.stopped_early
    assert len(outcome.history) == outcome.best_epoch + 1 + 2


def test_a_teacher_pulls_the_answers_towards_its_own(job: Job, tmp_path: Path) -> None:
    big = replace(job, out=tmp_path / "big.safetensors", settings=replace(QUICK, epochs=6))
    jobs.run(big, progress.silent)
    teacher = ModelSpec(FACTORY, weights=big.out)
    taught = replace(job, teacher=teacher, settings=replace(QUICK, epochs=9, teacher_share=1.0))
    outcome = jobs.run(taught, progress.silent)
    assert (outcome.history[-1].val_top1 or 0) >= 0.8
    reports: list[TrainingReport] = []
    glance = replace(taught, teacher=replace(teacher, size_hw_px=(16, 16)), out=tmp_path / "glance.safetensors")
    assert (jobs.run(glance, progress.silent, reports.append).history[-1].val_top1 or 0) >= 0.8
    small, student = reports[0].rows
    assert small.size.macs < student.size.macs / 3  # a quarter of the pixels
    assert "16×16" in small.network
    wrong = replace(taught, teacher=ModelSpec(FACTORY, random_weights=True, size_hw_px=(32, 32)), restart=True)
    with pytest.raises(DataError, match="classes"):
        jobs.run(wrong, progress.silent)


def test_sizes_share_the_epochs() -> None:
    settings = TrainSettings(epochs=6, head_epochs=1, sizes_px=(96, 128, 160))
    sides = [settings.size_hw_px(epoch, (224, 224))[0] for epoch in range(settings.total_epochs)]
    assert sides == [96, 96, 96, 128, 128, 160, 160]
    assert TrainSettings().size_hw_px(3, (192, 256)) == (192, 256)


def test_the_rate_warms_up_and_falls_to_a_hundredth() -> None:
    settings = TrainSettings(epochs=10, head_epochs=1, learning_rate=1e-3)
    rates = [settings.rate(epoch, share) for epoch in range(11) for share in (0.0, 0.5)]
    assert rates[0] == 1e-3
    assert rates[2] < 1e-4
    assert max(rates) <= 1e-3
    assert settings.rate(10, 1.0) == pytest.approx(1e-5, rel=0.01)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"images": Path("nowhere")}, InputMissingError, "nowhere"),
        ({"out": Path("x.pth")}, UsageError, "safetensors"),
        ({"model": ModelSpec(FACTORY, random_weights=True, task="embed")}, UsageError, "an embedder has none"),
        ({"settings": TrainSettings(batch=1)}, UsageError, "--batch"),
        ({"settings": TrainSettings(batch=64)}, DataError, "48 training photos"),
        ({"settings": TrainSettings(learning_rate=-1)}, UsageError, "--learning-rate"),
    ],
)
def test_wrong_requests(job: Job, change: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        jobs.run(replace(job, **change), progress.silent)


def test_a_photo_that_validates_does_not_train(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    rows = job.train.read_text().splitlines()
    job.val.write_text("\n".join([*job.val.read_text().splitlines(), rows[1], rows[2]]) + "\n")
    task = jobs.prepare(job)
    assert (len(task.train), len(task.val)) == (46, 20)
    assert "2 photos are in" in caplog.text


def test_broken_photos_are_left_out_and_told(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    (job.images / "left_000.png").write_bytes(b"no picture")
    task = jobs.prepare(job)
    assert len(task.train.images) == 47
    assert "left_000.png" in caplog.text


def test_a_loss_that_is_not_a_number_ends_the_run(job: Job, tmp_path: Path) -> None:
    task = jobs.prepare(job)
    with torch.no_grad():
        task.model.module.pointwise.weight.fill_(float("nan"))
    with pytest.raises(DataError, match="the loss is nan") as caught:
        finetune(task, QUICK, {}, tmp_path / "state", told=lambda _: None, progress=progress.silent)
    assert "--learning-rate" in caught.value.fix
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(("height", "width"), [(600, 800), (97, 111), (64, 64), (301, 203)])
def test_validation_sees_a_photo_as_a_camera_does(height: int, width: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 255, (height // 30, width // 30, 3), dtype=np.uint8), (width, height))
    cv2.imwrite(str(tmp_path / "a.png"), photo)
    model = load(ModelSpec(FACTORY, random_weights=True, size_hw_px=(32, 32)))
    photos = load_photos([Sample("a.png", 0)], tmp_path, 32, pytest.fail, judging=True)
    expected = preprocess([Region("photo", photo[..., ::-1])], input_spec((32, 32), "onnx"))
    np.testing.assert_array_equal(as_input(photos, model), expected)


def test_the_same_photo_is_known_in_either_form(job: Job) -> None:
    samples = jobs.read_list(job.val, LABELS)
    trains, judges = (load_photos(samples, job.images, 8, pytest.fail, judging=judging) for judging in (False, True))
    assert len(trains.without(judges)) == 0
