"""LiteRT or tflite-runtime: the file's tensors, quantization included, must be those of the manifest."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest

from edge.backends import load_backend, tflite
from edge.backends.tflite import TfliteBackend
from edge.bundle.model_file import ModelFile
from edge.errors import BackendError, BundleError
from edge.manifest import Candidate, Quantization
from tests.fakes.candidates import vww_candidate
from tests.fakes.runtimes import need_tflite


@pytest.fixture
def model(third_party: Path) -> ModelFile:
    need_tflite()
    return ModelFile.read(third_party / "vww_96_int8.tflite")


def changed(candidate: Candidate, *, output: bool = False, **changes: object) -> Candidate:
    if output:
        return msgspec.structs.replace(candidate, outputs=(msgspec.structs.replace(candidate.outputs[0], **changes),))
    return msgspec.structs.replace(candidate, input=msgspec.structs.replace(candidate.input, **changes))


def test_three_crops_give_three_rows_each_its_own(model: ModelFile) -> None:
    backend = TfliteBackend(model, vww_candidate(), 1)
    batch = np.random.default_rng(0).integers(-128, 128, (3, 96, 96, 3)).astype(np.int8)
    batch[2] = 127
    (together,) = backend.run(batch)
    assert together.shape == (3, 2)
    assert together.dtype == np.int8
    alone = [backend.run(batch[i : i + 1])[0][0].tolist() for i in range(3)]
    assert together.tolist() == alone
    assert alone[0] != alone[2]
    assert backend.info.name in ("ai-edge-litert", "tflite-runtime")
    assert backend.info.version != "unknown"


@pytest.mark.parametrize(
    ("output", "changes", "message"),
    [
        (False, {"name": "picture"}, "input name: the manifest says picture, the file has input_1_int8"),
        (False, {"dtype": "uint8"}, "the manifest says uint8, the file has int8"),
        (False, {"width_px": 97}, "the manifest says 1×96×97×3, the file has 1×96×96×3"),
        (False, {"batch": "dynamic"}, "the manifest says dynamic×96×96×3, the file has 1×96×96×3"),
        (False, {"quantization": Quantization(scale=1 / 255, zero_point=0)}, "zero point 0, the file has .* zero point -128"),
        (False, {"quantization": Quantization(scale=1 / 254, zero_point=-128)}, "quantization of input"),
        (False, {"quantization": None}, "quantization of input input_1_int8: the manifest says none"),
        (True, {"quantization": None}, "quantization of output Identity_int8: the manifest says none"),
        (True, {"shape": (3,)}, "shape of output Identity_int8: the manifest says 3, the file has 2"),
        (True, {"name": "scores"}, "outputs: the manifest says scores, the file has Identity_int8"),
    ],
)
def test_refuses_what_the_file_is_not(model: ModelFile, output: bool, changes: dict, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        TfliteBackend(model, changed(vww_candidate(), output=output, **changes), 1)


def test_a_cut_file_is_a_bundle_error(model: ModelFile) -> None:
    cut = ModelFile("cut.tflite", model.content[:200_000])
    with pytest.raises(BundleError, match=r"cut\.tflite: not a model that may be loaded: cut: bytes"):
        load_backend(cut, vww_candidate(), 1)


def test_a_wrong_batch_is_a_backend_error(model: ModelFile) -> None:
    backend = TfliteBackend(model, vww_candidate(), 1)
    with pytest.raises(BackendError, match="float32"):
        backend.run(np.zeros((1, 96, 96, 3), dtype=np.float32))


def test_options_it_does_not_have_are_refused(model: ModelFile) -> None:
    candidate = msgspec.structs.replace(vww_candidate(), runtime_options={"session.x64quantprecision": "1"})
    with pytest.raises(BundleError, match=r"session\.x64quantprecision"):
        load_backend(model, candidate, 1)


def test_no_runtime_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    with pytest.raises(BackendError) as caught:
        TfliteBackend(ModelFile("any.tflite", b""), vww_candidate(), 1)
    assert caught.value.fix == "pip install 'ai-edge-litert>=2.0'"


@pytest.mark.parametrize(("numpy_version", "works"), [("1.26.4", True), ("2.4.6", False)])
def test_the_classic_runtime_needs_numpy_1(monkeypatch: pytest.MonkeyPatch, numpy_version: str, works: bool) -> None:
    classic = ModuleType("tflite_runtime.interpreter")
    classic.Interpreter = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", ModuleType("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", classic)
    monkeypatch.setattr(tflite.np, "__version__", numpy_version)
    if works:
        assert tflite.import_interpreter()[:2] == (object, "tflite-runtime")
    else:
        with pytest.raises(BackendError, match=r"numpy 2\.4\.6") as caught:
            tflite.import_interpreter()
        assert "ai-edge-litert>=2.0" in str(caught.value.fix)
