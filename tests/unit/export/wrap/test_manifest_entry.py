"""How pixels become stored input values, from scale and zero point alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.backends.verify import TensorFacts
from edge.errors import BundleError, UsageError
from edge.manifest import Normalisation, Quantization
from export.wrap.facts import ModelFacts
from export.wrap.input_text import PRESETS, InputHints
from export.wrap.manifest_entry import feed, input_spec, output_spec

HERE = Path("net.tflite")


def tensor(dtype: str, scale: float | None = None, zero_point: int = 0, shape: tuple = (1, 8, 8, 3)) -> TensorFacts:
    quantization = None if scale is None else Quantization(scale=scale, zero_point=zero_point)
    return TensorFacts("x", dtype, shape, quantization)


def facts(*outputs: TensorFacts, inputs: tuple[TensorFacts, ...] = (), final: str | None = "SOFTMAX") -> ModelFacts:
    return ModelFacts("tflite", inputs or (tensor("uint8"),), outputs, final)


@pytest.mark.parametrize("zero_point", [127, 128])
@pytest.mark.parametrize("preset", [None, "raw", "tf"])
def test_uint8_with_the_range_of_minus_one_to_one_takes_raw_pixels(zero_point: int, preset: str | None) -> None:
    said = PRESETS[preset] if preset else None
    assert feed(HERE, tensor("uint8", 1 / 128, zero_point), said) == ("folded", None)


def test_uint8_of_another_range_normalises_then_quantizes() -> None:
    quantized = tensor("uint8", 0.0187, 114)
    assert feed(HERE, quantized, PRESETS["imagenet"]) == (PRESETS["imagenet"], quantized.quantization)
    assert feed(HERE, quantized, None) == ("folded", None)


@pytest.mark.parametrize(
    ("scale", "zero_point", "mean", "divisor"),
    [(1 / 255, -128, 0, 255), (1 / 128, 0, 128, 128), (1 / 127.5, -1, 127, 127.5), (1.0, -128, 0, 1)],
)
def test_int8_of_a_usual_range_stores_the_pixel_less_128(scale: float, zero_point: int, mean: float, divisor: float) -> None:
    normalise, quantization = feed(HERE, tensor("int8", scale, zero_point), None)
    assert isinstance(normalise, Normalisation)
    assert quantization is not None
    assert normalise.mean == (mean,) * 3
    assert normalise.scale == pytest.approx((divisor,) * 3)
    for pixel in range(256):
        real = (pixel - normalise.mean[0]) / normalise.scale[0]
        assert round(real / quantization.scale) + quantization.zero_point == pixel - 128


def test_int8_of_an_unusual_range_asks() -> None:
    with pytest.raises(UsageError, match="does not say"):
        feed(HERE, tensor("int8", 0.0187, -14), None)
    assert feed(HERE, tensor("int8", 0.0187, -14), PRESETS["imagenet"])[0] == PRESETS["imagenet"]


def test_contradictions_are_refused() -> None:
    with pytest.raises(UsageError, match="raw bytes"):
        feed(HERE, tensor("uint8"), PRESETS["tf"])
    with pytest.raises(BundleError, match="no scale and zero point"):
        feed(HERE, tensor("int8"), None)


@pytest.mark.parametrize(
    ("shape", "error"),
    [((1, 8, 8), BundleError), ((1, 28, 28, 1), BundleError), ((1, None, None, 3), BundleError), ((None,) * 4, UsageError)],
)
def test_inputs_that_are_no_picture(shape: tuple, error: type[Exception]) -> None:
    with pytest.raises(error):
        input_spec(HERE, facts(inputs=(tensor("uint8", shape=shape),)), InputHints())


def test_said_size_and_layout_must_be_the_files() -> None:
    with pytest.raises(UsageError, match="size=9x9"):
        input_spec(HERE, facts(), InputHints(size_hw_px=(9, 9)))
    with pytest.raises(UsageError, match="layout=NCHW"):
        input_spec(HERE, facts(), InputHints(layout="NCHW"))
    with pytest.raises(BundleError, match="float16"):
        input_spec(HERE, facts(inputs=(tensor("float16"),)), InputHints())


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 10, 4), "is not one row"), ((1, 7, 7, 1280), "is not one row"), ((4,), "is not one row"), ((1, 5), "5 scores")],
)
def test_outputs_that_are_no_scores(shape: tuple, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        output_spec(HERE, facts(tensor("float32", shape=shape)), 4, None)


@pytest.mark.parametrize("shape", [(1, 4), (1, 1, 1, 4), (1, 4, 1, 1), (None, None)])
def test_one_row_of_scores(shape: tuple) -> None:
    assert output_spec(HERE, facts(tensor("float32", shape=shape)), 4, None).width == 4


@pytest.mark.parametrize(
    ("final", "said", "activation"),
    [("SOFTMAX", None, "softmax"), ("FULLYCONNECTED", None, "logits"), ("SOFTMAX", "logits", "logits"), (None, None, "logits")],
)
def test_what_scores_are(final: str | None, said: str | None, activation: str) -> None:
    assert output_spec(HERE, facts(tensor("float32", shape=(1, 4)), final=final), 4, said).meaning == activation
