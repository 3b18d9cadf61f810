"""Facts of a TFLite file, as the installed runtime reports them."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.backends.tflite import FAILURES, detail_facts, open_interpreter
from edge.backends.verify import TensorFacts
from export.wrap.facts import ModelFacts, broken

_PASS_ON = frozenset({"RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE", "CAST", "DELEGATE"})
_ZIP_ENTRY = re.compile(rb"PK\x03\x04[\x0a\x14\x2d]\x00")


def tflite_facts(path: Path, content: bytes) -> ModelFacts:
    """Raises BundleError for a file that the runtime refuses or that was cut, BackendError without a runtime."""
    try:
        interpreter = open_interpreter(content, 1)
        inputs = interpreter.get_input_details()
        outputs = interpreter.get_output_details()
        ops = interpreter._get_ops_details()  # not public, but the same in both runtimes
    except FAILURES as error:
        raise broken(path, error) from error
    # labels may be appended as a zip archive; the model in front of it loads even if the archive was cut off
    if _ZIP_ENTRY.search(content) and not zipfile.is_zipfile(path):
        raise broken(path, "the archive appended to the model is incomplete")
    final = _final_op(ops, outputs[0]["index"]) if outputs else None
    return ModelFacts("tflite", tuple(map(_open_facts, inputs)), tuple(map(_open_facts, outputs)), final)


def _open_facts(detail: dict[str, Any]) -> TensorFacts:
    """Like ``detail_facts``, but lengths that the file leaves open are None; an open batch is run one crop at a time, so 1."""
    facts = detail_facts(detail)
    signature = [int(length) for length in detail["shape_signature"]]
    if len(signature) != len(facts.shape):
        return facts
    shape = (None if length < 0 else length for length in signature[1:])
    return replace(facts, shape=(*facts.shape[:1], *shape))


def _final_op(ops: Sequence[dict[str, Any]], tensor: int) -> str | None:
    for op in reversed(ops):
        if op["op_name"] != "DELEGATE" and tensor in op["outputs"]:
            if op["op_name"] not in _PASS_ON:
                return str(op["op_name"]).replace("_", "")
            tensor = int(op["inputs"][0])
    return None
