"""ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.backends.base import RuntimeInfo
from edge.backends.verify import TensorFacts, check_input, check_outputs, model_error, run_fixed
from edge.bundle.manifest import Candidate
from edge.data import RawOutputs, Tensor
from edge.errors import BackendError

PROVIDER = "CPUExecutionProvider"

_LOG_ERRORS_ONLY = 3
_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}


class OrtBackend:
    """One ONNX file in one session. ``runtime_options`` of the candidate become session config entries.

    Raises:
        BackendError: onnxruntime is not installed, or fails while running.
        BundleError: the file cannot be loaded, or its inputs and outputs are not those of the manifest.
    """

    def __init__(self, model_file: Path, candidate: Candidate, threads: int) -> None:
        """Load ``model_file`` and hold it against the candidate."""
        ort = _import_runtime()
        self._failures = _failures()
        try:
            options = _session_options(ort, candidate, threads)
            session = ort.InferenceSession(str(model_file), options, providers=[PROVIDER])
        except self._failures as error:
            raise model_error(candidate, model_file, "onnxruntime", error) from error
        check_input(model_file, candidate.input, [session_facts(node) for node in session.get_inputs()])
        check_outputs(model_file, candidate.outputs, [session_facts(node) for node in session.get_outputs()])
        self._session = session
        self._fixed = None if candidate.input.batch == "dynamic" else candidate.input.batch
        self._input_name = candidate.input.name
        self._output_names = [output.name for output in candidate.outputs]
        self.info = RuntimeInfo("onnxruntime", ort.__version__, PROVIDER, threads, dict(candidate.runtime_options))

    def run(self, batch: Tensor) -> RawOutputs:
        """N×H×W×3 or N×3×H×W, as the manifest says → one array of N rows per output, in the manifest's order."""
        if self._fixed is None:
            return self._run_once(batch)
        return run_fixed(batch, self._fixed, self._run_once)

    def close(self) -> None:
        """Free the session."""
        self._session = None

    def _run_once(self, batch: Tensor) -> RawOutputs:
        if self._session is None:
            raise BackendError("onnxruntime: this backend is closed")
        try:
            return tuple(self._session.run(self._output_names, {self._input_name: batch}))
        except self._failures as error:
            raise BackendError(f"onnxruntime failed on a batch {batch.shape} {batch.dtype}: {error}") from error


def session_facts(node: Any) -> TensorFacts:
    """An input or output of a session; a dtype that shelfcam does not feed keeps the runtime's own name."""
    shape = tuple(length if isinstance(length, int) else None for length in node.shape)
    return TensorFacts(node.name, _DTYPES.get(node.type, node.type), shape)


def _import_runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(f"an ONNX model needs onnxruntime: {error}", fix="pip install 'shelfcam[onnx]'") from error
    return onnxruntime


def _failures() -> tuple[type[Exception], ...]:
    """Everything onnxruntime raises: its own classes share no base but Exception, and its Python layer raises builtins."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (*own, RuntimeError, ValueError, TypeError)


def _session_options(ort: Any, candidate: Candidate, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _LOG_ERRORS_ONLY
    for key, value in candidate.runtime_options.items():
        options.add_session_config_entry(key, value)
    return options
