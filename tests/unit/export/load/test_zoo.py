"""What comes in: names, labels, and weights that are numbers."""

from __future__ import annotations

import pytest

from edge.errors import DataError, UsageError
from export.load import zoo
from export.load.model import check_finite


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="efficientnet_lit0") as caught:
        zoo.load("efficientnet_lit0", pretrained=True)
    assert "efficientnet_lite0" in caught.value.fix


def test_only_pretrained():
    with pytest.raises(UsageError, match="only pretrained") as caught:
        zoo.load("efficientnet_lite0", pretrained=False)
    assert "--pretrained" in caught.value.fix


def test_labels_are_those_of_imagenet_without_a_background():
    labels = zoo.read_labels(zoo.IMAGENET_LABELS)
    assert len(labels) == 1000
    assert labels[0].startswith("tench")
    assert labels[285] == "Egyptian cat"
    assert labels[-1].startswith("toilet tissue")


def test_a_weight_that_is_not_a_number_is_named():
    torch = pytest.importorskip("torch")
    from tests.unit.export.tiny_net import tiny_model

    model = tiny_model()
    check_finite(model.module, "tiny.pth")
    with torch.no_grad():
        model.module.pointwise.weight[3, 2] = float("nan")
    with pytest.raises(DataError, match=r"tiny\.pth: weight pointwise\.weight has 1 values"):
        check_finite(model.module, "tiny.pth")
