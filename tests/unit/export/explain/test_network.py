"""Grad-CAM and contact sheets of a network whose channels are known."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the PyTorch side")

from edge.errors import UsageError  # noqa: E402
from edge.manifest import Normalisation  # noqa: E402
from export.explain import cli, strongest  # noqa: E402
from export.explain.heat import peak_xy_px  # noqa: E402
from export.explain.torch_layers import find_layer, last_convolution, list_layers  # noqa: E402
from export.load.model import FloatModel  # noqa: E402

SIZE = 32
TENTH = Normalisation(mean=(0.0, 0.0, 0.0), scale=(25.5, 25.5, 25.5))


class Known(torch.nn.Module):
    """``stem``: channel 0 is red, channel 1 green, channel 2 a step from dark (left) to bright, channel 3 nothing. ``deep``, stride 2,
    sums each channel over 3×3; ``head``: class 0 is red, class 1 green."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.act = torch.nn.ReLU(inplace=True)
        self.deep = torch.nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4, bias=False)
        self.head = torch.nn.Linear(4, 2, bias=False)
        with torch.no_grad():
            self.stem.weight.zero_()
            for channel, colours in ((0, (1.0, -0.5, -0.5)), (1, (-0.5, 1.0, -0.5))):
                self.stem.weight[channel] = torch.tensor(colours).reshape(3, 1, 1) / 9
            self.stem.weight[2] = torch.tensor([-1.0, 0.0, 1.0]).reshape(1, 1, 3) / 3
            self.deep.weight.fill_(1.0)
            self.head.weight.copy_(torch.tensor([[1.0, -1.0, 0, 0], [-1.0, 1.0, 0, 0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.deep(self.act(self.stem(x))).mean(dim=(2, 3)))


def network() -> FloatModel:
    return FloatModel("known", Known().eval(), (SIZE, SIZE), TENTH, ("red", "green"), None, None, None, 2)


def blob(colour: tuple[int, int, int], x: int, y: int, side: int = 6) -> np.ndarray:
    picture = np.full((SIZE, SIZE, 3), 40, dtype=np.uint8)
    picture[y : y + side, x : x + side] = colour
    return picture


def test_grad_cam_finds_the_planted_blob() -> None:
    pytest.importorskip("captum")
    from export.explain.grad_cam import grad_cam

    model = network()
    picture = blob((250, 0, 0), 20, 4)
    picture[22:28, 3:9] = (0, 250, 0)
    assert last_convolution(model) == "deep"
    for index, (left, top) in enumerate(((20, 4), (3, 22))):
        x, y = peak_xy_px(grad_cam(model, picture, index, "deep"))
        assert left <= x <= left + 6
        assert top <= y <= top + 6
    with pytest.raises(UsageError, match="gives no map"):
        grad_cam(model, picture, 0, "head")


def test_layers_have_names_shapes_and_neighbours() -> None:
    model = network()
    assert [(layer.name, layer.output_shape) for layer in list_layers(model)] == [
        ("stem", (4, SIZE, SIZE)),
        ("act", (4, SIZE, SIZE)),
        ("deep", (4, SIZE // 2, SIZE // 2)),
        ("head", (2,)),
    ]
    with pytest.raises(UsageError) as caught:
        find_layer(model, "deepp")
    assert caught.value.fix == "did you mean deep?"


def test_the_strongest_patches_are_cut_where_the_stimulus_is() -> None:
    model, told = network(), []
    images = [blob((250, 0, 0), 20, 4), blob((0, 250, 0), 3, 22), blob((250, 250, 250), 10, 10), blob((40, 40, 40), 0, 0)]
    found = strongest.answers(model, "stem", images, lambda: told.append(1))
    assert len(told) == 4
    assert found.best.shape == (4, 4)
    channels = strongest.strongest(found, model.size_hw_px, channels=9, patches=2)
    by_index = {channel.index: channel for channel in channels}
    assert set(by_index) == {0, 1, 2}  # the fourth always says the same
    assert by_index[0].pictures[0] == 0
    assert by_index[1].pictures[0] == 1
    assert by_index[2].pictures[0] == 2  # white on dark is the largest step
    field = strongest.receptive_field(model, "stem", images)
    assert (field.height_px, field.width_px, field.down_px, field.right_px) == (3, 3, 0, 0)
    red = strongest.cut(images[0], by_index[0].places_xy_px[0], field)
    assert red.shape == (3, 3, 3)
    assert (red == (250, 0, 0)).all()
    step = strongest.cut(images[2], by_index[2].places_xy_px[0], field)
    assert (step[:, 0] == 40).all()
    assert (step[:, 2] == 250).all()


def test_a_deeper_field_is_larger_and_a_head_sees_all() -> None:
    model, images = network(), [blob((250, 0, 0), 14, 14)]
    deep = strongest.receptive_field(model, "deep", images)
    assert 3 < deep.height_px <= 5
    head = strongest.receptive_field(model, "head", images)
    assert head.whole
    assert strongest.cut(images[0], (0.0, 0.0), head) is images[0]


def test_a_patch_at_the_border_keeps_what_lies_inside() -> None:
    image = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    field = strongest.Field(4, 4, 0.0, 0.0)
    assert np.array_equal(strongest.cut(image, (0.5, 0.5), field), image[:2, :2])
    assert np.array_equal(strongest.cut(image, (7.5, 7.5), field), image[6:, 6:])
    assert np.array_equal(strongest.cut(image, (4.0, 4.0), field), image[2:6, 2:6])


def test_the_command_writes_a_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(cli, "_load", lambda spec, options: network())
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, picture in enumerate([blob((250, 0, 0), 20, 4), blob((0, 250, 0), 3, 22)]):
        cv2.imwrite(str(photos / f"{number}.png"), picture[..., ::-1])
    (photos / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "sheet.png"
    cli.explain_command("known", layer="stem", images=photos, out=out, json=True)
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert told["pictures"] == ["0.png", "1.png"]
    assert {channel["index"] for channel in told["channels"] if channel["pictures"][0] == 0} >= {0}
    assert "broken.png" in shown.err
    assert cv2.imread(str(out)).std() > 20
    with pytest.raises(UsageError, match="no layer 'stm'"):
        cli.explain_command("known", layer="stm", images=photos, out=tmp_path / "other.png")
    with pytest.raises(UsageError, match="--images needs --layer"):
        cli.explain_command("known", images=photos)
    cli.explain_command("known", list_layers=True, json=True)
    assert [layer["name"] for layer in json.loads(capsys.readouterr().out)] == ["stem", "act", "deep", "head"]


def test_the_command_explains_the_float_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("captum", "matplotlib"):
        pytest.importorskip(package)
    monkeypatch.setattr(cli, "_load", lambda spec, options: network())
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), blob((250, 0, 0), 20, 4)[..., ::-1])
    for method in ("grad-cam", "occlusion"):
        cli.explain_command("known", image=photo, method=method, out=tmp_path / f"{method}.png", json=True)
        told = json.loads(capsys.readouterr().out)["explanation"]
        assert told["label"] == "red"
        x, y = told["peak_xy_px"]
        assert 18 <= x <= 28
        assert 2 <= y <= 12
