"""LiteRT (``ai-edge-litert``) or the classic TFLite runtime (``tflite-runtime``): the same ``Interpreter`` class, whichever is
installed; LiteRT where both are.

Both print one line, "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.", to stderr when the first model is loaded.
Neither has a switch for it (TF_CPP_MIN_LOG_LEVEL does not reach that logger), and redirecting stderr would hide the last words
of a native crash.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from edge.backends.base import ON_CPU, Placement, Runtime, RuntimeInfo
from edge.backends.verify import TensorFacts, check_input, check_outputs, check_quantization, check_rows, model_error, run_fixed
from edge.bundle.model_file import ModelFile
from edge.data import RawOutputs, Tensor
from edge.errors import BackendError, ProviderError
from edge.manifest import Candidate, Quantization

_DISTRIBUTIONS = {"ai-edge-litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
_KERNELS = "XNNPACK"
FAILURES = (ValueError, RuntimeError, TypeError, OSError)
"""All that an interpreter raises, and what reading the file does; a broken tensor name is a ValueError too."""


class TfliteBackend:
    """One TFLite file in one interpreter, which runs one crop a call (or the file's own fixed batch). Not for several threads
    at once: an interpreter has one set of tensors. What a delegate does not take over, XNNPACK runs.

    Raises:
        ProviderError: the placement's delegate cannot be loaded.
        BackendError: no TFLite runtime is installed, or it fails while running.
        BundleError: the file cannot be loaded, or its inputs and outputs are not those of the manifest.
    """

    def __init__(self, model_file: ModelFile, candidate: Candidate, threads: int, placement: Placement = ON_CPU) -> None:
        """Load ``model_file`` and hold it against the candidate."""
        _, package, package_version = import_interpreter()
        if placement.provider not in ("cpu", "xnnpack", "delegate"):
            raise BackendError(f"{package} has no provider {placement.provider!r}")
        delegate = load_delegate(placement) if placement.provider == "delegate" else None
        try:
            interpreter = open_interpreter(model_file.content, threads, delegate)
            inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        except FAILURES as error:
            if delegate is not None:
                raise BackendError(f"{placement.delegate} cannot run candidate {candidate.name}: {error}") from error
            raise model_error(candidate, model_file, package, error) from error
        _verify(model_file, candidate, inputs, outputs)
        index_of = {detail["name"]: detail["index"] for detail in outputs}
        self._interpreter = interpreter
        self._content: bytes | None = model_file.content  # the interpreter reads its weights there
        self._fixed = int(inputs[0]["shape"][0])
        self._input_index = inputs[0]["index"]
        self._outputs = candidate.outputs
        self._output_indices = [index_of[output.name] for output in candidate.outputs]
        self.info = RuntimeInfo(package, package_version, str(placement.delegate) if delegate else _KERNELS, threads, {})

    def run(self, batch: Tensor) -> RawOutputs:
        """N×H×W×3 or N×3×H×W, as the manifest says → one array of N rows per output, in the manifest's order."""
        return run_fixed(batch, self._fixed, self._run_once)

    def close(self) -> None:
        """Free the interpreter."""
        self._interpreter = self._content = None

    def _run_once(self, batch: Tensor) -> RawOutputs:
        interpreter = self._interpreter
        if interpreter is None:
            raise BackendError(f"{self.info.name}: this backend is closed")
        try:
            interpreter.set_tensor(self._input_index, batch)
            interpreter.invoke()
            raw = tuple(interpreter.get_tensor(index) for index in self._output_indices)
        except FAILURES as error:
            raise BackendError(f"{self.info.name} failed on a batch {batch.shape} {batch.dtype}: {error}") from error
        check_rows(raw, self._outputs, len(batch), self.info.name)
        return raw


def import_interpreter() -> tuple[Any, str, str]:
    """(Interpreter class, package name, package version) of the installed runtime.

    Raises:
        BackendError: none is installed, or the classic one would die on the installed numpy.
    """
    reasons = []
    for package, module in _DISTRIBUTIONS.items():
        try:
            interpreter_class = importlib.import_module(module).Interpreter
        except ImportError as error:
            reasons.append(str(error))
            continue
        if package == "tflite-runtime" and int(np.__version__.split(".")[0]) >= 2:
            raise BackendError(
                f"tflite-runtime was built for numpy 1 and cannot run with numpy {np.__version__}",
                fix="pip install 'ai-edge-litert>=2.0', or keep tflite-runtime and pip install 'numpy<2'",
            )
        return interpreter_class, package, _version(package)
    raise BackendError(f"a TFLite model needs LiteRT: {'; '.join(reasons)}", fix="pip install 'ai-edge-litert>=2.0'")


def load_delegate(placement: Placement) -> Any:
    """The delegate in the library that the placement names, with its options.

    Raises:
        ProviderError: there is no such library, it is no delegate, or it says why it cannot work here.
    """
    interpreter_class, _, _ = import_interpreter()
    if placement.delegate is None:
        raise ProviderError("provider 'delegate' needs a library", fix='delegate = "/usr/lib/…so" under [model]')
    try:
        return importlib.import_module(interpreter_class.__module__).load_delegate(
            placement.delegate, dict(placement.delegate_options)
        )
    except (*FAILURES, AttributeError) as error:  # AttributeError: a library without the function of a delegate
        words = " ".join(str(error).split())
        raise ProviderError(f"delegate {placement.delegate}: {words}", fix="name another, or none, under [model]") from error


def open_interpreter(content: bytes, threads: int, delegate: Any = None) -> Any:
    """An interpreter of the installed runtime over a file's bytes, with ``delegate`` if there is one and its tensors allocated.

    Raises:
        BackendError: no runtime is installed.
        ValueError, RuntimeError: it refuses the file.
    """
    interpreter_class, _, _ = import_interpreter()
    delegates = None if delegate is None else [delegate]
    interpreter = interpreter_class(model_content=content, num_threads=threads, experimental_delegates=delegates)
    interpreter.allocate_tensors()
    return interpreter


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # the module is there under another distribution's name, for example a nightly build
        return "unknown"


def detail_facts(detail: dict[str, Any]) -> TensorFacts:
    """An entry of ``get_input_details()`` or ``get_output_details()``, with the shape that the interpreter has allocated."""
    parameters = detail["quantization_parameters"]
    quantization = None
    if len(parameters["scales"]) == 1 and np.issubdtype(detail["dtype"], np.integer):
        quantization = Quantization(scale=float(parameters["scales"][0]), zero_point=int(parameters["zero_points"][0]))
    shape = tuple(int(length) for length in detail["shape"])
    return TensorFacts(detail["name"], np.dtype(detail["dtype"]).name, shape, quantization)


def _verify(file: ModelFile, candidate: Candidate, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
    spec = candidate.input
    found_inputs = [detail_facts(detail) for detail in inputs]
    found_outputs = {facts.name: facts for facts in map(detail_facts, outputs)}
    check_input(file, spec, found_inputs)
    check_outputs(file, candidate.outputs, list(found_outputs.values()))
    if not (spec.normalise == "folded" and spec.dtype == "uint8"):  # raw pixels are the stored values: no scale is applied
        check_quantization(file, f"input {spec.name}", spec.quantization, found_inputs[0].quantization)
    for output in candidate.outputs:
        check_quantization(file, f"output {output.name}", output.quantization, found_outputs[output.name].quantization)


def _delegate_fault(placement: Placement) -> str | None:
    try:
        load_delegate(placement)
    except BackendError as error:
        return str(error)
    return None


RUNTIME = Runtime(
    load=TfliteBackend,
    distributions=_DISTRIBUTIONS,
    install="ai-edge-litert>=2.0",
    providers={"cpu": _KERNELS, "delegate": "delegate"},
    own_kernels=("xnnpack",),
    built_with=lambda: (_KERNELS,),
    fault=_delegate_fault,
)
