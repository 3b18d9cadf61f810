"""What every backend must do alike, whatever runs underneath."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.backends import load_backend
from edge.bundle.model_file import ModelFile
from edge.bundle.runtimes import RUNTIMES
from edge.data import Region
from edge.errors import BackendError, BundleError
from edge.manifest import Candidate, Requires, RuntimeKey
from edge.preprocess import preprocess
from tests.fakes import onnx_reference
from tests.fakes.candidates import onnx_candidate, vww_candidate
from tests.fakes.runtimes import need_tflite


@dataclass(frozen=True)
class Case:
    """A model file with the manifest entry that is right for it."""

    file: Path
    candidate: Candidate

    def batch(self, crops: int) -> np.ndarray:
        rng = np.random.default_rng(1)
        pixels = rng.integers(0, 256, (crops, 40, 30, 3), dtype=np.uint8)
        return preprocess([Region(str(i), picture) for i, picture in enumerate(pixels)], self.candidate.input)


CASES: dict[str, tuple[RuntimeKey, int | None]] = {
    "onnx": (("onnx", "onnxruntime"), None),
    "onnx-batch-2": (("onnx", "onnxruntime"), 2),
    "onnx-reference": (onnx_reference.KEY, None),
    "onnx-reference-batch-2": (onnx_reference.KEY, 2),
    "tflite": (("tflite", "tflite"), 1),
}
"""What runs a file, and the file's own batch."""


@pytest.fixture(autouse=True)
def with_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite holds for any runtime that a line names: here also for one that only the tests have."""
    for key, entry in onnx_reference.REGISTERED.items():
        monkeypatch.setitem(RUNTIMES, key, entry)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    (file_format, runtime), batch = CASES[request.param]
    if file_format == "tflite":
        need_tflite()
        file = request.getfixturevalue("third_party") / "vww_96_int8.tflite"
        return Case(file, vww_candidate())
    pytest.importorskip("onnx", reason="the model is made with onnx")
    if runtime == "onnxruntime":
        pytest.importorskip("onnxruntime", reason="ONNX Runtime runs this case")
    from tests.fakes import onnx_models

    file = tmp_path / "model.onnx"
    file.write_bytes(onnx_models.brightest(batch=batch or "N"))
    return Case(file, msgspec.structs.replace(onnx_candidate(batch or "dynamic"), requires=Requires(runtime=runtime)))


def test_every_runtime_of_the_registry_is_tried_here() -> None:
    assert {key for key, _ in CASES.values()} == RUNTIMES.keys()


@pytest.mark.parametrize("crops", [1, 2, 5])
@pytest.mark.parametrize("threads", [1, 2])
def test_one_row_per_crop_and_the_same_row_alone(case: Case, crops: int, threads: int) -> None:
    backend = load_backend(ModelFile.read(case.file), case.candidate, threads)
    batch = case.batch(crops)
    raw = backend.run(batch)
    assert len(raw) == len(case.candidate.outputs)
    assert raw[0].shape == (crops, case.candidate.outputs[0].width)
    assert raw[0].dtype == case.candidate.outputs[0].dtype
    alone = np.concatenate([backend.run(batch[i : i + 1])[0] for i in range(crops)])
    np.testing.assert_allclose(raw[0].astype(np.float64), alone.astype(np.float64), atol=1e-6)
    assert crops == 1 or len({row.tobytes() for row in raw[0]}) > 1, "all rows alike: one crop was run for all"
    backend.close()


def test_a_later_run_leaves_earlier_results_alone(case: Case) -> None:
    backend = load_backend(ModelFile.read(case.file), case.candidate, 1)
    first = backend.run(case.batch(1))[0]
    kept = first.copy()
    backend.run(255 - case.batch(1) if first.dtype.kind == "u" else -case.batch(1))
    np.testing.assert_array_equal(first, kept)


def test_info_says_what_runs(case: Case) -> None:
    info = load_backend(ModelFile.read(case.file), case.candidate, 2).info
    assert info.threads == 2
    assert info.version[0].isdigit()
    assert info.provider


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"<html>not found</html>"], ids=["empty", "zeros", "html"])
def test_a_wrong_file_is_a_bundle_error_that_names_it(case: Case, tmp_path: Path, content: bytes) -> None:
    wrong = tmp_path / "wrong.bin"
    wrong.write_bytes(content)
    with pytest.raises(BundleError, match=r"wrong\.bin"):
        load_backend(ModelFile.read(wrong), case.candidate, 1)


def test_a_wrong_shape_is_a_backend_error(case: Case) -> None:
    backend = load_backend(ModelFile.read(case.file), case.candidate, 1)
    with pytest.raises(BackendError):
        backend.run(case.batch(2)[:, :, 1:])


def test_a_closed_backend_says_so(case: Case) -> None:
    backend = load_backend(ModelFile.read(case.file), case.candidate, 1)
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.run(case.batch(1))


def test_outputs_come_in_the_manifests_order(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the model is made with onnx")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime runs this case")
    from edge.manifest import OutputSpec
    from tests.fakes import onnx_models

    file = tmp_path / "two.onnx"
    file.write_bytes(onnx_models.two_outputs())
    widths = {"sums": 1, "scores": 3}
    specs = {name: OutputSpec(name=name, shape=(n,), dtype="float32", meaning="logits") for name, n in widths.items()}
    for order in (("sums", "scores"), ("scores", "sums")):
        candidate = msgspec.structs.replace(onnx_candidate(), outputs=tuple(specs[name] for name in order))
        raw = load_backend(ModelFile.read(file), candidate, 1).run(np.ones((2, 3, 8, 8), dtype=np.float32))
        assert [array.shape for array in raw] == [(2, specs[name].width) for name in order]
