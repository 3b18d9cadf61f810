"""What a record says of a model."""

from __future__ import annotations

import pytest

from benchmarks.record.facts import family_of, picture_sides


def test_every_network_has_a_family() -> None:
    pytest.importorskip("export.load.zoo")
    from export.load.zoo import ZOO

    assert all(family_of(name) != name for name in ZOO)
    assert family_of("mobilenetv3_small") == family_of("mobilenetv3_large") == "MobileNetV3"
    assert family_of("inceptionresnetv2") != family_of("inceptionv2") == family_of("googlenet")
    assert family_of("resnet50") == family_of("resnet152") != family_of("resnext50_32x4d")
    assert family_of("my_own") == "my_own"


@pytest.mark.parametrize(
    ("described", "sides"),
    [
        ("1×3×224×192 float32 RGB NCHW", (224, 192)),
        ("1×224×192×3 uint8 RGB NHWC", (224, 192)),
        ("1×16 float32", ()),
    ],
)
def test_sides_are_read_from_either_layout(described: str, sides: tuple[int, ...]) -> None:
    assert picture_sides(described) == sides
