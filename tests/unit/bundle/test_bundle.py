"""A bundle that is not exactly what its manifest says is refused, by name."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from edge.bundle.reader import open_bundle
from edge.bundle.writer import BundleWriter
from edge.errors import BundleError, InputMissingError, SinkError
from tests.fakes import tiny
from tests.fakes.several import write_pipeline_bundle, write_two_headed_bundle


@pytest.fixture
def bundle(colour_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(colour_bundle, tmp_path / "bundle"))


def change(bundle: Path, edit) -> None:
    data = json.loads((bundle / "manifest.json").read_text())
    edit(data)
    (bundle / "manifest.json").write_text(json.dumps(data))


def test_what_was_written_is_read(bundle: Path) -> None:
    opened = open_bundle(bundle)
    opened.verify()
    model = opened.manifest.models[0]
    assert opened.labels(model.first) == tiny.LABELS
    golden = opened.golden(model, model.first)
    assert golden is not None
    assert golden.images.shape == (64, 8, 8, 3)
    assert golden.expected.shape == (64, 3)


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda d: d.update(extra=1), "'extra'"),
        (lambda d: d["models"][0].update(lables=1), "'models[0].lables'"),
        (lambda d: d["models"][0]["candidates"][0]["input"].update(hight_px=3), "'models[0].candidates[0].input.hight_px'"),
        (
            lambda d: d["models"][0]["answers"][0]["gate"].update(logit_cosine_min="0.9"),
            "models[0].answers[0].gate.logit_cosine_min",
        ),
        (lambda d: d["models"][0]["candidates"][0]["model_file"].update(bytes=-1), "models[0].candidates[0].model_file.bytes"),
        (lambda d: d["models"][0]["candidates"][0]["model_file"].update(file="../evil.onnx"), "model_file.file"),
        (lambda d: d["models"][0]["candidates"][0]["model_file"].update(file="/etc/passwd"), "model_file.file"),
        (lambda d: d["models"][0]["candidates"][0].update(precision="int7"), "models[0].candidates[0].precision"),
        (lambda d: d["models"][0]["answers"][0].pop("task"), "task"),
        (lambda d: d.update(schema=2), "schema 2 is unknown"),
        (lambda d: d.update(schema="1"), "schema"),
        (lambda d: d.pop("schema"), "schema"),
        (lambda d: d["models"].append(d["models"][0]), "'colour' stands twice"),
        (lambda d: d["models"][0]["answers"][0]["labels"].update(count=4), "3 outputs for 4 labels"),
        (lambda d: d["models"][0]["answers"][0].update(golden=None), "a gate needs a golden set"),
        (lambda d: d["models"][0]["candidates"][0].update(outputs=[]), "has no output 0"),
        (lambda d: d.update(models=[]), "models"),
        (lambda d: d["models"][0]["answers"][0]["golden"].update(images=10), "at least 64"),
        (lambda d: d["models"][0]["candidates"][0].update(precision="int8"), "precision is 'int8'"),
        (lambda d: d["models"][0]["candidates"][0]["requires"].update(runtime="tflite"), "requires.runtime"),
        (
            lambda d: d["models"][0]["candidates"][0]["input"].update(normalise={"mean": [0.0] * 3, "scale": [1.0, 0.0, 1.0]}),
            "normalise.scale holds a 0",
        ),
        (
            lambda d: d["models"][0]["candidates"][0]["outputs"][0].update(quantization={"scale": 1.0, "zero_point": 10**400}),
            "zero_point",
        ),
    ],
)
def test_a_broken_manifest_is_refused_by_name(bundle: Path, edit, named: str) -> None:
    change(bundle, edit)
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle)
    assert named in str(caught.value)
    assert "manifest.json" in str(caught.value)


def test_the_nearest_key_is_offered(bundle: Path) -> None:
    change(bundle, lambda d: d["models"][0]["answers"][0].update(lables=1))
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle)
    assert caught.value.fix is not None
    assert "did you mean 'labels'" in caught.value.fix


@pytest.mark.parametrize("name", ["onnx-a.onnx", "labels.txt", "golden/golden.npz"])
@pytest.mark.parametrize("how", ["missing", "longer", "altered"])
def test_a_missing_or_altered_file_is_refused_by_name(bundle: Path, name: str, how: str) -> None:
    path = bundle / name
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "longer":
        path.write_bytes(content + b"x")
    else:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleError, match=name):
        open_bundle(bundle).verify()


def test_a_file_that_nobody_named_is_refused(bundle: Path) -> None:
    (bundle / "golden" / "more.npz").write_bytes(b"")
    with pytest.raises(BundleError, match=r"more\.npz: not named"):
        open_bundle(bundle).verify()


@pytest.mark.parametrize("shape", [(64, 9, 8, 3), (64, 8, 8, 1)])
def test_a_golden_set_of_another_size_is_refused(bundle: Path, shape: tuple[int, ...]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=np.zeros(shape, np.uint8), expected=np.zeros((64, 3), np.float32))
    replace_golden(bundle, buffer.getvalue())
    with pytest.raises(BundleError, match=r"golden\.npz"):
        open_bundle(bundle).verify()


def test_a_golden_set_whose_header_claims_terabytes_is_refused(bundle: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        header = io.BytesIO()
        claimed = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 1000, 1000, 3)}
        np.lib.format.write_array_header_1_0(header, claimed)
        archive.writestr("images.npy", header.getvalue())
        archive.writestr("expected.npy", header.getvalue())
    replace_golden(bundle, buffer.getvalue())
    with pytest.raises(BundleError, match="not a golden set"):
        open_bundle(bundle).verify()


def test_a_manifest_nested_without_end_is_refused(bundle: Path) -> None:
    (bundle / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(BundleError, match="not JSON"):
        open_bundle(bundle)


def replace_golden(bundle: Path, content: bytes) -> None:
    """A golden archive that is the one that the manifest names."""
    (bundle / "golden" / "golden.npz").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    change(bundle, lambda d: d["models"][0]["answers"][0]["golden"]["archive"].update(bytes=len(content), sha256=digest))


def test_no_bundle_there(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError):
        open_bundle(tmp_path / "none")
    with pytest.raises(BundleError, match=r"manifest\.json"):
        open_bundle(tmp_path)
    (tmp_path / "b.zip").write_bytes(b"PK")
    with pytest.raises(BundleError) as caught:
        open_bundle(tmp_path / "b.zip")
    assert "unpack" in (caught.value.fix or "")


def test_an_existing_directory_is_not_overwritten(bundle: Path) -> None:
    before = sorted(p.name for p in bundle.iterdir())
    with pytest.raises(SinkError, match="already exists"), BundleWriter(bundle):
        pass
    assert sorted(p.name for p in bundle.iterdir()) == before


def test_a_writer_that_fails_leaves_the_earlier_bundle_and_no_rest(bundle: Path) -> None:
    class Boom(Exception):
        pass

    def write_half() -> None:
        with BundleWriter(bundle, replace=True) as writer:
            writer.add("labels.txt", b"x")
            raise Boom

    with pytest.raises(Boom):
        write_half()
    open_bundle(bundle).verify()
    assert [p.name for p in bundle.parent.iterdir()] == ["bundle"]


def test_a_bundle_that_does_not_verify_is_never_put_in_place(bundle: Path) -> None:
    manifest = open_bundle(bundle).manifest
    with pytest.raises(BundleError, match="missing"), BundleWriter(bundle, replace=True) as writer:
        writer.finish(manifest)
    open_bundle(bundle).verify()


def test_replacing_swaps_whole(bundle: Path, tmp_path: Path) -> None:
    other = tiny.write_colour_bundle(tmp_path / "other", {"onnx-b": (0, 1, 2)})
    with BundleWriter(bundle, replace=True) as writer:
        for name in other.manifest.files():
            writer.add(name, other.directory / name)
        writer.finish(other.manifest)
    opened = open_bundle(bundle)
    opened.verify()
    assert opened.sha256 == other.sha256
    assert not (bundle / "onnx-a.onnx").exists()


def test_an_unfinished_bundle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="unfinished"), BundleWriter(tmp_path / "b") as writer:
        writer.add("labels.txt", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_classifier_needs_labels_and_an_embedder_has_none(bundle: Path) -> None:
    change(bundle, lambda d: d["models"][0]["answers"][0].update(labels=None))
    with pytest.raises(BundleError, match=r"models\[colour\].*: labels: a classifier needs them"):
        open_bundle(bundle)

    def embed(data) -> None:
        data["models"][0]["answers"][0].update(task="embed", labels=None)
        data["models"][0]["candidates"][0]["outputs"][0]["meaning"] = "embedding"

    change(bundle, embed)
    (bundle / "labels.txt").unlink()
    opened = open_bundle(bundle)
    opened.verify()
    assert opened.labels(opened.manifest.models[0].first) == ()


def test_what_newer_exports_record_is_read(bundle: Path) -> None:
    recipe = {
        "calibration": "mse",
        "weight_bits": 7,
        "symmetric": False,
        "per_channel": True,
        "rounding": True,
        "equalised": True,
        "float_layers": ["stem"],
        "steps": ["mse ranges: kept"],
        "saturates_on": "no CPU",
    }

    def add(data) -> None:
        data["models"][0]["candidates"][0]["recipe"] = recipe
        data["models"][0]["answers"][0]["gate"].update(accuracy_min=0.9, accuracy_drop_max=0.01, accuracy_share_min=0.98)

    change(bundle, add)
    model = open_bundle(bundle).manifest.models[0]
    assert model.candidates[0].recipe is not None
    assert model.candidates[0].recipe.float_layers == ("stem",)
    assert model.first.gate is not None
    assert model.first.gate.accuracy_share_min == 0.98
    change(bundle, lambda d: d["models"][0]["candidates"][0]["recipe"].update(callibration="x"))
    with pytest.raises(BundleError, match=r"models\[0\]\.candidates\[0\]\.recipe\.callibration"):
        open_bundle(bundle)


def test_a_pipeline_and_two_heads_are_read_and_verified(tmp_path: Path) -> None:
    pipeline = write_pipeline_bundle(tmp_path / "p")
    pipeline.verify()
    finder = pipeline.manifest.models[0]
    boxes = pipeline.golden(finder, finder.first)
    assert boxes is not None
    assert boxes.expected.shape == (64, 2, 5)
    heads = write_two_headed_bundle(tmp_path / "h")
    heads.verify()
    (model,) = heads.manifest.models
    classes, vectors = (heads.golden(model, answer) for answer in model.answers)
    np.testing.assert_array_equal(classes.images, vectors.images)
    assert [answer.of(("first", "second")) for answer in model.answers] == [("second",), ("first",)]


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda d: d["pipeline"][1].update(model="none"), "pipeline: there is no model 'none'"),
        (lambda d: d["pipeline"][1].update(model="finder"), "'finder' stands twice"),
        (lambda d: d["pipeline"][1].update(crop="thing"), "colour crops 'thing', but no model before it finds boxes"),
        (lambda d: d["pipeline"][0].update(padding=0.1), "finder has a padding, but crops nothing"),
        (lambda d: d["pipeline"].reverse(), "no model before it finds boxes"),
        (lambda d: d["pipeline"][1].update(padding=-0.1), r"pipeline\[1\].padding"),
        (lambda d: d["models"][1]["answers"][0].update(name="things"), "the answer 'things' is given twice"),
        (lambda d: d["models"][0]["answers"].append(d["models"][0]["answers"][0]), r"answers: the name 'things' stands twice"),
        (lambda d: d["models"][0]["answers"][0].update(outputs=[0, 7]), "has no output 7, counted from 0"),
        (lambda d: d["models"][0]["answers"][0].update(outputs=[1, 0]), "boxes, then scores"),
        (lambda d: d["models"][0]["answers"][0].update(detection=None), "which boxes count"),
        (lambda d: d["models"][0]["candidates"][0]["outputs"][0].update(shape=[2**20, 2**20]), "values a picture, at most"),
        (lambda d: d["models"][0]["candidates"][0]["outputs"][0].update(shape=[]), "shape"),
        (lambda d: d["models"][0]["answers"][0]["golden"].update(expected="images"), "are the pictures themselves"),
        (lambda d: d["models"][1]["answers"][0].update(detection={}), "detection: only a detector has it"),
    ],
)
def test_a_pipeline_that_cannot_run_is_refused_by_name(tmp_path: Path, edit, named: str) -> None:
    directory = write_pipeline_bundle(tmp_path / "p").directory
    change(directory, edit)
    with pytest.raises(BundleError, match=named):
        open_bundle(directory).verify()
