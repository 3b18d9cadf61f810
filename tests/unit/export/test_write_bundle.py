"""The command in a bundle's provenance makes the same request again, without telling where files lay."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from cyclopts import App

from edge.manifest import Gate, Normalisation
from export import cli
from export.load.spec import ModelSpec
from export.request import Request
from export.write_bundle import command_line

GATE = Gate(logit_cosine_min=0.97, top1_agreement_min=0.7, accuracy_drop_max=0.005, accuracy_share_min=0.98)


def again(command: str, monkeypatch: pytest.MonkeyPatch) -> Request:
    """The request that the command line gives."""
    seen = []
    monkeypatch.setattr(cli, "_run", lambda request: seen.append(Request(**request)))
    monkeypatch.setattr(cli, "_print", lambda *_: None)
    app = App(result_action="return_value")
    app.command(cli.export_command, name="export")
    app(shlex.split(command)[1:])
    return seen[0]


@pytest.mark.parametrize(
    "request_",
    [
        Request(ModelSpec("efficientnet_lite0", pretrained=True), out=Path("out"), calibration="photos"),
        Request(
            ModelSpec(
                "shop.nets:build",
                weights=Path("best.pt"),
                num_classes=81,
                size_hw_px=(192, 256),
                normalisation=Normalisation(mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375)),
                labels=Path("goods of mine.txt"),
                fit="stretch",
                seed=3,
            ),
            out=Path("out"),
            calibration="photos",
            calibration_list=Path("calibrate.csv"),
            held_out=Path("test"),
            held_out_labels=Path("test.csv"),
            held_out_count=500,
            golden="rendered",
            golden_count=70,
            calibration_count=64,
            budget_bytes=6_000_000,
            candidates=("onnx-int8", "tflite-int8"),
            gate=GATE,
            strategy="thorough",
            seed=3,
        ),
        Request(ModelSpec("net", random_weights=True, task="embed"), out=Path("o"), calibration="skimage", strategy="fast"),
    ],
)
def test_the_command_gives_the_request_again(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    assert again(command_line(request_), monkeypatch) == request_


def test_no_directory_is_told() -> None:
    request = Request(ModelSpec("/home/me/net.pt2"), out=Path("/home/me/out"), calibration="/home/me/photos")
    request = replace(request, held_out=Path("/home/me/x"), held_out_labels=Path("/home/me/x.csv"))
    assert "/home" not in command_line(request)
