"""ONNX Runtime: what the file says must be what the manifest says, and errors are the right family."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("onnx", reason="the models are made with onnx")
pytest.importorskip("onnxruntime", reason="the backend under test")

from edge.backends import load_backend
from edge.backends.ort import OrtBackend
from edge.bundle.model_file import ModelFile
from edge.errors import BackendError, BundleError
from edge.manifest import Candidate, OutputSpec
from tests.fakes import hostile_models, onnx_models
from tests.fakes.candidates import onnx_candidate
from tests.fakes.tiny import write_colour_bundle


@pytest.fixture
def model() -> ModelFile:
    return ModelFile("place/model.onnx", onnx_models.brightest())


def changed_input(candidate: Candidate, **changes: object) -> Candidate:
    return msgspec.structs.replace(candidate, input=msgspec.structs.replace(candidate.input, **changes))


def test_runs_and_tells_what_runs(model: ModelFile) -> None:
    backend = OrtBackend(model, onnx_candidate(), 2)
    batch = np.full((2, 3, 8, 8), -1, dtype=np.float32)
    batch[0, 2] = batch[1, 0] = 1
    (scores,) = backend.run(batch)
    assert scores.shape == (2, 3)
    assert scores.argmax(axis=1).tolist() == [2, 0]
    assert backend.info.name == "onnxruntime"
    assert backend.info.provider == "CPUExecutionProvider"
    assert backend.info.threads == 2


@pytest.mark.parametrize(
    ("changes", "says", "has"),
    [
        ({"name": "picture"}, "picture", "image"),
        ({"dtype": "uint8"}, "uint8", "float32"),
        ({"height_px": 9}, "dynamic×3×9×8", "dynamic×3×8×8"),
        ({"layout": "NHWC"}, "dynamic×8×8×3", "dynamic×3×8×8"),
        ({"batch": 1}, "1×3×8×8", "dynamic×3×8×8"),
    ],
)
def test_refuses_another_input(model: ModelFile, changes: dict, says: str, has: str) -> None:
    with pytest.raises(BundleError) as caught:
        OrtBackend(model, changed_input(onnx_candidate(), **changes), 1)
    message = str(caught.value)
    assert model.name in message
    assert f"the manifest says {says}" in message
    assert f"the file has {has}" in message


@pytest.mark.parametrize(
    ("output", "what"),
    [
        (OutputSpec(name="logits", shape=(3,), dtype="float32", meaning="logits"), "outputs"),
        (OutputSpec(name="scores", shape=(4,), dtype="float32", meaning="logits"), "shape of output scores: .* says 4"),
        (OutputSpec(name="scores", shape=(3,), dtype="uint8", meaning="logits"), "dtype of output scores"),
    ],
)
def test_refuses_other_outputs(model: ModelFile, output: OutputSpec, what: str) -> None:
    with pytest.raises(BundleError, match=what):
        OrtBackend(model, msgspec.structs.replace(onnx_candidate(), outputs=(output,)), 1)


def test_size_left_open_by_the_file_fits_any_manifest(tmp_path: Path) -> None:
    path = tmp_path / "open.onnx"
    path.write_bytes(onnx_models.brightest(size="side"))
    backend = OrtBackend(ModelFile.read(path), changed_input(onnx_candidate(), height_px=6, width_px=10), 1)
    assert backend.run(np.zeros((2, 3, 6, 10), dtype=np.float32))[0].shape == (2, 3)


@pytest.mark.parametrize("content", [b"", b"no model at all", onnx_models.brightest()[:-40]], ids=["empty", "text", "cut"])
def test_a_file_that_is_no_model_is_a_bundle_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx: (onnxruntime cannot load candidate|not a model that may be loaded)"):
        load_backend(ModelFile.read(path), onnx_candidate(), 1)


def test_a_batch_that_does_not_fit_is_a_backend_error(model: ModelFile) -> None:
    backend = OrtBackend(model, onnx_candidate(), 1)
    with pytest.raises(BackendError, match=r"\(1, 3, 9, 8\)"):
        backend.run(np.zeros((1, 3, 9, 8), dtype=np.float32))


def test_runtime_options_reach_the_session(model: ModelFile) -> None:
    candidate = msgspec.structs.replace(onnx_candidate(), runtime_options={"session.x64quantprecision": "1"})
    backend = OrtBackend(model, candidate, 1)
    assert backend.info.options == {"session.x64quantprecision": "1"}
    assert backend._session.get_session_options().get_session_config_entry("session.x64quantprecision") == "1"


def test_missing_runtime_names_the_extra(model: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.partition(".")[0] == "onnxruntime":
            raise ImportError("No module named 'onnxruntime'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BackendError) as caught:
        OrtBackend(model, onnx_candidate(), 1)
    assert caught.value.fix == "pip install 'onnxruntime>=1.20'"


def test_importing_the_backend_imports_no_runtime() -> None:
    code = "import sys, edge.backends.ort, edge.backends.tflite; sys.exit(any(m.split('.')[0] in " \
        "('onnxruntime', 'ai_edge_litert', 'tflite_runtime', 'cv2') for m in sys.modules))"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0


@pytest.mark.parametrize("batch", [1, 3])
def test_an_answer_whose_shape_follows_the_picture_is_a_backend_error(tmp_path: Path, batch: int) -> None:
    bundle = write_colour_bundle(tmp_path / "b", files={"onnx-a": hostile_models.another_shape_if_white()})
    candidate = bundle.manifest.models[0].candidates[0]
    backend = OrtBackend(bundle.model_file(candidate), candidate, 1)
    dark = np.zeros((batch, 8, 8, 3), np.uint8)
    assert backend.run(dark)[0].shape == (batch, 3)
    with pytest.raises(BackendError, match=rf"output probabilities has the shape {batch}×4, not {batch}×3"):
        backend.run(dark + 255)
