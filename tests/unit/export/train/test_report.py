"""A student beside its teacher, and the gate between them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")

from edge.errors import GateError, UsageError
from export import progress
from export.load.spec import ModelSpec
from export.train import job as jobs
from export.train.job import Job
from export.train.report import TrainingReport, as_table
from export.train.settings import TrainSettings
from tests.fakes.photo_sets import LABELS, write_photos

QUICK = TrainSettings(epochs=5, head_epochs=1, batch=8, learning_rate=5e-3, average=0.8, patience=0)


def test_a_student_is_reported_beside_its_teacher_and_held_against_it_if_asked(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 32)
    val = write_photos(tmp_path / "photos", 18, seed=1, name="val")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    large = ModelSpec("tests.fakes.wide_nets:Wide", random_weights=True, size_hw_px=(32, 32))
    teaching = Job(
        replace(large, labels=tmp_path / "labels.txt"), photos, tmp_path / "photos", tmp_path / "l.safetensors", val, QUICK
    )
    jobs.run(teaching, progress.silent, lambda _: pytest.fail("there is no teacher"))

    small = ModelSpec("tests.fakes.tiny_net:Tiny", random_weights=True, size_hw_px=(32, 32))
    slow = replace(QUICK, epochs=1, learning_rate=1e-7)
    job = replace(
        teaching,
        model=small,
        out=tmp_path / "s.safetensors",
        teacher=ModelSpec(large.spec, weights=teaching.out),
        settings=slow,
    )
    reports: list[TrainingReport] = []
    jobs.run(job, progress.silent, reports.append)
    teacher, student = reports[0].rows
    assert student.size.macs < teacher.size.macs
    assert student.size.parameters < teacher.size.parameters
    assert teacher.top1 is not None
    assert student.top1 is not None
    assert teacher.top1 > student.top1 + 0.1, "it learned nothing, and is written all the same"
    assert job.out.exists()
    assert f"{teacher.size.parameters:,}" in as_table(reports[0])[1][0]

    job.out.unlink()
    with pytest.raises(GateError, match="student"):
        jobs.run(replace(job, max_drop_points=1.0), progress.silent, reports.append)
    assert len(reports) == 2
    assert not job.out.exists()
    jobs.run(replace(job, max_drop_points=1.0, settings=replace(QUICK, epochs=9), restart=True), progress.silent)
    assert job.out.exists()
    with pytest.raises(UsageError, match="--max-drop compares"):
        jobs.run(replace(job, teacher=None, max_drop_points=1.0), progress.silent)
