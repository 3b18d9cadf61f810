"""An embedder: no softmax, no labels, its output named and described as an embedding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.backends import load_backend
from edge.bundle.model_file import ModelFile
from edge.data import Region
from edge.preprocess import preprocess
from edge.tasks.classify import compare
from export import progress
from export.candidates import choose
from export.convert.all import convert
from export.convert.core import float_logits
from tests.fakes.runtimes import need
from tests.fakes.tiny_net import pictures, tiny_model

need("litert_torch")

MODEL = replace(tiny_model(), task="embed", labels=(), fit="letterbox")
JUDGED = pictures(16, seed=2)
FULL_INTEGER = ("tflite-int8-full", "tflite-int8-int8")


def test_every_kind_of_output_is_the_embedding(tmp_path) -> None:
    plans = choose(["onnx-fp32", "onnx-int8", "tflite-fp32", "tflite-int8", *FULL_INTEGER])
    expected = float_logits(MODEL, JUDGED)
    for draft in convert(MODEL, pictures(32, seed=1), plans, tmp_path, progress.silent):
        (output,) = draft.candidate.outputs
        assert (output.name, output.meaning, output.width) == ("embedding", "embedding", MODEL.width)
        assert (output.quantization is None) == (draft.plan.name not in FULL_INTEGER)
        assert draft.candidate.input.resize.fit == "letterbox"
        backend = load_backend(ModelFile.read(draft.path), draft.candidate, 1)
        raw = backend.run(preprocess([Region("slot", image) for image in JUDGED], draft.candidate.input))[0]
        real = raw.astype(np.float32)
        if output.quantization is not None:
            real = (real - output.quantization.zero_point) * output.quantization.scale
        if draft.plan.arithmetic == "fp32":
            np.testing.assert_allclose(real, expected, atol=1e-4, err_msg=draft.plan.name)
        assert compare(real, expected).logit_cosine > 0.99, draft.plan.name
