"""ONNX Runtime with execution providers that this machine does not have: the real one, whose sessions run on the CPU under other names.

How each behaviour looks to the caller was taken from onnxruntime-gpu 1.31.1 on a machine without a GPU: a TensorRT without its libraries
raises RuntimeError (and, with enable_fallback, prints to standard output and takes the next), a CUDA without them is left out of the
session without a word. The names of TensorRT's options are those in that version's libonnxruntime_providers_tensorrt.so.

For child processes, a directory with ``sitecustomize.py`` on PYTHONPATH installs it (``for_children``).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

CPU, CUDA, TENSORRT, XNNPACK = (
    "CPUExecutionProvider",
    "CUDAExecutionProvider",
    "TensorrtExecutionProvider",
    "XnnpackExecutionProvider",
)
WORKS, RAISES, LEFT_OUT, REFUSES_MODEL, WRONG, WRONG_FP16 = "works", "raises", "left out", "refuses", "wrong", "wrong in fp16"

_TRT_OPTIONS = {
    "trt_fp16_enable",
    "trt_int8_enable",
    "trt_engine_cache_enable",
    "trt_engine_cache_path",
    "trt_timing_cache_enable",
    "trt_profile_min_shapes",
    "trt_profile_opt_shapes",
    "trt_profile_max_shapes",
    "trt_min_subgraph_size",
}
PREFIX = "FAKE_ACCELERATORS"
_VARIABLE = PREFIX
_LOG = f"{PREFIX}_LOG"


def install(behaviour: dict[str, str], record: list[dict[str, Any]] | None = None, patch: Any = setattr) -> None:
    """Give the imported onnxruntime the providers of ``behaviour``, best first; each session made is added to ``record``."""
    import onnxruntime

    real = onnxruntime.InferenceSession

    class Session(real):
        def __init__(self, model: Any, options: Any = None, providers: Any = None, enable_fallback: int = 1) -> None:
            asked = [entry if isinstance(entry, tuple) else (entry, {}) for entry in providers]
            entries = {} if options is None else {"threads": options.intra_op_num_threads, "spinning": _spinning(options)}
            tell = {"providers": [name for name, _ in asked], "options": dict(asked), **entries}
            if record is not None:
                record.append(tell)
            if os.environ.get(_LOG) and tell["providers"][0] != CPU:  # what runs on the CPU is confined, and writes no file
                with Path(os.environ[_LOG]).open("a") as file:
                    file.write(json.dumps(tell) + "\n")
            try:
                there = [name for name, settings in asked if _registers(name, settings, behaviour, onnxruntime, model)]
            except RuntimeError as error:
                if not enable_fallback:
                    raise
                print(f"EP Error {error}")
                there = [CPU]
            self._there, self._factor = there, _factor(there, dict(asked), behaviour)
            super().__init__(model, options, providers=[CPU])

        def get_providers(self) -> list[str]:
            return self._there

        def run(self, names: Any, feeds: Any, *rest: Any) -> list[np.ndarray]:
            if self._there[0] == TENSORRT:
                assert all(len(array) == 1 for array in feeds.values()), "another batch would build another engine"
            return [array[:, ::-1].copy() if self._factor < 0 else array for array in super().run(names, feeds, *rest)]

    patch(onnxruntime, "InferenceSession", Session)
    patch(onnxruntime, "get_available_providers", lambda: [*behaviour, CPU])


def for_children(directory: Path, behaviour: dict[str, str]) -> dict[str, str]:
    """The environment in which child processes have those providers; their sessions elsewhere than on the CPU are logged, see ``sessions``.

    Confined children are given only what ``edge.sandbox`` keeps of it: let it keep what begins with ``PREFIX``.
    """
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(
        "from tests.fakes import accelerators\naccelerators.install_from_environment()\n"
    )
    root = Path(__file__).parents[2]
    return {
        "PYTHONPATH": f"{directory}{os.pathsep}{root}",
        _VARIABLE: json.dumps(behaviour),
        _LOG: str(directory / "sessions"),
    }


def sessions(directory: Path) -> list[dict[str, Any]]:
    """Those that the children made."""
    return [json.loads(line) for line in (directory / "sessions").read_text().splitlines()]


def install_from_environment() -> None:
    """Called by the children's sitecustomize."""
    install(json.loads(os.environ[_VARIABLE]))


def _registers(name: str, settings: dict[str, Any], behaviour: dict[str, str], ort: Any, model: Any) -> bool:
    """Whether the session gets it; raises what the real one raises."""
    how = WORKS if name == CPU else behaviour.get(name, LEFT_OUT)
    if name == TENSORRT and not set(settings) <= _TRT_OPTIONS:
        raise RuntimeError(f"Unknown provider option: {set(settings) - _TRT_OPTIONS}")
    from edge.backends import attempt

    if how == RAISES:
        raise RuntimeError("Please install TensorRT libraries as mentioned in the GPU requirements page")
    if how == REFUSES_MODEL and model != attempt._IDENTITY:
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail

        raise Fail("[ONNXRuntimeError] : 1 : FAIL : TensorRT EP failed to create engine")
    if name == TENSORRT and settings.get("trt_engine_cache_enable"):
        (Path(settings["trt_engine_cache_path"]) / "TensorrtExecutionProvider_TRTKernel_graph_1_0_0_sm87.engine").write_bytes(
            b"e"
        )
    return how != LEFT_OUT


def _factor(there: list[str], settings: dict[str, dict[str, Any]], behaviour: dict[str, str]) -> int:
    how = behaviour.get(there[0], WORKS)
    half = settings.get(there[0], {}).get("trt_fp16_enable")
    return -1 if how == WRONG or (how == WRONG_FP16 and half) else 1


def _spinning(options: Any) -> str:
    try:
        return str(options.get_session_config_entry("session.intra_op.allow_spinning"))
    except RuntimeError:  # never set
        return ""
