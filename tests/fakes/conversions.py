"""PyTorch's exporters take seconds for the smallest network; what one test had converted, the next one takes as it is."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import onnx
import pytest

from export.convert import to_onnx, to_tflite
from export.load.model import FloatModel
from tests.fakes.once import made_once


def keep_conversions(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Every export converts the same network once, in ``folder``'s lifetime. Tests of the conversions themselves import the functions
    by name, and get the real ones."""
    to_file, to_bytes = to_onnx.core_to_onnx, to_tflite.core_to_tflite

    def core_to_onnx(model: FloatModel) -> onnx.ModelProto:
        return onnx.load_from_string(_kept(folder, model, "onnx", lambda: to_file(model).SerializeToString()))

    def core_to_tflite(model: FloatModel) -> bytes:
        return _kept(folder, model, "tflite", lambda: to_bytes(model))

    patch.setattr(to_onnx, "core_to_onnx", core_to_onnx)
    patch.setattr(to_tflite, "core_to_tflite", core_to_tflite)


def _kept(folder: Path, model: FloatModel, kind: str, convert: Callable[[], bytes]) -> bytes:
    return made_once(folder / f"{_key(model)}.{kind}", lambda path: path.write_bytes(convert())).read_bytes()


def _key(model: FloatModel) -> str:
    """All that a conversion depends on: what the network is made of, what its layers do and their weights."""
    content = sha256(repr((model.module, model.size_hw_px, model.normalisation)).encode())
    for layer in model.module.modules():
        code = type(layer).forward.__code__
        content.update(f"{type(layer)}{code.co_consts}{code.co_names}".encode() + code.co_code)
    for name, weights in sorted(model.module.state_dict().items()):
        content.update(f"{name}{weights.dtype}".encode() + weights.numpy().tobytes())
    return content.hexdigest()
