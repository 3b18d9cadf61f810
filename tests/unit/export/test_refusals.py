"""An operator that a converter cannot take is named, with its layer and what would do instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import torch

from edge.errors import DataError, SinkError
from export.convert.refusals import explained
from export.convert.to_onnx import core_to_onnx
from tests.fakes.runtimes import need
from tests.fakes.tiny_net import tiny_model


class Spectrum(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft2(x).real


class Singular(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.linalg.svd(x).S.amax(dim=(1, 2))[:, None, None, None]


class Brightness(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.sum() > 0 else x


def with_layer(layer: torch.nn.Module):
    """The tiny network with ``layer`` as ``blocks.0`` in front."""

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = torch.nn.Sequential(layer)
            self.rest = tiny_model().module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.rest(self.blocks(x))

    return replace(tiny_model(), module=Network().eval())


def test_onnx_names_operator_layer_and_alternative(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"ONNX cannot take aten\._linalg_svd\.default in layer blocks\.0:") as caught:
        core_to_onnx(with_layer(Singular()))
    assert "matrix products" in str(caught.value.fix)
    assert "--candidates tflite-fp32" in str(caught.value.fix)
    assert capfd.readouterr() == ("", ""), "the message says it all; the converter's own chatter stays away"


def test_a_branch_on_the_picture_is_shown_with_its_line() -> None:
    with pytest.raises(DataError, match=r"depends on the picture \(`return x \* 2 if .*`\) in layer blocks\.0:") as caught:
        core_to_onnx(with_layer(Brightness()))
    assert "torch.where" in str(caught.value.fix)


def test_tflite_names_operator_layer_and_alternative() -> None:
    need("litert_torch")
    from export.convert.to_tflite import core_to_tflite

    with pytest.raises(
        DataError, match=r"TFLite cannot take aten\._to_copy\.default in layer blocks\.0: torch\.complex64"
    ) as caught:
        core_to_tflite(with_layer(Spectrum()))
    assert "complex" in str(caught.value.fix)
    assert "--candidates onnx-fp32" in str(caught.value.fix)


@pytest.mark.parametrize("error", [SinkError("full"), OSError("full"), MemoryError()])
def test_what_is_not_the_converters_fault_passes(error: BaseException) -> None:
    with pytest.raises(type(error)), explained("ONNX", tiny_model().module, torch.zeros(1, 3, 32, 32)):
        raise error
