"""ONNX Runtime, on the CPU or with one of its execution providers."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.backends import attempt, providers
from edge.backends.base import ON_CPU, PROVIDER_FIX, Placement, Runtime, RuntimeInfo
from edge.backends.verify import TensorFacts, check_input, check_outputs, check_rows, model_error, run_fixed
from edge.bundle.model_file import ModelFile
from edge.data import RawOutputs, Tensor
from edge.errors import BackendError, ProviderError
from edge.manifest import Candidate

_LOG_ERRORS_ONLY = 3
_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}


class OrtBackend:
    """One ONNX file in one session. ``runtime_options`` of the candidate become session config entries.

    Elsewhere than on the CPU one empty picture is run at once: kernels are loaded, and an engine is built, before the first real one.
    TensorRT takes one crop a call: its engine is built for that shape, and another would be built in the middle of the loop.

    Raises:
        ProviderError: the placement's provider cannot be had here, or the session would go without it.
        BackendError: onnxruntime is not installed, the provider cannot run this model, or it fails while running.
        BundleError: the file cannot be loaded, or its inputs and outputs are not those of the manifest.
    """

    def __init__(self, model_file: ModelFile, candidate: Candidate, threads: int, placement: Placement = ON_CPU) -> None:
        """Load ``model_file`` and hold it against the candidate."""
        ort = _import_runtime()
        self._failures = _failures()
        plan = providers.plan_session(placement, candidate, threads, ort.get_available_providers())
        session = self._open(ort, model_file, candidate, plan)
        check_input(model_file, candidate.input, [session_facts(node) for node in session.get_inputs()])
        check_outputs(model_file, candidate.outputs, [session_facts(node) for node in session.get_outputs()])
        self._session = session
        batch = candidate.input.batch
        self._fixed = (1 if plan.asked == providers.TENSORRT else None) if batch == "dynamic" else batch
        self._input_name = candidate.input.name
        self._outputs = candidate.outputs
        self._output_names = [output.name for output in candidate.outputs]
        self.info = RuntimeInfo("onnxruntime", ort.__version__, plan.asked, threads, dict(candidate.runtime_options))
        if plan.asked != providers.CPU:
            self.run(np.zeros(providers.batch_shape(candidate.input, self._fixed or 1), dtype=candidate.input.dtype))

    def run(self, batch: Tensor) -> RawOutputs:
        """N×H×W×3 or N×3×H×W, as the manifest says → one array of N rows per output, in the manifest's order."""
        if self._fixed is None:
            return self._run_once(batch)
        return run_fixed(batch, self._fixed, self._run_once)

    def close(self) -> None:
        """Free the session."""
        self._session = None

    def _open(self, ort: Any, model_file: ModelFile, candidate: Candidate, plan: providers.SessionPlan) -> Any:
        try:
            options = _session_options(ort, candidate, plan)
            # Without enable_fallback=0 a failure would be printed to standard output, and the CPU taken in its place.
            session = ort.InferenceSession(model_file.content, options, providers=plan.providers, enable_fallback=0)
        except self._failures as error:
            if plan.asked == providers.CPU:
                raise model_error(candidate, model_file, "onnxruntime", error) from error
            raise _provider_error(ort, candidate, plan.asked, error) from error
        providers.check_there(ort, plan.asked, session.get_providers())
        return session

    def _run_once(self, batch: Tensor) -> RawOutputs:
        if self._session is None:
            raise BackendError("onnxruntime: this backend is closed")
        try:
            raw = tuple(self._session.run(self._output_names, {self._input_name: batch}))
        except self._failures as error:
            raise BackendError(f"onnxruntime failed on a batch {batch.shape} {batch.dtype}: {error}") from error
        check_rows(raw, self._outputs, len(batch), "onnxruntime")
        return raw


def session_facts(node: Any) -> TensorFacts:
    """An input or output of a session; a dtype that shelfcam does not feed keeps the runtime's own name."""
    shape = tuple(length if isinstance(length, int) else None for length in node.shape)
    return TensorFacts(node.name, _DTYPES.get(node.type, node.type), shape)


def _import_runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(f"an ONNX model needs onnxruntime: {error}", fix="pip install 'onnxruntime>=1.20'") from error
    return onnxruntime


def _failures() -> tuple[type[Exception], ...]:
    """Everything onnxruntime raises: its own classes share no base but Exception, and its Python layer raises builtins."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (*own, RuntimeError, ValueError, TypeError)


def _provider_error(ort: Any, candidate: Candidate, asked: str, error: Exception) -> BackendError:
    """A plain RuntimeError is about the provider itself; ONNX Runtime's own classes are about the model."""
    if type(error) is RuntimeError:
        return ProviderError(providers.fault_words(ort, asked, error), fix=PROVIDER_FIX)
    return BackendError(f"{asked} cannot run candidate {candidate.name}: {' '.join(str(error).split())[:400]}")


def _session_options(ort: Any, candidate: Candidate, plan: providers.SessionPlan) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = plan.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _LOG_ERRORS_ONLY
    for key, value in {**candidate.runtime_options, **plan.entries}.items():  # the place has the last word
        options.add_session_config_entry(key, value)
    return options


RUNTIME = Runtime(
    load=OrtBackend,
    distributions={"onnxruntime": "onnxruntime", "onnxruntime-gpu": "onnxruntime"},
    install="onnxruntime>=1.20",
    providers=providers.EXECUTION_PROVIDERS,
    built_with=attempt.available_providers,
    suits=providers.suits,
    ready=providers.is_ready,
    fault=attempt.fault,
)
