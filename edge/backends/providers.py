"""ONNX Runtime's execution providers: their names, the options that each gets, and why one is not there although it is installed.

Sources: https://onnxruntime.ai/docs/execution-providers/ (TensorRT, CUDA, XNNPACK pages); what a session does when a provider's
library cannot be loaded was seen with onnxruntime-gpu 1.31.1 on a machine without a GPU: TensorRT raises RuntimeError, CUDA is left
out of the session without a word to the caller.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.backends.base import PROVIDER_FIX, Placement
from edge.backends.engines import engine_directory, is_built, open_directory
from edge.data import Provider
from edge.errors import BackendError, ProviderError
from edge.manifest import Candidate, InputSpec

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

EXECUTION_PROVIDERS: dict[Provider, str] = {
    "cpu": CPU,
    "xnnpack": "XnnpackExecutionProvider",
    "acl": "ACLExecutionProvider",
    "cuda": CUDA,
    "tensorrt": TENSORRT,
    "tensorrt-fp16": TENSORRT,
}
"""Ours → ONNX Runtime's."""

_LIBRARIES = {CUDA: "libonnxruntime_providers_cuda.so", TENSORRT: "libonnxruntime_providers_tensorrt.so"}
"""Providers that are libraries of their own; the others are linked in, and there whenever they are named."""

_SPINNING = "session.intra_op.allow_spinning"


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What a session is made with. ``asked``: the provider that it is about; ``providers``: as ``InferenceSession`` takes them, the ones
    that take over what it cannot run after it; ``threads``: of ONNX Runtime's own pool; ``entries``: session config entries."""

    asked: str
    providers: list[tuple[str, dict[str, Any]]]
    threads: int
    entries: dict[str, str] = field(default_factory=dict)


def plan_session(placement: Placement, candidate: Candidate, threads: int, available: Collection[str]) -> SessionPlan:
    """The plan for one candidate at one place; for TensorRT the directory of its engine is made.

    Args:
        placement: where.
        candidate: what.
        threads: CPU threads that inference may use.
        available: what ``onnxruntime.get_available_providers`` says.

    Raises:
        BackendError: no provider of ONNX Runtime.
        ProviderError: the installed ONNX Runtime does not have it; or the engine cache cannot be used.
    """
    name = EXECUTION_PROVIDERS.get(placement.provider)
    if name is None:
        raise BackendError(f"ONNX Runtime has no provider {placement.provider!r}")
    if name not in available:
        raise ProviderError(f"the installed onnxruntime has no {name}; it has {', '.join(available)}", fix=PROVIDER_FIX)
    if name == CPU:
        return SessionPlan(CPU, [(CPU, {})], threads)
    options: dict[str, Any] = {}
    if placement.provider == "xnnpack":  # its pool does the work: a second one that spins would only fight with it
        options = {"intra_op_num_threads": threads}
        return SessionPlan(name, [(name, options), (CPU, {})], 1, {_SPINNING: "0"})
    if name == TENSORRT:
        options = tensorrt_options(placement, candidate)
    following: list[tuple[str, dict[str, Any]]] = [(CUDA, {})] if name == TENSORRT and CUDA in available else []
    # A GPU leaves the CPU threads waiting: spinning would burn the cores that the camera needs.
    entries = {_SPINNING: "0"} if name in _LIBRARIES else {}
    return SessionPlan(name, [(name, options), *following, (CPU, {})], threads, entries)


def tensorrt_options(placement: Placement, candidate: Candidate) -> dict[str, Any]:
    """Precision, engine cache, and a shape for the engine to be built for, so that it is built once and not in the camera's loop."""
    options: dict[str, Any] = {
        "trt_fp16_enable": placement.provider == "tensorrt-fp16",
        # QDQ models carry their scales; without the flag builders before TensorRT 10 refuse them. No calibration table is given.
        "trt_int8_enable": candidate.precision in ("int8", "mixed"),
    }
    if candidate.input.batch == "dynamic":
        shape = f"{candidate.input.name}:{'x'.join(map(str, batch_shape(candidate.input, 1)))}"
        options |= {f"trt_profile_{which}_shapes": shape for which in ("min", "opt", "max")}
    if placement.engines is not None:
        directory = engine_directory(Path(placement.engines), candidate, placement.provider)
        open_directory(directory)
        # The timing cache goes to the same place: trt_timing_cache_path is not known to ONNX Runtime before 1.17.
        options |= {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(directory), "trt_timing_cache_enable": True}
    return options


def batch_shape(spec: InputSpec, rows: int) -> tuple[int, ...]:
    """Of ``rows`` crops as the model takes them."""
    height, width = spec.size_hw_px
    return (rows, 3, height, width) if spec.layout == "NCHW" else (rows, height, width, 3)


def suits(candidate: Candidate, place: Provider) -> bool:
    """One precision of TensorRT a file: half for half, both for float; a quantized one keeps what it was calibrated for."""
    if place == "tensorrt-fp16":
        return candidate.precision in ("fp32", "fp16")
    return place != "tensorrt" or candidate.precision != "fp16"


def is_ready(candidate: Candidate, placement: Placement) -> bool:
    """TensorRT without its engine takes minutes to load, which no camera may wait for."""
    if EXECUTION_PROVIDERS.get(placement.provider) != TENSORRT:
        return True
    return placement.engines is not None and is_built(engine_directory(Path(placement.engines), candidate, placement.provider))


def check_there(ort: Any, asked: str, got: Collection[str]) -> None:
    """Raises ProviderError if the session goes without the provider that was asked for."""
    if asked not in got:
        why = library_fault(ort, asked) or "ONNX Runtime has told why on standard error"
        raise ProviderError(f"{asked} was left out of the session: {why}", fix=PROVIDER_FIX)


def fault_words(ort: Any, asked: str, error: Exception) -> str:
    """Why a provider that raised ``error`` cannot be used, on one line: in the loader's words where it is the cause."""
    return f"{asked} cannot be used: {library_fault(ort, asked) or ' '.join(str(error).split())[:400]}"


def library_fault(ort: Any, provider: str) -> str | None:
    """Why the provider's library cannot be loaded, in the loader's words; None where it can, or there is none."""
    if provider not in _LIBRARIES:
        return None
    file = Path(ort.__file__).parent / "capi" / _LIBRARIES[provider]
    try:
        ctypes.CDLL(str(file))
    except OSError as error:
        return str(error)
    return None
