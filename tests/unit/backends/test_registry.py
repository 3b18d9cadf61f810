"""A second runtime for a format that has one: a module and a line are all that the rest asks for."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("onnx", reason="the bundle is made with onnx, and its evaluator is the second runtime")

from edge.backends import every_runtime, load_backend, runtime_of
from edge.backends.base import Placement
from edge.backends.installed import runtime_versions
from edge.bundle.model_file import ModelFile
from edge.bundle.reader import open_bundle
from edge.bundle.runtimes import RUNTIMES, usual_runtime
from edge.choice.loader import ModelLoader
from edge.choice.places import Wanted, accelerators, on_cpu
from edge.choice.probe import probe
from edge.choice.require import refuse_missing, require_provider
from edge.config import ModelConfig, StateConfig, default_config
from edge.doctor import inference
from edge.errors import BackendError, BundleError, ProviderError
from edge.manifest import Candidate, Requires
from tests.conftest import ROOT
from tests.fakes import onnx_reference
from tests.fakes.candidates import onnx_candidate, vww_candidate
from tests.fakes.hostile_bundles import change

EVERYWHERE = ("cpu", "tensorrt-fp16", "tensorrt", "cuda", "xnnpack", "acl", "delegate")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, entry in onnx_reference.REGISTERED.items():
        monkeypatch.setitem(RUNTIMES, key, entry)


@pytest.fixture
def two_runtimes(colour_bundle: Path, tmp_path: Path) -> Path:
    """One file, two candidates: each for another runtime."""

    def add(data: dict[str, Any]) -> None:
        (first,) = data["models"][0]["candidates"]
        data["models"][0]["candidates"].append(first | {"name": "onnx-b", "requires": {"runtime": "reference"}})

    return change(Path(shutil.copytree(colour_bundle, tmp_path / "two")), add)


def for_reference() -> Candidate:
    return msgspec.structs.replace(onnx_candidate(), requires=Requires(runtime="reference"))


def test_every_line_has_a_runtime_that_says_what_it_needs() -> None:
    runtimes = every_runtime()
    assert runtimes.keys() == RUNTIMES.keys()
    for runtime in runtimes.values():
        assert runtime.distributions
        assert runtime.install
        assert next(iter(runtime.providers)) == "cpu"
    assert (usual_runtime("onnx"), usual_runtime("tflite")) == ("onnxruntime", "tflite")


def test_a_manifest_names_a_line_and_nothing_else(two_runtimes: Path) -> None:
    with pytest.raises(BundleError, match=r"requires\.runtime 'reference' does not run the format 'onnx'") as caught:
        open_bundle(two_runtimes)
    assert caught.value.fix == "known: onnxruntime"
    for name in ("tests.fakes.onnx_reference", "os", "../ort", "edge.backends.ort:RUNTIME"):

        def name_it(data: dict[str, Any], name: str = name) -> None:
            data["models"][0]["candidates"][1]["requires"]["runtime"] = name

        with pytest.raises(BundleError, match="runtime"):
            open_bundle(change(two_runtimes, name_it))
    with pytest.raises(BundleError, match="does not run the format"):
        load_backend(ModelFile("m", b""), for_reference(), 1)


def test_nothing_loads_a_file_past_the_checks() -> None:
    """``load_backend`` alone checks file, runtime and options: nobody else makes a backend, or asks a line for it."""
    door = re.compile(r"\b(OrtBackend|TfliteBackend)\b|\.load\(model_file\b|\bruntime_of\([^)]*\)\.load\b")
    own = {"edge/backends/__init__.py", "edge/backends/ort.py", "edge/backends/tflite.py"}
    files = [path for package in ("edge", "export", "benchmarks") for path in (ROOT / package).rglob("*.py")]
    assert {path.relative_to(ROOT).as_posix() for path in files if door.search(path.read_text(encoding="utf-8"))} == own


def test_what_runs_a_candidate_is_asked_of_the_registry_only() -> None:
    """No place beside the registry and the runtimes' own modules decides by a format's or a runtime's name."""
    named = re.compile(r"""["'](onnx|tflite|onnxruntime(-gpu)?|ai-edge-litert|tflite-runtime)["']|import onnxruntime""")
    files = (ROOT / "edge").rglob("*.py")
    found = {path.relative_to(ROOT).as_posix() for path in files if named.search(path.read_text(encoding="utf-8"))}
    formats = {"edge/manifest.py", "edge/bundle/model_file.py"}
    modules = {"edge/backends/ort.py", "edge/backends/attempt.py", "edge/backends/tflite.py"}
    assert found == {"edge/bundle/runtimes.py", *formats, *modules}


@pytest.mark.usefixtures("registered")
def test_one_that_a_format_has_is_none_for_another() -> None:
    candidate = msgspec.structs.replace(vww_candidate(), requires=Requires(runtime="reference"))
    with pytest.raises(BundleError, match="'reference' does not run the format 'tflite'"):
        load_backend(ModelFile("m", b""), candidate, 1)


@pytest.mark.usefixtures("registered")
def test_the_options_of_one_runtime_are_not_those_of_another(two_runtimes: Path) -> None:
    def set_option(data: dict[str, Any]) -> None:
        for candidate in data["models"][0]["candidates"]:
            candidate["runtime_options"] = {"session.x64quantprecision": "1"}

    with pytest.raises(BundleError, match=r"onnx-b\]\.runtime_options: .* may not be set by a bundle"):
        open_bundle(change(two_runtimes, set_option))
    candidate = msgspec.structs.replace(for_reference(), runtime_options={"session.x64quantprecision": "1"})
    with pytest.raises(BundleError, match="may not be set by a bundle"):
        load_backend(ModelFile("m", b""), candidate, 1)


@pytest.mark.usefixtures("registered")
def test_a_file_is_checked_by_its_format_whatever_runs_it() -> None:
    with pytest.raises(BundleError, match="not a model that may be loaded"):
        load_backend(ModelFile("m.onnx", b"\0" * 64), for_reference(), 1)


@pytest.mark.usefixtures("registered")
def test_a_bundle_of_two_runtimes_is_measured_and_run(two_runtimes: Path) -> None:
    bundle = open_bundle(two_runtimes)
    (model,) = bundle.manifest.models
    result = probe(bundle, model, model.candidates[1], threads=1, runs=1, quality=True)
    assert result.failure is None
    assert (result.runtime.split()[0], result.available) == ("reference", ("cpu",))
    assert result.judged["classify"].top1_agreement == 1.0
    active = ModelLoader(bundle, model, threads=1, top_k=1).load(model.candidates[1])
    assert active.backend.info.name == "reference"
    active.backend.close()


@pytest.mark.usefixtures("registered")
def test_it_runs_only_where_it_says() -> None:
    ours, theirs = for_reference(), onnx_candidate()
    assert accelerators(ours, Wanted(provider="auto", delegate="x.so"), EVERYWHERE) == ()
    assert accelerators(theirs, Wanted(provider="auto"), EVERYWHERE)[0] == "tensorrt-fp16"
    assert accelerators(ours, Wanted(provider="cuda"), EVERYWHERE) == ()
    assert on_cpu(ours, Wanted(provider="auto"))
    assert not on_cpu(ours, Wanted(provider="xnnpack"))
    with pytest.raises(BackendError, match="no provider 'cuda'"):
        runtime_of(ours).load(ModelFile("m", b""), ours, 1, Placement(provider="cuda"))


@pytest.mark.usefixtures("registered")
def test_a_place_that_it_lacks_is_no_place_of_the_model(two_runtimes: Path) -> None:
    model = open_bundle(two_runtimes).manifest.models[0]
    only = Wanted(provider="cuda", candidate="onnx-b")
    with pytest.raises(ProviderError, match="no candidate of model 'colour' can run on 'cuda'"):
        refuse_missing(only, model)
    require_provider(Wanted(provider="auto"), model)
    require_provider(Wanted(provider="cpu"), model)


@pytest.mark.usefixtures("registered")
def test_doctor_and_versions_know_it(two_runtimes: Path, tmp_path: Path) -> None:
    versions = runtime_versions()
    assert "onnx" in versions
    (line,) = [line for line in inference.runtimes(versions) if line.found.startswith("onnx ")]
    assert (line.status, line.found) == ("ok", f"onnx {versions['onnx']}, onnx: CPU")
    config = msgspec.structs.replace(
        default_config(),
        model=ModelConfig(bundle=str(two_runtimes), candidate="onnx-b"),
        state=StateConfig(dir=str(tmp_path)),
    )
    named = inference.candidates(config, {"onnxruntime": "1"})[-1]
    assert (named.status, named.found) == ("fail", "onnx-b: its runtime is not installed")
    lacking = inference.candidates(config, {"ai-edge-litert": "2"})[1]
    assert "they need onnx or onnxruntime" in lacking.found
    assert lacking.fix == "pip install 'onnxruntime>=1.20' 'onnx'"
