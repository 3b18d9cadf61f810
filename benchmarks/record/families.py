"""Which networks differ in little but their width, depth or cells: within a family the curve says more than across them."""

from __future__ import annotations

FAMILIES = {
    "alexnet": "AlexNet",
    "densenet": "DenseNet",
    "efficientnet_lite": "EfficientNet-Lite",
    "googlenet": "Inception",
    "inception": "Inception",
    "inceptionresnet": "Inception-ResNet",
    "lenet": "LeNet",
    "mnasnet": "MnasNet",
    "mobilenet_": "MobileNetV1",
    "mobilenetv2": "MobileNetV2",
    "mobilenetv3": "MobileNetV3",
    "nasnet": "NASNet",
    "overfeat": "OverFeat",
    "resnet": "ResNet",
    "resnext": "ResNeXt",
    "se_inception": "Inception",
    "senet": "SENet",
    "shufflenet": "ShuffleNetV1",
    "shufflenetv2": "ShuffleNetV2",
    "squeezenet": "SqueezeNet",
    "squeezenext": "SqueezeNext",
    "vgg": "VGG",
    "xception": "Xception",
    "zfnet": "ZFNet",
}
"""How names in the zoo begin → their family. The longest that fits counts."""


def family_of(network: str) -> str:
    """The family of a network of the zoo; its own name where it is the only one of its kind."""
    fitting = [prefix for prefix in FAMILIES if network.startswith(prefix)]
    return FAMILIES[max(fitting, key=len)] if fitting else network
