"""Execution providers, against an ONNX Runtime whose sessions run on the CPU under other names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

pytest.importorskip("onnx", reason="the models are made with onnx")
pytest.importorskip("onnxruntime", reason="the backend under test")

from edge.backends import load_backend
from edge.backends.attempt import attempt, available_providers, fault
from edge.backends.base import Placement
from edge.backends.engines import engine_directory, is_built
from edge.backends.installed import accelerator_facts
from edge.bundle.model_file import ModelFile
from edge.errors import BackendError, BundleError, ExitCode, ProviderError
from tests.fakes import accelerators as fake
from tests.fakes import onnx_models
from tests.fakes.candidates import onnx_candidate


@pytest.fixture
def model() -> ModelFile:
    return ModelFile("place/model.onnx", onnx_models.brightest())


@pytest.fixture
def having(monkeypatch: pytest.MonkeyPatch):
    """An ONNX Runtime with these providers; the sessions that are made."""

    def build(**behaviour: str) -> list[dict[str, Any]]:
        record: list[dict[str, Any]] = []
        names = {"tensorrt": fake.TENSORRT, "cuda": fake.CUDA, "xnnpack": fake.XNNPACK}
        fake.install({names[key]: how for key, how in behaviour.items()}, record, monkeypatch.setattr)
        return record

    return build


def run(backend: Any, crops: int = 3) -> np.ndarray:
    return backend.run(np.zeros((crops, 3, 8, 8), dtype=np.float32))[0]


def test_cuda_comes_before_the_cpu_and_its_threads_do_not_spin(model: ModelFile, having) -> None:
    sessions = having(cuda=fake.WORKS)
    backend = load_backend(model, onnx_candidate(), 2, Placement(provider="cuda"))
    assert sessions[0]["providers"] == [fake.CUDA, fake.CPU]
    assert (sessions[0]["threads"], sessions[0]["spinning"]) == (2, "0")
    assert backend.info.provider == fake.CUDA
    assert run(backend).shape == (3, 3)


def test_xnnpack_gets_the_threads_and_onnx_runtime_one(model: ModelFile, having) -> None:
    sessions = having(xnnpack=fake.WORKS)
    load_backend(model, onnx_candidate(), 3, Placement(provider="xnnpack"))
    assert sessions[0]["options"][fake.XNNPACK] == {"intra_op_num_threads": 3}
    assert (sessions[0]["threads"], sessions[0]["spinning"]) == (1, "0")


def test_tensorrt_builds_one_engine_for_one_crop_in_a_directory_of_its_own(model: ModelFile, having, tmp_path: Path) -> None:
    sessions = having(tensorrt=fake.WORKS, cuda=fake.WORKS)
    root = tmp_path / "state" / "engines"
    backend = load_backend(model, onnx_candidate(), 1, Placement(provider="tensorrt-fp16", engines=str(root)))
    assert sessions[0]["providers"] == [fake.TENSORRT, fake.CUDA, fake.CPU]
    options = sessions[0]["options"][fake.TENSORRT]
    directory = engine_directory(root, onnx_candidate(), "tensorrt-fp16")
    assert options["trt_engine_cache_path"] == str(directory)
    assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == (True, False)
    assert {options[f"trt_profile_{which}_shapes"] for which in ("min", "opt", "max")} == {"image:1x3x8x8"}
    assert is_built(directory)
    assert run(backend, 5).shape == (5, 3), "crop by crop: the fake refuses another batch"


def test_a_quantized_file_keeps_its_scales_and_a_fixed_batch_needs_no_profile(tmp_path: Path, having) -> None:
    sessions = having(tensorrt=fake.WORKS)
    file = tmp_path / "two.onnx"
    file.write_bytes(onnx_models.brightest(batch=1))
    candidate = msgspec.structs.replace(onnx_candidate(1), precision="int8")
    load_backend(ModelFile.read(file), candidate, 1, Placement(provider="tensorrt"))
    assert sessions[0]["options"][fake.TENSORRT] == {"trt_fp16_enable": False, "trt_int8_enable": True}


def test_a_provider_that_is_left_out_is_no_provider(model: ModelFile, having, capsys: pytest.CaptureFixture[str]) -> None:
    having(cuda=fake.LEFT_OUT)
    with pytest.raises(
        ProviderError, match=r"CUDAExecutionProvider was left out of the session: .*libonnxruntime_providers_cuda"
    ):
        load_backend(model, onnx_candidate(), 1, Placement(provider="cuda"))
    assert capsys.readouterr().out == ""


def test_one_that_raises_is_not_replaced_and_nothing_is_printed(
    model: ModelFile, having, capsys: pytest.CaptureFixture[str]
) -> None:
    having(tensorrt=fake.RAISES)
    with pytest.raises(ProviderError, match="TensorrtExecutionProvider cannot be used") as caught:
        load_backend(model, onnx_candidate(), 1, Placement(provider="tensorrt"))
    assert caught.value.exit_code == ExitCode.UNAVAILABLE
    assert "provider" in (caught.value.fix or "")
    assert capsys.readouterr().out == "", "a probe's result goes there"


def test_one_that_cannot_run_the_model_is_there_all_the_same(model: ModelFile, having) -> None:
    having(tensorrt=fake.REFUSES_MODEL)
    with pytest.raises(BackendError, match="cannot run candidate onnx-fp32") as caught:
        load_backend(model, onnx_candidate(), 1, Placement(provider="tensorrt"))
    assert not isinstance(caught.value, ProviderError)


def test_the_real_runtime_says_what_it_has(model: ModelFile) -> None:
    with pytest.raises(ProviderError, match=r"has no ACLExecutionProvider; it has .*CPUExecutionProvider"):
        load_backend(model, onnx_candidate(), 1, Placement(provider="acl"))
    with pytest.raises(BackendError, match="no provider 'delegate'"):
        load_backend(model, onnx_candidate(), 1, Placement(provider="delegate", delegate="x.so"))


def test_a_wrong_file_stays_the_bundles_fault_on_the_cpu(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"no model")
    with pytest.raises(BundleError):
        load_backend(ModelFile.read(wrong), onnx_candidate(), 1)


def test_trying_a_provider_builds_nothing(having) -> None:
    import onnxruntime

    sessions = having(tensorrt=fake.WORKS, cuda=fake.LEFT_OUT, xnnpack=fake.RAISES)
    assert attempt(onnxruntime, "tensorrt") is None
    assert sessions[0]["options"][fake.TENSORRT] == {"trt_min_subgraph_size": 1000}
    assert "left out" in str(attempt(onnxruntime, "cuda"))
    assert "XnnpackExecutionProvider cannot be used" in str(attempt(onnxruntime, "xnnpack"))
    assert "has no ACLExecutionProvider" in str(attempt(onnxruntime, "acl"))


def test_trying_in_another_process_with_the_real_runtime() -> None:
    assert fault(Placement(provider="cpu")) is None
    assert "has no ACLExecutionProvider" in str(fault(Placement(provider="acl")))
    assert available_providers()[-1] == "CPUExecutionProvider"


def test_what_an_engine_depends_on_is_found_without_serial_numbers(tmp_path: Path) -> None:
    files = {
        "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX  540.4.0\nGCC version: 11\n",
        "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t Orin\nGPU UUID: GPU-1234\n",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3\n",
        "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    facts = accelerator_facts(tmp_path)
    assert facts["gpu 0"] == "Model: Orin"
    assert facts["tensorrt"] == "libnvinfer.so.10.3.0"
    assert "UUID" not in str(facts)
    assert {"driver", "release"} <= facts.keys()
    (tmp_path / "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0").rename(
        tmp_path / "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.7.0"
    )
    assert accelerator_facts(tmp_path) != facts
