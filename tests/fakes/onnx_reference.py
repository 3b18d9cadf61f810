"""A second runtime for ONNX files: the reference evaluator of the onnx package, as slow as it is plain. The one module of a backend that
a newcomer adds; ``REGISTERED`` is its line in ``edge.bundle.runtimes``."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.backends.base import Placement, Runtime, RuntimeInfo
from edge.backends.verify import TensorFacts, check_input, check_outputs, check_rows, model_error, run_fixed
from edge.bundle.model_file import ModelFile
from edge.bundle.runtimes import RuntimeEntry
from edge.data import RawOutputs, Tensor
from edge.errors import BackendError
from edge.manifest import Candidate

KEY = ("onnx", "reference")
REGISTERED = {KEY: RuntimeEntry(backend="tests.fakes.onnx_reference:RUNTIME")}


class ReferenceBackend:
    """One ONNX file in the reference evaluator."""

    def __init__(self, model_file: ModelFile, candidate: Candidate, threads: int, placement: Placement) -> None:
        import onnx
        from google.protobuf.message import DecodeError
        from onnx.reference import ReferenceEvaluator

        if placement.provider != "cpu":
            raise BackendError(f"the reference evaluator has no provider {placement.provider!r}")
        try:
            model = onnx.load_model_from_string(model_file.content)
            self._evaluator = ReferenceEvaluator(model)
        except (DecodeError, TypeError, ValueError) as error:
            raise model_error(candidate, model_file, "reference", error) from error
        inputs = [_facts(value) for value in model.graph.input]
        check_input(model_file, candidate.input, inputs)
        check_outputs(model_file, candidate.outputs, [_facts(value) for value in model.graph.output])
        self._shape, self._outputs, self._batch = inputs[0].shape, candidate.outputs, candidate.input.batch
        self._input_name = candidate.input.name
        self.info = RuntimeInfo("reference", onnx.__version__, "CPU", threads, {})

    def run(self, batch: Tensor) -> RawOutputs:
        return self._run_once(batch) if self._batch == "dynamic" else run_fixed(batch, self._batch, self._run_once)

    def close(self) -> None:
        self._evaluator = None

    def _run_once(self, batch: Tensor) -> RawOutputs:
        if self._evaluator is None:
            raise BackendError("reference: this backend is closed")
        if any(length not in (None, here) for length, here in zip(self._shape, batch.shape, strict=True)):
            raise BackendError(f"reference: a batch of {batch.shape} is not {self._shape}")
        raw = tuple(self._evaluator.run([output.name for output in self._outputs], {self._input_name: batch}))
        check_rows(raw, self._outputs, len(batch), "reference")
        return raw


def _facts(value: Any) -> TensorFacts:
    from onnx.helper import tensor_dtype_to_np_dtype

    kind = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)
    return TensorFacts(value.name, np.dtype(tensor_dtype_to_np_dtype(kind.elem_type)).name, shape)


RUNTIME = Runtime(load=ReferenceBackend, distributions={"onnx": "onnx.reference"}, install="onnx")
