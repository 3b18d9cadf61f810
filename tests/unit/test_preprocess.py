"""Preprocessing against plain references."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.data import Region
from edge.manifest import InputSpec, Normalisation, Quantization, Resize
from edge.preprocess import LETTERBOX_GREY, fitted, preprocess, resize_into

SPEC = InputSpec(
    name="image",
    batch="dynamic",
    height_px=4,
    width_px=4,
    layout="NHWC",
    dtype="uint8",
    colour="RGB",
    resize=Resize(fit="stretch"),
    normalise="folded",
)


def spec(**changes) -> InputSpec:
    return msgspec.structs.replace(SPEC, **changes)


def crop(pixels: np.ndarray) -> list[Region]:
    return [Region("s", pixels.astype(np.uint8))]


def gradient(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 / max(1, width - 1), y * 255 / max(1, height - 1), np.full_like(x, 7)], axis=-1).astype(np.uint8)


def test_same_size_is_untouched() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(preprocess(crop(pixels), SPEC)[0], pixels)


def test_halving_is_the_mean_of_two_by_two() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    expected = pixels.reshape(4, 2, 4, 2, 3).astype(np.float64).mean(axis=(1, 3))
    np.testing.assert_allclose(preprocess(crop(pixels), SPEC)[0], expected, atol=0.51)


def test_halving_filters_what_a_bare_linear_resize_would_alias() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    out = preprocess(crop(stripes), SPEC)[0]
    assert abs(out.astype(int) - 127).max() <= 1


def test_colour_layout_and_normalisation() -> None:
    pixels = np.full((4, 4, 3), (10, 20, 30), np.uint8)
    bgr = preprocess(crop(pixels), spec(colour="BGR", layout="NCHW"))
    assert bgr.shape == (1, 3, 4, 4)
    assert bgr[0, :, 0, 0].tolist() == [30, 20, 10]
    normal = Normalisation(mean=(10.0, 10.0, 10.0), scale=(2.0, 4.0, 5.0))
    real = preprocess(crop(pixels), spec(dtype="float32", normalise=normal))
    assert real.dtype == np.float32
    np.testing.assert_allclose(real[0, 0, 0], [0.0, 2.5, 4.0])


def test_quantized_input_rounds_and_clips() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0, 0] = (0, 128, 255)
    quantized = spec(
        dtype="int8",
        normalise=Normalisation(mean=(127.5,) * 3, scale=(127.5,) * 3),
        quantization=Quantization(scale=1 / 100, zero_point=5),
    )
    out = preprocess(crop(pixels), quantized)
    # (0-127.5)/127.5 = -1 → -100+5 = -95;  0.0039 → 0+5;  1 → 105
    assert out[0, 0, 0].tolist() == [-95, 5, 105]
    assert preprocess(crop(pixels), msgspec.structs.replace(quantized, quantization=Quantization(scale=0.001, zero_point=0)))[
        0, 0, 0
    ].tolist() == [-128, 4, 127]


def test_float_of_raw_pixels() -> None:
    out = preprocess(crop(np.full((4, 4, 3), 200)), spec(dtype="float32"))
    assert out.dtype == np.float32
    assert float(out.max()) == 200.0


def test_centre_crop_takes_the_middle_square() -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 2:6] = 255
    assert preprocess(crop(pixels), spec(resize=Resize(fit="centre_crop"))).min() == 255


def test_letterbox_keeps_the_whole_and_pads_with_grey() -> None:
    out = preprocess(crop(np.full((4, 8, 3), 255)), spec(resize=Resize(fit="letterbox")))[0]
    assert (out[0] == LETTERBOX_GREY).all()
    assert (out[-1] == LETTERBOX_GREY).all()
    assert (out[1:3] == 255).all()


def test_a_batch_is_its_crops() -> None:
    crops = [Region(str(i), np.full((9, 7, 3), i, np.uint8)) for i in range(5)]
    out = preprocess(crops, SPEC)
    assert out.shape == (5, 4, 4, 3)
    assert [int(image.max()) for image in out] == [0, 1, 2, 3, 4]
    assert out.flags.c_contiguous


@settings(max_examples=60)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from(["stretch", "centre_crop", "letterbox"]),
)
def test_any_size_gives_the_target_and_no_new_colours(h: int, w: int, height: int, width: int, fit: str) -> None:
    out = np.empty((height, width, 3), np.uint8)
    resize_into(np.full((h, w, 3), 90, np.uint8), fit, out)
    assert set(np.unique(out)) <= {90, LETTERBOX_GREY}
    assert 90 in out


@pytest.mark.parametrize("size", [(480, 640), (481, 643), (1080, 1920), (100, 300)])
def test_a_gradient_stays_a_gradient(size: tuple[int, int]) -> None:
    out = np.empty((32, 32, 3), np.uint8)
    resize_into(gradient(*size), "stretch", out)
    np.testing.assert_allclose(out.astype(float), gradient(32, 32).astype(float), atol=9)


@pytest.mark.parametrize("fit", ["stretch", "centre_crop", "letterbox"])
@pytest.mark.parametrize("size_hw_px", [(240, 320), (300, 200), (61, 61)])
def test_a_place_in_the_input_is_found_again_in_the_region(fit: str, size_hw_px: tuple[int, int]) -> None:
    height, width = size_hw_px
    box = np.array([[width * 0.4, height * 0.45, width * 0.6, height * 0.55]], np.float32).round()
    left, top, right, bottom = box[0].astype(int)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    wide = spec(resize=Resize(fit=fit), height_px=48, width_px=64)
    ys, xs = np.nonzero(preprocess(crop(pixels), wide)[0, :, :, 0] > 127)
    ours = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
    inside = fitted(size_hw_px, wide)
    np.testing.assert_allclose(inside.to_region(ours), box, atol=max(inside.scale_xy) + 0.5)
