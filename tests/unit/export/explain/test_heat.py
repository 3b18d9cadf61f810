"""Heat maps of models of which it is known where they look."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import SinkError, UsageError
from edge.preprocess import LETTERBOX_GREY
from export.explain import heat
from export.explain.cli import explain_command
from export.explain.picture import label_index
from export.explain.seen_part import fitted, photo_point, seen_box

SIZE = 16
QUADRANT = (slice(0, 8), slice(8, 16))  # top right


def score(images: np.ndarray) -> np.ndarray:
    """Two classes: "bright" if the top right quadrant is brighter than 190."""
    assert images.dtype == np.uint8
    logit = (images[:, QUADRANT[0], QUADRANT[1]].astype(np.float32).mean(axis=(1, 2, 3)) - 190) / 20
    bright = 1 / (1 + np.exp(-logit))
    return np.stack([bright, 1 - bright], axis=1).astype(np.float32)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(3).integers(210, 251, (SIZE, SIZE, 3), dtype=np.uint8)


def maps(picture: np.ndarray) -> dict[str, np.ndarray]:
    hidden, told = heat.grey_like(picture), []
    found = {
        "occlusion": heat.occlusion(picture, score, 0, patch_px=4, stride_px=2, hidden=hidden, advance=lambda: told.append(1)),
        "rise": heat.rise(picture, score, 0, masks=400, cells=4, seed=1, hidden=hidden, advance=lambda: told.append(1)),
    }
    assert len(told) == heat.occlusion_runs((SIZE, SIZE), 4, 2) + 400
    return found


def test_the_peak_lies_where_the_model_looks(picture: np.ndarray) -> None:
    for name, map_ in maps(picture).items():
        x, y = heat.peak_xy_px(map_)
        assert x > 8, name
        assert y < 8, name
        inside = np.zeros_like(map_, dtype=bool)
        inside[QUADRANT] = True
        assert map_[inside].mean() > 4 * np.abs(map_[~inside].mean()), name


def test_a_map_of_the_other_class_is_the_opposite(picture: np.ndarray) -> None:
    hidden = heat.grey_like(picture)
    for_it, against = (
        heat.occlusion(picture, score, index, patch_px=4, stride_px=2, hidden=hidden, advance=lambda: None) for index in (0, 1)
    )
    assert np.allclose(for_it, -against, atol=1e-5)


def test_hiding_the_hottest_pixels_first_costs_most(picture: np.ndarray) -> None:
    hidden = heat.grey_like(picture)
    for map_ in maps(picture).values():
        found = heat.deletion(picture, score, 0, map_, hidden=hidden)
        assert found.hottest_first < 0.3 < 0.6 < found.coldest_first
        assert heat.without_hottest(picture, score, 0, map_, hidden=hidden, share=0.25) < 0.3 < score(picture[None])[0, 0]


def test_rise_is_the_same_for_the_same_seed(picture: np.ndarray) -> None:
    def run(seed: int) -> np.ndarray:
        hidden = heat.blurred(picture)
        return heat.rise(picture, score, 0, masks=20, cells=4, seed=seed, hidden=hidden, advance=lambda: None)

    assert np.array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


sides = st.integers(min_value=1, max_value=60)


@settings(max_examples=60)
@given(sides, sides, st.sampled_from([(16, 16), (8, 24), (30, 10)]))
def test_the_frame_is_what_preprocessing_sees(height: int, width: int, size_hw: tuple[int, int]) -> None:
    photo = np.zeros((height, width, 3), dtype=np.uint8)
    box = seen_box((height, width), size_hw, "centre_crop")
    outside = np.full_like(photo, 255)
    rows = slice(int(box.top), int(box.top + box.height))
    columns = slice(int(box.left), int(box.left + box.width))
    outside[rows, columns] = 0
    assert not fitted(outside, size_hw, "centre_crop").any()
    assert fitted(255 - outside, size_hw, "centre_crop").min() == 255
    letterbox = seen_box((height, width), size_hw, "letterbox")
    shown = fitted(photo, size_hw, "letterbox")[..., 0]
    for y, x in np.ndindex(shown.shape):
        px, py = photo_point(letterbox, size_hw, (x + 0.5, y + 0.5))
        assert (shown[y, x] == LETTERBOX_GREY) == (not (0 <= px <= width and 0 <= py <= height))


def test_labels_by_name() -> None:
    assert label_index(("a jar", "a bag"), "a bag") == 1
    with pytest.raises(UsageError) as caught:
        label_index(("Granny-Smith", "Pink-Lady"), "Grany Smith")
    assert caught.value.fix == "did you mean 'Granny-Smith'?"


@pytest.fixture
def quadrant_bundle(tmp_path: Path) -> Path:
    """The model of ``score`` as a bundle: centre crop to 16×16, labels "bright" and "dark"."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    from edge.bundle.writer import BundleWriter
    from edge.manifest import Answer, Labels, Manifest, Model, OutputSpec
    from tests.fakes.tiny import provenance, write_colour_bundle

    def ints(name: str, *values: int) -> object:
        return numpy_helper.from_array(np.array(values, dtype=np.int64), name)

    nodes = [
        helper.make_node("Slice", ["image", "starts", "ends", "sliced"], ["quadrant"]),
        helper.make_node("Cast", ["quadrant"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
        helper.make_node("MatMul", ["column", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = [ints("starts", 0, 8), ints("ends", 8, 16), ints("sliced", 1, 2), ints("axes", 1, 2, 3), ints("last", 1)]
    constants += [
        numpy_helper.from_array(np.array([[1 / 20, 0]], dtype=np.float32), "gain"),
        numpy_helper.from_array(np.array([-9.5, 0], dtype=np.float32), "offset"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE, SIZE, 3])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph(nodes, "quadrant", [image], [output], constants)
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(content)
    like = write_colour_bundle(tmp_path / "colour").manifest.models[0].candidates[0]
    out = tmp_path / "bundle"
    with BundleWriter(out) as writer:
        replaced = {
            "model_file": writer.add("net.onnx", content.SerializeToString()),
            "input": msgspec.structs.replace(like.input, height_px=SIZE, width_px=SIZE),
            "outputs": (OutputSpec(name="probabilities", shape=(2,), dtype="float32", meaning="softmax"),),
            "quality": (),
        }
        labels = Labels(text=writer.add("labels.txt", b"bright\ndark\n"), count=2)
        candidate = msgspec.structs.replace(like, **replaced)
        answer = Answer(name="classify", task="classify", labels=labels, golden=None, gate=None)
        model = Model(name="quadrant", weights="trained", answers=(answer,), candidates=(candidate,))
        writer.finish(Manifest(schema=1, name="quadrant", models=(model,), provenance=provenance()))
    return out


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_the_command_explains_the_deployed_model(
    quadrant_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str
) -> None:
    """The photo is 48×80: the model sees its middle, x 16 to 64; the quadrant is x 40 to 64, y 0 to 24."""
    pytest.importorskip("matplotlib")
    photo, out = tmp_path / "photo.png", tmp_path / "heat.png"
    cv2.imwrite(str(photo), np.random.default_rng(0).integers(210, 251, (48, 80, 3), dtype=np.uint8))
    explain_command(image=photo, bundle=quadrant_bundle, method=method, masks=300, out=out, json=True)
    told = json.loads(capsys.readouterr().out)["explanation"]
    assert told["label"] == "bright"
    assert told["seen"] == {"left": 16, "top": 0, "width": 48, "height": 48}
    x, y = told["peak_xy_px"]
    assert 40 < x < 64
    assert 0 < y < 24
    assert told["drop"] > 0.3
    assert told["deletion"]["hottest_first"] < told["deletion"]["coldest_first"]
    drawn = cv2.imread(str(out))
    assert drawn.shape[0] > 400
    assert drawn.std() > 20
    with pytest.raises(SinkError, match="already exists"):
        explain_command(image=photo, bundle=quadrant_bundle, out=out)
    explain_command(image=photo, bundle=quadrant_bundle, out=out, label="dark", force=True)
    assert "the map is empty" in capsys.readouterr().out  # nothing speaks for it that could be hidden


def test_what_cannot_be_explained(quadrant_bundle: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.full((20, 20, 3), 220, np.uint8))
    out = tmp_path / "heat.png"
    with pytest.raises(UsageError, match="no gradients"):
        explain_command(image=photo, bundle=quadrant_bundle, method="grad-cam", out=out)
    with pytest.raises(UsageError, match="do not fit"):
        explain_command(image=photo, bundle=quadrant_bundle, patch=17, out=out)
    with pytest.raises(UsageError, match="nothing to explain"):
        explain_command(bundle=quadrant_bundle)
    with pytest.raises(UsageError, match="float network"):
        explain_command(images=tmp_path, layer="stem")
    with pytest.raises(UsageError, match="no such class"):
        explain_command(image=photo, bundle=quadrant_bundle, label="brigt", out=out)
    assert not out.exists()
